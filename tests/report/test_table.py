"""The rows that terminal and page share."""

from __future__ import annotations

import numpy as np

from hlhft.core.risk import RiskRefusal
from hlhft.report.numbers import DASH, MINUS
from hlhft.report.results import Results
from hlhft.report.table import Row, horizon_words, sections
from tests.report import sample_run
from tests.report.histories import FINE, PERPETUAL, SECOND, History, results, scenario, traded


def rows(found: Results) -> dict[str, Row]:
    return {row.label: row for section in sections(found) for row in section.rows}


def test_gains_and_losses_carry_their_sign() -> None:
    found = rows(results(scenario(traded(6)), scenario(traded(-6)), scenario(traded(0))))
    assert found["profit"].values == ("+6.00", f"{MINUS}6.00", "0.00")
    assert (found["profit"].signs, found["profit"].is_total) == ((1, -1, 0), True)
    assert found["spread captured"].values == found["profit"].values
    assert found["parts sum to it"].values == ("exactly",) * 3
    assert found["fills"].values == ("2", "2", "2")
    assert found["fills"].signs == ()


def test_parts_that_nobody_has_are_left_out() -> None:
    assert "funding" not in rows(results(scenario(traded(6))))
    made = traded(6)
    made.wait(1)
    made.fund(5_000_000)
    made.record()
    found = rows(results(scenario(made), scenario(traded(6))))
    assert found["funding"].values == ("+5.00", "0.00")


def test_a_gap_is_shown() -> None:
    made = traded(6)
    del made.rows[1]
    assert rows(results(scenario(made)))["parts sum to it"].values[0].startswith("off by ")


def test_nothing_is_shown_as_dashes() -> None:
    found = rows(results(scenario(History([PERPETUAL]))))
    assert found["fills"].values == ("0",)
    for label in (
        "as maker",
        "orders per fill",
        "at the fill",
        "drawdown, USDC",
        "of the peak",
        "Sharpe ratio",
        "mean",
    ):
        assert found[label].values == (DASH,), label
    assert found["ended"].values == ("active",)


def test_markouts_without_a_band_are_too_few() -> None:
    made = traded(6)
    for _ in range(6):
        made.wait(20 * SECOND)
        made.fill(1, 1_000_000, 1, mid=2_000_200)
    made.record()
    found = rows(results(scenario(traded(6)), scenario(made), scenario(History([PERPETUAL]))))
    few, enough, none = found["after 0.1 s"].values
    assert (few, none) == ("too few", DASH)
    assert "±" in enough
    assert found["after 300 s"].values[1] == "too few"


def test_a_drawdown_and_a_sharpe_ratio() -> None:
    made = History([PERPETUAL])
    for index in range(20):
        made.fill(1 if index % 3 else -1, 1_000_000, 1_000, fee=1_000_000)
        made.quote(0, 1_000_000 + index, 1_000_002 + index)
        made.record()
        made.wait(10 * SECOND)
    found = rows(results(scenario(made)))
    assert float(found["drawdown, USDC"].values[0]) > 19.0
    assert found["of the peak"].values[0].endswith(" %")
    assert "±" in found["Sharpe ratio of 10 s"].values[0]
    assert "±" in found["the same a year"].values[0]


def test_refused_quotes_are_told_apart_by_reason() -> None:
    idle = scenario(History([PERPETUAL]))
    assert not any(label.startswith("for ") for label in rows(results(idle)))
    refusals = np.zeros_like(idle.lane.lane["refusals"])
    refusals[0, [RiskRefusal.PRICE_BAND, RiskRefusal.MINIMUM_NOTIONAL]] = 4, 3
    found = rows(results(scenario(History([PERPETUAL]), refusals=refusals), idle))
    assert found["quotes refused"].values == ("7", "0")
    assert found["for minimum notional"].values == ("3", "0") and found["for price band"].values == ("4", "0")


def test_a_halt_is_named() -> None:
    found = rows(results(scenario(History([PERPETUAL]), mode=2, latches=1 << 2)))
    assert found["ended"].values == ("halted: drawdown",)


def test_every_market_has_its_inventory() -> None:
    titles = [section.title for section in sections(results(scenario(History([PERPETUAL, FINE]))))]
    assert titles[-2:] == ["Inventory in BTC, USDC", "Inventory in FINE, USDC"]


def test_every_row_has_a_value_for_each_scenario() -> None:
    found = sample_run.results()
    for section in sections(found):
        for row in section.rows:
            assert len(row.values) == len(found.scenarios)
            assert len(row.signs) in (0, len(found.scenarios))
    assert sum(section.is_short for section in sections(found)) == 5


def test_horizons_in_words() -> None:
    assert [horizon_words(value) for value in (0.0, 0.1, 300.0)] == ["at the fill", "after 0.1 s", "after 300 s"]
