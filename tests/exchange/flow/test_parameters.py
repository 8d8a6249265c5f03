"""The shipped numbers, and the file that they stand in."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.compiled import JIT_DISABLED
from hlhft.data.markets import find
from hlhft.exchange.flow.calibration import KNOBS, simulated
from hlhft.exchange.flow.parameters import decoded, fitted, like, shipped, written
from hlhft.exchange.flow.statistics import measure
from tests.exchange.flow.stage import CALM, STILL


def test_four_coins_ship_and_lie_within_the_search():
    assert list(shipped()) == ["BTC", "ETH", "SOL", "WLFI"]
    for coin, numbers in shipped().items():
        assert find(coin).name == coin
        for name, (low, high, _) in KNOBS.items():
            assert low <= getattr(numbers, name) <= high, f"{coin} {name}"


def test_what_is_written_is_read_again():
    text = written("", "B", fitted(CALM, recording="one", date="2026-11-25", seed=3))
    text = written(text, "A", fitted(STILL, recording="two", date="2026-11-26", seed=4, note="so"))
    entries = decoded(text)
    assert list(entries) == ["A", "B"]
    assert entries["B"].numbers == CALM
    assert (entries["A"].recording, entries["A"].date, entries["A"].seed) == ("two", "2026-11-26", 4)
    assert (entries["A"].note, entries["B"].note) == ("so", "")
    assert written(text, "A", entries["A"]) == text


def test_a_number_that_is_missing_is_an_error():
    text = written("", "B", fitted(CALM, recording="one", date="2026-11-25", seed=3))
    with pytest.raises(msgspec.ValidationError, match="impact_bp"):
        decoded(text.replace("impact_bp", "impact"))


def test_another_price_for_the_same_market():
    assert like(CALM, start_price=5.0).start_price == 5.0
    assert like(CALM, start_price=CALM.start_price) == CALM
    with pytest.raises(ValueError, match="must be positive, not 0"):
        like(CALM, start_price=0)


# A few minutes with wide margins; tests/bench/flow.py holds half an hour and five seeds against the recordings.
SECONDS = 242.0 if JIT_DISABLED else 660.0
# Medians and rates of the recordings of 4 September 2025: spread in bp, share at one step, touches a second, trades and
# events a minute, deviation of the mid in bp, touch and depth in USDC.
RECORDED = {
    "BTC": (0.091, 0.95, 6.6, 183, 67, 0.26, 0.6e6, 9.8e6),
    "ETH": (0.233, 0.94, 7.3, 197, 83, 0.61, 0.36e6, 25e6),
    "SOL": (0.493, 0.95, 6.3, 122, 55, 0.68, 0.126e6, 14e6),
    "WLFI": (2.73, 0.24, 4.2, 71, 30, 2.66, 3_000, 0.3e6),
}
MARGINS = (1.5, 1.5, 1.3, 2.0, 1.5, 2.5, 1.8, 1.3)
MARGINS_OF_FOUR_MINUTES = (1.5, 2.0, 1.6, 4.0, 2.0, 20.0, 3.0, 1.6)


@pytest.mark.parametrize("coin", list(RECORDED))
def test_what_ships_looks_like_the_recordings(coin: str):
    data = simulated(find(coin), shipped()[coin], seed=6, seconds=SECONDS)
    found = measure(data, data.blocks())
    figures = (
        found.spread_bp,
        found.one_step_share,
        found.touches_per_s,
        found.trades_per_minute,
        found.events_per_minute,
        found.move_bp,
        found.touch_usdc,
        found.depth_usdc,
    )
    for figure, recorded, margin in zip(figures, RECORDED[coin], MARGINS_OF_FOUR_MINUTES if JIT_DISABLED else MARGINS):
        assert recorded / margin < figure < recorded * margin, figures
    if not JIT_DISABLED and coin != "WLFI":
        assert found.imbalance_share > 0.55, "queues tell where the mid goes"
        # Half of the spread is what a passive fill would earn if nobody knew better.
        assert found.markout_10_bp < 0.0 < found.spread_bp
