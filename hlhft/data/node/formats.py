"""The lines of a node's files and its order-level snapshots, in the venue's names (venue reference section 12).

A line is a block, {"local_time","block_time","block_number","events":[...]}, or in the plain layout one event with its
time. What an event holds beyond what is named here is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from hlhft.data.errors import DataError
from hlhft.data.node.changes import HEIGHT_MAX
from hlhft.data.times import TIME_NS_MAX, utc_ns
from hlhft.units import LOTS_MAX, TICKS_MAX, Market, UnitsError

SNAPSHOT_BYTES_MAX = 2 * 1024**3  # of all markets; BTC alone has some ten megabytes
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
INT64_MAX = 2**63 - 1
NS_PER_MS = 1_000_000
_SIDES = {"B": 1, "Bid": 1, "A": -1, "Ask": -1, "": 0}
_IOC = "Ioc"
_DIGITS_MAX = 18

Event = TypeVar("Event")
Value = TypeVar("Value")


class LineError(ValueError):
    """What is wrong with one line, and what to do."""


class Times(NamedTuple):
    """When and where in the chain a line stands: the first three fields of LINE_DTYPE."""

    height: int
    block_ns: int
    local_ns: int


class Diff(msgspec.Struct):
    """One change of one order."""

    oid: int
    coin: str
    px: str
    raw_book_diff: dict[str, msgspec.Raw] | str
    side: str = ""
    user: str = ""


class NewOrder(msgspec.Struct):
    """The value of `new`."""

    sz: str
    insertBefore: int | None = None  # noqa: N815 - the venue's names


class Resized(msgspec.Struct):
    """The value of `update`."""

    newSz: str  # noqa: N815
    origSz: str | None = None  # noqa: N815


class StatusOrder(msgspec.Struct):
    """The order of a status."""

    coin: str
    oid: int
    side: str = ""
    isTrigger: bool = False  # noqa: N815
    tif: str | None = None


class Status(msgspec.Struct):
    """One status of one order."""

    status: str
    order: StatusOrder

    @property
    def enters_book(self) -> bool:
        """Whether the order rests from now on, or takes first and then rests (the rule of the venue's own reader)."""
        if self.order.isTrigger:
            return self.status == "triggered"
        return self.status == "open" and self.order.tif != _IOC


class NodeFill(msgspec.Struct):
    """One side of one trade, as far as a book needs it."""

    coin: str
    px: str
    sz: str
    side: str
    time: int
    oid: int
    crossed: bool
    tid: int


class _Block(msgspec.Struct, Generic[Event]):
    block_time: str
    block_number: int
    local_time: str
    events: list[Event]


class _Alone(msgspec.Struct):
    """What says when an event by itself was."""

    block_number: int | None = None
    block_time: str | None = None
    local_time: str | None = None
    time: str | int | None = None


class _SnapshotOrder(msgspec.Struct):
    coin: str
    side: str
    limitPx: str  # noqa: N815
    sz: str
    oid: int
    timestamp: int = 0
    isTrigger: bool = False  # noqa: N815
    user: str = ""


class SnapshotOrder(NamedTuple):
    """One resting order: whole ticks and lots, `placed_ns` by the venue's clock, `user` in small letters or none."""

    order_id: int
    side: int
    ticks: int
    lots: int
    placed_ns: int
    user: str


class Snapshot(NamedTuple):
    """The books of some markets after block `height`; a market that it does not name has none."""

    height: int
    orders: dict[str, list[SnapshotOrder]]  # by coin: bids, then asks, each queue from its front


_ALONE = msgspec.json.Decoder(_Alone)
_SNAPSHOT_WITH_HEIGHT = msgspec.json.Decoder(tuple[int, list[tuple[str, msgspec.Raw]]])
_SNAPSHOT_BOOK = msgspec.json.Decoder(
    tuple[list[tuple[str, _SnapshotOrder] | _SnapshotOrder], list[tuple[str, _SnapshotOrder] | _SnapshotOrder]]
)


class EventReader(Generic[Event]):
    """Lines of one of the three kinds, as their time and their events."""

    def __init__(self, event: type[Event], what: str) -> None:
        """`what` names the events for people."""
        self._one = msgspec.json.Decoder(event)
        self._block = msgspec.json.Decoder(_Block[event])  # type: ignore[valid-type]
        self._what = what

    def read(self, line: bytes) -> tuple[Times, list[Event]]:
        """(times, events) of a line. Raises LineError."""
        try:
            if b'"events"' in line:
                block = self._block.decode(line)
                return _times(block.block_number, block.block_time, block.local_time), block.events
            event = self._one.decode(line)
            if isinstance(event, tuple):
                # A plain fill is a pair of user and fill, whose time is in milliseconds.
                return _times(None, event[1].time, None), [event]
            alone = _ALONE.decode(line)
            said = alone.time if alone.block_time is None else alone.block_time
            return _times(alone.block_number, said, alone.local_time), [event]
        except UNDECODABLE as error:
            raise LineError(f"no line of {self._what} ({error}), expected the node's JSON") from None


DIFFS = EventReader(Diff, "raw book diffs")
STATUSES = EventReader(Status, "order statuses")
FILLS = EventReader(tuple[str, NodeFill], "fills")


def _times(number: int | None, said: str | int | None, local: str | None) -> Times:
    if said is None:
        raise LineError(
            "the line says neither block_time nor time, so nothing can be put beside it, run the node with "
            "--batch-by-block or --stream-with-block-info"
        )
    try:
        block_ns = said * NS_PER_MS if isinstance(said, int) else utc_ns(said)
        local_ns = block_ns if local is None else utc_ns(local)
    except ValueError as error:
        raise LineError(str(error)) from None
    if not 0 < block_ns < TIME_NS_MAX or not 0 < local_ns < TIME_NS_MAX:
        raise LineError("a time is out of range, expected the venue's")
    block_ns -= block_ns % NS_PER_MS
    if number is not None and not 0 <= number < HEIGHT_MAX:
        raise LineError(f"the block number {number} is out of range, expected the venue's")
    return Times(block_ns if number is None else number, block_ns, local_ns)


def side_of(text: str) -> int:
    """1 for bids, -1 for asks, 0 for nothing said. Raises LineError."""
    if text not in _SIDES:
        raise LineError(f'"{text[:20]}" is no side, expected A or B')
    return _SIDES[text]


def id_of(value: int) -> int:
    """An id of the venue's, above 0. Raises LineError."""
    if not 0 < value <= INT64_MAX:
        raise LineError(f"the id {value} is out of range, expected the venue's")
    return value


def ticks_of(market: Market, text: str) -> int:
    """A price above 0. Raises LineError."""
    ticks = _plain(text, market.price_decimals)
    try:
        ticks = market.ticks(text) if ticks is None or ticks > TICKS_MAX else ticks
    except UnitsError as error:
        raise LineError(str(error)) from None
    if ticks == 0:
        raise LineError(f"{market.name} has a price of 0, expected one above")
    return ticks


def lots_of(market: Market, text: str) -> int:
    """A size, 0 included. Raises LineError."""
    lots = _plain(text, market.size_decimals)
    try:
        return market.lots(text) if lots is None or lots > LOTS_MAX else lots
    except UnitsError as error:
        raise LineError(str(error)) from None


def _plain(text: str, decimals: int) -> int | None:
    """The number in units of 10^-decimals as nearly every line writes it, None where only `Market` can tell."""
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    if len(digits) > _DIGITS_MAX or len(fraction) > decimals or not digits.isdigit() or not digits.isascii():
        return None
    return None if not whole or (point and not fraction) else int(digits) * 10 ** (decimals - len(fraction))


def part(kind: type[Value], raw: msgspec.Raw) -> Value:
    """A part of a line that was left undecoded. Raises LineError."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNDECODABLE as error:
        raise LineError(f"{error}, expected the value that the reference names") from None


def read_snapshot(path: Path, markets: Mapping[str, Market]) -> Snapshot:
    """The snapshot of `markets` in a file that the node wrote for `fileSnapshot` with `includeHeightInOutput`.

    Trigger orders that still wait are left out: they rest in no queue. Raises DataError.
    """
    try:
        if path.stat().st_size > SNAPSHOT_BYTES_MAX:
            raise DataError(path, None, f"a snapshot has at most {SNAPSHOT_BYTES_MAX} bytes, give a snapshot of a node")
        text = path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"the snapshot cannot be read ({error.strerror}), give a readable file") from None
    try:
        height, books = _SNAPSHOT_WITH_HEIGHT.decode(text)
        raw = {coin: book for coin, book in books if coin in markets}
        if not 0 <= height < HEIGHT_MAX:
            raise LineError(f"the height {height} is out of range")
        return Snapshot(
            height, {coin: list(_snapshot_orders(markets[coin], _SNAPSHOT_BOOK.decode(raw[coin]))) for coin in raw}
        )
    except (*UNDECODABLE, LineError) as error:
        raise DataError(
            path,
            None,
            f"no order-level snapshot ({error}), expected the answer to fileSnapshot with l4Snapshots and "
            "includeHeightInOutput, take it again",
        ) from None


def _snapshot_orders(market: Market, sides: tuple[list[Any], list[Any]]) -> Iterator[SnapshotOrder]:
    for side, entries in zip((1, -1), sides, strict=True):
        for entry in entries:
            user, order = entry if isinstance(entry, tuple) else (entry.user, entry)
            if order.isTrigger:
                continue
            if order.coin != market.name or side_of(order.side) != side:
                raise LineError(f"the order {order.oid} stands in the book of another coin or side")
            if not 0 <= order.timestamp < TIME_NS_MAX // NS_PER_MS:
                raise LineError(f"the order {order.oid} was placed at {order.timestamp}, expected milliseconds")
            yield SnapshotOrder(
                id_of(order.oid),
                side,
                ticks_of(market, order.limitPx),
                lots_of(market, order.sz),
                order.timestamp * NS_PER_MS,
                user.lower(),
            )
