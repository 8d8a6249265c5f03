"""Hyperliquid recordings as CSV files, up to three a coin: orderbooks_, prices_ (the bbo channel) and trades_.

Columns: `timestamp` is the receiver's clock in seconds, `exchange_timestamp` the block's milliseconds. A book row is
one full snapshot; the bbo rows of one message follow each other; trades of one message share their `timestamp`. Files
are merged in order of arrival, at equal times book before bbo before trades. Repeated trades are dropped, the
backfill of a subscription is marked, and a silence of more than a minute starts a new session.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlhft.data.decimals import DecimalError, read, scale
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, by_arrival, nothing, whole_frames
from hlhft.data.sessions import Sessions, TradeMemory
from hlhft.data.sources import Source, market_for
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.units import LOTS_MAX, TICKS_MAX, Market

KINDS = ("orderbooks", "prices", "trades")
_COLUMNS = {
    "orderbooks": ("timestamp", "exchange_timestamp", "bid_price_0", "bid_size_0", "ask_price_0", "ask_size_0"),
    "prices": ("timestamp", "price", "size", "side", "exchange_timestamp"),
    "trades": ("timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"),
}
_WORDS = {
    "orderbooks": {},
    "prices": {b"bid": b"1", b"ask": b"-1"},
    "trades": {b"buy": b"1", b"sell": b"-1"},
}
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_FRAME_END = int(EventFlag.FRAME_END)
_LEVELS_MAX = 1000
_LINES_AT_ONCE = 4096

Int64 = NDArray[np.int64]


class Table:
    """One CSV file as blocks of exact whole numbers by column."""

    def __init__(self, file: LineFile, kind: str) -> None:
        """Raises DataError when columns that this kind needs are missing."""
        self.file = file
        self.kind = kind
        head = file.head(1)
        self.columns = [name.strip() for name in (head[0].decode("utf-8", "replace").split(",") if head else [])]
        missing = [name for name in _COLUMNS[kind] if name not in self.columns]
        if missing:
            raise DataError(
                file.path,
                1,
                f"column {missing[0]} is missing, expected {', '.join(_COLUMNS[kind])}, give a {kind} file",
            )
        self.place = {name: index for index, name in enumerate(self.columns)}

    def blocks(self, meter: ProgressMeter | None = None) -> Iterator[tuple[int, Int64, Int64]]:
        """Yields (line of the first row, digits, decimals), both int64[rows, columns]."""
        for first, lines in self.file.blocks(meter):
            skip = 1 if first == 1 else 0
            for start in range(skip, len(lines), _LINES_AT_ONCE):
                part = lines[start : start + _LINES_AT_ONCE]
                yield first + start, *self._numbers(first + start, part)

    def _numbers(self, first: int, lines: list[bytes]) -> tuple[Int64, Int64]:
        for number, line in enumerate(lines, first):
            if line.count(b",") != len(self.columns) - 1:
                raise DataError(
                    self.file.path,
                    number,
                    f"the row has {line.count(b',') + 1} columns, expected {len(self.columns)}, drop the line",
                )
        text = b"," + b",".join(line.rstrip(b"\r") for line in lines) + b","
        for word, number_text in _WORDS[self.kind].items():
            text = text.replace(b"," + word + b",", b"," + number_text + b",")
        try:
            digits, decimals = read(text[1:-1])
        except DecimalError as error:
            row, column = divmod(error.index, len(self.columns))
            raise DataError(
                self.file.path, first + row, f"column {self.columns[column]}: {error}, correct or drop the line"
            ) from None
        return digits.reshape(-1, len(self.columns)), decimals.reshape(-1, len(self.columns))

    def column(self, block: tuple[int, Int64, Int64], name: str, decimals: int) -> Int64:
        """One column in whole units of 10^-decimals. Raises DataError naming the line."""
        first, digits, points = block
        place = self.place[name]
        try:
            return scale(digits[:, place], points[:, place], decimals, what=name)
        except DecimalError as error:
            raise DataError(
                self.file.path, first + error.index, f"{error}, expected at most {decimals}, correct or drop the line"
            ) from None

    def times(self, block: tuple[int, Int64, Int64], last_local_ns: int) -> tuple[Int64, Int64]:
        """(ts_exch_ns, ts_local_ns); raises DataError when local time runs backwards, also from `last_local_ns`."""
        exch = self.column(block, "exchange_timestamp", 0)
        local = self.column(block, "timestamp", 9)
        self._refuse(block, (exch <= 0) | (exch > 9_000_000_000_000), "exchange_timestamp is not in milliseconds")
        back = np.diff(local, prepend=min(last_local_ns, int(local[0])) if last_local_ns < 0 else last_local_ns) < 0
        self._refuse(block, back, "timestamp is earlier than the row before, expected order of arrival")
        return exch * 1_000_000, local

    def check(self, block: tuple[int, Int64, Int64], ticks: Int64, lots: Int64, *, empty_allowed: bool) -> None:
        """Raises DataError for a price or size out of range; zeros pass only with `empty_allowed`."""
        least = 0 if empty_allowed else 1
        wrong = (ticks < least) | (ticks > TICKS_MAX) | (lots < least) | (lots > LOTS_MAX)
        self._refuse(block, wrong, "price or size is out of range, expected positive numbers")

    def _refuse(self, block: tuple[int, Int64, Int64], wrong: NDArray[np.bool_], message: str) -> None:
        if wrong.any():
            line = block[0] + int(np.flatnonzero(wrong)[0])
            raise DataError(self.file.path, line, f"{message}, correct or drop the line")


class HyperliquidCsvSource(Source):
    """One coin's files."""

    reader = "hyperliquid-csv-1"
    snapshots_only = True

    def __init__(self, tables: Mapping[str, Table], market: Market) -> None:
        """`tables` by kind, at least one of KINDS."""
        self._tables = [tables[kind] for kind in KINDS if kind in tables]
        folder = self._tables[0].file.path.parent.name
        super().__init__(f"{folder}/{market.name}", [table.file.path for table in self._tables], [market], {})

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        readers = {"orderbooks": self._books, "prices": self._touches, "trades": self._trades}
        streams = [iter(whole_frames(readers[table.kind](table, meter))) for table in self._tables]
        return Sessions(1, self.counts).marked(by_arrival(streams))

    def _books(self, table: Table, meter: ProgressMeter) -> Iterator[Events]:
        market = self.markets[0]
        levels = 0
        while levels < _LEVELS_MAX and f"bid_price_{levels}" in table.place:
            levels += 1
        last = -1
        for block in table.blocks(meter):
            if len(block[1]) == 0:
                continue
            exch, local = table.times(block, last)
            last = int(local[-1])
            out = np.zeros((len(exch), 2 * levels + 2), dtype=EVENT_DTYPE)
            out["ts_exch_ns"], out["ts_local_ns"], out["flags"] = exch[:, None], local[:, None], _VISIBLE
            for row, (name, side) in enumerate((("bid", Side.BUY), ("ask", Side.SELL))):
                for level in range(levels):
                    ticks = table.column(block, f"{name}_price_{level}", market.price_decimals)
                    lots = table.column(block, f"{name}_size_{level}", market.size_decimals)
                    table.check(block, ticks, lots, empty_allowed=True)
                    place = 1 + row * levels + level
                    out["price_ticks"][:, place], out["size_lots"][:, place] = ticks, lots
                    out["side"][:, place], out["kind"][:, place] = int(side), int(EventKind.DEPTH_LEVEL)
            yield self._framed(out, levels)

    def _framed(self, out: Events, levels: int) -> Events:
        """Adds begin and end, and drops levels that the book did not have (price 0)."""
        there = (out["price_ticks"] > 0) & (out["size_lots"] > 0)
        out["kind"][:, 0], out["aux0"][:, 0] = int(EventKind.SNAPSHOT_BEGIN), levels
        out["kind"][:, -1], out["aux0"][:, -1] = int(EventKind.SNAPSHOT_END), there.sum(axis=1)
        out["flags"][:, -1] |= _FRAME_END
        there[:, 0] = there[:, -1] = True
        self.counts["snapshot"] += len(out)
        return out.reshape(-1)[there.reshape(-1)]

    def _touches(self, table: Table, meter: ProgressMeter) -> Iterator[Events]:
        last = -1
        for block in table.blocks(meter):
            if len(block[1]) == 0:
                continue
            out = self._rows(table, block, EventKind.BBO, last, empty_allowed=True)
            last = int(out["ts_local_ns"][-1])
            # A message is a bid, an ask, or a bid and then an ask of the same times.
            same = (out["ts_local_ns"][1:] == out["ts_local_ns"][:-1]) & (
                out["ts_exch_ns"][1:] == out["ts_exch_ns"][:-1]
            )
            within = same & (out["side"][:-1] == int(Side.BUY)) & (out["side"][1:] == int(Side.SELL))
            bid_last = int(out["side"][-1]) == int(Side.BUY)
            out["flags"] |= np.where(np.append(~within, not bid_last), np.uint16(_FRAME_END), np.uint16(0))
            self.counts["bbo_rows"] += len(out)
            yield out

    def _trades(self, table: Table, meter: ProgressMeter) -> Iterator[Events]:
        last = -1
        memory = TradeMemory()
        held = nothing()
        for block in table.blocks(meter):
            if len(block[1]) == 0:
                continue
            out = self._rows(table, block, EventKind.TRADE, last, empty_allowed=False)
            last = int(out["ts_local_ns"][-1])
            out["order_id"] = table.column(block, "trade_id", 0)
            self.counts["trade_rows"] += len(out)
            both = np.concatenate([held, out])
            # The last message may go on in the next block.
            cut = int(np.searchsorted(both["ts_local_ns"], last, side="left"))
            held = both[cut:]
            yield self._messages(both[:cut], memory)
        yield self._messages(held, memory)

    def _messages(self, trades: Events, memory: TradeMemory) -> Events:
        """Whole messages of trades: each sorted by exchange time, ended, and free of repeats."""
        if len(trades) == 0:
            return trades
        out = trades[np.lexsort((trades["ts_exch_ns"], trades["ts_local_ns"]))]
        last = np.append(out["ts_local_ns"][1:] != out["ts_local_ns"][:-1], True)
        out["flags"][last] |= _FRAME_END
        return memory.without_repeats(out, self.counts)

    def _rows(
        self, table: Table, block: tuple[int, Int64, Int64], kind: EventKind, last: int, *, empty_allowed: bool
    ) -> Events:
        market = self.markets[0]
        exch, local = table.times(block, last)
        out = np.zeros(len(exch), dtype=EVENT_DTYPE)
        out["ts_exch_ns"], out["ts_local_ns"], out["kind"], out["flags"] = exch, local, int(kind), _VISIBLE
        out["price_ticks"] = table.column(block, "price", market.price_decimals)
        out["size_lots"] = table.column(block, "size", market.size_decimals)
        out["side"] = table.column(block, "side", 0)
        table.check(block, out["price_ticks"], out["size_lots"], empty_allowed=empty_allowed)
        return out


def recognises(head: list[bytes]) -> bool:
    """Whether the first line is the header of one of the three kinds."""
    columns = {name.strip() for name in (head[0] if head else b"").split(b",")}
    return {b"timestamp", b"exchange_timestamp"} <= columns


def set_of(path: Path) -> tuple[str, dict[str, Path]]:
    """(coin, files by kind) of the set that a file belongs to by its name, e.g. trades_BTC.csv.gz."""
    kind, _, rest = path.name.partition("_")
    coin = rest.partition(".csv")[0]
    if kind not in KINDS or not coin:
        raise DataError(
            path,
            None,
            f"the name does not say what it holds, expected one of {', '.join(KINDS)}, _, coin, .csv: rename it",
        )
    found = {}
    for other, suffix in itertools.product(KINDS, (".csv.gz", ".csv")):
        sibling = path.parent / f"{other}_{coin}{suffix}"
        if other not in found and sibling.is_file():
            found[other] = sibling
    found[kind] = path
    return coin, found


def open_csv(
    path: Path, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The set of files that `path` is one of."""
    if options:
        raise DataError(path, None, f"the reader of CSV sets has no option {next(iter(options))}, leave it out")
    coin, files = set_of(path)
    if market is None:
        market = market_for(path, coin, specification)
    return HyperliquidCsvSource({kind: Table(LineFile(file), kind) for kind, file in files.items()}, market)


def open_folder(
    path: Path, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> list[Source]:
    """Every coin of a folder, or the one `market` names, by name of coin."""
    files = sorted(file for file in path.iterdir() if file.name.endswith((".csv", ".csv.gz")) and file.name.count("_"))
    by_coin = {set_of(file)[0]: file for file in files if file.name.partition("_")[0] in KINDS}
    if market is not None:
        by_coin = {coin: file for coin, file in by_coin.items() if coin == market.name}
    if not by_coin:
        wanted = f" of {market.name}" if market is not None else ""
        raise DataError(
            path, None, f"the folder holds no CSV recording{wanted}, expected files as trades_BTC.csv.gz, give another"
        )
    return [open_csv(file, market, specification, options) for file in by_coin.values()]
