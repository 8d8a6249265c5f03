"""Writing one part: under another name, synced, renamed when complete, its manifest last.

What a killed process leaves is a file whose name begins with a dot, or a part without a manifest; neither is read, and
writing the part again replaces them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hlhft.data.catalogue.columns import EVENTS_SCHEMA, ROW_GROUP_ROWS, Columns, writing_options
from hlhft.data.catalogue.layout import (
    EVENT_KINDS,
    FILL,
    WRITING_SUFFIX,
    PartKey,
    folder_of,
    manifest_path,
    part_path,
)
from hlhft.data.catalogue.manifest import GAP_REASONS, GAPS_MAX, SOURCES, VERSION, Clock, Gap, Manifest, encoded
from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.readers.node_fills import FILLS_SCHEMA
from hlhft.data.writing import sync_folder
from hlhft.events import EventKind
from hlhft.units import TICKS_MAX, Market


class PartWriter:
    """One part being written. Leaving the context without `finish` leaves nothing and what was there before stays.

    Equal rows give equal bytes, however they are cut into arrays. Holds at most ROW_GROUP_ROWS rows and one array. Two
    writers of one key at a time are the caller's to prevent. Raises ValueError for a caller's mistake, DataError when
    the disk refuses.
    """

    def __init__(
        self,
        root: Path,
        key: PartKey,
        market: Market,
        *,
        source: str,
        origin: str,
        clock: Clock,
        snapshots: bool,
    ) -> None:
        if source not in SOURCES:
            raise ValueError(f"source {source} is none of {', '.join(SOURCES)}")
        if market.name != key.coin:
            raise ValueError(f"market {market.name} in a part of coin {key.coin}")
        self.key, self.path = key, part_path(root, key)
        self._root, self._market = root, market
        self._source, self._origin, self._clock, self._snapshots = source, origin, clock, snapshots
        self._is_mine = np.zeros(max(EventKind) + 2, dtype=np.bool_)
        self._is_mine[[int(kind) for kind in EVENT_KINDS[key.kind]]] = True
        self._gaps: list[Gap] = []
        self._columns = Columns()
        self._held_fills: list[pa.RecordBatch] = []
        self._rows = self._held_rows = 0
        self._exch, self._local = _Range(), _Range()
        self._partial = self.path.with_name(f".{self.path.name}{WRITING_SUFFIX}")
        self._file: _HashedFile | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PartWriter:
        """Opens the file. Raises DataError when the folder cannot be written."""
        try:
            folder_of(self._root, self.key).mkdir(parents=True, exist_ok=True)
            self._file = _HashedFile(self._partial.open("wb"))
        except OSError as error:
            raise self._refusal(error) from None
        schema = FILLS_SCHEMA if self.key.kind == FILL else EVENTS_SCHEMA
        self._writer = pq.ParquetWriter(self._file, schema, **writing_options(self.key.kind))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def write(self, events: Events) -> None:
        """Adds rows in order of arrival; `market` is not looked at."""
        if len(events) == 0:
            return
        kinds, local, ticks = events["kind"], events["ts_local_ns"], events["price_ticks"]
        if not self._is_mine[np.minimum(kinds, len(self._is_mine) - 1)].all():
            raise ValueError(f"a part of kind {self.key.kind} got events of another kind")
        if (local[1:] < local[:-1]).any() or (self._rows and int(local[0]) < self._local.last):
            raise ValueError("the rows are not in order of arrival")
        if int(ticks.min()) < 0 or int(ticks.max()) > TICKS_MAX:
            wrong = int(ticks[(ticks < 0) | (ticks > TICKS_MAX)][0])
            raise DataError(
                self.path, None, f"a price of {wrong} ticks is outside 0 to {TICKS_MAX}, correct the market's decimals"
            )
        self._note(events["ts_exch_ns"], local)
        done = 0
        while done < len(events):
            done += self._columns.take(events[done:])
            if self._columns.is_full:
                self._write_group(self._columns.batch())

    def write_fills(self, fills: pa.RecordBatch) -> None:
        """Adds fills (FILLS_SCHEMA of hlhft.data.readers.node_fills) to a part of that kind."""
        if self.key.kind != FILL or fills.schema != FILLS_SCHEMA:
            raise ValueError(f"fills of schema {fills.schema.names} for a part of kind {self.key.kind}")
        if fills.num_rows == 0:
            return
        self._note(fills.column("ts_exch_ns").to_numpy(), fills.column("ts_local_ns").to_numpy())
        self._held_fills.append(fills)
        self._held_rows += fills.num_rows
        if self._held_rows >= ROW_GROUP_ROWS:
            self._flush_fills(whole=False)

    def gap(self, gap: Gap) -> None:
        """Notes a stretch that this part knows nothing of."""
        if gap.reason not in GAP_REASONS or gap.from_ns > gap.to_ns:
            raise ValueError(f"gap {gap} has no known reason or runs backwards")
        if len(self._gaps) == GAPS_MAX:
            # Claiming less than is known is honest: the stretch between two gaps is given up.
            self._gaps[-1] = Gap(self._gaps[-1].from_ns, max(gap.to_ns, self._gaps[-1].to_ns), gap.reason)
            return
        self._gaps.append(gap)

    def finish(self, *, covers: tuple[int, int] | None = None, counts: Mapping[str, int] = {}) -> Manifest:
        """Completes the part under its name and returns its manifest.

        `covers` is the stretch of exchange time it answers for; None: from the first row to the last.
        """
        assert self._file is not None and self._writer is not None, "finish comes once, inside the context"
        if self._columns.rows:
            self._write_group(self._columns.batch())
        self._flush_fills(whole=True)
        try:
            self._writer.close()
            self._file.sync_and_close()
        except OSError as error:
            raise self._refusal(error) from None
        manifest = Manifest(
            version=VERSION,
            kind=self.key.kind,
            coin=self.key.coin,
            date=self.key.date,
            name=self.key.name,
            source=self._source,
            origin=self._origin,
            market=self._market,
            snapshots=self._snapshots,
            rows=self._rows,
            first_exch_ns=self._exch.first,
            last_exch_ns=self._exch.last,
            first_local_ns=self._local.first,
            last_local_ns=self._local.last,
            covers=covers if covers is not None else self._exch.span(),
            gaps=tuple(sorted(self._gaps, key=lambda gap: (gap.from_ns, gap.to_ns, gap.reason))),
            clock=self._clock,
            counts=dict(sorted(counts.items())),
            bytes=self._file.bytes_written,
            content_hash=self._file.digest.hexdigest(),
        )
        self._put(manifest)
        self._file = self._writer = None
        return manifest

    def _note(self, exch: np.ndarray, local: np.ndarray) -> None:
        self._exch.add(exch)
        self._local.add(local)
        self._rows += len(exch)

    def _flush_fills(self, *, whole: bool) -> None:
        """Writes row groups of exactly ROW_GROUP_ROWS, so that bytes do not depend on how rows came; `whole`: all."""
        if not self._held_fills:
            return
        rows = pa.Table.from_batches(self._held_fills).combine_chunks()
        end = rows.num_rows if whole else rows.num_rows - rows.num_rows % ROW_GROUP_ROWS
        for start in range(0, end, ROW_GROUP_ROWS):
            group = rows.slice(start, min(ROW_GROUP_ROWS, end - start)).combine_chunks()
            self._write_group(group.to_batches()[0])
        rest = rows.slice(end)
        self._held_fills, self._held_rows = rest.to_batches(), rest.num_rows

    def _write_group(self, batch: pa.RecordBatch) -> None:
        assert self._writer is not None, "writing comes inside the context, before finish"
        try:
            self._writer.write_table(pa.Table.from_batches([batch]), row_group_size=ROW_GROUP_ROWS)
        except OSError as error:
            raise self._refusal(error) from None

    def _put(self, manifest: Manifest) -> None:
        """Gives the part its name and its manifest."""
        try:
            _name(self._partial, self.path, manifest_path(self._root, self.key), manifest)
        except OSError as error:
            raise self._refusal(error) from None

    def _close(self) -> None:
        """Drops what was not finished; what stands under the part's name is not touched."""
        if self._file is not None:
            file, self._file = self._file, None
            file.drop()
            with contextlib.suppress(OSError):
                # Its footer goes nowhere: the file is not kept.
                self._writer.close() if self._writer is not None else None
            self._writer = None
            self._partial.unlink(missing_ok=True)

    def _refusal(self, error: OSError) -> DataError:
        return _refusal(self.path, error)


def adopt(root: Path, key: PartKey, manifest: Manifest, fetch: Callable[[BinaryIO], object]) -> None:
    """Puts a part that was written elsewhere under its name, whole or not at all; `fetch` writes its file's content.

    What stands there before is replaced. Two writers of one key at a time are the caller's to prevent. Raises DataError
    when the content is not the manifest's or the disk refuses, and what `fetch` raises.
    """
    path = part_path(root, key)
    partial = path.with_name(f".{path.name}{WRITING_SUFFIX}")
    try:
        folder_of(root, key).mkdir(parents=True, exist_ok=True)
        file = _HashedFile(partial.open("wb"))
        try:
            fetch(cast(BinaryIO, file))
            file.sync_and_close()
            if (file.digest.hexdigest(), file.bytes_written) != (manifest.content_hash, manifest.bytes):
                raise DataError(path, None, "what came is not the file that its manifest describes, fetch it again")
            _name(partial, path, manifest_path(root, key), manifest)
        finally:
            file.drop()
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(path, error) from None


def _name(written: Path, path: Path, described: Path, manifest: Manifest) -> None:
    """Gives a part that is written its name, then its manifest. An older one goes first: it is not of these bytes."""
    partial = described.with_name(f".{described.name}{WRITING_SUFFIX}")
    try:
        with partial.open("wb") as stream:
            stream.write(encoded(manifest))
            stream.flush()
            os.fsync(stream.fileno())
        described.unlink(missing_ok=True)
        sync_folder(path.parent)
        written.rename(path)
        sync_folder(path.parent)
        partial.rename(described)
        sync_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _refusal(path: Path, error: OSError) -> DataError:
    advice = "make room and run it again" if error.errno == errno.ENOSPC else "give a folder that can be written"
    return DataError(
        path, None, f"the part cannot be written ({error.strerror or error}), nothing was kept of it, {advice}"
    )


class _Range:
    """The smallest and largest time of all arrays."""

    def __init__(self) -> None:
        self.first = self.last = 0
        self._empty = True

    def add(self, times: np.ndarray) -> None:
        """Takes an array (not empty) in."""
        low, high = int(times.min()), int(times.max())
        self.first = low if self._empty else min(self.first, low)
        self.last = high if self._empty else max(self.last, high)
        self._empty = False

    def span(self) -> tuple[int, int]:
        """[first, last] as a half-open stretch."""
        return (0, 0) if self._empty else (self.first, self.last + 1)


class _HashedFile:
    """A file that hashes what is written to it, for pyarrow. After `drop` it takes everything and keeps nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file
        self.digest = hashlib.blake2b(digest_size=16)
        self.bytes_written = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        """Writes all of `data`; returns its length in bytes."""
        view = memoryview(data).cast("B")
        if self._file is not None:
            self._file.write(view)
            self.digest.update(view)
            self.bytes_written += len(view)
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.bytes_written

    def flush(self) -> None:
        """Hands what is buffered to the system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Nothing: whoever opened it closes it."""

    def readable(self) -> bool:
        """No."""
        return False

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """No."""
        return False

    def sync_and_close(self) -> None:
        """Everything written is on the disk."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def drop(self) -> None:
        """Closes the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                file.close()
