"""Every model that a user can name is described, with whom it favours."""

from __future__ import annotations

import pytest

from hlhft.backtest.models import parse_latency, parse_queue
from hlhft.data.profiles import PROFILES
from hlhft.report.assumptions import Assumption, assumptions, fill_model


def stated(subject: str, **models: str | bool | tuple[str, ...]) -> Assumption:
    chosen: dict = {"latency": "15", "queue": "log", "profile": "recorded", "snapshots": True, **models}
    (found,) = [one for one in assumptions(**chosen) if one.subject == subject]
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("15", "Always 15 ms to the venue and 15 ms back."),
        ("constant:10", "Always 10 ms to the venue and 10 ms back."),
        ("constant:10,12", "Always 10 ms to the venue and 12 ms back."),
        ("constant:10,12,20,30", "Always 10 ms to the venue and 12 ms back, cancels there 20 ms, fills back 30 ms."),
        ("sampled:20,90", "20 ms in the median, 90 ms at the 99th percentile, each way"),
        ("blocks", "200 ms in the median, 900 ms at the 99th percentile, then the next block"),
        ("blocks:50,60", "50 ms in the median, 60 ms at the 99th percentile, then the next block"),
    ],
)
def test_latency(text: str, words: str) -> None:
    parse_latency(text, seed=1)
    found = stated("Latency", latency=text)
    assert words in found.text
    assert found.bias.startswith("Favours us")


@pytest.mark.parametrize(("text", "bias"), [("history:a.csv", "None"), ("measured:a.csv", "Favours us a little")])
def test_recorded_latency_names_its_file(text: str, bias: str) -> None:
    found = stated("Latency", latency=text)
    assert "(a.csv)" in found.text and found.bias.startswith(bias)


@pytest.mark.parametrize("text", ["power:3", "power-total", "power-complement:2", "log", "log-total"])
def test_probability_queues_admit_that_nobody_knows(text: str) -> None:
    parse_queue(text)
    found = stated("Queue", queue=text)
    assert "with probability" in found.text
    assert found.bias.startswith("Unknown")


def test_the_power_of_a_queue_is_in_its_formula() -> None:
    assert "x^3" in stated("Queue", queue="power:3").text
    assert "x^2" in stated("Queue", queue="power").text


def test_the_risk_averse_queue_is_against_us() -> None:
    parse_queue("risk-averse")
    assert stated("Queue", queue="risk-averse").bias.startswith("Against us")


def test_the_order_level_queue_is_exact_where_the_recording_is() -> None:
    parse_queue("order-level")
    assert stated("Queue", queue="order-level").text.startswith("Exact")


@pytest.mark.parametrize("profile", PROFILES)
def test_feeds(profile: str) -> None:
    assert ("thinned to the live feed" in stated("Feed", profile=profile).text) == (profile != "recorded")


def test_a_book_alone_fills_less_and_says_so() -> None:
    found = stated("Fills", without_trades=("BTC", "ETH"))
    assert found.text.startswith("There are no trades of BTC and ETH, so resting orders are filled by the book alone")
    assert found.bias.startswith("Against us")
    assert (fill_model(["BTC"]), fill_model([])) == ("book alone", "book and trades")


def test_snapshots_are_mentioned_where_there_are_any() -> None:
    assert stated("Book").text
    without = assumptions(latency="1", queue="log", profile="recorded", snapshots=False)
    assert "Book" not in {one.subject for one in without}
