"""Which fills two worlds share: by market, side, price and time, each at most once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report.comparison import PLACED_DTYPE
from hlhft.report.matching import WINDOW_NS, Matched, matched, pairs_of, shared_orders
from hlhft.units import Market
from hlhft.venue.recorded import REPLY_DTYPE
from tests.report.histories import PERPETUAL, SECOND
from tests.report.worlds import COIN, OTHER

Fill = tuple[int, int, int, int, int]  # time in s, market, side, ticks, lots


def fills(*each: Fill) -> np.ndarray:
    made = np.zeros(len(each), REPLY_DTYPE)
    for name, column in zip(("ts_exch_ns", "market", "side", "price_ticks", "size_lots"), zip(*each), strict=False):
        made[name] = column
    made["ts_exch_ns"] *= SECOND // 10
    return made


def compared(live: Sequence[Fill], simulated: Sequence[Fill], markets: Sequence[Market] = (COIN, OTHER)) -> Matched:
    return matched(fills(*live), fills(*simulated), markets)


def test_the_same_fills_are_all_shared() -> None:
    each = [(0, 0, 1, 1000, 500), (3, 0, -1, 1002, 500), (5, 1, 1, 700, 100)]
    found = compared(each, each[::-1])
    assert (found.pairs, found.of_live, found.of_simulated) == (3, 1.0, 1.0)
    assert (found.volume_of_live, found.volume_of_simulated) == (1.0, 1.0)


def test_another_market_side_price_or_time_is_another_fill() -> None:
    one = (20, 0, 1, 1000, 500)
    for other in ((20, 1, 1, 1000, 500), (20, 0, -1, 1000, 500), (20, 0, 1, 1002, 500), (31, 0, 1, 1000, 500)):
        assert compared([one], [other]).pairs == 0
    for other in ((20, 0, 1, 1001, 500), (20, 0, 1, 999, 500), (30, 0, 1, 1000, 500), (10, 0, 1, 1000, 500)):
        assert compared([one], [other]).pairs == 1, "a tick away, or just within a second"


def test_a_step_of_the_grid_counts_and_not_a_tick() -> None:
    price = 1_097_820  # of a market whose prices are whole dollars there: ten ticks
    found = compared([(0, 0, 1, price, 5)], [(0, 0, 1, price + 10, 5)], [PERPETUAL])
    assert found.pairs == 1
    assert compared([(0, 0, 1, price, 5)], [(0, 0, 1, price + 20, 5)], [PERPETUAL]).pairs == 0


def test_each_takes_the_nearest_that_is_free() -> None:
    found = pairs_of(
        fills((10, 0, 1, 1000, 1), (12, 0, 1, 1000, 1)),
        fills((4, 0, 1, 1000, 1), (11, 0, 1, 1000, 1), (14, 0, 1, 1000, 1)), COIN, WINDOW_NS,
    )  # fmt: skip
    assert found == [(0, 1), (1, 2)]


def test_shares_are_of_each_world_and_volumes_of_the_smaller_fill() -> None:
    live = [(0, 0, 1, 1000, 1000), (50, 0, -1, 1000, 3000)]
    simulated = [(1, 0, 1, 1000, 400), (80, 0, -1, 1000, 600), (90, 1, 1, 1000, 1000)]
    found = compared(live, simulated)
    assert (found.pairs, found.of_live, found.of_simulated) == (1, 1 / 2, 1 / 3)
    assert (found.volume_of_live, found.volume_of_simulated) == pytest.approx((0.4 / 4.0, 0.4 / 2.0))


def test_a_world_without_fills_has_no_shares() -> None:
    assert compared([], [(0, 0, 1, 1000, 1)]) == Matched(
        pairs=0, of_live=None, of_simulated=0.0, volume_of_live=None, volume_of_simulated=0.0
    )
    assert compared([], []).of_simulated is None


@given(st.lists(st.tuples(st.integers(0, 60), st.just(0), st.sampled_from([1, -1]), st.integers(995, 1005),
                          st.integers(1, 9)), max_size=12),
       st.lists(st.tuples(st.integers(0, 60), st.just(0), st.sampled_from([1, -1]), st.integers(995, 1005),
                          st.integers(1, 9)), max_size=12))  # fmt: skip
def test_no_fill_is_used_twice_and_no_share_exceeds_one(live: list[Fill], simulated: list[Fill]) -> None:
    found = compared(live, simulated, [COIN])
    assert 0 <= found.pairs <= min(len(live), len(simulated))
    for share in (found.of_live, found.of_simulated, found.volume_of_live, found.volume_of_simulated):
        assert share is None or 0.0 <= share <= 1.0 + 1e-9
    assert (found.of_live or 0.0) * len(live) == (found.of_simulated or 0.0) * len(simulated) or found.pairs > 0


def test_orders_that_both_placed() -> None:
    live = np.array([(0, 1, 0, 1, 1000, 5), (SECOND, 2, 0, 1, 1005, 5), (9 * SECOND, 3, 0, -1, 1010, 5)], PLACED_DTYPE)
    other = np.array([(SECOND // 2, 7, 0, 1, 1001, 5), (9 * SECOND, 8, 0, 1, 1010, 5)], PLACED_DTYPE)
    assert shared_orders(live, other, [COIN]) == 1 / 3
    assert shared_orders(live[:0], other, [COIN]) is None
