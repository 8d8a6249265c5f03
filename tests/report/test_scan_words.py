"""The answer in words: none means none, too little means that nothing is told, and what paid is named."""

from __future__ import annotations

import pytest

from hlhft.report.numbers import DASH
from hlhft.report.scan_fills import Watched
from hlhft.report.scan_results import MarketResult, ScanSettings, results_of
from hlhft.report.scan_words import assumptions, fee_words, flat, remarks, sentence, table
from hlhft.units import Market
from tests.report.test_scan_results import steady

SETTINGS = ScanSettings()
WHO = "a two-sided quoter at a maker fee of 1.5 bp"


def found(**markets: dict[str, int]) -> tuple[MarketResult, ...]:
    watched = [steady(name, **options) for name, options in markets.items()]  # type: ignore[arg-type]
    return results_of(watched, SETTINGS)


PAYING: dict[str, int] = {"half": 500}
AHEAD: dict[str, int] = {"half": 300, "through": 0}
LOSING: dict[str, int] = {"half": 100}
CHANCE: dict[str, int] = {"half": 500, "jump": 350}
FEW: dict[str, int] = {"every_s": 600}
SHORT: dict[str, int] = {"minutes": 20}


@pytest.mark.parametrize(
    ("markets", "expected"),
    [
        (
            {"A": LOSING, "B": LOSING},
            "None of the 2 markets would have paid a two-sided quoter at a maker fee of 1.5 bp.",
        ),
        ({"A": LOSING}, "A would not have paid a two-sided quoter at a maker fee of 1.5 bp."),
        (
            {"A": LOSING, "B": FEW, "C": LOSING},
            f"None of the 3 markets is seen to have paid {WHO}: 2 would have lost, and of B these data cannot tell.",
        ),
        (
            {"A": FEW, "B": SHORT, "C": SHORT},
            f"Cannot tell whether any of the 3 markets would have paid {WHO}: too short in 2 and too few fills in 1.",
        ),
        (
            {"A": CHANCE},
            "Cannot tell whether A would have paid a two-sided quoter at a maker fee of 1.5 bp: within chance.",
        ),
    ],
)
def test_none_and_nothing(markets: dict[str, dict[str, int]], expected: str) -> None:
    assert sentence(found(**markets), SETTINGS) == expected


def test_what_paid_is_named_with_what_it_kept() -> None:
    said = sentence(found(A=LOSING, B=AHEAD, C=PAYING), SETTINGS)
    assert said.startswith("2 of 3 markets would have paid a two-sided quoter at a maker fee of 1.5 bp: C (+1,47")
    assert said.endswith(" USDC a day, but not the last in the queue).")


def test_a_market_alone_is_the_subject_of_the_sentence() -> None:
    said = sentence(found(A=AHEAD), SETTINGS)
    assert said.startswith(f"A would have paid {WHO}: +")
    assert said.endswith(" USDC a day, but not the last in the queue.")


def test_many_are_counted_and_not_listed() -> None:
    said = sentence(found(**{f"M{number}": PAYING for number in range(8)}), SETTINGS)
    assert said.startswith("8 of 8 markets would have paid")
    assert said.endswith(" and 3 more.")
    said = sentence(found(A=LOSING, **{f"M{number}": FEW for number in range(8)}), SETTINGS)
    assert said.endswith("1 would have lost, and of 8 markets these data cannot tell.")


def test_no_market_at_all() -> None:
    assert sentence((), SETTINGS) == "There is no market to look at."
    assert remarks((), SETTINGS) == []


def test_remarks_say_how_near_it_came_and_how_little_was_seen() -> None:
    said = remarks(found(A=LOSING, B={"half": 50}), SETTINGS)
    assert said[0] == "Nearest came A, whose fills made +1.00 bp before fees: it needs a maker fee below 1.00 bp."
    assert said[1] == "1 h 1 min say little about other times."
    assert said[2] == "Funding is not known and counted as 0."
    (nearest, *_) = remarks(found(A={"half": 100, "jump": 2_000}), SETTINGS)
    assert "it needs a maker rebate above" in nearest
    assert not any("Nearest" in one for one in remarks(found(A=PAYING), SETTINGS))


def test_fees_in_words() -> None:
    assert fee_words(ScanSettings(maker_rate_e9=-30_000)) == "a maker rebate of 0.3 bp"
    assert fee_words(ScanSettings(maker_rate_e9=0)) == "a maker fee of 0 bp"


def test_what_is_assumed_of_the_queue_is_said() -> None:
    said = assumptions(ScanSettings(quote_micro=2_500_000_000))
    for words in ("2,500 USDC", "without latency", "its share", "the last in the queue", "10 s later", "1.5 bp"):
        assert words in said


@pytest.mark.parametrize("is_wide", [True, False])
def test_the_table_has_a_row_for_each_market(is_wide: bool) -> None:
    results = found(A=PAYING, B=FEW)
    heads, rows = table(results, SETTINGS, is_wide=is_wide)
    assert len(heads) == (12 if is_wide else 8)
    assert all(len(row) == len(heads) for row in rows)
    cells = [dict(zip(heads, row, strict=True)) for row in rows]
    assert (cells[0]["market"], cells[0]["spread"], cells[0]["after\n10 s"]) == ("A", "10.00", "+5.00")
    assert cells[0]["net"] == "+3.50 ± 0.00"
    assert cells[1]["verdict"] == ("cannot tell: too few fills" if is_wide else "cannot tell")
    assert cells[1]["net"] == "+3.50"


def test_a_market_without_figures_is_dashes() -> None:
    results = results_of([Watched(Market.perpetual("NEW", asset_id=0, size_decimals=2), 1)], SETTINGS)
    (row,) = table(results, SETTINGS)[1]
    assert row == ("NEW", *(10 * [DASH]), "cannot tell: no best prices")
    assert sentence(results, SETTINGS).endswith("at a maker fee of 1.5 bp: no best prices.")


def test_a_flat_row_holds_every_figure_once() -> None:
    (row,) = flat(found(A=PAYING))
    assert row["pro_rata_10s_net_bp"] == pytest.approx(3.5, rel=1e-3)
    assert row["last_60s_net_low_bp"] <= row["last_60s_net_bp"] <= row["last_60s_net_high_bp"]
    assert not any(isinstance(value, dict | list | tuple) for value in row.values())
