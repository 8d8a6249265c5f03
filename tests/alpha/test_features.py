"""Features: by hand, against a second way to compute them, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hlhft.alpha.features import Features, new_state
from hlhft.alpha.schema import FeatureSchema
from hlhft.core.brain import Brain
from tests.alpha.feeds import book, new_brain, touch, trade
from tests.core.worlds import BUY, SELL

SCHEMA = FeatureSchema(levels=2, half_life_ms=64_000)  # 1, 8 and 64 s


class Watch:
    """A brain and its features, fed frame by frame; keeps every row."""

    def __init__(self, schema: FeatureSchema = SCHEMA, brain: Brain | None = None) -> None:
        self.brain = new_brain() if brain is None else brain
        self.features = Features(schema, self.brain)
        self.names = schema.names
        self.heads: list[np.void] = []
        self.values: list[np.ndarray] = []

    def feed(self, *frames: np.ndarray) -> int:
        """Steps over the frames; how many rows they made."""
        before = len(self.heads)
        for rows in frames:
            self.brain.step(rows, len(rows))
            count = self.features.update(rows, len(rows))
            self.heads += [head.copy() for head in self.features.heads[:count]]
            self.values += [values.copy() for values in self.features.values[:count]]
        return len(self.heads) - before

    def __getitem__(self, name: str) -> float:
        """A feature of the newest row."""
        return float(self.values[-1][self.names.index(name)])


def test_a_first_book_by_hand() -> None:
    watch = Watch()
    assert watch.feed(book(0, [(999, 30), (998, 10)], [(1001, 10), (1003, 30)])) == 1
    head = watch.heads[-1]
    assert (head["mid_ticks"], head["micro_ticks"], head["half_spread_ticks"]) == (1000.0, 1000.5, 1.0)
    assert (head["sequence"], head["flags"], head["sigma_bp"]) == (1, 2, 0.0)
    mean = 20.0  # of four levels
    wanted = {
        "bid_bp_1": -10.0, "bid_bp_2": -20.0, "ask_bp_1": 10.0, "ask_bp_2": 30.0,
        "bid_size_1": math.log1p(30 / mean), "ask_size_1": math.log1p(10 / mean),
        "imbalance_1": 0.5, "imbalance_2": 0.0, "micro_bp": 5.0, "spread_bp": 20.0, "spread_steps": math.log1p(2.0),
        "vamp_bp": ((999 * 10 + 1001 * 30 + 998 * 30 + 1003 * 10) / 80 - 1000) * 10.0,
        "move_bp": 0.0, "ofi_fast_1": 0.0, "since_row": 0.0, "since_trade": math.log1p(60_000.0),
        "age_full": 0.0, "age_fast": math.log1p(60_000.0),
    }  # fmt: skip
    for name, value in wanted.items():
        assert watch[name] == pytest.approx(value, abs=1e-5), name


def test_a_touch_that_moves_and_a_trade_by_hand() -> None:
    watch = Watch()
    watch.feed(book(0, [(999, 20), (998, 20)], [(1001, 20), (1003, 20)]), touch(1000, (1000, 5), (1001, 20)))
    mean = 20.0 + (16.25 - 20.0) * (1 - 0.5 ** (1 / 64))
    assert watch["move_bp"] == pytest.approx(0.5 / 1000.5 * 1e4, rel=1e-5)
    assert watch["ofi_fast_1"] == pytest.approx(math.log1p(5 / mean), rel=1e-5)
    assert watch["ofi_fast_2"] == pytest.approx(math.log1p(20 / mean), rel=1e-5)  # 999 is the second level now
    variance = 0.25 * (1 - 0.5)
    assert watch["sigma_fast"] == pytest.approx(math.log1p(math.sqrt(variance / 0.5) / 1000.5 * 1e4), rel=1e-5)
    assert watch["trend_fast"] == pytest.approx(0.5 / 1000.5 * 1e4, rel=1e-5)  # the average is of what stood: 1000
    watch.feed(trade(2000, SELL, 40))
    assert watch["trade_volume_fast"] == pytest.approx(
        -math.log1p(40 / (mean + (16.25 - mean) * (1 - 0.5 ** (1 / 64))))
    )
    assert watch["trade_count_slow"] == pytest.approx(-math.log1p(1.0))
    assert watch["since_trade"] == 0.0
    assert watch["since_row"] == pytest.approx(math.log1p(1000.0))
    watch.feed(trade(3000, BUY, 1))
    assert watch["trade_surprise"] == pytest.approx(math.log1p(-0.5 + 1.1), rel=1e-5)


def test_a_state_without_room_for_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="feature state: 1 rows do not hold a frame of 2 markets"):
        new_state(SCHEMA, 2, 1)
