"""The picture at the widths that terminals have, by its exported text; and how it is followed."""

from __future__ import annotations

import io
from itertools import count
from typing import Any

import msgspec
import pytest
from rich.console import Console

from hlhft.live.screen import COUNTERS_MAX, HAPPENINGS_MAX, MARKETS_MAX, follow, one_line, render
from hlhft.live.screen_parts import Signs, curve
from hlhft.live.view import BreakerView, Happening, Profit, Quote, Status
from tests.live.samples import NOW_NS, full_status, market

PROFIT = Profit(total=0.0, spread=0.0, inventory=0.0, basis=0.0, fees=0.0, funding=0.0)


def picture(status: Status, width: int, *, height: int | None = None, encoding: str = "utf-8", **options: Any) -> str:
    """What is printed, as plain text."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, highlight=False, **options)
    console.print(render(status, height=height))
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_part_is_there_and_nothing_is_cut(width: int) -> None:
    text = picture(full_status(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text, "not a terminal: no colours"
    for word in (
        "QUOTING", "glft on local", "session 12", "up 1:15", "100,004.25", "+4.25", "+6.50", "-1.00", "-1.75",
        "64999", "65001 …", "3120.5", "-0.125", "stale data", "TRIPPED", "tick to trade", "870 ms", "posts in flight",
        "signal +1.25 bp, deviation 0.50", "risk x2.00 signal x0.50 spread x1.25 lean -10%", "96%",
        "77 of 80", "trading 1", "backing off", "91,234", "the host dies", "ETH: data are old, quotes pulled",
    ):  # fmt: skip
        assert word in text, word
    lines = text.splitlines()
    assert sum(line.count("…") for line in lines) == (1 if width < 100 else 2), "a cancel under way, and the address"


def test_models_have_a_place_while_they_say_something() -> None:
    silent = full_status(markets=[market("BTC", "64999", "65001")])
    assert "Models" in picture(full_status(), 80) and "Models" not in picture(silent, 80)
    half = full_status(markets=[market("BTC", "64999", "65001", signal_bp=-0.5, signal_deviation_bp=0.0)])
    assert "signal -0.50 bp, deviation 0.00" in picture(half, 80) and "risk x" not in picture(half, 80)


def test_more_width_shows_more() -> None:
    narrow, middle, wide = (picture(full_status(), width) for width in (80, 120, 200))
    assert "0.05 @ 64999" in middle and "0.05 @ 64999" not in narrow
    assert "|" in middle and "age" in middle and "inventory" in middle.split("market")[1]
    assert "its data are old" in wide and "8,125" in wide and "8,125" not in middle
    assert len(wide.splitlines()) < len(middle.splitlines()) < len(narrow.splitlines())


def test_what_matters_most_stands_first_and_a_low_terminal_gets_that_much() -> None:
    for height in (3, 10, 24, 40):
        lines = picture(full_status(), 80, height=height).splitlines()
        assert len(lines) <= height
        assert lines[0].split()[0] == "QUOTING"
    assert "64999" in picture(full_status(), 80, height=10)


def test_a_low_terminal_counts_the_breakers_that_did_not_trip() -> None:
    low, high = (picture(full_status(), 80, height=height) for height in (24, 60))
    assert "stale data" in low and "drawdown       0.01 %" not in low and "2 more quiet" in low
    assert "drawdown       0.01 %" in high and "quiet" not in high
    calm = full_status(breakers=[BreakerView(name="budget", is_tripped=False)])
    assert "1 of them quiet" in picture(calm, 80)


def test_what_happened_fills_what_is_left_and_nothing_more() -> None:
    many = full_status(happenings=[Happening(at_ns=NOW_NS, text=f"event {number:03}") for number in range(40)])
    for height in range(44, 70):
        lines = picture(many, 120, height=height).splitlines()
        assert len(lines) <= height
    assert "event 039" in picture(many, 120, height=40)


def test_a_halt_is_said_in_words_before_everything_else() -> None:
    lines = picture(full_status(stage="halted", halt="drawdown of 3.2 %"), 80).splitlines()
    assert lines[0].split()[0] == "HALTED"
    assert lines[1].rstrip() == "✗ halted: drawdown of 3.2 %"


def test_ascii_and_colour() -> None:
    assert picture(full_status(), 120, encoding="ascii").isascii()
    assert "\x1b[" in picture(full_status(), 120, force_terminal=True, color_system="standard")


def test_an_engine_that_knows_nothing_yet_shows_no_zero() -> None:
    bare = Status(
        version="1", session=1, stage="starting", network="mainnet", base_url="", account="", strategy="glft",
        now_ns=NOW_NS, started_ns=NOW_NS,
    )  # fmt: skip
    text = picture(bare, 80)
    assert "no account yet" in text and "no market yet" in text
    dark = msgspec.structs.replace(
        market("BTC", "1", "2"), bid=None, ask=None, bid_size=None, profit_usdc=None, notional_usdc=None
    )
    unknown = full_status(markets=[dark])
    row = next(line for line in picture(unknown, 200).splitlines() if "BTC" in line)
    assert row.split()[2:5] == ["-", "-", "-"] and row.split().count("-") == 5


def test_paper_is_called_so_and_a_residual_is_loud() -> None:
    profit = Profit(total=1, spread=0, inventory=0, basis=0, fees=0, funding=0, residual=1)
    text = picture(full_status(is_paper=True, network="mainnet", profit=profit), 120)
    assert "glft on paper" in text and "UNEXPLAINED" in text
    assert "UNEXPLAINED" not in picture(full_status(), 120)


def test_lists_have_bounds() -> None:
    many = full_status(
        markets=[market(f"M{number:03}", "1", "2") for number in range(MARKETS_MAX + 3)],
        counters={f"counter {number:03}": number for number in range(COUNTERS_MAX + 1)},
        happenings=[Happening(at_ns=NOW_NS, text=f"event {number:03}") for number in range(HAPPENINGS_MAX + 1)],
    )
    text = picture(many, 80)
    assert f"M{MARKETS_MAX - 1:03}" in text and f"M{MARKETS_MAX:03}" not in text and "and 3 more" in text
    assert f"counter {COUNTERS_MAX:03}" not in text
    assert "event 000" not in text and f"event {HAPPENINGS_MAX:03}" in text


def test_the_best_of_our_quotes_is_shown_with_what_stands_behind_it() -> None:
    quotes = [
        Quote(side=1, price="9.5", size="1"), Quote(side=1, price="10.5", size="2", state="unknown"),
        Quote(side=-1, price="100", size="3"), Quote(side=-1, price="11", size="4"),
    ]  # fmt: skip
    text = picture(full_status(markets=[market("BTC", "10.5", "11", quotes=quotes)]), 120)
    assert "2 @ 10.5 +1 ?" in text, "an order of unknown fate is marked"
    assert "4 @ 11 +1" in text


def test_a_line_says_the_same_in_short() -> None:
    assert one_line(full_status()) == (
        "14:13:20 quoting, 1 of 2 markets quoted, 2 orders, 34 fills, profit +4.25 USDC, tripped: stale data"
    )
    assert one_line(full_status(halt="by an operator")).endswith("profit +4.25 USDC, halted: by an operator")
    assert one_line(full_status(breakers=[], profit=None)).endswith("34 fills, profit - USDC")


def over_after(calls: int) -> Any:
    numbers = count()
    return lambda: next(numbers) >= calls


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    file = io.StringIO()
    waited: list[float] = []
    follow(
        full_status, console=Console(file=file, width=40), is_over=over_after(41), every_s=0.5, wait=waited.append
    )  # fmt: skip
    assert file.getvalue().splitlines() == [one_line(full_status())] * 3, "each ten seconds"
    assert waited == [0.5] * 41


def test_on_a_terminal_it_is_drawn_in_place_and_the_terminal_is_given_back() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system="standard")
    states = iter([full_status(), full_status(stage="stopping")])
    follow(lambda: next(states), console=console, is_over=over_after(2), wait=lambda _: None)
    text = file.getvalue()
    assert "QUOTING" in text and "STOPPING" in text
    assert text.index("\x1b[?1049h") < text.index("QUOTING") < text.index("\x1b[?1049l")


def test_the_profit_is_drawn_as_it_went() -> None:
    file = io.StringIO()
    console = Console(file=file, width=140, height=40, force_terminal=True, color_system=None)
    totals = [float(number % 7) for number in range(30)]
    states = iter([full_status(profit=msgspec.structs.replace(PROFIT, total=total)) for total in totals])
    follow(lambda: next(states), console=console, is_over=over_after(30), wait=lambda _: None)
    text = file.getvalue()
    assert "profit so far" in text
    assert curve(totals[4::5], Signs()).plain in text, "every fifth, up to the newest"


def test_what_reading_raises_comes_through_with_the_terminal_as_it_was() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True)
    with pytest.raises(ConnectionError):
        follow(_broken, console=console, wait=lambda _: None)
    assert file.getvalue().endswith("\x1b[?25h\x1b[?1049l")


def _broken() -> Status:
    raise ConnectionError("gone")
