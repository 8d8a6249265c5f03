"""Reading a catalogue: which parts there are, and their rows in bounded pieces."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hlhft.data.catalogue.columns import EVENTS_SCHEMA, events_of
from hlhft.data.catalogue.layout import (
    FILL,
    KINDS,
    PartKey,
    coins_in,
    date_of,
    dates_in,
    folder_of,
    names_in,
    part_path,
)
from hlhft.data.catalogue.manifest import Manifest, read_manifest
from hlhft.data.catalogue.merging import Range, touches, within
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, Numbered, copied, nothing
from hlhft.data.readers.node_fills import FILLS_SCHEMA
from hlhft.data.sessions import without_rows
from hlhft.events import EventFlag

if TYPE_CHECKING:
    from hlhft.data.catalogue.source import CatalogueSource

# A part's date is of its source's hour; rows near midnight may carry an exchange time of the neighbouring day.
NEIGHBOUR_NS = 86_400_000_000_000
_FRAME_END = int(EventFlag.FRAME_END)
_LOOK_BACK_ROWS = 256
ROWS_AT_ONCE = 16_384  # a row group's records are made in pieces that stay in the processor's cache
_OFTEN_ZERO = ("order_id", "aux0", "aux1")
_TIME_COLUMN = EVENTS_SCHEMA.get_field_index("ts_exch_ns")
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1
# What pyarrow raises for a file of any content.
_DAMAGED = (pa.ArrowException, OSError, EOFError)


class _Group(NamedTuple):
    """A row group; `batch` is None when no row of it is wanted."""

    batch: pa.RecordBatch | None
    is_inside: bool  # every row lies in one of the ranges
    done: int  # bytes of the file up to its end
    first: int  # number of its first row


class Catalogue:
    """The parts under one folder. Nothing is kept between calls; raises DataError for what cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def manifests(
        self,
        *,
        kinds: Sequence[str] | None = None,
        coins: Sequence[str] | None = None,
        begin_ns: int | None = None,
        end_ns: int | None = None,
    ) -> list[Manifest]:
        """The manifests of these kinds and coins (None: all) that touch [begin_ns, end_ns) of exchange time.

        A part touches it by its rows or by what it covers. Sorted by kind, coin, date and name. Raises DataError for a
        damaged manifest.
        """
        found = []
        for kind in KINDS if kinds is None else kinds:
            for coin in coins_in(self.root, kind) if coins is None else coins:
                for date in dates_in(self.root, kind, coin):
                    if not _near(date, begin_ns, end_ns):
                        continue
                    key = PartKey(kind, coin, date, "any")
                    for name in names_in(folder_of(self.root, key)):
                        manifest = read_manifest(self.root, key._replace(name=name))
                        if manifest is not None and _touches(manifest, begin_ns, end_ns):
                            found.append(manifest)
        return found

    def manifest(self, key: PartKey) -> Manifest | None:
        """The manifest of that part; None when the part is not there or not whole, so that it should be written again.

        Whole is: a manifest that can be read, and beside it a file of its length.
        """
        try:
            manifest = read_manifest(self.root, key)
        except DataError:
            return None
        if manifest is None:
            return None
        try:
            size = part_path(self.root, key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        return manifest if size == manifest.bytes else None

    def batches(
        self, manifest: Manifest, *, begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[Events]:
        """The rows of one part with ts_exch_ns in [begin_ns, end_ns), in order of arrival, market 0.

        Frames are whole; of one that reaches beyond the range what is left of it ends it. Raises DataError when the
        file is damaged or is not what the manifest says.
        """
        begin = _FIRST_NS if begin_ns is None else begin_ns
        end = _LAST_NS if end_ns is None else end_ns
        return (rows for rows, _ in self.rows(manifest, [(begin, end)]))

    def rows(self, manifest: Manifest, ranges: Sequence[Range], *, market: int = 0) -> Iterator[tuple[Events, int]]:
        """As `batches`, for several stretches of exchange time (ascending, apart); with the bytes of the file done."""
        held, is_inside = nothing(), True
        for group in self._event_groups(manifest, ranges):
            if group.batch is None:
                # The frame goes on in rows that are not asked for.
                if len(held):
                    held["flags"][-1] |= _FRAME_END
                    yield from _kept(held, ranges, is_inside, group.done)
                held, is_inside = nothing(), True
                continue
            for begin in range(0, group.batch.num_rows, ROWS_AT_ONCE):
                array = events_of(group.batch.slice(begin, ROWS_AT_ONCE), market, before=held)
                is_inside = group.is_inside and (is_inside or len(held) == 0)
                cut = _after_last_end(array["flags"])
                yield from _kept(array[:cut], ranges, is_inside, group.done)
                held = copied(array[cut:])
        yield from _kept(held, ranges, is_inside, manifest.bytes)

    def numbered(self, manifest: Manifest, ranges: Sequence[Range]) -> Iterator[Numbered]:
        """The rows within `ranges` as they stand in the file, by their number there from 0."""
        for group in self._event_groups(manifest, ranges):
            if group.batch is not None:
                array = events_of(group.batch)
                keep = np.flatnonzero(within(array["ts_exch_ns"], ranges))
                yield Numbered(array[keep], keep + group.first)

    def path_of(self, manifest: Manifest) -> Path:
        """The Parquet file of that part."""
        return part_path(self.root, manifest.key)

    def source(
        self, coins: Sequence[str], *, begin_ns: int | None = None, end_ns: int | None = None
    ) -> CatalogueSource:
        """These coins within [begin_ns, end_ns) of exchange time as one recording. Raises DataError for want of any."""
        from hlhft.data.catalogue.source import CatalogueSource

        return CatalogueSource(self, coins, begin_ns=begin_ns, end_ns=end_ns)

    def fills(self, manifest: Manifest) -> Iterator[pa.Table]:
        """The fills of one part of that kind, in bounded pieces. Raises DataError as `batches`."""
        if manifest.kind != FILL:
            raise ValueError(f"a part of kind {manifest.kind} holds no fills, read it with `batches`")
        with self._opened(manifest, FILLS_SCHEMA) as file:
            for index in range(file.num_row_groups):
                yield file.read_row_group(index, use_threads=False)

    def _event_groups(self, manifest: Manifest, ranges: Sequence[Range]) -> Iterator[_Group]:
        """The row groups of a part of events, those without a row in `ranges` unread."""
        if manifest.kind == FILL:
            raise ValueError("fills are no events, read them with `fills`")
        first = 0
        with self._opened(manifest, EVENTS_SCHEMA) as file:
            for index in range(file.num_row_groups):
                known = file.metadata.row_group(index)
                times = known.column(_TIME_COLUMN).statistics
                has_times = times is not None and times.has_min_max
                is_wanted = not has_times or touches(ranges, times.min, times.max)
                yield _Group(
                    _read_group(file, index, known) if is_wanted else None,
                    has_times and any(begin <= times.min and times.max < end for begin, end in ranges),
                    manifest.bytes * (first + known.num_rows) // manifest.rows,
                    first,
                )
                first += known.num_rows

    @contextlib.contextmanager
    def _opened(self, manifest: Manifest, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
        """The part's file, which is what the manifest says. Raises DataError, also for what fails while it is read."""
        path = self.path_of(manifest)
        try:
            with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
                if file.schema_arrow.names != schema.names or file.schema_arrow.types != schema.types:
                    raise DataError(
                        path,
                        None,
                        f"its columns are {', '.join(file.schema_arrow.names)}, delete it and run what wrote it again",
                    )
                if file.metadata.num_rows != manifest.rows or path.stat().st_size != manifest.bytes:
                    raise DataError(
                        path,
                        None,
                        f"it has {file.metadata.num_rows} rows in {path.stat().st_size} bytes where the manifest says "
                        f"{manifest.rows} in {manifest.bytes}, delete it and run what wrote it again",
                    )
                fault = _times_fault(file.metadata, manifest)
                if fault:
                    raise DataError(path, None, f"{fault}, delete it and run what wrote it again")
                yield file
        except _DAMAGED as error:
            raise DataError(
                path, None, f"the part is damaged or gone ({error}), delete it and run what wrote it again"
            ) from None


def _times_fault(metadata: pq.FileMetaData, manifest: Manifest) -> str:
    """What of the manifest's times is not as the row groups say, nothing when all is: ranges are chosen by them."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    for name, clock, first, last in (
        ("ts_exch_ns", "exchange", manifest.first_exch_ns, manifest.last_exch_ns),
        ("ts_local_ns", "local", manifest.first_local_ns, manifest.last_local_ns),
    ):
        # Both kinds of parts have the two clocks, in different places.
        place = metadata.schema.names.index(name)
        known = [group.column(place).statistics for group in groups if group.num_rows]
        if not known or any(one is None or not one.has_min_max for one in known):
            continue
        found = min(one.min for one in known), max(one.max for one in known)
        if found != (first, last):
            return f"its {clock} times are not those of its manifest: {found[0]} to {found[1]}, not {first} to {last}"
    return ""


def _read_group(file: pq.ParquetFile, index: int, group: pq.RowGroupMetaData) -> pa.RecordBatch:
    """One row group as EVENTS_SCHEMA. A column that is zero throughout, as its statistics say, is not unpacked."""
    names = []
    for place, name in enumerate(EVENTS_SCHEMA.names):
        known = group.column(place).statistics
        if name not in _OFTEN_ZERO or known is None or not known.has_min_max or known.min or known.max:
            names.append(name)
    table = file.read_row_group(index, columns=names, use_threads=False).combine_chunks()
    batch = table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=EVENTS_SCHEMA)
    zeros = pa.array(np.zeros(batch.num_rows, dtype=np.int64))
    return pa.RecordBatch.from_arrays(
        [batch.column(name) if name in names else zeros for name in EVENTS_SCHEMA.names], schema=EVENTS_SCHEMA
    )


def _after_last_end(flags: NDArray[np.uint16]) -> int:
    """The place behind the last row that ends a frame, 0 when none does; most often it is near the end."""
    for end in range(len(flags), 0, -_LOOK_BACK_ROWS):
        begin = max(end - _LOOK_BACK_ROWS, 0)
        ends = np.flatnonzero(flags[begin:end] & _FRAME_END)
        if len(ends):
            return begin + int(ends[-1]) + 1
    return 0


def _kept(array: Events, ranges: Sequence[Range], is_inside: bool, done: int) -> Iterator[tuple[Events, int]]:
    """What of whole frames lies in `ranges`, all of it where it `is_inside`; nothing when that is no row."""
    if len(array) == 0:
        return
    if not is_inside:
        keep = within(array["ts_exch_ns"], ranges)
        if not keep.any():
            return
        array = array if keep.all() else without_rows(array, keep)
    yield array, done


def _near(date: str, begin_ns: int | None, end_ns: int | None) -> bool:
    """Whether rows of a part of that date may lie in the range."""
    if begin_ns is not None and date < date_of(begin_ns - NEIGHBOUR_NS):
        return False
    return end_ns is None or date <= date_of(end_ns - 1 + NEIGHBOUR_NS)


def _touches(manifest: Manifest, begin_ns: int | None, end_ns: int | None) -> bool:
    first, last = manifest.covers[0], manifest.covers[1] - 1
    if manifest.rows:
        first, last = min(first, manifest.first_exch_ns), max(last, manifest.last_exch_ns)
    return (begin_ns is None or last >= begin_ns) and (end_ns is None or first < end_ns)
