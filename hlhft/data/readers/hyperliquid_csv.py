"""Hyperliquid recordings as CSV files, up to three a coin: orderbooks_, prices_ (the bbo channel) and trades_.

Columns: `timestamp` is the receiver's clock in seconds, `exchange_timestamp` the block's milliseconds. A book row is
one full snapshot; the bbo rows of one message follow each other; trades of one message share their `timestamp`. Files
are merged in order of arrival, at equal times book before bbo before trades. Repeated trades are dropped, the
backfill of a subscription is marked, and a silence of more than a minute starts a new session.

A recorder writes as it receives, so a row earlier than the one above it is an error; a mending reading sorts it in.
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
from hlhft.data.merge import Events, Numbered, by_arrival, nothing, whole_frames
from hlhft.data.order import in_arrival_order
from hlhft.data.sessions import Sessions, TradeMemory
from hlhft.data.sources import Source, market_for
from hlhft.data.times import out_of_range
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
Block = tuple[int, Int64, Int64]  # line of the first row, digits, decimals


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
        self.levels = self._count_levels()

    def _count_levels(self) -> int:
        """Levels a side of a book row. Raises DataError when a level lacks one of its four columns."""
        count = 0
        while count < _LEVELS_MAX and f"bid_price_{count}" in self.place:
            for name in (f"bid_size_{count}", f"ask_price_{count}", f"ask_size_{count}"):
                if name not in self.place:
                    raise DataError(
                        self.file.path,
                        1,
                        f"column {name} is missing beside bid_price_{count}, expected four columns a level, add it",
                    )
            count += 1
        return count

    def rows(self, meter: ProgressMeter | None = None) -> Iterator[tuple[int, list[bytes]]]:
        """Yields (line of the first row, one to _LINES_AT_ONCE rows as text)."""
        for first, lines in self.file.blocks(meter):
            skip = 1 if first == 1 else 0
            for start in range(skip, len(lines), _LINES_AT_ONCE):
                yield first + start, lines[start : start + _LINES_AT_ONCE]

    def block(self, first: int, lines: list[bytes]) -> Block:
        """The numbers of these rows; digits and decimals are int64[rows, columns]. Raises DataError naming the line."""
        for number, line in enumerate(lines, first):
            if line.count(b",") != len(self.columns) - 1:
                raise DataError(
                    self.file.path,
                    number,
                    f"the row has {line.count(b',') + 1} columns, expected {len(self.columns)}, drop the line",
                )
        text = b"," + b",".join(line.rstrip(b"\r") for line in lines) + b","
        self._check_words(first, lines, text)
        for word, number_text in _WORDS[self.kind].items():
            text = text.replace(b"," + word + b",", b"," + number_text + b",")
        try:
            digits, decimals = read(text[1:-1])
        except DecimalError as error:
            row, column = divmod(error.index, len(self.columns))
            raise DataError(
                self.file.path, first + row, f"column {self.columns[column]}: {error}, correct or drop the line"
            ) from None
        return first, digits.reshape(-1, len(self.columns)), decimals.reshape(-1, len(self.columns))

    def _check_words(self, first: int, lines: list[bytes], text: bytes) -> None:
        """Raises DataError for a row whose side is none of the words, or that has such a word elsewhere."""
        words = _WORDS[self.kind]
        if not words or sum(text.count(b"," + word + b",") for word in words) == len(lines):
            return
        for number, line in enumerate(lines, first):
            for name, token in zip(self.columns, line.rstrip(b"\r").split(b","), strict=True):
                if (token in words) != (name == "side"):
                    shown = token[:40].decode("ascii", "backslashreplace")
                    wanted = " or ".join(word.decode() for word in words) if name == "side" else "a number"
                    raise DataError(
                        self.file.path,
                        number,
                        f'column {name}: "{shown}" is not {wanted}, correct or drop the line',
                    )

    def column(self, block: Block, name: str, decimals: int) -> Int64:
        """One column in whole units of 10^-decimals. Raises DataError naming the line."""
        first, digits, points = block
        place = self.place[name]
        try:
            return scale(digits[:, place], points[:, place], decimals, what=name)
        except DecimalError as error:
            raise DataError(
                self.file.path, first + error.index, f"{error}, expected at most {decimals}, correct or drop the line"
            ) from None

    def times(self, block: Block) -> tuple[Int64, Int64]:
        """(ts_exch_ns, ts_local_ns); raises DataError for one that is out of range."""
        exch = self.column(block, "exchange_timestamp", 0)
        local = self.column(block, "timestamp", 9)
        self._refuse(block, (exch <= 0) | (exch > 9_000_000_000_000), "exchange_timestamp is not in milliseconds")
        self._refuse(block, (local <= 0) | out_of_range(local), "timestamp is not in seconds")
        return exch * 1_000_000, local

    def lines(self, block: Block) -> Int64:
        """The line of each row, int64[n]."""
        return block[0] + np.arange(len(block[1]))

    def identities(self, block: Block, name: str) -> Int64:
        """A column of whole numbers from 0. Raises DataError naming the line."""
        found = self.column(block, name, 0)
        self._refuse(block, found < 0, f"{name} is negative, expected a number from 0")
        return found

    def check_order(self, rows: Numbered, last_local_ns: int) -> None:
        """Raises DataError when local time runs backwards, also from `last_local_ns`."""
        back = np.flatnonzero(np.diff(rows.events["ts_local_ns"], prepend=last_local_ns) < 0)
        if len(back):
            raise DataError(
                self.file.path,
                int(rows.places[back[0]]),
                "timestamp is earlier than the row before, expected order of arrival, sort the file or mend it with "
                "`hlhft data check --repair`",
            )

    def check(self, block: Block, ticks: Int64, lots: Int64, *, empty_allowed: bool) -> None:
        """Raises DataError for a price or size out of range; zeros pass only with `empty_allowed`."""
        least = 0 if empty_allowed else 1
        wrong = (ticks < least) | (ticks > TICKS_MAX) | (lots < least) | (lots > LOTS_MAX)
        self._refuse(block, wrong, "price or size is out of range, expected positive numbers")

    def _refuse(self, block: Block, wrong: NDArray[np.bool_], message: str) -> None:
        if wrong.any():
            line = block[0] + int(np.flatnonzero(wrong)[0])
            raise DataError(self.file.path, line, f"{message}, correct or drop the line")


class HyperliquidCsvSource(Source):
    """One coin's files."""

    reader = "hyperliquid-csv-1"
    snapshots_only = True
    sorts = False

    def __init__(self, tables: Mapping[str, Table], market: Market) -> None:
        """`tables` by kind, at least one of KINDS."""
        self._tables = [tables[kind] for kind in KINDS if kind in tables]
        folder = self._tables[0].file.path.parent.name
        super().__init__(f"{folder}/{market.name}", [table.file.path for table in self._tables], [market], {})

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """File after file, line by line."""
        for table in self._tables:
            for rows in self._rows_of(table, meter):
                yield table.file.path, rows

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        finish = {"orderbooks": whole_frames, "prices": _touch_frames, "trades": self._trade_frames}
        streams = [iter(finish[table.kind](self._ordered(table, meter))) for table in self._tables]
        if all(table.kind == "trades" for table in self._tables):
            # Without a book of its own nothing says which trades a subscription brought from before it.
            return by_arrival(streams)
        return Sessions(1, self.counts).marked(by_arrival(streams))

    def _ordered(self, table: Table, meter: ProgressMeter) -> Iterator[Events]:
        if self.mending:
            yield from in_arrival_order(self._rows_of(table, meter), name=str(table.file.path), tally=self.counts)
            return
        last = 0
        for rows in self._rows_of(table, meter):
            table.check_order(rows, last)
            last = int(rows.events["ts_local_ns"][-1])
            yield rows.events

    def _rows_of(self, table: Table, meter: ProgressMeter) -> Iterator[Numbered]:
        """The rows of one file in its order; only snapshots have their frame's end."""
        reader = {"orderbooks": self._books, "prices": self._touches, "trades": self._trades}[table.kind]
        return self._up_to_fault(table.rows(meter), lambda first, lines: reader(table, table.block(first, lines)))

    def _books(self, table: Table, block: Block) -> Numbered:
        market = self.markets[0]
        exch, local = table.times(block)
        levels = table.levels
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
        self.counts["snapshot"] += len(out)
        return _framed(out, levels, table.lines(block))

    def _touches(self, table: Table, block: Block) -> Numbered:
        out = self._rows(table, block, EventKind.BBO, empty_allowed=True)
        self.counts["bbo_rows"] += len(out)
        return Numbered(out, table.lines(block))

    def _trades(self, table: Table, block: Block) -> Numbered:
        out = self._rows(table, block, EventKind.TRADE, empty_allowed=False)
        out["order_id"] = table.identities(block, "trade_id")
        self.counts["trade_rows"] += len(out)
        return Numbered(out, table.lines(block))

    def _rows(self, table: Table, block: Block, kind: EventKind, *, empty_allowed: bool) -> Events:
        market = self.markets[0]
        exch, local = table.times(block)
        out = np.zeros(len(exch), dtype=EVENT_DTYPE)
        out["ts_exch_ns"], out["ts_local_ns"], out["kind"], out["flags"] = exch, local, int(kind), _VISIBLE
        out["price_ticks"] = table.column(block, "price", market.price_decimals)
        out["size_lots"] = table.column(block, "size", market.size_decimals)
        out["side"] = table.column(block, "side", 0)
        table.check(block, out["price_ticks"], out["size_lots"], empty_allowed=empty_allowed)
        return out

    def _trade_frames(self, arrays: Iterator[Events]) -> Iterator[Events]:
        """Whole messages of trades: those of one local time, sorted by exchange time, ended, and free of repeats."""
        memory = TradeMemory()
        for trades in _whole_times(arrays):
            out = trades[np.lexsort((trades["ts_exch_ns"], trades["ts_local_ns"]))]
            last = np.append(out["ts_local_ns"][1:] != out["ts_local_ns"][:-1], True)
            out["flags"][last] |= _FRAME_END
            yield memory.without_repeats(out, self.counts)


def _framed(out: Events, levels: int, lines: Int64) -> Numbered:
    """Snapshots, one a row of `out`, with begin and end, without the levels that the book did not have (price 0)."""
    there = (out["price_ticks"] > 0) & (out["size_lots"] > 0)
    out["kind"][:, 0], out["aux0"][:, 0] = int(EventKind.SNAPSHOT_BEGIN), levels
    out["kind"][:, -1], out["aux0"][:, -1] = int(EventKind.SNAPSHOT_END), there.sum(axis=1)
    out["flags"][:, -1] |= _FRAME_END
    there[:, 0] = there[:, -1] = True
    return Numbered(out.reshape(-1)[there.reshape(-1)], np.repeat(lines, there.sum(axis=1)))


def _touch_frames(arrays: Iterator[Events]) -> Iterator[Events]:
    """Whole messages of the best bid and offer: a bid, an ask, or a bid and then an ask of the same times."""
    for out in _whole_times(arrays):
        same = (out["ts_local_ns"][1:] == out["ts_local_ns"][:-1]) & (out["ts_exch_ns"][1:] == out["ts_exch_ns"][:-1])
        within = same & (out["side"][:-1] == int(Side.BUY)) & (out["side"][1:] == int(Side.SELL))
        out["flags"] |= np.where(np.append(~within, True), np.uint16(_FRAME_END), np.uint16(0))
        yield out


def _whole_times(arrays: Iterator[Events]) -> Iterator[Events]:
    """The same rows in order of arrival, copied, cut only between two local times."""
    held = nothing()
    try:
        for array in arrays:
            both = np.concatenate([held, array])
            cut = int(np.searchsorted(both["ts_local_ns"], both["ts_local_ns"][-1], side="left"))
            held = both[cut:]
            if cut:
                yield both[:cut]
    except DataError:
        if len(held):
            yield held
        raise
    if len(held):
        yield held


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
    try:
        files = sorted(file for file in path.iterdir() if file.name.endswith((".csv", ".csv.gz")))
    except OSError as error:
        raise DataError(path, None, f"the folder cannot be read ({error.strerror}), give a readable one") from None
    by_coin = {set_of(file)[0]: file for file in files if file.name.startswith(tuple(f"{kind}_" for kind in KINDS))}
    if market is not None:
        by_coin = {coin: file for coin, file in by_coin.items() if coin == market.name}
    if not by_coin:
        wanted = f" of {market.name}" if market is not None else ""
        raise DataError(
            path, None, f"the folder holds no CSV recording{wanted}, expected files as trades_BTC.csv.gz, give another"
        )
    return [open_csv(file, market, specification, options) for file in by_coin.values()]
