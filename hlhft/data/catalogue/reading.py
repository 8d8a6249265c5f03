"""Reading a catalogue: which parts there are, and their rows in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, whole_frames
from hlhft.data.readers.node_fills import FILLS_SCHEMA
from hlhft.data.sessions import without_rows

# A part's date is of its source's hour; rows near midnight may carry an exchange time of the neighbouring day.
NEIGHBOUR_NS = 86_400_000_000_000
# What pyarrow raises for a file of any content.
_DAMAGED = (pa.ArrowException, OSError, EOFError)


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
        if manifest.kind == FILL:
            raise ValueError("fills are no events, read them with `fills`")
        groups = (events_of(table) for table in self._groups(manifest, EVENTS_SCHEMA))
        for array in whole_frames(groups):
            keep = np.ones(len(array), dtype=np.bool_)
            if begin_ns is not None:
                keep &= array["ts_exch_ns"] >= begin_ns
            if end_ns is not None:
                keep &= array["ts_exch_ns"] < end_ns
            rows = array if keep.all() else without_rows(array, keep)
            if len(rows):
                yield rows

    def fills(self, manifest: Manifest) -> Iterator[pa.Table]:
        """The fills of one part of that kind, in bounded pieces. Raises DataError as `batches`."""
        return self._groups(manifest, FILLS_SCHEMA)

    def _groups(self, manifest: Manifest, schema: pa.Schema) -> Iterator[pa.Table]:
        path = part_path(self.root, manifest.key)
        try:
            with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
                if file.schema_arrow.names != schema.names or file.schema_arrow.types != schema.types:
                    raise DataError(path, None, f"its columns are {', '.join(file.schema_arrow.names)}, write it again")
                if file.metadata.num_rows != manifest.rows or path.stat().st_size != manifest.bytes:
                    raise DataError(
                        path,
                        None,
                        f"it has {file.metadata.num_rows} rows in {path.stat().st_size} bytes where the manifest says "
                        f"{manifest.rows} in {manifest.bytes}, write it again",
                    )
                for index in range(file.num_row_groups):
                    yield file.read_row_group(index, use_threads=False)
        except _DAMAGED as error:
            raise DataError(path, None, f"the part is damaged or gone ({error}), write it again") from None


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
