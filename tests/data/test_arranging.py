"""The compiled passes against the ways from before, on feeds of everything that a feed may hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.feed import replay_passing
from hlhft.data.merge import Events, by_arrival, whole_frames
from hlhft.data.order import by_both_clocks
from hlhft.data.profiles import FeedProfile, thinned
from hlhft.data.snapshots import EXCHANGE_SIDE, LOCAL_SIDE, levels_from_snapshots, levels_on_both_sides
from hlhft.events import EventKind
from tests.data import slow
from tests.data.making import (
    BOTH,
    BTC,
    END,
    ETH,
    EXCHANGE,
    LOCAL,
    ListSource,
    bbo,
    cut,
    event,
    joined,
    level,
    snapshot,
    trade,
)  # fmt: skip

PROFILE = FeedProfile(name="test", fast_levels=1, fast_interval_ns=7, full_levels=3, full_interval_ns=20)
SNAPSHOTS = np.array([True, False])
WINDOW = 50


def message(kind: str, exch: int, late: int, market: int, size: int, ticks: int) -> Events:
    where = {"local": exch + late, "market": market}
    if kind == "book":
        bids = [(ticks - place, size + place) for place in range(4) if (size + place) % 3]
        asks = [(ticks + 1 + place, size) for place in range(size)]
        return snapshot(exch, bids, asks, levels=3, channel=size % 2, **where)
    if kind == "bbo":
        return bbo(exch, (ticks, size), (ticks + 1, 1), **where)
    if kind == "trade":
        return trade(exch, 1 if size % 2 else -1, ticks + size % 2, size, exch, **where)
    if kind == "level":
        return level(exch, 1, ticks - size, size % 3, **where)
    if kind == "context":
        return event(EventKind.ASSET_CONTEXT, exch, price=ticks, **where)
    return event(EventKind.DEPTH_CLEAR, exch, side=size % 3 - 1, **where)


KINDS = ("book", "book", "bbo", "trade", "level", "context", "clear")
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 6),
        st.integers(0, 12),
        st.integers(0, 1),
        st.integers(1, 4),
        st.integers(50, 52),
        st.sampled_from([BOTH, BOTH, BOTH, EXCHANGE, LOCAL]),
    ),
    max_size=25,
)
PLACES = st.sets(st.integers(1, 80), max_size=6)


def feed(messages: list[tuple], *, one_sided: bool) -> Events:
    """The messages in order of arrival."""
    now, arrays = 1000, []
    for kind, step, late, market, size, ticks, sides in messages:
        now += step
        rows = message(kind, now, late, market, size, ticks)
        if one_sided:
            rows["flags"] = rows["flags"] & np.uint16(sides | (END if sides & LOCAL else 0))
        arrays.append(rows)
    return joined(sorted(arrays, key=lambda rows: int(rows["ts_local_ns"][0])))


@given(MESSAGES, PLACES, st.booleans())
@settings(max_examples=60)
def test_both_clocks(messages: list[tuple], places: set[int], one_sided: bool) -> None:
    rows = feed(messages, one_sided=one_sided)
    corrector = slow.Corrector(WINDOW, SNAPSHOTS)
    expected = joined([*(corrector.take(part) for part in cut(rows, places) if len(part)), corrector.held])
    found = by_both_clocks(cut(rows, places), name="feed", window_ns=WINDOW, block_ranked=SNAPSHOTS)
    assert joined(found).tobytes() == expected.tobytes()


@given(MESSAGES, PLACES)
@settings(max_examples=60)
def test_thinning(messages: list[tuple], places: set[int]) -> None:
    rows = feed(messages, one_sided=False)
    thinner = slow.Thinner(PROFILE, SNAPSHOTS)
    expected = joined(thinner.take(part) for part in whole_frames(cut(rows, places)) if len(part))
    found = joined(thinned(cut(rows, places), PROFILE, snapshot_markets=SNAPSHOTS))
    assert found.tobytes() == expected.tobytes()


@given(MESSAGES, PLACES, st.booleans())
@settings(max_examples=60)
def test_levels_of_both_sides(messages: list[tuple], places: set[int], one_sided: bool) -> None:
    ordered = joined(by_both_clocks([feed(messages, one_sided=one_sided)], name="feed", block_ranked=SNAPSHOTS))
    venue = levels_from_snapshots(cut(ordered, places), snapshot_markets=SNAPSHOTS, side=EXCHANGE_SIDE)
    expected = joined(levels_from_snapshots(venue, snapshot_markets=SNAPSHOTS, side=LOCAL_SIDE))
    found = joined(part.copy() for part in levels_on_both_sides(cut(ordered, places), snapshot_markets=SNAPSHOTS))
    assert found.tobytes() == expected.tobytes()


@given(MESSAGES, PLACES, st.sampled_from(["recorded", "2026"]), st.integers(1, 40))
@settings(max_examples=30)
def test_what_a_replay_is_compiled_from(messages: list[tuple], places: set[int], profile: str, rows_max: int) -> None:
    class Feed(ListSource):
        snapshot_markets = (True, False)  # type: ignore[assignment]

    rows = feed(messages, one_sided=False)
    arrays: Iterator[Events] = iter(cut(rows, places)) if len(rows) else iter(())
    if profile == "2026":
        thinner = slow.Thinner(FeedProfile(name="2026"), SNAPSHOTS)
        arrays = (thinner.take(part) for part in whole_frames(arrays) if len(part))
    corrector = slow.Corrector(60_000_000_000, SNAPSHOTS)
    ordered = joined([*(corrector.take(part) for part in arrays), corrector.held])
    venue = levels_from_snapshots([ordered], snapshot_markets=SNAPSHOTS, side=EXCHANGE_SIDE)
    expected = joined(levels_from_snapshots(venue, snapshot_markets=SNAPSHOTS, side=LOCAL_SIDE))
    source = Feed([rows], [BTC, ETH])
    parts = [part.copy() for part in replay_passing(source, profile=profile, rows_max=rows_max)]
    assert joined(parts).tobytes() == expected.tobytes()
    assert all(0 < len(part) <= rows_max for part in parts)


@given(st.lists(st.tuples(MESSAGES, PLACES), min_size=1, max_size=4))
@settings(max_examples=30)
def test_merging_by_arrival(streams: list[tuple[list[tuple], set[int]]]) -> None:
    feeds = [feed(messages, one_sided=False) for messages, _ in streams]
    everything = joined(feeds)
    expected = everything[np.argsort(everything["ts_local_ns"], kind="stable")]
    found = joined(by_arrival([iter(cut(rows, places)) for rows, (_, places) in zip(feeds, streams, strict=True)]))
    assert found.tobytes() == expected.tobytes()
