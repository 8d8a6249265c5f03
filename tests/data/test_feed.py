"""The one way from a recording to what a replay walks."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from hlhft.data.feed import replay_arrays, replay_events
from hlhft.data.files import ProgressMeter
from hlhft.events import EventKind
from tests.data.making import END, EXCHANGE, LOCAL, ListSource, bbo, cut, joined, level, rows_of, snapshot, trade

MILLISECOND = 1_000_000
BIDS, ASKS = [(100 - place, 1) for place in range(20)], [(101 + place, 2) for place in range(20)]
# A trade of block 1,500 arrives behind the picture of block 1,540.
ARRIVED = joined([
    snapshot(1_000 * MILLISECOND, BIDS, ASKS, local=1_300 * MILLISECOND),
    bbo(1_200 * MILLISECOND, (100, 1), (101, 2), local=1_500 * MILLISECOND),
    snapshot(1_540 * MILLISECOND, BIDS, ASKS, local=1_800 * MILLISECOND),
    trade(1_500 * MILLISECOND, 1, 101, 1, local=1_900 * MILLISECOND),
])  # fmt: skip


def kinds(rows: np.ndarray, side: int) -> list[int]:
    return rows["kind"][(rows["flags"] & side) != 0].tolist()


def sorted_for_both(rows: np.ndarray) -> bool:
    venue, ours = ((rows["flags"] & side) != 0 for side in (EXCHANGE, LOCAL))
    return bool((np.diff(rows["ts_exch_ns"][venue]) >= 0).all() and (np.diff(rows["ts_local_ns"][ours]) >= 0).all())


def test_both_sides_get_levels_and_the_venue_what_trades_took() -> None:
    rows = joined(replay_events(ListSource([ARRIVED])))
    assert sorted_for_both(rows)
    # Forty levels; touch; the trade and its effect; the second picture puts the lot back.
    assert kinds(rows, EXCHANGE) == [1] * 40 + [5, 5] + [6, 1] + [1]
    # What arrived: levels, touch, a picture that changes nothing, and then the trade.
    assert kinds(rows, LOCAL) == [1] * 40 + [5, 5] + [1] + [6]
    assert (rows["flags"][(rows["flags"] & LOCAL) != 0] & END).astype(bool).sum() == 4


def test_our_side_keeps_pictures_on_request() -> None:
    rows = joined(replay_events(ListSource([ARRIVED]), local_levels=False))
    assert kinds(rows, LOCAL) == [3] + [1] * 40 + [4] + [5, 5] + [3] + [1] * 40 + [4] + [6]


def test_the_profile_thins_only_our_side() -> None:
    recorded = joined(replay_events(ListSource([ARRIVED]), local_levels=False))
    thin = joined(replay_events(ListSource([ARRIVED]), profile="2026", local_levels=False))
    assert kinds(thin, EXCHANGE) == kinds(recorded, EXCHANGE)
    # Full and fast at first, then the fast one alone; the touch; the trade.
    assert kinds(thin, LOCAL) == [3] + [1] * 40 + [4] + [3] + [1] * 10 + [4] + [5, 5] + [3] + [1] * 10 + [4] + [6]


def test_memory_does_not_grow_with_the_recording() -> None:
    class Long(ListSource):
        def _arrays(self, meter: ProgressMeter) -> Iterator[np.ndarray]:
            rows = np.repeat(trade(0, 1, 100, 1), 1000)
            for number in range(self.length):
                # Ten seconds each, every other row overtaken by the one before it.
                rows["ts_local_ns"] = np.arange(number * 1000, (number + 1) * 1000) * 10 * MILLISECOND
                rows["ts_exch_ns"] = rows["ts_local_ns"] - np.tile([MILLISECOND, 500 * MILLISECOND], 500)
                yield rows.copy()

    def peak(length: int) -> int:
        source = Long([], snapshots_only=False)
        source.length = length
        tracemalloc.start()
        try:
            rows = sum(len(array) for array in replay_events(source))
            assert length * 1500 - 2 <= rows <= length * 1500
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(120) < peak(30) * 1.1


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"feed profile live is not known"):
        list(replay_events(ListSource([ARRIVED]), profile="live"))


def test_arrays_are_bounded_and_nothing_depends_on_the_cuts() -> None:
    whole = joined(replay_events(ListSource([ARRIVED])))
    for step in (1, 5, 43):
        source = ListSource(cut(ARRIVED, range(step, len(ARRIVED), step)))
        arrays = list(replay_events(source, rows_max=7, window_ns=10**9))
        assert max(map(len, arrays)) <= 7
        assert joined(arrays).tobytes() == whole.tobytes()


def test_a_market_of_incremental_levels_is_only_put_in_order() -> None:
    rows = joined([level(10, 1, 100, 1), level(5, -1, 101, 1, local=5000), trade(20, 1, 101, 1, local=6000)])
    source = ListSource([rows], snapshots_only=False)
    found = joined(replay_events(source))
    assert kinds(found, EXCHANGE) == [1, 1, 6]
    assert sorted_for_both(found)
    assert joined(replay_events(source, profile="2026")).tobytes() == found.tobytes()


def test_what_is_in_order_already_passes() -> None:
    ready = joined(replay_events(ListSource([ARRIVED], snapshots_only=False)))
    source = ListSource([ready], snapshots_only=False)
    source.ordered = True
    assert joined(replay_events(source)).tobytes() == ready.tobytes()


def test_rows_may_come_by_another_way() -> None:
    source = ListSource([ARRIVED])
    other = joined(replay_arrays(iter([rows_of(source)]), source))
    assert other.tobytes() == joined(replay_events(source)).tobytes()
    assert (other["kind"] == EventKind.TRADE).sum() == 2
