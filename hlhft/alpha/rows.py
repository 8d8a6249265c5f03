"""A recording as rows of model features: the core's book and the live code of `hlhft.alpha.features` over its events.

What a feed of the given profile brings is applied in order of arrival: snapshot books merge by channel as they do live,
incremental ones are kept in a ladder whose band follows the touch, so that no row depends on what comes later.
Nothing is quoted, so no book holds an order of ours. The rows are those that a live session over the same events has.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hlhft.alpha.features import FeatureState, new_state
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.walking import walk
from hlhft.core.state import BookKind, new_lane, new_market_data
from hlhft.data.files import Progress
from hlhft.data.merge import Events, copied, whole_frames
from hlhft.data.profiles import profile_named, thinned
from hlhft.data.sessions import without_rows
from hlhft.data.sources import Source
from hlhft.events import EventFlag

ROWS_MAX = 8192  # rows at once, unless there are more markets
BAND_TICKS = 2**19  # of a ladder: some per cent around the touch on the finest grids, and far more on most
_VISIBLE = int(EventFlag.LOCAL_VISIBLE)


class Walker:
    """Books and features over a source's markets, fed with arrays of whole frames in order of arrival."""

    def __init__(self, source: Source, schema: FeatureSchema) -> None:
        """Snapshot markets get merged books, the others ladders of BAND_TICKS."""
        markets, snapshots = source.markets, source.snapshot_markets
        records = np.concatenate([market.record() for market in markets])
        ladders = snapshots.count(False)
        _, self.data = new_market_data(records, ladders, BAND_TICKS if ladders else 1)
        place = 0
        for index, is_snapshot in enumerate(snapshots):
            self.data.books[index]["kind"] = int(BookKind.SNAPSHOT if is_snapshot else BookKind.LADDER)
            if not is_snapshot:
                self.data.books[index]["ladder_index"] = place
                place += 1
        _, self.lane = new_lane(len(markets))
        self.state: FeatureState = new_state(schema, len(markets), max(ROWS_MAX, len(markets)))
        self._centred = np.zeros(len(markets), np.int64)

    def take(self, events: Events) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of the frames in `events`: copies of heads, ROW_DTYPE[n], and values, float32[n, F], n > 0."""
        keep = (events["flags"] & _VISIBLE) != 0
        if not keep.all():
            events = without_rows(events, keep)
        if not events.flags.writeable:
            events = copied(events)
        first = 0
        while first < len(events):
            first, rows = walk(self.data, self.lane, self.state, self._centred, events, first)
            if rows:
                yield self.state.heads[:rows].copy(), self.state.values[:rows].copy()


def feature_rows(
    source: Source,
    schema: FeatureSchema,
    *,
    profile: str,
    begin_ns: int | None = None,
    end_ns: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (heads, values), ROW_DTYPE[n] and float32[n, F], 0 < n <= ROWS_MAX or a row a market, in order of arrival.

    `head["market"]` is the place in `source.markets`. With `begin_ns` and `end_ns` only rows with begin <= ts_local_ns
    < end; what comes before is read all the same, because books and averages are made of it. `progress(bytes done,
    bytes in all)` while reading. Raises DataError for what the source refuses and ValueError for an unknown profile.
    """
    feed_profile = profile_named(profile)
    markets: np.ndarray = np.array(source.snapshot_markets, dtype=np.bool_)
    arrays = source.chunks(progress=progress)
    if feed_profile is not None and markets.any():
        arrays = thinned(arrays, feed_profile, snapshot_markets=markets)
    walker = Walker(source, schema)
    for events in whole_frames(arrays):
        if end_ns is not None and len(events) and events["ts_local_ns"][0] >= end_ns:
            return
        for heads, values in walker.take(events):
            keep = np.ones(len(heads), np.bool_)
            if begin_ns is not None:
                keep &= heads["ts_local_ns"] >= begin_ns
            if end_ns is not None:
                keep &= heads["ts_local_ns"] < end_ns
            if keep.all():
                yield heads, values
            elif keep.any():
                yield heads[keep], values[keep]
