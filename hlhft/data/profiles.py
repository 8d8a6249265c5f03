"""Feed profiles: what of a recording reaches this machine, in the cadence and depth of a live feed.

Public recordings of the venue have twenty levels every 0.54 s. The live feed of 2026 has the best bid and offer per
block with a change, five levels every 0.5 s on the fast channel, and twenty every 5 s (venue reference section 6.2).
The venue's side of a replay keeps everything recorded; only what we see is thinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hlhft.data.arranging import FAST_DUE, FULL_DUE, thin
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, copied, whole_frames
from hlhft.events import EVENT_DTYPE

ROWS_AT_ONCE = 16_384  # and what is left of a frame
FULL_CHANNEL, FAST_CHANNEL = 0, 1
assert (FULL_CHANNEL, FAST_CHANNEL) == (FULL_DUE, FAST_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedProfile:
    """Cadence and depth of the two book channels, and whether an unchanged best bid and offer is sent."""

    name: str
    fast_levels: int = 5
    fast_interval_ns: int = 500_000_000
    full_levels: int = 20
    full_interval_ns: int = 5_000_000_000


LIVE_2026 = FeedProfile(name="2026")
PROFILES: dict[str, FeedProfile | None] = {"recorded": None, "2026": LIVE_2026}


def profile_named(name: str) -> FeedProfile | None:
    """The profile of that name; None passes everything. Raises ValueError naming the known ones."""
    if name not in PROFILES:
        raise ValueError(f"feed profile {name} is not known, expected one of {', '.join(PROFILES)}")
    return PROFILES[name]


def thinned(arrays: Iterable[Events], profile: FeedProfile, *, snapshot_markets: NDArray[np.bool_]) -> Iterator[Events]:
    """Rows in order of arrival with local visibility as `profile` says, for the markets whose book comes as snapshots.

    A recorded snapshot stays for the venue's side; for ours up to two take its place, SNAPSHOT_BEGIN's aux1 naming the
    channel. Channels keep a beat: the first snapshot at or after each multiple of the interval is sent; the full one is
    never made of a recorded fast one. A new session (DEPTH_CLEAR) sends the touch again.
    """
    thinner = _Thinner(profile, snapshot_markets)
    for array in whole_frames(arrays):
        yield from thinner.take(array)


class _Thinner:
    """What is carried from array to array: when each channel sends again, and the touch that was sent."""

    def __init__(self, profile: FeedProfile, snapshot_markets: NDArray[np.bool_]) -> None:
        self._levels = np.array([profile.full_levels, profile.fast_levels], dtype=np.int64)
        self._intervals = np.array([profile.full_interval_ns, profile.fast_interval_ns], dtype=np.int64)
        self._snapshot_markets = snapshot_markets
        self._due = np.zeros((len(snapshot_markets), 2), dtype=np.int64)
        self._touch = np.zeros((len(snapshot_markets), 3, 3), dtype=np.int64)
        self._room = np.empty(0, dtype=EVENT_DTYPE)

    def take(self, rows: Events) -> Iterator[Events]:
        """Whole frames with what we see of them thinned. Raises DataError for a snapshot without its end."""
        if len(self._room) < 3 * len(rows):
            self._room = np.empty(6 * len(rows), dtype=EVENT_DTYPE)
        first = 0
        while first < len(rows):
            first, written, is_paired = thin(
                rows,
                first,
                ROWS_AT_ONCE,
                self._snapshot_markets,
                self._levels,
                self._intervals,
                self._due,
                self._touch,
                self._room,
            )
            if not is_paired:
                raise DataError(
                    "feed", None, "a snapshot has no end, expected SNAPSHOT_BEGIN and SNAPSHOT_END in pairs, repair it"
                )
            yield copied(self._room[:written])
