"""Datasets on disk: feature rows with their labels as memory-mapped arrays, larger than memory where they have to be.

A folder holds `meta.json` and one `.npy` file a column, n rows each, coin after coin and segment after segment:

- heads: ROW_DTYPE of `hlhft.alpha.schema`; `market` is the place in `Dataset.coins`;
- values: float32[n, F], all finite;
- classes int8, end_ns int64, move_bp float32, weights float32, [n, H] each: `hlhft.alpha.labels`, one column a label;
- segments: SEGMENT_DTYPE, in the order of their rows.

A segment is unbroken: no window and no label reaches over its ends. Rows that a model may not see (not FLAG_VALID) are
not kept; they end a segment. Times are `ts_local_ns`: when a row was known here, not when it happened.

Everything is written in chunks under another name; `meta.json` comes last and states every file's size, then the folder
gets its name. So a folder that has it is whole, and the same input gives the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from hlhft.alpha.foreign_schema import ForeignSchema
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.schema import ROW_DTYPE, FeatureSchema
from hlhft.data.errors import DataError
from hlhft.data.writing import sync_folder

AnySchema = FeatureSchema | ForeignSchema

VERSION = 1
CHUNK_ROWS = 65_536
COINS_MAX = 1_000
SOURCES_MAX = 10_000
LABELS_MAX = 16
WINDOW_ROWS_MAX = 10_000
META = "meta.json"
META_BYTES_MAX = 16 * 1024**2
SEGMENT_DTYPE = np.dtype([("first", "<i8"), ("end", "<i8"), ("coin", "<i8"), ("source", "<i8")])

_LABEL_DTYPES: dict[str, np.dtype] = {"classes": np.dtype("<i1"), "end_ns": np.dtype("<i8"), "move_bp": np.dtype("<f4"),
                 "weights": np.dtype("<f4")}  # fmt: skip
_NAMES = ("heads", "values", *_LABEL_DTYPES, "segments")

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]


class LabelColumns(NamedTuple):
    """The labels of a segment's n rows, [n, H] each, as in the files."""

    classes: NDArray[np.int8]  # 0 down, 1 flat, 2 up, -1 none
    end_ns: Int64  # when the label's life ends; -1 where there is none
    move_bp: Float32
    weights: Float32


class _Meta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a folder holds; written last."""

    version: int
    name: str
    key: str
    rows: int
    schema: FeatureSchema | None
    foreign: ForeignSchema | None
    schema_hash: str
    labels: tuple[LabelSpec, ...]
    profile: str
    coins: tuple[str, ...]
    sources: tuple[str, ...]
    test_from_ns: int | None
    files: dict[str, int]


class Dataset:
    """A built dataset, its columns mapped read-only."""

    def __init__(self, folder: Path, meta: _Meta, columns: dict[str, np.ndarray]) -> None:
        schema = meta.schema if meta.schema is not None else meta.foreign
        assert schema is not None, "a dataset has a schema"
        self.folder = folder
        self.name = meta.name
        self.key = meta.key
        self.schema: AnySchema = schema
        self.labels = meta.labels
        self.profile = meta.profile
        self.coins = meta.coins
        self.sources = meta.sources
        # Where a published protocol says that its test begins; None: the split decides.
        self.test_from_ns = meta.test_from_ns
        self.heads = columns["heads"]
        self.values = cast(Float32, columns["values"])
        self.classes = cast(NDArray[np.int8], columns["classes"])
        self.end_ns = cast(Int64, columns["end_ns"])
        self.move_bp = cast(Float32, columns["move_bp"])
        self.weights = cast(Float32, columns["weights"])
        self.segments = columns["segments"]
        self._firsts = np.ascontiguousarray(self.segments["first"])

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def ts_ns(self) -> Int64:
        """int64[n]: when each row was known here."""
        return self.heads["ts_local_ns"]

    def segment_of(self, rows: Int64) -> Int64:
        """int64[k]: the segment that each row belongs to."""
        return np.searchsorted(self._firsts, rows, side="right") - 1

    def label_named(self, name: str) -> int:
        """The column of the label of that name. Raises DataError naming those that there are."""
        names = [label.name for label in self.labels]
        if name not in names:
            raise DataError(self.folder, None, f"there is no label {name}, expected one of {', '.join(names)}")
        return names.index(name)

    def ends(self, rows: slice | Int64, length: int, horizon: int | None = None) -> Int64:
        """int64[k], those of `rows` that end a whole window of `length` rows in one segment and have a label.

        The label is that of column `horizon`; None: those of all columns. Raises ValueError for a window of no row or
        of more than WINDOW_ROWS_MAX, and for a column that is not there.
        """
        if not 1 <= length <= WINDOW_ROWS_MAX:
            raise ValueError(f"a window of {length} rows is not within 1 to {WINDOW_ROWS_MAX}")
        if horizon is not None and not 0 <= horizon < len(self.labels):
            raise ValueError(f"label column {horizon} is not within 0 to {len(self.labels) - 1}")
        columns = slice(None) if horizon is None else slice(horizon, horizon + 1)
        found = []
        for index in self._chunks(rows):
            is_whole = index - self._firsts[self.segment_of(index)] >= length - 1
            has_label = (self.classes[index, columns] >= 0).all(axis=1)
            found.append(index[is_whole & has_label])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def windows(self, ends: Int64, length: int) -> Float32:
        """float32[k, length, F]: the windows that end with these rows, the oldest row first.

        The caller bounds k. Raises ValueError for a window that would reach over the begin of its segment.
        """
        ends = np.asarray(ends, np.int64)
        if len(ends) and (ends - self._firsts[self.segment_of(ends)] < length - 1).any():
            raise ValueError(f"a window of {length} rows reaches over the begin of its segment")
        return np.asarray(self.values[ends[:, None] + np.arange(1 - length, 1)])

    def _chunks(self, rows: slice | Int64) -> Iterator[Int64]:
        if isinstance(rows, slice):
            begin, end, step = rows.indices(len(self))
            assert step > 0, "rows in their order"
            for first in range(begin, end, step * CHUNK_ROWS):
                yield np.arange(first, min(first + step * CHUNK_ROWS, end), step, dtype=np.int64)
            return
        for first in range(0, len(rows), CHUNK_ROWS):
            yield np.asarray(rows[first : first + CHUNK_ROWS], np.int64)


class _Column:
    """One `.npy` file that grows by rows; its header is written again when their number is known."""

    def __init__(self, path: Path, dtype: np.dtype, width: int | None) -> None:
        self.path, self._dtype, self._width = path, dtype, width
        self.rows = 0
        self._file = path.open("wb")
        self._write_header()
        self._header_bytes = self._file.tell()

    def _write_header(self) -> None:
        shape = (self.rows,) if self._width is None else (self.rows, self._width)
        facts = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, facts)

    def append(self, array: np.ndarray) -> None:
        """Adds rows."""
        rows = np.ascontiguousarray(array, dtype=self._dtype)
        assert rows.shape[1:] == (() if self._width is None else (self._width,)), "one shape a file"
        self._file.write(rows.view(np.uint8).data if len(rows) else b"")
        self.rows += len(rows)

    def finish(self) -> None:
        """States how many rows there are; the file is on disk when it returns."""
        self._file.seek(0)
        self._write_header()
        # numpy leaves room for as many digits as a number of rows can have.
        assert self._file.tell() == self._header_bytes, "the header has the length it began with"
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Leaves the file as it is."""
        self._file.close()


class DatasetWriter:
    """Writes one dataset, segment after segment; what is not finished when the block ends is removed."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        key: str,
        schema: AnySchema,
        labels: Sequence[LabelSpec],
        coins: Sequence[str],
        sources: Sequence[str],
        profile: str = "",
        test_from_ns: int | None = None,
    ) -> None:
        """`folder` is where it is to be once whole. Raises ValueError for too many labels, coins or sources, or
        none."""
        for what, given, most in (
            ("labels", labels, LABELS_MAX), ("coins", coins, COINS_MAX), ("sources", sources, SOURCES_MAX),
        ):  # fmt: skip
            if not 1 <= len(given) <= most:
                raise ValueError(f"a dataset has 1 to {most} {what}, not {len(given)}")
        self.folder = folder
        self._schema, self._labels, self._width = schema, tuple(labels), len(schema.names)
        self._coins, self._sources = tuple(coins), tuple(sources)
        self._name, self._key, self._profile, self._test_from_ns = name, key, profile, test_from_ns
        self._segments: list[tuple[int, int, int, int]] = []
        self._writing = folder.with_name(f".{folder.name}.writing")
        shutil.rmtree(self._writing, ignore_errors=True)
        self._writing.mkdir(parents=True)
        widths: dict[str, tuple[np.dtype, int | None]] = {
            "heads": (ROW_DTYPE, None),
            "values": (np.dtype("<f4"), self._width),
        }
        widths |= {column: (dtype, len(self._labels)) for column, dtype in _LABEL_DTYPES.items()}
        self._columns = {
            column: _Column(self._writing / f"{column}.npy", dtype, width) for column, (dtype, width) in widths.items()
        }

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writing.exists():
            self._abandon()

    def append(
        self, coin: str, heads: np.ndarray, values: np.ndarray, labels: LabelColumns, *, source: str | None = None
    ) -> None:
        """One whole segment: ROW_DTYPE[n], float32[n, F] and its labels; copied in chunks, so they may be mapped files.

        Raises DataError for a number that is not finite, a class that is none, a label that ends before its row, and
        times that decrease.
        """
        count = len(heads)
        assert count == len(values) and all(column.shape == (count, len(self._labels)) for column in labels)
        if not count:
            return
        place = self._coins.index(coin)
        for first in range(0, count, CHUNK_ROWS):
            part = slice(first, min(first + CHUNK_ROWS, count))
            piece = heads[part].copy()
            piece["market"] = place
            self._check(coin, first, heads[max(first - 1, 0) : part.stop], values[part], piece, labels, part)
            self._columns["heads"].append(piece)
            self._columns["values"].append(values[part])
            for name in _LABEL_DTYPES:
                self._columns[name].append(getattr(labels, name)[part])
        begin = self._segments[-1][1] if self._segments else 0
        at = 0 if source is None else self._sources.index(source)
        self._segments.append((begin, begin + count, place, at))

    def _check(
        self,
        coin: str,
        first: int,
        before: np.ndarray,
        values: np.ndarray,
        heads: np.ndarray,
        labels: LabelColumns,
        part: slice,
    ) -> None:
        """Raises DataError as `append` says; `before` is the rows with the one before them."""
        if not np.isfinite(values).all():
            row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
            raise DataError(
                self._name, f"{coin}, row {first + row} of a segment", f"feature "
                f"{self._schema.names[column]} is {values[row, column]}, expected a finite number, leave the row out",
            )  # fmt: skip
        if (np.diff(before["ts_local_ns"]) < 0).any():
            row = first + int(np.argmax(np.diff(before["ts_local_ns"]) < 0))
            raise DataError(
                self._name, f"{coin}, row {row} of a segment", "the next row is earlier, expected times "
                "that never decrease, sort the recording",
            )  # fmt: skip
        classes, end_ns = labels.classes[part], labels.end_ns[part]
        is_wrong = (classes < -1) | (classes > 2) | ((classes >= 0) & (end_ns < heads["ts_local_ns"][:, None]))
        if is_wrong.any() or not (np.isfinite(labels.move_bp[part]).all() and (labels.weights[part] >= 0).all()):
            raise DataError(
                self._name, f"{coin}, rows from {first} of a segment", "a label has a class beyond 0 to 2, "
                "ends before its row, or has no finite move or weight, compute it again",
            )  # fmt: skip

    def finish(self) -> Dataset:
        """Gives the folder its name and opens it. Raises DataError when no row was given."""
        if not self._segments:
            raise DataError(
                self._name,
                None,
                "no row is usable: the book never had both sides for long enough, give a longer recording",
            )
        segments = _Column(self._writing / "segments.npy", SEGMENT_DTYPE, None)
        segments.append(np.array(self._segments, dtype=SEGMENT_DTYPE))
        for column in (*self._columns.values(), segments):
            column.finish()
        is_ours = isinstance(self._schema, FeatureSchema)
        meta = _Meta(
            version=VERSION,
            name=self._name,
            key=self._key,
            profile=self._profile,
            test_from_ns=self._test_from_ns,
            rows=self._columns["heads"].rows,
            schema=self._schema if isinstance(self._schema, FeatureSchema) else None,
            foreign=None if is_ours else cast(ForeignSchema, self._schema),
            schema_hash=self._schema.hash,
            labels=self._labels,
            coins=self._coins,
            sources=self._sources,
            files={f"{name}.npy": (self._writing / f"{name}.npy").stat().st_size for name in _NAMES},
        )
        with (self._writing / META).open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(meta), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        earlier = self.folder.with_name(f".{self.folder.name}.earlier")
        shutil.rmtree(earlier, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(earlier)
        self._writing.rename(self.folder)
        shutil.rmtree(earlier, ignore_errors=True)
        sync_folder(self.folder.parent)
        return open_dataset(self.folder)

    def _abandon(self) -> None:
        for column in self._columns.values():
            column.close()
        shutil.rmtree(self._writing, ignore_errors=True)


def is_dataset(folder: Path) -> bool:
    """Whether the folder calls itself a dataset."""
    return (folder / META).is_file() and (folder / "heads.npy").is_file()


def open_dataset(folder: Path) -> Dataset:
    """The dataset in the folder, mapped. Raises DataError when it is none, not whole, or of another version."""
    meta = _read_meta(folder)
    columns: dict[str, np.ndarray] = {}
    for name in _NAMES:
        path = folder / f"{name}.npy"
        if not path.is_file() or path.stat().st_size != meta.files.get(path.name):
            raise DataError(path, None, f"the file is not the one that {META} states, build the dataset again")
        try:
            # A dataset may be larger than memory, and is never unpickled.
            columns[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(path, None, f"this is no array ({error}), build the dataset again") from None
    _check_shapes(folder, meta, columns)
    return Dataset(folder, meta, columns)


def _read_meta(folder: Path) -> _Meta:
    path = folder / META
    try:
        if path.stat().st_size > META_BYTES_MAX:
            raise DataError(path, None, f"it has more than {META_BYTES_MAX} bytes, build the dataset again")
        meta = msgspec.json.decode(path.read_bytes(), type=_Meta)
    except FileNotFoundError:
        raise DataError(folder, None, f"there is no {META}, so this is no whole dataset, build it again") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(path, None, f"it cannot be read ({error}), build the dataset again") from None
    if meta.version != VERSION:
        raise DataError(path, None, f"it is of version {meta.version}, expected {VERSION}, build the dataset again")
    schema = meta.schema if meta.schema is not None else meta.foreign
    if schema is None or schema.hash != meta.schema_hash:
        raise DataError(
            path, None, "its features are defined in another way than this version's, build the dataset again"
        )
    return meta


def _check_shapes(folder: Path, meta: _Meta, columns: dict[str, np.ndarray]) -> None:
    """Raises DataError when a column is of another type or shape than the others."""
    schema = meta.schema if meta.schema is not None else meta.foreign
    assert schema is not None
    shapes = {"heads": (ROW_DTYPE, (meta.rows,)), "values": (np.dtype("<f4"), (meta.rows, len(schema.names)))} | {
        name: (dtype, (meta.rows, len(meta.labels))) for name, dtype in _LABEL_DTYPES.items()
    }
    for name, (dtype, shape) in shapes.items():
        if columns[name].dtype != dtype or columns[name].shape != shape:
            raise DataError(
                folder / f"{name}.npy",
                None,
                f"it holds {columns[name].dtype}{columns[name].shape}, expected {dtype}{shape}, build it again",
            )
    segments = columns["segments"]
    is_whole = segments.dtype == SEGMENT_DTYPE and len(segments) and segments["end"][-1] == meta.rows
    if not is_whole or segments["first"][0] != 0 or (segments["first"][1:] != segments["end"][:-1]).any():
        raise DataError(folder / "segments.npy", None, "the segments do not cover the rows, build the dataset again")
