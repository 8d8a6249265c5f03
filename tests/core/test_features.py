"""Every feature against hand-computed numbers and its definition read plainly; none is ever NaN or undeclared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.features import (
    A_MAX,
    A_MIN,
    FEATURE_MEMORY,
    INTENSITY_BINS,
    INTENSITY_COUNT_MIN,
    INTENSITY_HALF_LIFE_S,
    K_MAX,
    K_MIN,
    OFI_HALF_LIFE_S,
    TRADE_HALF_LIFE_S,
    VOLATILITY_SECONDS_MIN,
    on_frame,
    on_trade,
)
from hlhft.core.state import FEATURES_DTYPE, LEVEL_DTYPE, LEVELS, VIEW_LEVELS, Feature
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.core.allocations import during

SECOND = 1_000_000_000
START = 1_756_944_000 * SECOND
ALL = int(Feature.ALL)
Levels = list[tuple[int, int]]
BIDS: Levels = [(100, 30), (99, 10), (97, 20)]
ASKS: Levels = [(102, 10), (103, 50), (106, 40)]


class Market:
    """One market's features, told frames and trades; times in seconds after START."""

    def __init__(self, mask: int = ALL, *, start_ns: int = START, step_ticks: int = 1) -> None:
        self.mask, self.start_ns, self.step_ticks = mask, start_ns, step_ticks
        self.records = np.zeros(1, FEATURES_DTYPE)
        self.memory = np.zeros(FEATURE_MEMORY)
        self.sides = np.zeros((2, LEVELS), LEVEL_DTYPE)

    @property
    def row(self) -> Any:
        return self.records[0]

    def frame(self, at_s: float, bids: Levels, asks: Levels) -> None:
        for side, levels in zip(self.sides, (bids, asks), strict=True):
            for index, level in enumerate(levels):
                side[index]["price_ticks"], side[index]["size_lots"] = level
        on_frame(
            self.row, self.memory, self.sides[0], self.sides[1], len(bids), len(asks), self.step_ticks,
            self.time_ns(at_s), self.mask,
        )  # fmt: skip

    def trade(self, at_s: float, side: int, ticks: int, lots: int, *, bid: int = 100, ask: int = 102) -> None:
        on_trade(
            self.row, self.memory, bid, ask, self.step_ticks, side, ticks, lots, self.time_ns(at_s), self.mask
        )  # fmt: skip

    def time_ns(self, at_s: float) -> int:
        return self.start_ns + round(at_s * SECOND)

    def values(self) -> np.ndarray:
        """All float features in a row."""
        return np.concatenate([np.atleast_1d(self.row[name]) for name in FEATURES_DTYPE.names[1:]])

    def is_ready(self, feature: Feature) -> bool:
        return bool(int(self.row["ready"]) & feature)


def decay(elapsed_s: float, half_life_s: float) -> float:
    return 0.5 ** (elapsed_s / half_life_s)


def test_the_book_s_features_by_hand() -> None:
    """Bid 100 with 30 lots, ask 102 with 10: three quarters of the way up. VAMP: numerators 100x10 + 102x30,
    99x50 + 103x10 and 97x40 + 106x20, over 160 lots."""
    market = Market()
    market.frame(0, BIDS, ASKS)
    assert market.row["micro_price"] == 101.5
    assert (market.row["mid_price"], market.row["spread_ticks"]) == (101.0, 2.0)
    assert market.row["imbalance"].tolist() == pytest.approx([20 / 40, -20 / 100, *[-40 / 160] * 3])
    assert market.row["vamp"] == pytest.approx((4060 + 5980 + 6000) / 160)
    for feature in (Feature.MICRO_PRICE, Feature.IMBALANCE, Feature.VAMP):
        assert market.is_ready(feature)
    for feature in (Feature.ORDER_FLOW_IMBALANCE, Feature.TRADE_IMBALANCE, Feature.VOLATILITY, Feature.INTENSITY):
        assert not market.is_ready(feature)


def test_order_flow_by_hand() -> None:
    """Level 1: the bid grows by 5, the ask falls to 101 with 4 in front. Level 2: the bid is gone (-10), nothing moved
    among the asks. Level 3: bid up to 98 with 6, ask back to 107, so its 40 lots are gone. Then 1 s passes."""
    market = Market()
    market.frame(0, BIDS, ASKS)
    assert market.row["order_flow_imbalance"].tolist() == [0.0] * 5
    market.frame(0, [(100, 35), (98, 9), (98, 6)], [(101, 4), (103, 50), (107, 40)])
    assert market.row["order_flow_imbalance"].tolist() == [5 - 4, -10, 6 + 40, 0, 0]
    assert market.is_ready(Feature.ORDER_FLOW_IMBALANCE)
    market.frame(1, [(100, 35), (98, 9), (98, 6)], [(101, 4), (103, 50), (107, 40)])
    assert market.row["order_flow_imbalance"].tolist() == pytest.approx([0.5, -5, 23, 0, 0])


def test_a_level_that_comes_back_is_not_compared_with_what_it_was_long_ago() -> None:
    market = Market()
    market.frame(0, BIDS, ASKS)
    market.frame(0, BIDS[:1], ASKS)
    market.frame(0, [*BIDS[:1], (99, 500)], ASKS)
    assert market.row["order_flow_imbalance"].tolist() == [0.0] * 5


def test_trade_imbalance_by_hand() -> None:
    """Bought 30, and 5 s later, when they count half, sold 5: 10 of 20."""
    market = Market()
    market.trade(0, 1, 102, 30)
    assert market.row["trade_imbalance"] == 1.0
    market.trade(TRADE_HALF_LIFE_S, -1, 100, 5)
    assert market.row["trade_imbalance"] == pytest.approx(0.5)
    assert market.is_ready(Feature.TRADE_IMBALANCE)


def touch(middle: int) -> tuple[Levels, Levels]:
    return [(middle - 1, 5)], [(middle + 1, 5)]


def test_a_steady_walk_has_its_own_volatility_at_every_scale() -> None:
    """Two ticks up or down each second are two ticks per square root of a second, from the first move on."""
    market = Market()
    for second in range(12):
        market.frame(second, *touch(100 + 2 * (second % 2)))
        expected = [2.0] * 3 if second else [0.0] * 3
        assert market.row["volatility"].tolist() == pytest.approx(expected)
        assert market.is_ready(Feature.VOLATILITY) == (second >= VOLATILITY_SECONDS_MIN)


def test_volatility_forgets_at_three_speeds() -> None:
    """A minute at 2 ticks a second, then quiet: after 1 s the fast variance is half, after 10 s the middle one, and
    a second of quiet takes the slow one's share 2^(-1/60) of its weight."""
    market = Market()
    for second in range(61):
        market.frame(second, *touch(100 + 2 * (second % 2)))
    for quiet in range(1, 11):
        market.frame(60 + quiet, *touch(100))
        expected = [
            4.0 * decay(quiet, half_life) * (1 - decay(60, half_life)) / (1 - decay(60 + quiet, half_life))
            for half_life in (1.0, 10.0, 60.0)
        ]
        assert (market.row["volatility"] ** 2).tolist() == pytest.approx(expected)
    assert market.row["volatility"][1] == pytest.approx(2.0 * math.sqrt(0.5), rel=0.02)


def test_frames_of_one_time_are_one_move() -> None:
    """From 100 over 105 to 103 within one time stamp, then a second later still 103: a move of three."""
    market = Market()
    market.frame(0, *touch(100))
    market.frame(1, *touch(105))
    market.frame(1, *touch(103))
    whole = market.row["volatility"][2]
    market.frame(2, *touch(103))
    moves = [(25.0, 1.0), (4.0, 1.0)]
    weights = [decay(1, 60.0) * (1 - decay(1, 60.0)), 1 - decay(1, 60.0)]
    expected = sum(weight * rate / over for weight, (rate, over) in zip(weights, moves, strict=True)) / sum(weights)
    assert whole == pytest.approx(5.0)
    assert market.row["volatility"][2] ** 2 == pytest.approx(expected)


def test_a_clock_that_runs_back_starts_the_move_anew() -> None:
    market = Market()
    market.frame(10, *touch(100))
    market.frame(4, *touch(900))
    market.frame(5, *touch(902))
    assert market.row["volatility"].tolist() == pytest.approx([2.0] * 3)


class Intensity:
    """Counts of trades by distance and exposure, each trade and each second worth 2^(-age / half-life)."""

    def __init__(self) -> None:
        self.trades: list[tuple[float, int]] = []

    def fit(self, now_s: float, step_ticks: int = 1) -> tuple[float, float] | None:
        exposure = (1 - decay(now_s, INTENSITY_HALF_LIFE_S)) * INTENSITY_HALF_LIFE_S / math.log(2)
        xs, ys = [], []
        for index in range(INTENSITY_BINS):
            count = sum(decay(now_s - at_s, INTENSITY_HALF_LIFE_S) for at_s, reached in self.trades if reached > index)
            if count < INTENSITY_COUNT_MIN:
                break
            xs.append((index + 0.5) * step_ticks)
            ys.append(math.log(count / exposure))
        if len(xs) < 2:
            return None
        slope, level = np.polyfit(xs, ys, 1)
        return min(max(math.exp(level), A_MIN), A_MAX), min(max(-slope, K_MIN), K_MAX)


@pytest.mark.parametrize("step_ticks", [1, 10])
def test_intensity_is_the_regression_of_decayed_counts(step_ticks: int) -> None:
    """Trades half a step, one and a half, ... from the mid, rarer the farther; a fit a second, no more."""
    market, plain = Market(step_ticks=step_ticks), Intensity()
    bid, ask = 1000 * step_ticks, 1001 * step_ticks
    market.frame(0, [(bid, 1)], [(ask, 1)])
    fitted: list[int] = []
    for tenth in range(1, 2000):
        at_s = tenth / 10
        depth = max(depth for depth in range(8) if tenth % 3**depth == 0) * step_ticks
        side = 1 if tenth % 2 else -1
        market.trade(at_s, side, ask + depth if side > 0 else bid - depth, 1, bid=bid, ask=ask)
        plain.trades.append((at_s, depth // step_ticks + 1))
        before = market.row["intensity_a"], market.row["intensity_k"]
        if tenth % 10 not in (0, 3):
            continue
        market.frame(at_s, [(bid, 1)], [(ask, 1)])
        if (market.row["intensity_a"], market.row["intensity_k"]) == before:
            continue
        fitted.append(tenth)
        if tenth % 200 == 0:
            assert (market.row["intensity_a"], market.row["intensity_k"]) == pytest.approx(plain.fit(at_s, step_ticks))
    # 31.1 s, each worth a little less the older it is, are 30 s of exposure.
    assert fitted[0] == 313
    assert len(fitted) >= 160 and min(np.diff(fitted)) >= 10
    assert market.is_ready(Feature.INTENSITY)


def test_trades_on_the_wrong_side_or_without_a_touch_count_nowhere() -> None:
    market = Market(int(Feature.INTENSITY))
    market.frame(0, BIDS, ASKS)
    for _ in range(10):
        market.trade(1, 1, 99, 5)  # bought below the mid
        market.trade(1, 1, 105, 5, bid=0)
        market.trade(1, 1, 105, 5, ask=0)
    assert not market.memory[52 : 52 + INTENSITY_BINS].any()
    market.trade(1, -1, 99, 5)  # two ticks below the mid of 101
    market.trade(1, 1, 10_000, 5)  # farther than the last bin
    assert market.memory[52 : 52 + INTENSITY_BINS].tolist() == [2.0, 2.0] + [1.0] * (INTENSITY_BINS - 2)


@pytest.mark.parametrize(
    ("distances", "a", "k"),
    [
        ([(1, 40_000), (2, 20_000)], None, math.log(60_000 / 20_000)),
        ([(12, 500)], None, K_MIN),  # as many far as near: no decay at all
        ([(1, 400_000), (2, 4)], A_MAX, K_MAX),
        ([(1, 2)], None, None),  # too few to say anything
    ],
)
def test_a_fit_stays_within_its_bounds(distances: list[tuple[int, int]], a: float | None, k: float | None) -> None:
    """Counts are set, so that the numbers are round: this many trades that reach so many bins."""
    market = Market(int(Feature.INTENSITY))
    market.frame(0, BIDS, ASKS)
    market.frame(40, BIDS, ASKS)
    for reached, count in distances:
        market.memory[52 : 52 + reached] += count
    market.memory[50] = 0.0  # as if the newest fit were long ago
    market.frame(40, BIDS, ASKS)
    assert market.is_ready(Feature.INTENSITY) == (k is not None)
    assert market.row["intensity_k"] == pytest.approx(k or 0.0)
    assert a is None or market.row["intensity_a"] == a
    assert k is None or A_MIN <= market.row["intensity_a"] <= A_MAX


@pytest.mark.parametrize(("bids", "asks"), [([], ASKS), (BIDS, []), ([(102, 5)], ASKS), ([(103, 5)], ASKS)])
def test_a_one_sided_or_crossed_book_changes_nothing_but_the_clock(bids: Levels, asks: Levels) -> None:
    market, twin = Market(), Market()
    for one in (market, twin):
        one.frame(0, BIDS, ASKS)
        one.frame(1, BIDS[1:], ASKS)
    market.frame(2, bids, asks)
    assert market.records.tobytes() == twin.records.tobytes()
    assert market.memory.tobytes() == twin.memory.tobytes()


def test_sizes_of_nothing_say_nothing() -> None:
    market = Market()
    market.frame(0, [(100, 0)], [(102, 0)])
    market.trade(0, 1, 102, 0)
    assert int(market.row["ready"]) == 0
    assert (market.row["mid_price"], market.row["spread_ticks"]) == (101.0, 2.0)
    assert market.values().sum() == 103.0


NAMES = {
    Feature.MICRO_PRICE: {"micro_price"},
    Feature.IMBALANCE: {"imbalance"},
    Feature.ORDER_FLOW_IMBALANCE: {"order_flow_imbalance"},
    Feature.TRADE_IMBALANCE: {"trade_imbalance"},
    Feature.VOLATILITY: {"volatility"},
    Feature.VAMP: {"vamp"},
    Feature.INTENSITY: {"intensity_a", "intensity_k"},
}


def tell(market: Market) -> None:
    """Two minutes in which every feature has something to say."""
    for second in range(120):
        market.frame(second, [(100 - second % 2, 30 + second), *BIDS[2:]], ASKS)
        for depth in range(1 + second % 3):
            market.trade(second + 0.5, 1 - 2 * (second % 2), 101 + (1 - 2 * (second % 2)) * (depth + 1), 3)


@pytest.mark.parametrize("feature", list(NAMES), ids=lambda feature: feature.name)
def test_only_what_is_declared_is_computed(feature: Feature) -> None:
    """Alone, it has the value it has among all the others, and the others have none."""
    everything, alone = Market(), Market(int(feature))
    for market in (everything, alone):
        tell(market)
    assert int(alone.row["ready"]) == feature
    assert int(everything.row["ready"]) == ALL
    for name in FEATURES_DTYPE.names[1:]:
        same = np.array_equal(alone.row[name], everything.row[name])
        assert same if name in NAMES[feature] | {"mid_price", "spread_ticks"} else not np.any(alone.row[name]), name


@pytest.mark.parametrize("shift_s", [-1_700_000_000, 3_600, 86_400 * 3650])
def test_the_epoch_does_not_matter(shift_s: int) -> None:
    here, there = Market(), Market(start_ns=START + shift_s * SECOND)
    for market in (here, there):
        tell(market)
    assert here.records.tobytes() == there.records.tobytes()


def test_a_first_event_late_in_its_second_is_no_exposure() -> None:
    early, late = Market(), Market(start_ns=START + 900_000_000)
    for market in (early, late):
        tell(market)
    assert late.values().tolist() == pytest.approx(early.values().tolist(), rel=1e-9)


# Anything.

lots = st.one_of(st.integers(1, 9), st.integers(1, LOTS_MAX))
ticks = st.one_of(st.integers(1, 40), st.integers(1, TICKS_MAX))


def sorted_levels(drawn: Iterable[tuple[int, int]], sign: int) -> Levels:
    return sorted(dict(drawn).items(), key=lambda level: sign * level[0])


levels = st.lists(st.tuples(ticks, lots), max_size=8)


def split(drawn: dict[int, int], where: int) -> tuple[Levels, Levels]:
    """The lower prices as bids, the others as asks, each from the touch."""
    ordered = sorted(drawn.items())
    return ordered[:where][::-1], ordered[where:]


books = st.builds(split, st.dictionaries(ticks, lots, max_size=14), st.integers(0, 8))
times = st.one_of(st.integers(0, 3), st.integers(-(10**18), 10**18))
events = st.one_of(
    st.tuples(st.just("frame"), times, levels, levels),
    st.builds(lambda time_ns, book: ("frame", time_ns, *book), times, books),
    st.tuples(st.just("trade"), times, st.sampled_from([1, -1, 0]), st.tuples(ticks, lots)),
)


@given(st.lists(events, max_size=20), st.integers(0, ALL), st.sampled_from([1, 10, 1000]))
@settings(max_examples=60)
def test_no_input_gives_a_value_that_is_none(told: list[tuple[Any, ...]], mask: int, step_ticks: int) -> None:
    """Any prices, sizes and times, clocks that jump by decades included: finite, within bounds, ready bits declared."""
    market = Market(mask, start_ns=0, step_ticks=step_ticks)
    for kind, time_ns, first, second in told:
        market.start_ns += time_ns if abs(time_ns) < 10 else time_ns // 10
        if kind == "frame":
            market.frame(0, sorted_levels(first, -1), sorted_levels(second, 1))
        else:
            price, size = second
            market.trade(0, first, price, size, bid=max(price - 3, 0), ask=price + 3)
        row = market.row
        assert np.isfinite(market.values()).all() and np.isfinite(market.memory).all()
        assert np.abs(row["imbalance"]).max() <= 1.0 and abs(row["trade_imbalance"]) <= 1.0
        assert (row["volatility"] >= 0.0).all() and row["spread_ticks"] >= 0.0
        assert int(row["ready"]) & ~mask == 0


@given(books)
@settings(max_examples=60)
def test_a_book_s_features_are_what_their_definitions_say(book: tuple[Levels, Levels]) -> None:
    bids, asks = book
    market = Market()
    market.frame(0, bids, asks)
    if not bids or not asks:
        assert not market.values().any()
        return
    (bid, bid_lots), (ask, ask_lots) = bids[0], asks[0]
    assert market.row["micro_price"] == pytest.approx((bid * ask_lots + ask * bid_lots) / (bid_lots + ask_lots))
    assert bid <= market.row["micro_price"] <= ask or market.row["micro_price"] == pytest.approx(bid)
    depth = min(len(bids), len(asks), VIEW_LEVELS)
    for level in range(VIEW_LEVELS):
        held = min(level + 1, depth)
        bought, sold = sum(size for _, size in bids[:held]), sum(size for _, size in asks[:held])
        assert market.row["imbalance"][level] == pytest.approx((bought - sold) / (bought + sold), abs=1e-12)
    weighted = sum(b * y + a * x for (b, x), (a, y) in zip(bids[:depth], asks[:depth], strict=True))
    assert market.row["vamp"] == pytest.approx(weighted / (bought + sold))


@given(st.lists(st.tuples(st.floats(0.0, 3.0), books), min_size=2, max_size=6))
@settings(max_examples=40)
def test_order_flow_is_the_sum_of_decayed_changes_of_demand(told: list[tuple[float, tuple[Levels, Levels]]]) -> None:
    market, now_s, before = Market(), 0.0, None
    expected = np.zeros(VIEW_LEVELS)
    since_s = 0.0
    for wait_s, (bids, asks) in told:
        now_s += round(wait_s, 3)
        market.frame(now_s, bids, asks)
        if not bids or not asks:
            continue
        expected *= decay(now_s - since_s, OFI_HALF_LIFE_S)
        since_s = now_s
        for level in range(min(len(bids), len(asks), VIEW_LEVELS)):
            if before is not None and level < min(len(before[0]), len(before[1])):
                expected[level] += change_of_demand(before, (bids, asks), level)
        before = bids, asks
    scale = max(1.0, float(np.abs(expected).max()))
    assert market.row["order_flow_imbalance"].tolist() == pytest.approx(expected.tolist(), abs=1e-5 * scale)


def change_of_demand(before: tuple[Levels, Levels], after: tuple[Levels, Levels], level: int) -> int:
    """Cont, Kukanov and Stoikov (2014), equation 4, at one level."""
    (old_bid, old_bid_lots), (old_ask, old_ask_lots) = before[0][level], before[1][level]
    (bid, bid_lots), (ask, ask_lots) = after[0][level], after[1][level]
    demand = (bid_lots if bid >= old_bid else 0) - (old_bid_lots if bid <= old_bid else 0)
    supply = (ask_lots if ask <= old_ask else 0) - (old_ask_lots if ask >= old_ask else 0)
    return demand - supply


def test_telling_allocates_nothing() -> None:
    market = Market()
    tell(market)
    before, after = during(lambda: tell(market))
    assert after == before
