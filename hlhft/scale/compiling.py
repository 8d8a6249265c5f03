"""Recordings as rows in the storage, where a sweep's tasks find them: put there by the client, or by tasks.

A stretch of a catalogue that workers reach is a task: its input are the manifests of the parts, by content, and what
it makes are the rows, which are inputs of the sweep's tasks in turn. So of such data the client reads manifests alone,
and no row passes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.backtest.recordings import Outline, Recording, written_rows
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.data.addresses import RemotePath
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.catalogue.source import CatalogueSource
from hlhft.data.errors import DataError
from hlhft.scale.revision import revision
from hlhft.scale.running import Where
from hlhft.scale.storage import Storage, StorageError
from hlhft.scale.task import Task
from hlhft.scale.worker import Job

TASKS = ("compile_rows",)


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """One market's rows in the storage: the blob that they are, and what a replay is told of them."""

    blob: str
    total: int
    low_ticks: int
    high_ticks: int


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a task says of the rows that it made, a market each."""

    rows: tuple[Rows, ...]
    events: int
    counts: dict[str, int]
    first_ns: int
    last_ns: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is told."""

    catalogue: str
    coins: tuple[str, ...]
    begin_ns: int | None
    end_ns: int | None
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A recording that every set runs over by itself: what is told of it, and its rows in the storage by market."""

    told: Outline
    rows: tuple[Rows, ...]

    def times_ns(self, interval_ns: int) -> np.ndarray:
        """The ends of its samples, int64[T]; the last may lie beyond its end."""
        length_ns = self.told.last_ns - self.told.first_ns
        return self.told.first_ns + interval_ns * np.arange(1, max(-(-length_ns // interval_ns), 1) + 1)


def put_here(recording: Recording, storage: Storage) -> Shard:
    """The shard of a recording whose rows this host has, now in the storage too. Raises StorageError and OSError."""
    return Shard(told=recording.outline(), rows=_put(recording, storage))


def compile_on(where: Where, sources: Sequence[CatalogueSource], *, profile: str) -> list[Shard]:
    """The shards of stretches of catalogues that workers reach, a task each; in their order.

    What was compiled before is taken as it is, and made anew where its rows are no longer in the storage. Raises as
    `Where.run`, and StorageError where they are gone again.
    """
    tasks = [task_of(source, profile, where.storage) for source in sources]
    what = f"Compiling {len(tasks)} stretches"
    made = _made(where, what, tasks)
    lost = [place for place, one in enumerate(made) if not _is_kept(where.storage, one)]
    if lost:
        for place in lost:
            where.storage.forget(tasks[place].key)
        for place, one in zip(lost, _made(where, what, [tasks[place] for place in lost]), strict=True):
            if not _is_kept(where.storage, one):
                raise StorageError(
                    f"{where.storage.url}: rows of {sources[place].name} are gone right after they were made: make "
                    "room there, and let nothing be deleted while a sweep runs"
                )
            made[place] = one
    return [_shard(source, profile, one) for source, one in zip(sources, made, strict=True)]


def task_of(source: CatalogueSource, profile: str, storage: Storage) -> Task:
    """The task that compiles the stretch. The manifests are put into the storage. Raises StorageError and DataError."""
    root = source.catalogue.root
    told = Told(
        catalogue=root.address if isinstance(root, RemotePath) else str(root.absolute()),
        coins=source.coins,
        begin_ns=source.begin_ns,
        end_ns=source.end_ns,
        profile=profile,
    )
    params: dict[str, Any] = msgspec.to_builtins(told)
    content = msgspec.json.encode(source.described, order="deterministic")
    return Task(
        function="hlhft.scale.compiling:compile_rows",
        params=params,
        inputs={"manifests": storage.put_bytes(content)},
        revision=revision(),
    )


def compile_rows(job: Job) -> bytes:
    """The task: the rows into the storage, and a `Made` of them as JSON.

    Raises DataError for a catalogue that this host does not reach, and for parts that are not as their manifests say.
    """
    told = msgspec.convert(job.params, Told)
    known = msgspec.json.decode(job.input("manifests").read_bytes(), type=list[Manifest])
    catalogue = Catalogue(told.catalogue, known=known)
    if isinstance(catalogue.root, Path) and not catalogue.root.is_dir():
        raise DataError(
            catalogue.root,
            None,
            "this host does not have the catalogue: mount it under the same path, or leave --shared-catalogue out",
        )
    source = CatalogueSource(catalogue, told.coins, begin_ns=told.begin_ns, end_ns=told.end_ns)
    with written_rows(source, profile=told.profile, progress=lambda done, total: job.check()) as recording:
        first_ns, last_ns = recording.span_ns()
        made = Made(
            rows=_put(recording, job),
            events=recording.events,
            counts=recording.counts,
            first_ns=first_ns,
            last_ns=last_ns,
        )
    job.log.info("%s: %d rows of %d parts", source.name, sum(one.total for one in made.rows), len(source.manifests))
    return msgspec.json.encode(made, order="deterministic")


def _put(recording: Recording, keeper: Storage | Job) -> tuple[Rows, ...]:
    """The rows as blobs, a market each; where a storage is on our disk they take no room twice."""
    return tuple(
        Rows(
            blob=keeper.put_file(file.path, is_final=True),
            total=file.rows_total,
            low_ticks=file.low_ticks,
            high_ticks=file.high_ticks,
        )
        for file in recording.files
    )


def _made(where: Where, what: str, tasks: Sequence[Task]) -> list[Made]:
    return [msgspec.json.decode(content, type=Made) for content in where.run(what, tasks).results()]


def _is_kept(storage: Storage, made: Made) -> bool:
    """Whether the rows are where their record says. Whether they are intact is seen by whoever reads them."""
    return all(storage.has_blob(rows.blob, rows.total * ROW_DTYPE.itemsize) for rows in made.rows)


def _shard(source: CatalogueSource, profile: str, made: Made) -> Shard:
    told = Outline(
        name=source.name,
        fingerprint=source.fingerprint(),
        profile=profile,
        markets=source.markets,
        events=made.events,
        counts=made.counts,
        first_ns=made.first_ns,
        last_ns=made.last_ns,
    )
    return Shard(told=told, rows=made.rows)
