"""Features: by hand, against a second way to compute them, and what must not change them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.features import Features, new_state
from hlhft.alpha.schema import FeatureSchema
from hlhft.core.brain import Brain
from hlhft.core.state import BookKind, OrderState
from hlhft.events import EventKind
from tests.alpha.feeds import book, frame, new_brain, touch, trade
from tests.alpha.slow_features import SlowFeatures
from tests.core.allocations import during
from tests.core.worlds import BUY, MS, SELL, START, event

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


# Against the definitions.

SIDE = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 50)), min_size=1, max_size=4)
STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 50, 400, 3000]), st.integers(990, 1010), SIDE, SIDE, st.integers(0, 3)), max_size=8
)


def stacked(ticks: int, sign: int, levels: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Levels at growing distance from the touch."""
    found = []
    for gap, lots in levels:
        found.append((ticks, lots))
        ticks -= sign * gap
    return found


@pytest.mark.parametrize("kind", list(BookKind))
@given(steps=STEPS)
def test_every_row_is_what_the_definitions_say(kind: BookKind, steps: list[Any]) -> None:
    watch, slow = Watch(brain=new_brain(kind)), SlowFeatures(SCHEMA.levels, SCHEMA.half_lives_s)
    at_ms, checked = 0, 0
    for gap_ms, ticks, bid_levels, ask_levels, what in steps:
        at_ms += gap_ms
        if what < 3:
            bids, asks = stacked(ticks, 1, bid_levels), stacked(ticks + what + 1, -1, ask_levels)
            rows, wanted = book(at_ms, bids, asks), slow.book(at_ms / 1e3, bids, asks)
        else:
            side, lots = (BUY, SELL)[ticks % 2], bid_levels[0][1]
            rows, wanted = trade(at_ms, side, lots), slow.trade(at_ms / 1e3, side, lots)
        assert watch.feed(rows) == (wanted is not None)
        for name, value in (wanted or {}).items():
            assert watch[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name
            checked += 1
    assert checked == len(watch.heads) * (len(SCHEMA.names) - 6)  # channels and contexts are tested by hand


# Own size.


def resting(brain: Brain, side: int, ticks: int, lots: int) -> None:
    """An order of ours that the venue knows."""
    position = brain.lane.positions[0]
    count = int(position["active_count"])
    order = brain.lane.orders[0, count]
    order["order_id"], order["side"], order["price_ticks"] = 1024 + count, side, ticks
    order["size_lots"] = order["remaining_lots"] = lots
    order["state"], order["acknowledged_ns"] = OrderState.OPEN, 1
    brain.lane.active[0, count] = count
    position["active_count"] = count + 1


def with_own(levels: list[tuple[int, int]], own: list[tuple[int, int]], sign: int) -> list[tuple[int, int]]:
    found = dict(levels)
    for ticks, lots in own:
        found[ticks] = found.get(ticks, 0) + lots
    return sorted(found.items(), key=lambda row: -sign * row[0])


@pytest.mark.parametrize("kind", list(BookKind))
@given(
    steps=st.lists(st.tuples(st.integers(990, 1010), SIDE, SIDE, st.booleans()), min_size=1, max_size=6),
    own_bids=st.dictionaries(st.integers(980, 990), st.integers(1, 9), max_size=4),
    own_asks=st.dictionaries(st.integers(1011, 1020), st.integers(1, 9), max_size=4),
)
def test_quotes_of_ours_change_no_feature_and_make_no_row(
    kind: BookKind, steps: list[Any], own_bids: dict[int, int], own_asks: dict[int, int]
) -> None:
    """Ours come and go with every frame of the market, by themselves or part of a level."""
    clean, dirty = Watch(brain=new_brain(kind)), Watch(brain=new_brain(kind))
    dirty.brain.data.books["contains_own"] = 1
    for place, (ticks, bid_levels, ask_levels, quoting) in enumerate(steps):
        bids, asks = stacked(ticks, 1, bid_levels), stacked(ticks + 1, -1, ask_levels)
        clean.feed(book(100 * place, bids, asks), book(100 * place + 30, bids, asks), trade(100 * place + 50, BUY, 3))
        dirty.brain.lane.positions[0]["active_count"] = 0
        ours: dict[int, list[tuple[int, int]]] = {BUY: [], SELL: []}
        if quoting:
            ours[BUY] = [row for row in own_bids.items() if row[0] <= ticks]
            ours[SELL] = [row for row in own_asks.items() if row[0] > ticks]
        for side, rows in ours.items():
            for price, lots in rows:
                resting(dirty.brain, side, price, lots)
        seen = with_own(bids, ours[BUY], 1), with_own(asks, ours[SELL], -1)
        dirty.feed(book(100 * place, *seen))
        # What the venue tells because of ours alone.
        assert dirty.feed(touch(100 * place + 10, seen[0][0], seen[1][0])) == 0
        dirty.brain.lane.positions[0]["active_count"] = 0
        assert dirty.feed(book(100 * place + 30, bids, asks)) == 0
        dirty.feed(trade(100 * place + 50, BUY, 3))
    assert b"".join(head.tobytes() for head in dirty.heads) == b"".join(head.tobytes() for head in clean.heads)
    assert np.array(dirty.values).tobytes() == np.array(clean.values).tobytes()


# Segments.


def flags(watch: Watch) -> list[int]:
    return [int(head["flags"]) for head in watch.heads]


TOUCH, OTHER = ((999, 20), (1001, 20)), ((1000, 20), (1001, 20))


def test_a_segment_is_valid_once_it_is_old_enough_and_its_first_row_says_so() -> None:
    watch = Watch()
    for place in range(5):
        watch.feed(touch(place * 4000, *(TOUCH, OTHER)[place % 2]))
    assert flags(watch) == [2, 0, 0, 0, 1]  # after 16 s, a quarter of the longest half-life


@pytest.mark.parametrize("cause", ["silence", "clear", "state"])
def test_what_interrupts_a_market_begins_a_segment_that_remembers_nothing(cause: str) -> None:
    watch, fresh = Watch(), Watch()
    watch.feed(touch(0, *TOUCH), trade(100, BUY, 7), touch(200, *OTHER))
    at_ms = 400
    if cause == "silence":
        at_ms = 60_201
    elif cause == "clear":
        assert watch.feed(frame(event(EventKind.DEPTH_CLEAR, START + 300 * MS))) == 0
    else:
        assert watch.feed(frame(event(EventKind.MARKET_STATE, START + 300 * MS, aux0=1))) == 0
    for place, rows in enumerate((touch(at_ms, *TOUCH), trade(at_ms + 5, SELL, 2), touch(at_ms + 9, *OTHER))):
        watch.feed(rows)
        fresh.feed(rows)
        assert watch.values[-1].tobytes() == fresh.values[-1].tobytes()
        assert watch.heads[-1]["flags"] == fresh.heads[-1]["flags"] == (2 if place == 0 else 0)
    assert [int(head["sequence"]) for head in watch.heads] == [1, 2, 3, 4, 5, 6]


def test_a_silence_of_a_minute_is_none() -> None:
    watch = Watch()
    watch.feed(touch(0, *TOUCH), touch(60_000, *OTHER))
    assert flags(watch) == [2, 1]


def test_trades_from_before_the_book_are_what_a_subscription_repeats() -> None:
    watch = Watch()
    late = trade(20, BUY, 5)
    late["ts_exch_ns"] = START - 1
    assert watch.feed(trade(0, BUY, 5), touch(10, *TOUCH), late, trade(30, BUY, 5, flags=32)) == 1
    assert watch.feed(trade(30, BUY, 5)) == 1
    assert watch["trade_count_fast"] == pytest.approx(math.log1p(1.0))


@pytest.mark.parametrize("lost", [((1001, 5), (1001, 20)), ((999, 20), (0, 0))])
def test_a_book_without_a_spread_repeats_the_last_whole_one_and_is_not_valid(lost: Any) -> None:
    watch = Watch()
    watch.feed(touch(0, *TOUCH), touch(20_000, *OTHER))
    before = watch.values[-1].copy()
    assert watch.feed(touch(20_001, *lost)) == 1
    assert watch.feed(touch(20_002, *lost)) == 0
    assert flags(watch) == [2, 1, 0]
    assert watch.heads[-1]["mid_ticks"] == 1000.5
    assert watch.values[-1][:8].tobytes() == before[:8].tobytes()
    assert watch.feed(touch(20_003, *OTHER)) == 1
    assert flags(watch)[-1] == 1


def test_a_clock_lets_one_row_through_at_the_first_frame_of_each_beat() -> None:
    watch = Watch(FeatureSchema(levels=2, clock_ms=100, half_life_ms=64_000))
    every = Watch()
    times = [0, 30, 99, 130, 190, 200, 250, 510, 590, 600]
    for place, at_ms in enumerate(times):
        rows = touch(at_ms, *(TOUCH, OTHER)[place % 2])
        watch.feed(rows)
        every.feed(rows)
    told = [(int(head["ts_local_ns"]) - START) // MS for head in watch.heads]
    assert told == [0, 130, 200, 510, 600]
    # What is averaged does not depend on the clock; only what is told since the last row does.
    names = [name for name in SCHEMA.names if name not in {"move_bp", "since_row"}]
    columns = [SCHEMA.names.index(name) for name in names]
    for row, at_ms in zip(watch.values, told, strict=True):
        assert row[columns].tobytes() == every.values[times.index(at_ms)][columns].tobytes()
    assert [int(head["sequence"]) for head in watch.heads] == [1, 2, 3, 4, 5]


def test_a_clock_whose_first_frame_is_not_told_still_tells_of_the_segment() -> None:
    watch = Watch(FeatureSchema(levels=2, clock_ms=100))
    watch.feed(touch(30, *TOUCH), frame(event(EventKind.DEPTH_CLEAR, START + 40 * MS)), touch(50, *OTHER))
    assert flags(watch) == [2, 2]


# Markets, channels, contexts.


def test_a_frame_of_two_markets_makes_a_row_of_each_as_frames_of_one_do() -> None:
    both, apart = Watch(brain=new_brain(markets=2)), Watch(brain=new_brain(markets=2))
    first, second = touch(0, *TOUCH, market=1), touch(0, *OTHER, market=0)
    assert both.feed(np.concatenate([first, second])) == 2
    apart.feed(first, second)
    assert [int(head["market"]) for head in both.heads] == [1, 0]
    assert [head.tobytes() for head in both.heads] == [head.tobytes() for head in apart.heads]
    assert np.array(both.values).tobytes() == np.array(apart.values).tobytes()


def test_ages_are_of_the_channels_by_block_time_and_of_the_last_change() -> None:
    watch = Watch()
    watch.feed(book(0, [(999, 20)], [(1001, 20)]), book(300, [(999, 21)], [(1001, 20)], channel=1), touch(400, *OTHER))
    names = ("age_full", "age_fast", "age_book")
    assert [watch[name] for name in names] == pytest.approx([math.log1p(400.0), math.log1p(100.0), 0.0])
    watch.feed(book(420, [(1000, 20), (999, 21)], [(1001, 20)], channel=1), trade(450, BUY, 1))
    assert [watch[name] for name in names] == pytest.approx([math.log1p(450.0), math.log1p(30.0), math.log1p(50.0)])


def test_a_context_makes_no_row_and_the_next_one_tells_it() -> None:
    watch = Watch()
    watch.feed(touch(0, *TOUCH))
    fields = {"price_ticks": 1003, "order_id": 1002, "aux0": 12_500_000, "aux1": -300_000_000}
    assert watch.feed(frame(event(EventKind.ASSET_CONTEXT, START + 5 * MS, **fields))) == 0
    watch.feed(touch(10, *OTHER))
    assert watch["funding_bp"] == pytest.approx(0.125)
    assert watch["premium_bp"] == pytest.approx(-3.0)
    assert watch["oracle_bp"] == pytest.approx(1.5 / 1000.5 * 1e4)


# Bounds.


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 10**12), st.integers(1, 2**31 - 1), st.integers(1, 2**46 - 1), st.integers(1, 2**46 - 1),
            st.integers(-(2**62), 2**62),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_whatever_a_book_holds_every_value_is_finite(steps: list[Any]) -> None:
    watch, at_ms = Watch(), 0
    for gap_ms, ticks, bid_lots, ask_lots, rate in steps:
        at_ms += gap_ms % 100_000
        watch.feed(
            frame(event(EventKind.ASSET_CONTEXT, START + at_ms * MS, order_id=ticks, aux0=rate, aux1=-rate)),
            touch(at_ms, (max(ticks // 2, 1), bid_lots), (ticks + 1, ask_lots)),
            trade(at_ms, (BUY, SELL)[ticks % 2], ask_lots),
        )
    assert all(np.isfinite(values).all() for values in watch.values)
    assert all(np.isfinite(head[name]) for head in watch.heads for name in ("mid_ticks", "micro_ticks", "sigma_bp"))


def test_a_frame_allocates_nothing() -> None:
    watch = Watch()
    frames = [touch(place, *(TOUCH, OTHER)[place % 2]) for place in range(200)]
    watch.feed(*frames[:2])

    def work() -> None:
        for rows in frames[2:]:
            watch.features.update(rows, len(rows))

    before, after = during(work)
    assert before.alloc == after.alloc
    assert before.mi_alloc == after.mi_alloc
