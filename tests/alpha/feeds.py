"""Events for the tests of features: a small market, frames of it, and a source that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hlhft.core.brain import Brain
from hlhft.core.state import BookKind
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered
from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind
from hlhft.ladder import ASK_NONE, BID_NONE
from tests.core.worlds import BUY, COIN, MS, SECOND, SELL, START, event, limits_of

VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
END = int(EventFlag.FRAME_END)
Levels = Sequence[tuple[int, int]]


def frame(*events: np.ndarray) -> np.ndarray:
    """These events as one received message."""
    rows = np.concatenate(events)
    rows["flags"] |= VISIBLE
    rows["flags"][-1] |= END
    return rows


def touch(at_ms: int, bid: tuple[int, int], ask: tuple[int, int], *, market: int = 0) -> np.ndarray:
    """A best bid and offer, as (ticks, lots)."""
    sides = [(BUY, *bid), (SELL, *ask)]
    return frame(
        *(
            event(EventKind.BBO, START + at_ms * MS, side=side, price_ticks=ticks, size_lots=lots, market=market)
            for side, ticks, lots in sides
        )
    )


def book(at_ms: int, bids: Levels, asks: Levels, *, channel: int = 0, market: int = 0) -> np.ndarray:
    """A snapshot of both sides, each from the touch."""
    now_ns, limit = START + at_ms * MS, 20 if channel == 0 else 5
    parts = [event(EventKind.SNAPSHOT_BEGIN, now_ns, aux0=limit, aux1=channel, market=market)]
    for side, levels in ((BUY, bids), (SELL, asks)):
        parts += [
            event(EventKind.DEPTH_LEVEL, now_ns, side=side, price_ticks=ticks, size_lots=lots, market=market)
            for ticks, lots in levels
        ]
    parts.append(event(EventKind.SNAPSHOT_END, now_ns, aux0=limit, aux1=channel, market=market))
    return frame(*parts)


def level(at_ms: int, side: int, ticks: int, lots: int, *, market: int = 0) -> np.ndarray:
    """A change of one level."""
    now_ns = START + at_ms * MS
    return frame(event(EventKind.DEPTH_LEVEL, now_ns, side=side, price_ticks=ticks, size_lots=lots, market=market))


def trade(at_ms: int, side: int, lots: int, *, ticks: int = 1000, market: int = 0, flags: int = 0) -> np.ndarray:
    """A trade by itself."""
    now_ns = START + at_ms * MS
    fields = {"side": side, "price_ticks": ticks, "size_lots": lots, "market": market, "flags": flags}
    return frame(event(EventKind.TRADE, now_ns, **fields))


def new_brain(kind: BookKind = BookKind.SNAPSHOT, markets: int = 1) -> Brain:
    """A brain of COIN markets without a strategy that decides on anything."""
    records = np.concatenate([COIN.record() for _ in range(markets)])
    ladders = markets if kind == BookKind.LADDER else 0
    brain = Brain(records, limits_of(decide_on_frame=0, decide_on_fill=0), ladders=ladders, width=256)
    brain.data.books["kind"] = int(kind)
    if ladders:
        brain.data.books["ladder_index"] = range(markets)
        brain.data.ladders[:] = (900, 256, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return brain


class Given(Source):
    """A recording of given frames, in arrays of given lengths."""

    reader = "given-1"

    def __init__(self, rows: Events, *, markets: int = 1, snapshots_only: bool = True, length: int = 1_000_000) -> None:
        super().__init__("given", (), [COIN] * markets, {})
        self.rows = rows
        self.snapshots_only = snapshots_only  # type: ignore[misc]
        self.length = length

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[object, Numbered]]:  # type: ignore[override]
        raise NotImplementedError

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        for first in range(0, len(self.rows), self.length):
            yield self.rows[first : first + self.length]


def seconds(count: float) -> int:
    """In nanoseconds."""
    return int(count * SECOND)
