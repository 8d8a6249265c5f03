"""The ways from before compilation: row by row or in whole-array steps, to hold the fast ones against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, nothing
from hlhft.data.order import BLOCK_RANK
from hlhft.data.profiles import FeedProfile
from hlhft.events import EventFlag, EventKind, Side

Int64 = NDArray[np.int64]
_RANKS = 4
_UNSEEN = -(2**62)
_EXCHANGE = np.uint16(EventFlag.EXCHANGE_VISIBLE)
_LOCAL = np.uint16(EventFlag.LOCAL_VISIBLE)
_FRAME_END = np.uint16(EventFlag.FRAME_END)
_BEGIN, _END = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_LEVEL, _CLEAR, _BBO = int(EventKind.DEPTH_LEVEL), int(EventKind.DEPTH_CLEAR), int(EventKind.BBO)
FULL_CHANNEL, FAST_CHANNEL = 0, 1


class Corrector:
    """What is held back between arrays: the rows within the window of the newest exchange time seen.

    Every row has a key, (exchange time, rank). A local row's is the largest among local rows so far, since it cannot
    come before what arrived before it; the row is late when its own is smaller. Rows go out by key, equal ones in order
    of arrival, so that what is in order already comes out as it is.
    """

    def __init__(self, window_ns: int, block_ranked: NDArray[np.bool_] | None) -> None:
        self.held: Events = nothing()
        self._held_keys: Int64 = np.zeros(0, dtype=np.int64)
        self._window_ns = window_ns
        self._block_ranked = block_ranked
        self._base_ns = _UNSEEN
        self._largest = _UNSEEN
        self._newest_ns = _UNSEEN

    def take(self, array: Events) -> Events:
        """Adds an array (not empty) and returns the rows that nothing to come can precede."""
        if self._base_ns == _UNSEEN:
            self._base_ns = int(array["ts_exch_ns"][0])
        venue = (array["flags"] & _EXCHANGE) != 0
        local = (array["flags"] & _LOCAL) != 0
        self._newest_ns = max(self._newest_ns, int(array["ts_exch_ns"].max()))
        own = self._own_keys(array)
        running = np.maximum.accumulate(np.where(local, own, _UNSEEN))
        np.maximum(running, self._largest, out=running)
        self._largest = int(running[-1])
        late = venue & local & (own < running)
        alone = late | (venue & ~local)
        # Each row that we see, and behind it the venue's copy of a late one; in between, what the venue alone sees.
        both = np.concatenate([np.flatnonzero(local), np.flatnonzero(alone)])
        arrival = np.argsort(both, kind="stable")
        origin = both[arrival]
        copied = arrival >= int(local.sum())
        rows, keys = array[origin], np.where(copied, own[origin], running[origin])
        rows["flags"][late[origin]] &= ~_EXCHANGE
        flags = array["flags"][origin[copied]]
        rows["flags"][copied] = flags & ~(_LOCAL | _FRAME_END)
        return self._release(rows, keys)

    def _own_keys(self, array: Events) -> Int64:
        keys = (array["ts_exch_ns"] - self._base_ns) * _RANKS
        if self._block_ranked is not None:
            keys += np.where(self._block_ranked[array["market"]], BLOCK_RANK[array["kind"]], 0)
        return keys

    def _release(self, rows: Events, keys: Int64) -> Events:
        if len(self.held):
            rows, keys = np.concatenate([self.held, rows]), np.concatenate([self._held_keys, keys])
        if (keys[1:] < keys[:-1]).any():
            order = np.argsort(keys, kind="stable")
            rows, keys = rows[order], keys[order]
        bound = (self._newest_ns - self._window_ns - self._base_ns) * _RANKS
        cut = int(np.searchsorted(keys, bound, side="left"))
        self.held, self._held_keys = rows[cut:], keys[cut:]
        return rows[:cut]


class Thinner:
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
