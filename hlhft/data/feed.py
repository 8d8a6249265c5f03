"""The one way from a recording to what a replay walks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.ahead import read_ahead
from hlhft.data.files import Progress
from hlhft.data.merge import Events, copied, rechunk
from hlhft.data.order import WINDOW_NS, by_both_clocks
from hlhft.data.profiles import profile_named, thinned
from hlhft.data.snapshots import EXCHANGE_SIDE, ROWS_AT_ONCE, levels_from_snapshots, levels_on_both_sides
from hlhft.data.sources import ROWS_MAX, Source


def replay_events(
    source: Source,
    *,
    profile: str = "recorded",
    local_levels: bool = True,
    window_ns: int = WINDOW_NS,
    rows_max: int = ROWS_MAX,
    progress: Progress | None = None,
) -> Iterator[Events]:
    """Yields arrays of EVENT_DTYPE, at most `rows_max` rows each, sorted for both sides.

    Rows that the venue sees are sorted by ts_exch_ns, those that this machine sees by ts_local_ns.

    Markets whose book comes as snapshots get an incremental venue side; with `local_levels` the local side too (a
    ladder can follow it), else it keeps snapshots as they are sent. `profile` thins what we see of those markets.
    Raises DataError, and ValueError for an unknown profile.
    """
    arrays = replay_arrays(
        source.chunks(ROWS_MAX, progress=progress),
        source,
        profile=profile,
        local_levels=local_levels,
        window_ns=window_ns,
    )
    return rechunk(arrays, rows_max)


def replay_arrays(
    arrays: Iterator[Events],
    source: Source,
    *,
    profile: str = "recorded",
    local_levels: bool = True,
    window_ns: int = WINDOW_NS,
) -> Iterator[Events]:
    """As `replay_events`, for rows in order of arrival that come from `source` by another way, repaired for one."""
    ordered = _ordered(arrays, source, profile, window_ns)
    markets: NDArray[np.bool_] = np.array(source.snapshot_markets, dtype=np.bool_)
    if not markets.any():
        return ordered
    if local_levels:
        return (copied(rows) for rows in levels_on_both_sides(ordered, snapshot_markets=markets))
    return levels_from_snapshots(rechunk(ordered, ROWS_AT_ONCE), snapshot_markets=markets, side=EXCHANGE_SIDE)


def replay_passing(
    source: Source, *, profile: str, rows_max: int, progress: Progress | None = None
) -> Iterator[Events]:
    """As `replay_events`, faster: it reads ahead on a thread, and an array is valid until the next is asked for."""
    ordered = read_ahead(_ordered(source.chunks(ROWS_MAX, progress=progress), source, profile, WINDOW_NS))
    markets: NDArray[np.bool_] = np.array(source.snapshot_markets, dtype=np.bool_)
    if markets.any():
        return rechunk(levels_on_both_sides(ordered, snapshot_markets=markets), rows_max)
    return rechunk(ordered, rows_max)


def _ordered(arrays: Iterator[Events], source: Source, profile: str, window_ns: int) -> Iterator[Events]:
    """Thinned as `profile` says and sorted for both sides, snapshots as they are."""
    feed_profile = profile_named(profile)
    markets: NDArray[np.bool_] = np.array(source.snapshot_markets, dtype=np.bool_)
    if feed_profile is not None and markets.any():
        arrays = thinned(arrays, feed_profile, snapshot_markets=markets)
    if not source.ordered:
        arrays = by_both_clocks(arrays, name=source.name, window_ns=window_ns, block_ranked=markets)
    return arrays
