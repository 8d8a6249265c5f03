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

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, nothing, whole_frames
from hlhft.events import EventFlag, EventKind, Side

_EXCHANGE = np.uint16(EventFlag.EXCHANGE_VISIBLE)
_LOCAL = np.uint16(EventFlag.LOCAL_VISIBLE)
_FRAME_END = np.uint16(EventFlag.FRAME_END)
_BEGIN, _END = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_LEVEL, _CLEAR, _BBO = int(EventKind.DEPTH_LEVEL), int(EventKind.DEPTH_CLEAR), int(EventKind.BBO)
FULL_CHANNEL, FAST_CHANNEL = 0, 1


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
        yield thinner.take(array)


class _Thinner:
    def __init__(self, profile: FeedProfile, snapshot_markets: NDArray[np.bool_]) -> None:
        self._profile = profile
        self._snapshot_markets = snapshot_markets
        self._fast_due_ns = [0] * len(snapshot_markets)
        self._full_due_ns = [0] * len(snapshot_markets)
        self._touch: dict[tuple[int, int], tuple[int, int]] = {}

    def take(self, rows: Events) -> Events:
        """Whole frames with what we see of them thinned. Raises DataError for a snapshot without its end."""
        rows = rows.copy()
        self._hide_unchanged_touch(rows)
        mine = self._snapshot_markets[rows["market"]] & ((rows["flags"] & _LOCAL) != 0)
        begins = np.flatnonzero(mine & (rows["kind"] == _BEGIN))
        ends = np.flatnonzero(mine & (rows["kind"] == _END))
        if len(begins) != len(ends) or (begins >= ends).any():
            raise DataError(
                "feed", None, "a snapshot has no end, expected SNAPSHOT_BEGIN and SNAPSHOT_END in pairs, repair it"
            )
        pieces: list[Events] = []
        done = 0
        for begin, end in zip(begins.tolist(), (ends + 1).tolist(), strict=True):
            pieces.append(rows[done:begin])
            pieces.extend(self._sent(rows[begin:end]))
            kept = rows[begin:end]
            kept["flags"] &= ~(_LOCAL | _FRAME_END)
            pieces.append(kept)
            done = end
        pieces.append(rows[done:])
        return np.concatenate(pieces) if pieces else nothing()

    def _sent(self, frame: Events) -> Iterator[Events]:
        """The local forms of one recorded snapshot."""
        market, now_ns = int(frame["market"][0]), int(frame["ts_exch_ns"][0])
        profile = self._profile
        recorded_fast = int(frame["aux1"][0]) == FAST_CHANNEL
        if now_ns >= self._full_due_ns[market] and not recorded_fast:
            self._full_due_ns[market] = _next_due(now_ns, profile.full_interval_ns)
            yield _cut(frame, profile.full_levels, FULL_CHANNEL)
        if now_ns >= self._fast_due_ns[market]:
            self._fast_due_ns[market] = _next_due(now_ns, profile.fast_interval_ns)
            yield _cut(frame, profile.fast_levels, FAST_CHANNEL)

    def _hide_unchanged_touch(self, rows: Events) -> None:
        """Takes local visibility from bbo messages that repeat the touch: the live channel sends changes only."""
        touches = np.flatnonzero(np.isin(rows["kind"], (_BBO, _CLEAR)) & self._snapshot_markets[rows["market"]])
        changed_frame = False
        frame: list[int] = []
        for index in touches.tolist():
            row = rows[index]
            if row["kind"] == _CLEAR:
                self._touch = {place: touch for place, touch in self._touch.items() if place[0] != int(row["market"])}
                continue
            place = (int(row["market"]), int(row["side"]))
            touch = (int(row["price_ticks"]), int(row["size_lots"]))
            changed_frame |= self._touch.get(place) != touch
            self._touch[place] = touch
            frame.append(index)
            if int(row["flags"]) & int(_FRAME_END):
                if not changed_frame:
                    rows["flags"][frame] &= ~(_LOCAL | _FRAME_END)
                frame, changed_frame = [], False


def _next_due(now_ns: int, interval_ns: int) -> int:
    return (now_ns // interval_ns + 1) * interval_ns


def _cut(frame: Events, levels: int, channel: int) -> Events:
    """A local-only snapshot of the first `levels` levels a side of a recorded one."""
    bids = np.flatnonzero((frame["kind"] == _LEVEL) & (frame["side"] == int(Side.BUY)))[:levels]
    asks = np.flatnonzero((frame["kind"] == _LEVEL) & (frame["side"] == int(Side.SELL)))[:levels]
    out = frame[np.concatenate([[0], bids, asks, [len(frame) - 1]])]
    out["flags"] &= ~(_EXCHANGE | _FRAME_END)
    out["aux1"][[0, -1]] = channel
    out["aux0"][0] = min(levels, int(frame["aux0"][0]))
    out["aux0"][-1] = len(bids) + len(asks)
    out["flags"][-1] |= _FRAME_END
    return np.asarray(out)
