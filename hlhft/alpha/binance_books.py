"""Books of ten levels every 250 ms as CSV: the public Binance BTCUSDT perpetual set of January 2023, and files like it.

Which columns are which is taken from their names where there is a header that has them: the side is `bid` or `buy`,
`ask` or `sell`; `size`, `volume`, `qty`, `amount` or a leading `v` is a size, else it is a price; the last number in
the name is the level, from 0 or 1; the time is `timestamp`, `time`, `ts`, `datetime` or `date`. Otherwise their number
says it: 43 as published (row, epoch, UTC date and time, ten (price, size) of the bids, ten of the asks, best first), 42
without the row, 41 as in others' daily cuts (time, then by level ask price, ask size, bid price, bid size). Epochs may
be in seconds, milliseconds, microseconds or nanoseconds. Packed with gzip or not.

Features are the book's patches and what the touch says; labels are those that were published for this set: the mean mid
of the last ten rows against that of the ten that end 10, 20, 50 or 100 rows on, and flat within half of the mean
absolute change. That threshold is taken from the first 60 % of the rows only, where others take each part's own. Such
smoothed labels carry the past in them: a persistence forecast is nearly as good as a model. They are for comparison
with the literature.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from hlhft.alpha.dataset import Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.foreign_schema import ForeignSchema
from hlhft.alpha.labels import LabelSpec, uniqueness
from hlhft.alpha.schema import FLAG_VALID, GAP_NS, ROW_DTYPE
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.readers import hyperliquid_csv

COIN = "BTC"
TICK = 0.1  # of BTCUSDT perpetual, in USDT
LEVELS_MAX = 20
HORIZONS = (10, 20, 50, 100)
SMOOTHED = 10
THRESHOLD_SHARE = 0.6  # of the rows, the first ones, that the threshold of a label is taken from
BEAT_MS = 250
HALF_LIFE_MS = 32_000
VERSION = 1
BLOCK_BYTES = 8 * 1024**2

_FLOWS = ("imbalance", "micro_bp", "spread_bp", "ofi")
_TIMES = ("timestamp", "time", "ts", "local_timestamp", "system_time", "datetime", "date")
_SIZE = re.compile(r"size|vol|qty|quantity|amount|^v")
_NUMBER = re.compile(r"(\d+)\D*$")
_EPOCHS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))  # below this, times that is nanoseconds


class Columns(NamedTuple):
    """Where what stands: the time's column, and [2, L, 2] columns of side bid and ask, level, price and size."""

    time: int
    book: tuple[tuple[tuple[int, int], ...], ...]
    has_header: bool

    @property
    def levels(self) -> int:
        """Levels a side."""
        return len(self.book[0])


def recognises(path: Path) -> bool:
    """Whether the file is a CSV of books, by its header's names or its number of columns, and no recording of ours."""
    if not path.name.endswith((".csv", ".csv.gz")):
        return False
    head = LineFile(path).head(2)
    return columns_of(head) is not None and not hyperliquid_csv.recognises(head)


def columns_of(head: Sequence[bytes]) -> Columns | None:
    """What the first lines say of the columns, None when they are no books."""
    if not head:
        return None
    names = [name.strip().strip('"').lower() for name in head[0].decode("utf-8", "replace").split(",")]
    # The published header begins with an empty name; a date may end in a zone's letters.
    has_header = not names[0] or any(re.search(r"[a-z]{2}", name) and not name[0].isdigit() for name in names)
    named = _named(names) if has_header else None
    return named if named is not None else _counted(len(names), has_header)


def _named(names: Sequence[str]) -> Columns | None:
    found: dict[tuple[int, int, int], int] = {}
    time = next((names.index(name) for name in _TIMES if name in names), -1)
    for place, name in enumerate(names):
        number = _NUMBER.search(name)
        side = 0 if re.search("bid|buy", name) else 1 if re.search("ask|sell", name) else -1
        if number is not None and side >= 0:
            found[side, int(number[1]), int(_SIZE.search(name) is not None)] = place
    first = min((level for _, level, _ in found), default=0)
    levels = len(found) // 4
    keys = {(side, first + level, what) for side in (0, 1) for level in range(levels) for what in (0, 1)}
    if time < 0 or not 1 <= levels <= LEVELS_MAX or keys != set(found):
        return None
    book = tuple(
        tuple((found[side, first + level, 0], found[side, first + level, 1]) for level in range(levels))
        for side in (0, 1)
    )
    return Columns(time, book, True)


def _counted(count: int, has_header: bool) -> Columns | None:
    if count in (43, 42):
        time = count - 42
        sides = (time + 2, time + 22)
        return Columns(time, tuple(tuple((at + 2 * n, at + 2 * n + 1) for n in range(10)) for at in sides), has_header)
    if count == 41:
        sides = (3, 1)
        return Columns(0, tuple(tuple((at + 4 * n, at + 4 * n + 1) for n in range(10)) for at in sides), has_header)
    return None


def schema_of(levels: int) -> ForeignSchema:
    """The columns for so many levels a side."""
    book = [f"{side}_{what}_{level}" for side in ("bid", "ask") for level in range(1, levels + 1)
            for what in ("bp", "size")]  # fmt: skip
    return ForeignSchema(
        format="binance books, 250 ms", levels=levels, names=(*book, *_FLOWS), imbalance="imbalance",
        half_life_ms=HALF_LIFE_MS, version=VERSION,
    )  # fmt: skip


def labels_of() -> tuple[LabelSpec, ...]:
    """The four published labels; the horizon in our words is that of the set's beat."""
    return tuple(
        LabelSpec(name=f"rows{rows}", kind="window", from_ms=(rows - SMOOTHED) * BEAT_MS, horizon_ms=rows * BEAT_MS)
        for rows in HORIZONS
    )


def build(folder: Path, paths: Sequence[Path], *, name: str, key: str) -> Dataset:
    """Builds the dataset in `folder` from files in the order of time. Raises DataError for what cannot be used."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    found = [columns_of(LineFile(path).head(2)) for path in paths]
    levels = {columns.levels for columns in found if columns is not None}
    if None in found or len(levels) != 1:
        raise DataError(
            paths[0].parent, None, "its files have different columns, expected books of as many levels in all of them"
        )
    schema = schema_of(levels.pop())
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".books-") as scratch,
        DatasetWriter(
            folder, name=name, key=key, schema=schema, labels=labels_of(), coins=[COIN],
            sources=[path.name for path in paths], profile="recorded",
        ) as writer,
    ):  # fmt: skip
        rows = _Rows(schema, Path(scratch))
        for path in paths:
            for ts_ns, book in _books(path):
                rows.take(path, ts_ns, book)
        for heads, values, labels in rows.segments():
            writer.append(COIN, heads, values, labels, source=paths[0].name)
        return writer.finish()


def _books(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields int64[n] times and float64[n, 2, L, 2] books in pieces. Raises DataError for what is no book."""
    columns = columns_of(LineFile(path).head(2))
    assert columns is not None, "the file was recognised"
    wanted = [columns.time, *(place for side in columns.book for level in side for place in level)]
    try:
        reader = csv.open_csv(
            path,
            read_options=csv.ReadOptions(
                autogenerate_column_names=True, skip_rows=int(columns.has_header), block_size=BLOCK_BYTES,
                use_threads=False,
            ),
            convert_options=csv.ConvertOptions(
                include_columns=[f"f{place}" for place in wanted],
                column_types={f"f{place}": pa.float64() for place in wanted[1:]} | {f"f{columns.time}": pa.string()},
            ),
        )  # fmt: skip
        for batch in reader:
            times = _times_ns(path, batch.column(0))
            book = np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]], axis=1)
            yield times, book.reshape(len(batch), 2, columns.levels, 2)
    except pa.ArrowException as error:
        raise DataError(path, None, f"it cannot be read as a table of numbers ({error}), download it again") from None


def _times_ns(path: Path, column: pa.Array) -> np.ndarray:
    """int64[n]: the times in nanoseconds. Raises DataError for what is none."""
    try:
        first = str(column[0]) if len(column) else ""
        if re.fullmatch(r"[0-9]+", first):
            scale = next((scale for below, scale in _EPOCHS if int(first) < below), 0)
            times = pc.multiply_checked(pc.cast(column, pa.int64()), scale)
            return np.asarray(times.to_numpy(zero_copy_only=False), np.int64)
        if re.fullmatch(r"[0-9]+\.[0-9]+", first):
            scale = next((scale for below, scale in _EPOCHS if float(first) < below), 0)
            # A float of an epoch is good for a microsecond.
            numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            return np.asarray(np.rint(numbers * (scale / 1e3)), np.int64) * 1_000
        texts = pc.replace_substring_regex(column, r"(\+00:00|Z| UTC)$", "")
        return np.asarray(pc.cast(pc.cast(texts, pa.timestamp("ns")), pa.int64()))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(
            path, None, f"a time cannot be read ({error}), expected an epoch or a date and time as 2023-01-09 22:17:40"
        ) from None


class _Rows:
    """Rows as they come, spilled to two files; what is remembered between pieces is one row."""

    def __init__(self, schema: ForeignSchema, scratch: Path) -> None:
        self._schema = schema
        self._width = schema.columns
        self._paths = (scratch / "heads", scratch / "values")
        self._breaks: list[int] = []
        self._count = 0
        self._last: tuple[int, np.ndarray] | None = None
        # Decayed over rows, as they come in a beat: mean size of a level, squared move, time between rows.
        self._means = np.zeros(3)

    def take(self, path: Path, ts_ns: np.ndarray, book: np.ndarray) -> None:
        """Raises DataError for a row that is no book, or is earlier than the one before it."""
        if not len(ts_ns):
            return
        self._check(path, ts_ns, book)
        first = self._last is None
        before_ns, before = (int(ts_ns[0]), book[0]) if self._last is None else self._last
        earlier = np.concatenate([before[None], book[:-1]])
        steps_ns = np.diff(ts_ns, prepend=before_ns)
        self._breaks += (self._count + np.flatnonzero(steps_ns > GAP_NS)).tolist()
        mid = book[:, :, 0, 0].mean(axis=1)
        move_bp = (mid / earlier[:, :, 0, 0].mean(axis=1) - 1.0) * 1e4
        inputs = np.stack([book[..., 1].mean(axis=(1, 2)), move_bp**2, steps_ns / 1e9], axis=1)
        if first:
            self._means = np.array([inputs[0, 0], 1.0, BEAT_MS / 1e3])
        means = _decayed(inputs, self._means)
        self._means = means[-1]
        self._last = (int(ts_ns[-1]), book[-1])
        with self._paths[0].open("ab") as heads_file, self._paths[1].open("ab") as values_file:
            heads_file.write(self._heads(ts_ns, book, means).tobytes())
            values_file.write(self._values(book, earlier, mid, means).tobytes())
        self._count += len(ts_ns)

    def _check(self, path: Path, ts_ns: np.ndarray, book: np.ndarray) -> None:
        bid, ask = book[:, 0, :, 0], book[:, 1, :, 0]
        is_wrong = ~np.isfinite(book).all(axis=(1, 2, 3)) | (book <= 0).any(axis=(1, 2, 3)) | (bid[:, 0] >= ask[:, 0])
        is_wrong |= (np.diff(bid, axis=1) >= 0).any(axis=1) | (np.diff(ask, axis=1) <= 0).any(axis=1)
        if is_wrong.any():
            raise DataError(
                path,
                f"row {self._count + int(np.argmax(is_wrong)) + 1} of the set",
                "this is no book: a price or size is missing or not above 0, levels are not in order, or bid and ask "
                "cross; name the columns in a header (bid_price_1, bid_size_1, …), or drop the row",
            )
        last_ns = int(ts_ns[0]) if self._last is None else self._last[0]
        is_early = np.diff(ts_ns, prepend=last_ns) < 0
        if is_early.any():
            raise DataError(
                path,
                f"row {self._count + int(np.argmax(is_early)) + 1} of the set",
                "it is earlier than the row before it, sort the file by time, and name files so that they sort by it",
            )

    def _heads(self, ts_ns: np.ndarray, book: np.ndarray, means: np.ndarray) -> np.ndarray:
        heads = np.zeros(len(ts_ns), ROW_DTYPE)
        heads["ts_exch_ns"] = heads["ts_local_ns"] = ts_ns
        heads["sequence"] = self._count + 1 + np.arange(len(ts_ns))
        heads["mid_ticks"] = book[:, :, 0, 0].mean(axis=1) / TICK
        heads["micro_ticks"] = _micro(book) / TICK
        heads["half_spread_ticks"] = (book[:, 1, 0, 0] - book[:, 0, 0, 0]) / 2 / TICK
        heads["sigma_bp"] = np.sqrt(means[:, 1] / np.maximum(means[:, 2], 1e-3))
        heads["flags"] = FLAG_VALID
        return heads

    def _values(self, book: np.ndarray, earlier: np.ndarray, mid: np.ndarray, means: np.ndarray) -> np.ndarray:
        unit = means[:, 0]
        patches = np.empty_like(book, dtype=np.float32)
        patches[..., 0] = (book[..., 0] / mid[:, None, None] - 1.0) * 1e4
        patches[..., 1] = np.log1p(book[..., 1] / unit[:, None, None])
        bid, ask = book[:, 0, 0, 1], book[:, 1, 0, 1]
        flow = _order_flow(book, earlier) / unit
        flows = np.stack(
            [
                (bid - ask) / (bid + ask),
                (_micro(book) / mid - 1.0) * 1e4,
                (book[:, 1, 0, 0] - book[:, 0, 0, 0]) / mid * 1e4,
                np.sign(flow) * np.log1p(np.abs(flow)),
            ],
            axis=1,
        )
        return np.concatenate([patches.reshape(len(book), -1), flows.astype(np.float32)], axis=1)

    def segments(self) -> Iterator[tuple[np.ndarray, np.ndarray, LabelColumns]]:
        """Every unbroken stretch with its labels."""
        if not self._count:
            return
        heads = np.memmap(self._paths[0], dtype=ROW_DTYPE, mode="r")
        values = np.memmap(self._paths[1], dtype=np.float32, mode="r").reshape(-1, self._width)
        bounds = [0, *self._breaks, self._count]
        mids = np.asarray(heads["mid_ticks"])
        changes = {rows: np.concatenate([_changes(mids[first:end], rows) for first, end in pairwise(bounds)])
                   for rows in HORIZONS}  # fmt: skip
        known = int(THRESHOLD_SHARE * self._count)
        limits = {rows: _limit(change[:known]) for rows, change in changes.items()}
        for first, end in pairwise(bounds):
            part = slice(first, end)
            ts_ns = np.asarray(heads["ts_local_ns"][part])
            columns = [_labelled(ts_ns, changes[rows][part], rows, limits[rows]) for rows in HORIZONS]
            yield heads[part], values[part], LabelColumns(*(np.stack(column, axis=1) for column in zip(*columns)))


def _decayed(inputs: np.ndarray, before: np.ndarray) -> np.ndarray:
    """float64[n, k]: means that forget half in HALF_LIFE_MS of the beat, each row's own value included."""
    from scipy.signal import lfilter

    keep = 0.5 ** (BEAT_MS / HALF_LIFE_MS)
    means: np.ndarray = lfilter([1.0 - keep], [1.0, -keep], inputs, axis=0, zi=keep * before[None])[0]
    return means


def _micro(book: np.ndarray) -> np.ndarray:
    """The touch prices weighted by the other side's size."""
    bid, ask = book[:, 0, 0], book[:, 1, 0]
    micro: np.ndarray = (bid[:, 0] * ask[:, 1] + ask[:, 0] * bid[:, 1]) / (bid[:, 1] + ask[:, 1])
    return micro


def _order_flow(book: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Order-flow imbalance of the touch between two books (Cont, Kukanov, Stoikov), in the set's size."""
    bid, ask, bid_was, ask_was = book[:, 0, 0], book[:, 1, 0], earlier[:, 0, 0], earlier[:, 1, 0]
    bought = np.where(bid[:, 0] >= bid_was[:, 0], bid[:, 1], 0) - np.where(bid[:, 0] <= bid_was[:, 0], bid_was[:, 1], 0)
    sold = np.where(ask[:, 0] <= ask_was[:, 0], ask[:, 1], 0) - np.where(ask[:, 0] >= ask_was[:, 0], ask_was[:, 1], 0)
    flow: np.ndarray = bought - sold
    return flow


def _changes(mids: np.ndarray, rows: int) -> np.ndarray:
    """float64[n]: the published change of each row, NaN where ten rows back or `rows` on the segment ends."""
    changes = np.full(len(mids), np.nan)
    if len(mids) < SMOOTHED + rows:
        return changes
    means = np.convolve(mids - mids[0], np.full(SMOOTHED, 1.0 / SMOOTHED), mode="valid") + mids[0]
    changes[SMOOTHED - 1 : len(mids) - rows] = means[rows:] / means[:-rows] - 1.0
    return changes


def _limit(changes: np.ndarray) -> float:
    """Half of the mean absolute change."""
    known = np.abs(changes[np.isfinite(changes)])
    return float(known.mean() / 2) if len(known) else 0.0


def _labelled(
    ts_ns: np.ndarray, changes: np.ndarray, rows: int, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes, ends, moves and weights of one label over a segment."""
    has_label = np.isfinite(changes)
    change = np.where(has_label, changes, 0.0)
    classes = np.where(has_label, np.where(change > limit, 2, np.where(change < -limit, 0, 1)), -1).astype(np.int8)
    ends = np.full(len(ts_ns), -1, np.int64)
    ends[: max(len(ts_ns) - rows, 0)] = ts_ns[rows:]
    ends[~has_label] = -1
    return classes, ends, (change * 1e4).astype(np.float32), uniqueness(np.asarray(ts_ns), ends)
