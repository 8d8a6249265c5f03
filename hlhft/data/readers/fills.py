"""Lines of a node's fills in each of their three layouts, as trades of some markets (venue reference section 11).

- `node_fills_by_block` (since July 2025): a line a block, {"local_time","block_time","block_number","events":[[user,
  fill],...]}. The local clock is the node's.
- `node_fills` (May to July 2025): `[user, fill]`, a line a fill. No clock but the block's.
- `node_trades` (March to June 2025): a line a trade, {"coin","side","time","px","sz","hash","trade_dir_override",
  "side_info":[buyer, seller]} with user, start_pos, oid, twap_id and cloid of each (the venue's documentation, "L1 data
  schemas"); `side` is the aggressor's. It names no trade id and no fee: such trades have the id 0, unknown.

As others have listed the archive, `node_trades` is there from 22 March to 21 June 2025 with days missing, `node_fills`
from 25 May to 27 July, and by block ever since.

The side of a trade whose fill has `crossed` true is the aggressor and gives the TRADE event; the two fills of a trade
share their `tid`. A `tid` of 0 is a dust conversion or the like and never a trade. The exchange time is the block's in
milliseconds, as in the venue's other feeds. Where a line has no local clock, it is the block's time and a delay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, Numbered, nothing
from hlhft.data.readers.frames import FrameBlock
from hlhft.data.readers.messages import UNDECODABLE
from hlhft.data.tally import Tally
from hlhft.data.times import TIME_NS_MAX, utc_ns
from hlhft.events import EventFlag, EventKind, Side
from hlhft.units import Market

BY_BLOCK, FILLS, TRADES = "node_fills_by_block", "node_fills", "node_trades"
LAYOUTS = (BY_BLOCK, FILLS, TRADES)
# What the recorded blocks show between a block and a node's clock, median 307 ms.
DELAY_NS = 300_000_000
FILLS_MAX = 1_000_000  # that one block of lines, a megabyte, may hold

_FRAME_END = np.uint16(EventFlag.FRAME_END)
_MILLISECOND_NS = 1_000_000
_TIME_MAX_MS = 9_000_000_000_000
_INT64_MAX = 2**63 - 1
_OUT_OF_RANGE = "the block's number or local time is out of range, drop the line"
# What FILLS_SCHEMA's decimals hold; a finer number is an error, not rounded.
_MOST, _FINEST = Decimal("1e26"), Decimal("1e-12")
_EXACT = Context(prec=38, traps=[InvalidOperation, Inexact])
_DECIMAL = pa.decimal128(38, 12)

FILLS_SCHEMA = pa.schema(
    [
        ("ts_exch_ns", pa.int64()),
        ("ts_local_ns", pa.int64()),
        ("block_number", pa.int64()),
        ("user", pa.string()),
        ("coin", pa.string()),
        ("side", pa.int8()),
        ("price", _DECIMAL),
        ("size", _DECIMAL),
        ("start_position", _DECIMAL),
        ("closed_pnl", _DECIMAL),
        ("fee", _DECIMAL),
        ("fee_token", pa.string()),
        ("direction", pa.string()),
        ("crossed", pa.bool_()),
        ("tid", pa.int64()),
        ("oid", pa.int64()),
        ("hash", pa.string()),
    ]
)
_DECIMALS = ("price", "size", "start_position", "closed_pnl", "fee")


class Fill(msgspec.Struct):
    """One side of one trade, in the venue's names."""

    coin: str
    px: str
    sz: str
    side: str
    time: int
    startPosition: str  # noqa: N815 - the venue's names
    dir: str
    closedPnl: str  # noqa: N815
    hash: str
    oid: int
    crossed: bool
    fee: str
    tid: int
    feeToken: str = "USDC"  # noqa: N815
    cloid: str | None = None
    builder: str | None = None
    builderFee: str | None = None  # noqa: N815


class Block(msgspec.Struct):
    """All fills of a block."""

    local_time: str
    block_time: str
    block_number: int
    events: list[tuple[str, Fill]]


class _Party(msgspec.Struct):
    """What a trade's line says of a side of it."""

    user: str
    start_pos: str | None = None
    oid: int | None = None


class _Trade(msgspec.Struct):
    """A trade with both its sides, the buyer first."""

    coin: str
    side: str
    time: str
    px: str
    sz: str
    hash: str = ""
    tid: int | None = None
    trade_dir_override: str = "Na"
    side_info: list[_Party] = []


_BLOCK = msgspec.json.Decoder(Block)
_FILL = msgspec.json.Decoder(tuple[str, Fill])
_TRADE = msgspec.json.Decoder(_Trade)


class Aggression(NamedTuple):
    """The taking side of a trade."""

    coin: str
    side: str
    px: str
    sz: str
    tid: int
    ts_exch_ns: int
    ts_local_ns: int


class FillsLines:
    """Blocks of lines of one layout as trades of some markets; a line that is none may only be the last.

    With `fills`, `take_fills` gives both sides of every trade of these markets. Trades of other coins are counted.
    """

    def __init__(
        self,
        path: Path,
        markets: Sequence[Market],
        layout: str,
        counts: Tally,
        *,
        delay_ns: int = DELAY_NS,
        fills: bool = False,
    ) -> None:
        """`delay_ns` (>= 0) stands between a block and the local clock where a line has none."""
        if layout not in LAYOUTS or delay_ns < 0:
            raise ValueError(f"layout {layout} is none of {', '.join(LAYOUTS)}, or the delay {delay_ns} is negative")
        self.without_trade: Counter[str] = Counter()  # fills that are never a trade, by wanted coin
        self.times_ns: list[int] = []  # exchange times of the lines that the last `read` went over, of any coin
        self._path, self._counts, self._delay_ns, self._wants_fills = path, counts, delay_ns, fills
        self._places = {market.name: place for place, market in enumerate(markets)}
        self._frames = [FrameBlock(path, market) for market in markets]
        self._rows: list[tuple[Any, ...]] = []
        self._row_lines: list[int] = []
        self._torn: DataError | None = None
        read: dict[str, Callable[[bytes, int], Sequence[Aggression]]] = {
            BY_BLOCK: self._block,
            FILLS: self._fill,
            TRADES: self._trade,
        }
        self._read = read[layout]
        self._joins = layout != BY_BLOCK  # the trades of a block stand on lines of their own

    def read(self, first: int, lines: list[bytes]) -> Numbered:
        """The trades of whole lines, the first of which has the number `first`: `market` is the place among the
        markets, trades of a coin and block are a frame. Raises DataError naming a line."""
        if self._torn is not None and isinstance(self._torn.line, int) and self._torn.line >= first:
            self._torn = None  # the same lines are read again
        self._rows, self._row_lines, self.times_ns = [], [], []
        for frames in self._frames:
            frames.clear()
        open_frames = [0] * len(self._frames)  # the line of the newest, by market
        for number, line in enumerate(lines, first):
            if self._torn is not None:
                fault, self._torn = self._torn, None
                raise fault
            for trade in self._read(line, number):
                place = self._places[trade.coin]
                self._counts["trades"] += 1
                if open_frames[place] != number:
                    open_frames[place] = number
                    self._frames[place].frame(number, ts_exch_ns=trade.ts_exch_ns, ts_local_ns=trade.ts_local_ns)
                self._frames[place].pairs(
                    EventKind.TRADE,
                    int(Side.BUY if trade.side == "B" else Side.SELL),
                    1,
                    f"{trade.px},{trade.sz}".encode(errors="replace"),
                    order_id=trade.tid,
                    ts_exch_ns=trade.ts_exch_ns,
                )
        return self._gathered()

    def take_fills(self) -> pa.RecordBatch:
        """Both sides of the trades that the last `read` went over, FILLS_SCHEMA, in order of line."""
        rows, lines = self._rows, self._row_lines
        self._rows, self._row_lines = [], []
        return fills_batch(rows, lines, self._path)

    def close(self) -> None:
        """Counts a torn last line; there are no more."""
        if self._torn is not None:
            self._counts["torn_last_line"] = 1

    def _gathered(self) -> Numbered:
        parts = [frames.events_and_lines() for frames in self._frames]
        for place, (rows, _) in enumerate(parts):
            rows["market"] = place
            if self._joins and len(rows):
                rows["flags"][:-1][same_frame(rows)] &= ~_FRAME_END
        if len(parts) == 1:
            return Numbered(*parts[0])
        every = np.concatenate([np.zeros(0, dtype=np.int64), *(lines for _, lines in parts)])
        order = np.argsort(every, kind="stable")
        return Numbered(np.concatenate([nothing(), *(rows for rows, _ in parts)])[order], every[order])

    def _tear(self, error: DataError) -> None:
        """Whether the line is torn or wrong shows when another one follows."""
        self._torn = error

    def _block(self, line: bytes, number: int) -> Sequence[Aggression]:
        try:
            block, local_ns = _decoded_block(line, self._path, number)
        except DataError as error:
            self._tear(error)
            return ()
        if not 0 <= block.block_number <= _INT64_MAX or not 0 < local_ns < TIME_NS_MAX:
            raise DataError(self._path, number, _OUT_OF_RANGE)
        if block.events:
            self._hear(block.events[0][1])
        else:
            self.times_ns.append(self._block_ns(block, number))
        return self._sides(block.events, local_ns, block.block_number, number)

    def _block_ns(self, block: Block, number: int) -> int:
        try:
            return utc_ns(block.block_time)
        except ValueError as error:
            raise DataError(self._path, number, f"{error}, drop the line") from None

    def _fill(self, line: bytes, number: int) -> Sequence[Aggression]:
        try:
            event = _FILL.decode(line)
        except UNDECODABLE as error:
            message = f"no fill ({error}), expected the node's [user, fill], drop the line"
            self._tear(DataError(self._path, number, message))
            return ()
        self._hear(event[1])
        return self._sides([event], event[1].time * _MILLISECOND_NS + self._delay_ns, None, number)

    def _hear(self, fill: Fill) -> None:
        """Notes when a fill of any coin happened; only those of the wanted ones are judged."""
        if 0 < fill.time < _TIME_MAX_MS:
            self.times_ns.append(fill.time * _MILLISECOND_NS)

    def _sides(
        self, events: Sequence[tuple[str, Fill]], local_ns: int, block_number: int | None, number: int
    ) -> Sequence[Aggression]:
        """The taking sides of the wanted coins; nearly all fills of an hour are of others."""
        found: list[Aggression] = []
        places, others = self._places, 0
        self._counts["fills"] += len(events)
        for user, fill in events:
            wanted = fill.coin in places
            if wanted:
                check_fill(fill, self._path, number)
                if self._wants_fills:
                    self._rows.append(fill_row(fill, user, local_ns, block_number))
                    self._row_lines.append(number)
            if not fill.crossed:
                continue
            if fill.tid == 0:
                self._counts["fills_without_trade"] += 1
                self.without_trade[fill.coin] += wanted
            elif wanted:
                at_ns = fill.time * _MILLISECOND_NS
                found.append(Aggression(fill.coin, fill.side, fill.px, fill.sz, fill.tid, at_ns, local_ns))
            else:
                others += 1
        if others:
            self._counts["trades_of_other_coins"] += others
        return found

    def _trade(self, line: bytes, number: int) -> Sequence[Aggression]:
        try:
            trade = _TRADE.decode(line)
            block_ns = utc_ns(trade.time)
        except (*UNDECODABLE, ValueError) as error:
            message = f"no trade ({error}), expected the node's JSON, drop the line"
            self._tear(DataError(self._path, number, message))
            return ()
        exch_ns = block_ns // _MILLISECOND_NS * _MILLISECOND_NS
        tid = 0 if trade.tid is None else trade.tid
        oids = [party.oid or 0 for party in trade.side_info]
        in_range = 0 < exch_ns < TIME_NS_MAX and all(0 <= number <= _INT64_MAX for number in (tid, *oids))
        if trade.side not in ("A", "B") or not in_range:
            message = "a trade's side, time, tid or oid is out of range, expected the venue's, drop the line"
            raise DataError(self._path, number, message)
        self.times_ns.append(exch_ns)
        if trade.coin not in self._places:
            self._counts["trades_of_other_coins"] += 1
            return ()
        if len(trade.side_info) != 2:
            self._counts["trades_without_both_sides"] += 1
        if trade.trade_dir_override != "Na":
            self._counts["trades_with_direction_override"] += 1
        local_ns = exch_ns + self._delay_ns
        if self._wants_fills:
            for side, party in zip("BA", trade.side_info, strict=False):
                self._rows.append(_party_row(trade, side, party, exch_ns, local_ns))
                self._row_lines.append(number)
        return [Aggression(trade.coin, trade.side, trade.px, trade.sz, tid, exch_ns, local_ns)]


def same_frame(trades: Events) -> NDArray[np.bool_]:
    """Which trades of a market, but for the first, are of one block with the one before, bool[n - 1]."""
    same = (trades["ts_exch_ns"][1:] == trades["ts_exch_ns"][:-1]) & (
        trades["ts_local_ns"][1:] == trades["ts_local_ns"][:-1]
    )
    return np.asarray(same)


def _decoded_block(line: bytes, path: Path, number: int) -> tuple[Block, int]:
    try:
        block = _BLOCK.decode(line)
        return block, utc_ns(block.local_time)
    except (*UNDECODABLE, ValueError) as error:
        raise DataError(path, number, f"no block of fills ({error}), expected the node's JSON, drop the line") from None


def read_block(line: bytes, path: Path, number: int) -> tuple[Block, int]:
    """(block, the node's local time) of one line, every fill in range. Raises DataError naming the line."""
    block, local_ns = _decoded_block(line, path, number)
    if not 0 <= block.block_number <= _INT64_MAX or not 0 < local_ns < TIME_NS_MAX:
        raise DataError(path, number, _OUT_OF_RANGE)
    for _, fill in block.events:
        check_fill(fill, path, number)
    return block, local_ns


def check_fill(fill: Fill, path: Path, number: int) -> None:
    """Raises DataError naming the line when a fill's side, time or ids are none."""
    known_side = (fill.side == "B" or fill.side == "A") and 0 < fill.time < _TIME_MAX_MS
    if not known_side or not (0 <= fill.tid <= _INT64_MAX and 0 <= fill.oid <= _INT64_MAX):
        raise DataError(
            path, number, "a fill's side, time, tid or oid is out of range, expected the venue's, drop the line"
        )


def fill_row(fill: Fill, user: str, local_ns: int, block_number: int | None) -> tuple[Any, ...]:
    """The values of FILLS_SCHEMA, numbers still as text."""
    return (
        fill.time * _MILLISECOND_NS,
        local_ns,
        block_number,
        user,
        fill.coin,
        1 if fill.side == "B" else -1,
        fill.px,
        fill.sz,
        fill.startPosition,
        fill.closedPnl,
        fill.fee,
        fill.feeToken,
        fill.dir,
        fill.crossed,
        fill.tid,
        fill.oid,
        fill.hash,
    )


def _party_row(trade: _Trade, side: str, party: _Party, exch_ns: int, local_ns: int) -> tuple[Any, ...]:
    """The same of a side of a trade; what its line does not say is None."""
    sign = 1 if side == "B" else -1
    known = (trade.px, trade.sz, party.start_pos, None, None, None, None)
    return (
        *(exch_ns, local_ns, None, party.user, trade.coin, sign),
        *known,
        *(side == trade.side, trade.tid, party.oid, trade.hash),
    )


def fills_batch(rows: Sequence[tuple[Any, ...]], lines: Sequence[int], path: Path) -> pa.RecordBatch:
    """These rows, each of a line, as a batch of FILLS_SCHEMA. Raises DataError naming the line of a number that is none
    of at most 26 digits and 12 decimals."""
    if not rows:
        return pa.RecordBatch.from_pylist([], schema=FILLS_SCHEMA)
    columns = dict(zip(FILLS_SCHEMA.names, zip(*rows, strict=True), strict=True))
    try:
        arrays = [
            pa.array(columns[field.name], pa.string()).cast(field.type)
            if field.name in _DECIMALS
            else pa.array(columns[field.name], field.type)
            for field in FILLS_SCHEMA
        ]
    except (pa.ArrowInvalid, UnicodeEncodeError):
        # One number is none, or is written in a way that only Decimal knows: slowly, to name its line.
        return _batch_by_decimals(rows, lines, path)
    return pa.RecordBatch.from_arrays(arrays, schema=FILLS_SCHEMA)


def _batch_by_decimals(rows: Sequence[tuple[Any, ...]], lines: Sequence[int], path: Path) -> pa.RecordBatch:
    exact = []
    for row, line in zip(rows, lines, strict=True):
        values = dict(zip(FILLS_SCHEMA.names, row, strict=True))
        try:
            exact.append(values | {name: _decimal(values[name]) for name in _DECIMALS if values[name] is not None})
        except (InvalidOperation, Inexact, ValueError) as error:
            raise DataError(
                path, line, f"a fill's number is none of at most 12 decimals ({error}), correct or drop the line"
            ) from None
    return pa.RecordBatch.from_pylist(exact, schema=FILLS_SCHEMA)


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or abs(value) >= _MOST:
        raise ValueError(f'"{text[:40]}"')
    return value.quantize(_FINEST, context=_EXACT)
