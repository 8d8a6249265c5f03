"""Reading a catalogue: which parts there are, and their rows in bounded pieces.

It lies in a folder, whose files are mapped, or at an address as s3://BUCKET/PREFIX: then of a part only its end is
fetched, which says what is where, and of the row groups that a range touches the columns that hold anything.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hlhft.data.addresses import RemotePath, place_at, size_of, version_of
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
ASKED_AT_ONCE = 16  # of a storage far away, which answers in tens of milliseconds
GROUPS_AT_ONCE = 4  # row groups that one request to such a storage brings: 15 MB as columns
_TIME_COLUMN = EVENTS_SCHEMA.get_field_index("ts_exch_ns")
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1
# What pyarrow raises for a file of any content, names of columns that are no text among it.
_DAMAGED = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Group(NamedTuple):
    """A row group; `batch` is None when no row of it is wanted."""

    batch: pa.RecordBatch | None
    is_inside: bool  # every row lies in one of the ranges
    done: int  # bytes of the file up to its end
    first: int  # number of its first row


class Catalogue:
    """The parts under one folder or address. Nothing is kept between calls; raises DataError for what cannot be read.

    With `known` it is the catalogue as these manifests describe it: no other parts are in it, and nothing is listed.
    """

    def __init__(self, root: Path | str | RemotePath, *, known: Iterable[Manifest] | None = None) -> None:
        self.root = place_at(root)
        self._known = None if known is None else list(known)

    def within(
        self, coins: Sequence[str] | None = None, *, begin_ns: int | None = None, end_ns: int | None = None
    ) -> Catalogue:
        """What there is of these coins (None: all) and of [begin_ns, end_ns), as its manifests are now."""
        return Catalogue(self.root, known=self.manifests(coins=coins, begin_ns=begin_ns, end_ns=end_ns))

    def coins(self, kind: str) -> list[str]:
        """The coins of which there is something of this kind, sorted."""
        if self._known is None:
            return coins_in(self.root, kind)
        return sorted({manifest.coin for manifest in self._known if manifest.kind == kind})

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
        groups = [
            (kind, coin)
            for kind in (KINDS if kinds is None else kinds)
            for coin in (self.coins(kind) if coins is None else coins)
        ]
        if self._known is not None:
            places = {group: place for place, group in enumerate(groups)}
            held = [one for one in self._known if (one.kind, one.coin) in places]
            known = sorted(held, key=lambda one: (places[one.kind, one.coin], one.date, one.name))
        else:
            known = self._read(groups, begin_ns, end_ns)
        return [one for one in known if _touches(one, begin_ns, end_ns)]

    def _read(self, groups: Sequence[tuple[str, str]], begin_ns: int | None, end_ns: int | None) -> list[Manifest]:
        """The manifests of each kind and coin, of the days that may have rows in the range."""
        dates = self._each(lambda group: dates_in(self.root, *group), groups)
        days = [
            PartKey(kind, coin, date, "any")
            for (kind, coin), found in zip(groups, dates, strict=True)
            for date in found
            if _near(date, begin_ns, end_ns)
        ]
        names = self._each(lambda day: names_in(folder_of(self.root, day)), days)
        keys = [day._replace(name=name) for day, found in zip(days, names, strict=True) for name in found]
        return [one for one in self._each(lambda key: read_manifest(self.root, key), keys) if one is not None]

    def _each(self, ask: Callable[[Asked], Answer], of: Sequence[Asked]) -> list[Answer]:
        """The answers in order; of a storage far away several are asked for at once."""
        if not isinstance(self.root, RemotePath):
            return [ask(one) for one in of]
        with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="catalogue") as pool:
            return list(pool.map(ask, of))

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
            size = size_of(part_path(self.root, key))
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

    def path_of(self, manifest: Manifest) -> Path | RemotePath:
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
            groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
            times = [_times_of(group) for group in groups]
            is_wanted = [known is None or touches(ranges, *known) for known in times]
            reader = _Groups(file, is_wanted, GROUPS_AT_ONCE if isinstance(self.root, RemotePath) else 1)
            for index, (group, known) in enumerate(zip(groups, times, strict=True)):
                yield _Group(
                    reader.batch(index) if is_wanted[index] else None,
                    known is not None and any(begin <= known[0] and known[1] < end for begin, end in ranges),
                    manifest.bytes * (first + group.num_rows) // manifest.rows,
                    first,
                )
                first += group.num_rows

    @contextlib.contextmanager
    def _opened(self, manifest: Manifest, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
        """The part's file, which is what the manifest says. Raises DataError, also for what fails while it is read."""
        path = self.path_of(manifest)
        try:
            with _parquet(path) as (file, size):
                if file.schema_arrow.names != schema.names or file.schema_arrow.types != schema.types:
                    raise DataError(
                        path,
                        None,
                        f"its columns are {', '.join(file.schema_arrow.names)}, delete it and run what wrote it again",
                    )
                if file.metadata.num_rows != manifest.rows or size != manifest.bytes:
                    raise DataError(
                        path,
                        None,
                        f"it has {file.metadata.num_rows} rows in {size} bytes where the manifest says "
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


@contextlib.contextmanager
def _parquet(path: Path | RemotePath) -> Iterator[tuple[pq.ParquetFile, int]]:
    """The file, opened, and its bytes. A file of this machine is mapped; of another's, what is read is fetched.

    Raises DataError for an object that is not there, is refused, or was replaced while it was read.
    """
    if not isinstance(path, RemotePath):
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
            yield file, path.stat().st_size
        return
    try:
        content = path.opened()
    except FileNotFoundError:
        raise DataError(path, None, "the part is gone, run what wrote it again") from None
    replaced = DataError(path, None, "the part was replaced or removed while it was read, run it again")
    with content:
        version = version_of(content)
        try:
            # What of a row group is fetched is asked for at once, neighbouring columns in one request.
            with pq.ParquetFile(content, pre_buffer=True, page_checksum_verification=True) as file:
                yield file, int(content.size())
        except _DAMAGED as error:
            if path.version() != version:
                raise replaced from None
            if isinstance(error, OSError) and "AWS Error" in str(error):
                raise path.refused(error) from None
            raise
        if path.version() != version:
            raise replaced


def _times_of(group: pq.RowGroupMetaData) -> tuple[int, int] | None:
    """The first and last exchange time of a row group; None where it does not say."""
    known = group.column(_TIME_COLUMN).statistics
    return (known.min, known.max) if known is not None and known.has_min_max else None


class _Groups:
    """Reads the wanted row groups of a file one after the other, `at_once` of them in one go."""

    def __init__(self, file: pq.ParquetFile, is_wanted: Sequence[bool], at_once: int) -> None:
        self._file, self._is_wanted, self._at_once = file, is_wanted, at_once
        self._held: dict[int, pa.RecordBatch] = {}

    def batch(self, index: int) -> pa.RecordBatch:
        """A wanted row group as EVENTS_SCHEMA; they are asked for in order."""
        if index not in self._held:
            following = (place for place in range(index, len(self._is_wanted)) if self._is_wanted[place])
            chosen = list(itertools.islice(following, self._at_once))
            self._held = dict(zip(chosen, _read_groups(self._file, chosen), strict=True))
        return self._held.pop(index)


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


def _read_groups(file: pq.ParquetFile, indexes: Sequence[int]) -> list[pa.RecordBatch]:
    """Row groups as EVENTS_SCHEMA each. A column that is zero throughout, as the statistics say, is not read."""
    groups = [file.metadata.row_group(index) for index in indexes]
    names = [
        name
        for place, name in enumerate(EVENTS_SCHEMA.names)
        if name not in _OFTEN_ZERO or not all(_is_zero(group.column(place)) for group in groups)
    ]
    table, batches, first = file.read_row_groups(list(indexes), columns=names, use_threads=False), [], 0
    for group in groups:
        rows = table if len(groups) == 1 else table.slice(first, group.num_rows)
        batches.append(_whole(rows, names))
        first += group.num_rows
    return batches


def _is_zero(column: pq.ColumnChunkMetaData) -> bool:
    known = column.statistics
    return known is not None and known.has_min_max and not known.min and not known.max


def _whole(table: pa.Table, names: Sequence[str]) -> pa.RecordBatch:
    """The rows as one batch of EVENTS_SCHEMA, with zeros for what is not among the names."""
    table = table.combine_chunks()
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
