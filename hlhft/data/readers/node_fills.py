"""Fills as a node writes them, block by block: both sides of every trade, all markets (venue reference section 11).

A line is {"local_time","block_time","block_number","events":[[user, fill],...]}. The side of a trade whose fill has
`crossed` true is the aggressor and gives the TRADE event; the two fills of a trade share their `tid`. A `tid` of 0 is
a dust conversion or the like and never a trade. The exchange time is the fill's block time in milliseconds, as in the
other feeds; the local clock is the node's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.markets import find, known
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.frames import FrameBlock
from hlhft.data.readers.messages import UNDECODABLE, readable
from hlhft.data.sources import Source, market_for
from hlhft.data.times import utc_ns
from hlhft.events import EventKind, Side
from hlhft.units import Market

_MILLISECOND_NS = 1_000_000
_INT64_MAX = 2**63 - 1
# What FILLS_SCHEMA's decimals hold; a finer number is an error, not rounded.
_MOST, _FINEST = Decimal("1e26"), Decimal("1e-12")
_EXACT = Context(prec=38, traps=[InvalidOperation, Inexact])


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


class _Block(msgspec.Struct):
    local_time: str
    block_time: str
    block_number: int
    events: list[tuple[str, Fill]]


_BLOCK = msgspec.json.Decoder(_Block)

FILLS_SCHEMA = pa.schema(
    [
        ("ts_exch_ns", pa.int64()),
        ("ts_local_ns", pa.int64()),
        ("block_number", pa.int64()),
        ("user", pa.string()),
        ("coin", pa.string()),
        ("side", pa.int8()),
        ("price", pa.decimal128(38, 12)),
        ("size", pa.decimal128(38, 12)),
        ("start_position", pa.decimal128(38, 12)),
        ("closed_pnl", pa.decimal128(38, 12)),
        ("fee", pa.decimal128(38, 12)),
        ("fee_token", pa.string()),
        ("direction", pa.string()),
        ("crossed", pa.bool_()),
        ("tid", pa.int64()),
        ("oid", pa.int64()),
        ("hash", pa.string()),
    ]
)


class NodeFillsSource(Source):
    """One file of fills as the trades of some markets."""

    reader = "node-fills-1"
    snapshots_only = True

    def __init__(self, file: LineFile, markets: Sequence[Market]) -> None:
        super().__init__(file.path.name, [file.path], markets, {})
        self._file = file

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        return in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The trades line by line."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        places = {market.name: index for index, market in enumerate(self.markets)}
        blocks = [FrameBlock(self._file.path, market) for market in self.markets]

        def read(first: int, lines: list[bytes]) -> Numbered:
            for block in blocks:
                block.clear()
            for number, line in enumerate(lines, first):
                fills, local_ns = read_block(line, self._file.path, number)
                self._gather(fills, local_ns, number, places, blocks)
            parts = [block.events_and_lines() for block in blocks]
            for place, (rows, _) in enumerate(parts):
                rows["market"] = place
            every = np.concatenate([row_lines for _, row_lines in parts])
            order = np.argsort(every, kind="stable")
            return Numbered(np.concatenate([rows for rows, _ in parts])[order], every[order])

        return self._up_to_fault(self._file.blocks(meter), read)

    def _gather(
        self, block: _Block, local_ns: int, number: int, places: Mapping[str, int], blocks: Sequence[FrameBlock]
    ) -> None:
        open_frames: set[int] = set()
        for _, fill in block.events:
            self.counts["fills"] += 1
            if not fill.crossed:
                continue
            if fill.tid == 0:
                self.counts["fills_without_trade"] += 1
                continue
            place = places.get(fill.coin)
            self.counts["trades" if place is not None else "trades_of_other_coins"] += 1
            if place is None:
                continue
            if place not in open_frames:
                open_frames.add(place)
                blocks[place].frame(number, ts_exch_ns=fill.time * _MILLISECOND_NS, ts_local_ns=local_ns)
            side = Side.BUY if fill.side == "B" else Side.SELL
            text = f"{fill.px},{fill.sz}".encode(errors="replace")
            blocks[place].pairs(
                EventKind.TRADE, int(side), 1, text, order_id=fill.tid, ts_exch_ns=fill.time * _MILLISECOND_NS
            )


def read_block(line: bytes, path: Path, number: int) -> tuple[_Block, int]:
    """(block, the node's local time) of one line. Raises DataError naming the line."""
    try:
        block = _BLOCK.decode(line)
        local_ns = utc_ns(block.local_time)
    except (*UNDECODABLE, ValueError) as error:
        raise DataError(path, number, f"no block of fills ({error}), expected the node's JSON, drop the line") from None
    if not 0 <= block.block_number <= _INT64_MAX or not 0 < local_ns < 2**62:
        raise DataError(path, number, "the block's number or local time is out of range, drop the line")
    for _, fill in block.events:
        known_side = fill.side in ("A", "B") and 0 < fill.time < 9_000_000_000_000
        if not known_side or not (0 <= fill.tid <= _INT64_MAX and 0 <= fill.oid <= _INT64_MAX):
            raise DataError(
                path, number, "a fill's side, time, tid or oid is out of range, expected the venue's, drop the line"
            )
    return block, local_ns


def fills_table(path: Path | str, *, rows_max: int = 1_000_000) -> Iterator[pa.RecordBatch]:
    """Every fill of a file, both sides, as batches of FILLS_SCHEMA, one batch a block of lines.

    Numbers are exact decimals; `tid` 0 stays in. Raises DataError, also for a batch of more than `rows_max` fills.
    """
    file = LineFile(Path(path))
    for first, lines in file.blocks():
        rows: list[dict[str, Any]] = []
        for number, line in enumerate(lines, first):
            block, local_ns = read_block(line, file.path, number)
            rows.extend(_fill_row(block, local_ns, user, fill, file.path, number) for user, fill in block.events)
            if len(rows) > rows_max:
                raise DataError(
                    file.path, number, f"a megabyte of lines holds more than {rows_max} fills, check the file"
                )
        yield pa.RecordBatch.from_pylist(rows, schema=FILLS_SCHEMA)


def _fill_row(block: _Block, local_ns: int, user: str, fill: Fill, path: Path, number: int) -> dict[str, Any]:
    try:
        return {
            "ts_exch_ns": fill.time * _MILLISECOND_NS,
            "ts_local_ns": local_ns,
            "block_number": block.block_number,
            "user": user,
            "coin": fill.coin,
            "side": 1 if fill.side == "B" else -1,
            "price": _decimal(fill.px),
            "size": _decimal(fill.sz),
            "start_position": _decimal(fill.startPosition),
            "closed_pnl": _decimal(fill.closedPnl),
            "fee": _decimal(fill.fee),
            "fee_token": fill.feeToken,
            "direction": fill.dir,
            "crossed": fill.crossed,
            "tid": fill.tid,
            "oid": fill.oid,
            "hash": fill.hash,
        }
    except (InvalidOperation, Inexact, ValueError) as error:
        raise DataError(
            path, number, f"a fill's number is none of at most 12 decimals ({error}), correct or drop the line"
        ) from None


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or abs(value) >= _MOST:
        raise ValueError(f'"{text[:40]}"')
    return value.quantize(_FINEST, context=_EXACT)


def recognises(head: list[bytes]) -> bool:
    """Whether the first line looks like a block of fills."""
    line = next((line for line in head if line), b"")
    return line.startswith(b"{") and b'"block_number"' in line and b'"events"' in line


def open_fills(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source of `market`, of `coins` (an option, names), or of every coin of the specification that the file holds.

    A node writes all markets; those that the specification lacks are counted and left out unless `coins` asks for them.
    """
    unknown = [name for name in options if name != "coins"]
    if unknown:
        raise DataError(file.path, None, f"the reader of node fills has no option {unknown[0]}, it has coins")
    if market is not None:
        return NodeFillsSource(file, [market])
    if "coins" in options:
        return NodeFillsSource(file, [market_for(file.path, coin, specification) for coin in options["coins"]])
    table = known() if specification is None else specification
    markets = [find(coin, table) for coin in _coins_in(file) if coin in table]
    if not markets:
        raise DataError(
            file.path, None, "no coin of the file is in the market specification, give a fuller specification"
        )
    return NodeFillsSource(file, markets)


def _coins_in(file: LineFile) -> list[str]:
    """The coins in order of first appearance; those before the first unreadable line, for the reading comes to it."""
    held: dict[str, None] = {}
    for first, lines in readable(file):
        for number, line in enumerate(lines, first):
            try:
                block, _ = read_block(line, file.path, number)
            except DataError:
                if not held:
                    raise
                return list(held)
            held.update((fill.coin, None) for _, fill in block.events)
    return list(held)
