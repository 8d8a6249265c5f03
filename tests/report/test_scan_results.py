"""Figures, verdicts and ranks of markets whose money is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.report.scan_fills import HORIZONS_NS, Watched
from hlhft.report.scan_results import FILLS_MIN, MarketResult, ScanSettings, Verdict, results_of
from hlhft.units import MICRO, Market
from tests.report.tape import BUY, SECOND, SELL, Tape, cut_at

SETTINGS = ScanSettings(quote_micro=1_000 * MICRO)


def steady(
    name: str = "TEST",
    *,
    half: int = 500,
    minutes: int = 60,
    jump: int = 0,
    through: bool = True,
    every_s: int = 20,
    seed: int = 0,
) -> Watched:
    """A market at 1,000,000 ticks with a constant half-spread, bought and sold in turn; `jump` is how far the mid then
    goes with the taker (half of the trades, drawn), for good of nobody."""
    tape, middle, random = Tape(), 1_000_000, np.random.default_rng(seed)
    tape.bbo(0, middle - half, middle + half)
    for second in range(20, minutes * 60, 20):
        side = BUY if second // every_s % 2 else SELL
        if second % every_s == 0:
            tape.trade(1000 * second, side, middle + side * (half + through), 10)
            middle += side * jump * int(random.integers(0, 3))
        tape.bbo(1000 * second, middle - half, middle + half)
    tape.still(minutes * 60_000, minutes * 60_000 + 61_000, middle - half, middle + half)
    watched = Watched(replace(Market.perpetual("TEST", asset_id=0, size_decimals=3), name=name), SETTINGS.quote_micro)
    for rows in cut_at(tape.blocks(), (100,)):
        watched.take(rows)
    watched.finish()
    return watched


def only(watched: Watched, settings: ScanSettings = SETTINGS) -> MarketResult:
    (found,) = results_of([watched], settings)
    return found


def test_a_constant_market_keeps_its_half_spread_less_the_fee() -> None:
    """5 bp captured, 1.5 bp paid: 3.5 bp of 999 lots at about 1.0, 179 times an hour."""
    found = only(steady())
    assert found.spread_bp == pytest.approx(10.0)
    for queue in (found.pro_rata, found.last):
        assert (queue.fills, queue.half_spread_bp) == (179, pytest.approx(5.0, rel=1e-3))
        for at in queue.horizons:
            assert at.markout_bp == pytest.approx(5.0, rel=1e-3)
            assert at.net_bp == pytest.approx(3.5, rel=1e-3)
    days = found.watched_s / 86_400
    value = found.pro_rata.volume_usdc_day
    assert value == pytest.approx(179 * 1000 / days, rel=2e-3)
    assert found.pro_rata.at(HORIZONS_NS[1]).net_usdc_day == pytest.approx(value * 3.5e-4, rel=1e-3)
    assert found.verdict is Verdict.PAYS
    assert (found.trades, found.blocks) == (179, 12)


@settings(max_examples=20)
@given(st.integers(-100_000, 200_000), st.integers(-100_000, 200_000), st.integers(0, 400))
def test_fees_shift_the_net_exactly(first: int, second: int, jump: int) -> None:
    watched = steady(jump=jump, minutes=40)
    one, other = (only(watched, ScanSettings(maker_rate_e9=rate)) for rate in (first, second))
    for before, after in zip(one.pro_rata.horizons, other.pro_rata.horizons, strict=True):
        assert before.net_bp is not None and after.net_bp is not None
        assert before.net_bp - after.net_bp == pytest.approx((second - first) / 1e5, abs=1e-9)
        assert before.error_bp == after.error_bp


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"half": 500}, Verdict.PAYS),
        ({"half": 500, "through": False}, Verdict.PAYS_AHEAD),
        ({"half": 100}, Verdict.LOSES),
        ({"half": 500, "jump": 350}, Verdict.CHANCE),
        ({"half": 500, "jump": 5_000}, Verdict.LOSES),
        ({"every_s": 180}, Verdict.FEW),
        ({"minutes": 20}, Verdict.SHORT),
    ],
)
def test_verdicts(options: dict[str, int], verdict: Verdict) -> None:
    assert only(steady(**options)).verdict is verdict  # type: ignore[arg-type]


def test_nothing_is_claimed_where_the_places_in_the_queue_contradict_each_other() -> None:
    """What trades at the price loses much, what goes through it gains: together it loses, and the last is paid."""
    tape, middle = Tape(), 1_000_000
    for minute in range(1, 60):
        tape.still(60_000 * minute - 40_000, 60_000 * minute - 1, middle - 500, middle + 500)
        tape.trade(60_000 * minute, BUY, middle + 500, 50_000).bbo(60_000 * minute, middle + 4_000, middle + 5_000)
        tape.still(60_000 * minute + 15_000, 60_000 * minute + 15_001, middle - 500, middle + 500)
        tape.trade(60_000 * minute + 15_500, SELL, middle - 501, 1)
    watched = Watched(Market.perpetual("TEST", asset_id=0, size_decimals=3), SETTINGS.quote_micro)
    watched.take(tape.blocks())
    watched.finish()
    found = only(watched)
    ahead, last = found.pro_rata.at(HORIZONS_NS[0]).band_bp, found.last.at(HORIZONS_NS[0]).band_bp
    assert ahead is not None and last is not None
    assert ahead[1] < 0 < last[0]
    assert only(watched, replace(SETTINGS, horizon_ns=HORIZONS_NS[0])).verdict is Verdict.CHANCE


def test_a_market_that_was_never_quoted_has_dashes_and_no_verdict() -> None:
    found = only(Watched(Market.perpetual("NEW", asset_id=0, size_decimals=2), 1))
    assert found.verdict is Verdict.UNSEEN
    assert (found.spread_bp, found.pro_rata.fills_day, found.turnover_usdc_day, found.funding_bp_hour) == (None,) * 4
    assert found.pro_rata.at(HORIZONS_NS[0]).net_bp is None


def test_the_best_comes_first_and_what_cannot_be_judged_last() -> None:
    few = steady("few", every_s=600)
    found = results_of(
        [
            few,
            steady("loser", half=100),
            steady("best", half=900),
            steady("good", half=500),
            steady("chance", jump=350),
        ],
        SETTINGS,
    )
    assert [one.market for one in found] == ["best", "good", "chance", "loser", "few"]
    assert found[-1].verdict is Verdict.FEW
    assert found[-1].pro_rata.fills < FILLS_MIN


def test_the_more_markets_are_judged_the_wider_their_bands() -> None:
    one = only(steady(jump=300)).pro_rata.at(HORIZONS_NS[1]).band_bp
    many = (
        results_of([steady(str(name), jump=300) for name in range(6)], SETTINGS)[0].pro_rata.at(HORIZONS_NS[1]).band_bp
    )
    assert one is not None and many is not None
    assert many[1] - many[0] > 1.3 * (one[1] - one[0])


def test_what_cannot_be_judged_makes_no_band_wider() -> None:
    """Only claims count: a market of which nothing is said does not cost the others."""
    alone = only(steady(jump=300)).pro_rata.at(HORIZONS_NS[1]).band_bp
    found = results_of([steady(jump=300), *(steady(f"few {n}", every_s=600) for n in range(5))], SETTINGS)
    assert found[0].pro_rata.at(HORIZONS_NS[1]).band_bp == alone


def test_the_horizon_decides() -> None:
    """The mid goes back within a minute: what a second later loses has paid after sixty."""
    tape, middle = Tape(), 1_000_000
    for number in range(1, 40):
        at_ms = number * 120_000
        tape.still(at_ms - 100_000, at_ms - 1, middle - 300, middle + 300)
        tape.trade(at_ms, BUY, middle + 301, 1).bbo(at_ms, middle + 300, middle + 900)
    watched = Watched(Market.perpetual("TEST", asset_id=0, size_decimals=3), SETTINGS.quote_micro)
    watched.take(tape.still(4_700_000, 4_800_000, middle - 300, middle + 300).blocks())
    watched.finish()
    verdicts = [only(watched, ScanSettings(horizon_ns=horizon)).verdict for horizon in HORIZONS_NS]
    assert verdicts == [Verdict.LOSES, Verdict.LOSES, Verdict.PAYS]


@pytest.mark.parametrize("options", [{"horizon_ns": 2 * SECOND}, {"quote_micro": 0}])
def test_settings_that_cannot_be(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ScanSettings(**options)


def test_everything_is_plain() -> None:
    import msgspec

    assert msgspec.json.decode(msgspec.json.encode(only(steady()).plain()))["verdict"] == "pays"
