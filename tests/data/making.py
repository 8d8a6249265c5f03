"""Events, recordings and small files made by hand, for the tests of hlhft.data."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.markets import find
from hlhft.data.merge import Events, Numbered, by_row, nothing
from hlhft.data.sources import Source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.units import Market

BTC = find("BTC")  # a tick is 0.1, a lot is 0.00001
ETH = find("ETH")
EXCHANGE, LOCAL, END = (
    int(flag) for flag in (EventFlag.EXCHANGE_VISIBLE, EventFlag.LOCAL_VISIBLE, EventFlag.FRAME_END)
)
SYNTHETIC, BACKFILL = int(EventFlag.SYNTHETIC), int(EventFlag.BACKFILL)
BOTH = EXCHANGE | LOCAL
SECOND = 1_000_000_000
LATENCY = 1000

Level = tuple[int, int]


def event(
    kind: EventKind,
    exch: int,
    *,
    local: int | None = None,
    side: int = 0,
    price: int = 0,
    size: int = 0,
    order_id: int = 0,
    aux0: int = 0,
    aux1: int = 0,
    market: int = 0,
    flags: int = BOTH | END,
) -> Events:
    """One event as an array; it arrives LATENCY after it happened unless `local` says otherwise."""
    out = np.zeros(1, EVENT_DTYPE)
    arrival = exch + LATENCY if local is None else local
    out[0] = (exch, arrival, price, size, order_id, aux0, aux1, int(kind), flags, market, side, 0)
    return out


def together(*events: Events) -> Events:
    """Events of one message: only the last one ends the frame."""
    out = np.concatenate(events)
    out["flags"] &= np.uint16(0xFFFF & ~END)
    out["flags"][-1] |= np.uint16(END)
    return out


def snapshot(
    exch: int,
    bids: Sequence[Level],
    asks: Sequence[Level],
    *,
    local: int | None = None,
    levels: int = 20,
    channel: int = 0,
    market: int = 0,
) -> Events:
    """One book message; levels are (ticks, lots), best first."""
    common = {"local": local, "market": market}
    shown = [
        event(EventKind.DEPTH_LEVEL, exch, side=int(side), price=price, size=size, **common)
        for side, levels_of_side in ((Side.BUY, bids), (Side.SELL, asks))
        for price, size in levels_of_side
    ]
    return together(
        event(EventKind.SNAPSHOT_BEGIN, exch, aux0=levels, aux1=channel, **common),
        *shown,
        event(EventKind.SNAPSHOT_END, exch, aux0=len(shown), aux1=channel, **common),
    )


def bbo(exch: int, bid: Level, ask: Level, *, local: int | None = None, market: int = 0) -> Events:
    """One message of the best bid and offer."""
    return together(
        event(EventKind.BBO, exch, local=local, side=1, price=bid[0], size=bid[1], market=market),
        event(EventKind.BBO, exch, local=local, side=-1, price=ask[0], size=ask[1], market=market),
    )


def trade(exch: int, side: int, price: int, size: int, identity: int = 1, **more: int) -> Events:
    """One message of one trade; `side` is the aggressor's."""
    return event(EventKind.TRADE, exch, side=side, price=price, size=size, order_id=identity, **more)


def level(exch: int, side: int, price: int, size: int, **more: int) -> Events:
    """One message of one level."""
    return event(EventKind.DEPTH_LEVEL, exch, side=side, price=price, size=size, **more)


def joined(arrays: Iterable[Events]) -> Events:
    """All rows in one array."""
    return np.concatenate([nothing(), *arrays])


def cut(events: Events, places: Iterable[int]) -> list[Events]:
    """The same rows in arrays, cut before these places."""
    return np.split(events, sorted({place for place in places if 0 < place < len(events)}))


def columns(events: Events, *names: str) -> list[tuple[int, ...]]:
    """These fields of every row."""
    return list(zip(*(events[name].tolist() for name in names), strict=True))


class ListSource(Source):
    """Events in memory as a recording."""

    reader = "list-1"
    unit = "row"

    def __init__(
        self,
        arrays: Sequence[Events],
        markets: Sequence[Market] = (BTC,),
        *,
        snapshots_only: bool = True,
        fault: DataError | None = None,
    ) -> None:
        super().__init__("list", [], markets, {})
        self.arrays = arrays
        self.snapshots_only = snapshots_only
        self.fault = fault

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        return ((Path("list"), rows) for rows in by_row(self._arrays(meter)))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        yield from self.arrays
        if self.fault is not None:
            raise self.fault


def write(path: Path, lines: Iterable[str | bytes]) -> Path:
    """A file of these lines, gzip where the name ends in .gz."""
    content = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def rows_of(source: Source, **more: int) -> Events:
    """Everything an ordinary reading gives."""
    return joined(source.chunks(**more))


def fault_of(source: Source) -> tuple[Events, DataError | None]:
    """(what a reading gives, what it ends with)."""
    arrays: list[Events] = []
    try:
        arrays.extend(source.chunks())
    except DataError as error:
        return joined(arrays), error
    return joined(arrays), None
