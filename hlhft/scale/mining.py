"""`hlhft mine` as tasks: an object of the archives fetched, decoded and written as parts wherever there is a worker.

An object of books is a coin and an hour, one of fills an hour, one of contexts a day. It is named by its key and its
ETag, so the same task has the same result, which is the parts' files in the storage; the client, which holds the
catalogue's lock, puts them under their names. Each worker's host pays with credentials of its own, and a lost worker's
object is fetched, and paid for, again.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from hlhft.data.catalogue.layout import PartKey, part_path
from hlhft.data.catalogue.manifest import Manifest, decoded, encoded
from hlhft.data.catalogue.parts import adopt
from hlhft.data.errors import DataError
from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import Bucket, Listed, place_of
from hlhft.data.mining.making import make_parts
from hlhft.data.mining.miner import Report
from hlhft.data.mining.plan import Task as Object
from hlhft.data.mining.store import Changed, Store
from hlhft.scale.revision import revision
from hlhft.scale.running import Failure, Ran, Where
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.scale.worker import Job
from hlhft.units import Market

TASKS = ("mine_object",)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is told."""

    bucket: tuple[str, str]
    key: str
    size_bytes: int
    etag: str
    parts: tuple[tuple[str, str, str, str], ...]
    markets: dict[str, Market]
    endpoint_url: str | None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A part: its manifest as it stands beside it, and the blob that is its file."""

    manifest: bytes
    blob: str


def task_of(wanted: Object, markets: Mapping[str, Market], endpoint_url: str | None) -> Task:
    """The task of an object and the parts to make of it. Raises TaskError for more than a task may hold."""
    listed = wanted.listed
    told = Told(
        bucket=(listed.bucket.name, listed.bucket.region),
        key=listed.key,
        size_bytes=listed.size_bytes,
        etag=listed.etag,
        parts=tuple((part.kind, part.coin, part.date, part.name) for part in wanted.parts),
        markets={coin: markets[coin] for coin in sorted({part.coin for part in wanted.parts})},
        endpoint_url=endpoint_url,
    )
    params: dict[str, Any] = msgspec.to_builtins(told)
    return Task(function="hlhft.scale.mining:mine_object", params=params, revision=revision())


def mine_object(job: Job) -> bytes:
    """The task: a `Made` for every part, as MessagePack.

    Raises ObjectError for an object that is damaged or was replaced, MiningError for what keeps all from being fetched.
    """
    told = msgspec.convert(job.params, Told)
    listed = Listed(Bucket(*told.bucket), told.key, told.size_bytes, told.etag)
    place = place_of(told.key)
    if place is None:
        raise ObjectError(f"{listed.url}: this is no key of the archives, run the same hlhft on client and workers")
    stop = threading.Event()
    store = Store(told.endpoint_url, pause=stop.wait)
    with tempfile.TemporaryDirectory(prefix="hlhft-mine-") as made:
        root, path = Path(made, "catalogue"), Path(made, "object")
        try:
            store.download(listed, path, fetched=lambda count: job.check())
        except Changed:
            raise ObjectError(f"{listed.url}: it was replaced since it was listed, run it again") from None
        wanted = Object(listed, place, tuple(PartKey(*part) for part in told.parts))
        manifests = make_parts(root, told.markets, stop, wanted, path)
        job.log.info("%s: %d parts of %d bytes", listed.url, len(manifests), listed.size_bytes)
        return msgspec.msgpack.encode(
            [Made(manifest=encoded(one), blob=job.put_file(part_path(root, key_of(one)))) for one in manifests]
        )


def key_of(manifest: Manifest) -> PartKey:
    """The part that the manifest is of."""
    return PartKey(manifest.kind, manifest.coin, manifest.date, manifest.name)


def mine_on(
    where: Where, root: Path, objects: Sequence[Object], markets: Mapping[str, Market], *, endpoint_url: str | None
) -> Report:
    """All objects mined somewhere and their parts in the catalogue `root`; objects that fail are in the report.

    A task is not tried again: what passes, its download has tried again. Raises MiningError for what ends everything,
    and as `Where.run`; what was finished is in the catalogue.
    """
    report = Report()
    fatal: list[str] = []

    def failed(failure: Failure) -> None:
        kind, _, sentence = failure.error.partition(": ")
        if kind == ObjectError.__name__:
            report.failures.append(sentence)
            return
        fatal.append(sentence if kind == MiningError.__name__ else failure.error)
        raise KeyboardInterrupt  # it would be the same of every object: as when a user ends it

    def keep(ran: Ran) -> None:
        for place in sorted(ran.finished):
            report.add(placed(where.storage, root, ran.read(place)))
        if fatal:
            raise MiningError(f"{fatal[0]}; what was finished is kept")

    tasks = [task_of(one, markets, endpoint_url) for one in objects]
    where.run(
        f"Mining {len(tasks)} objects", tasks, retries_max=0, on_failure=failed, may_fail=True, keep=keep
    )  # fmt: skip
    return report


def placed(storage: Storage, root: Path, content: bytes) -> list[Manifest]:
    """The parts of a result, in the catalogue; each whole or not at all. Raises MiningError and StorageError."""
    manifests = []
    for made in msgspec.msgpack.decode(content, type=list[Made]):
        manifest = decoded(made.manifest)
        try:
            adopt(root, key_of(manifest), manifest, partial(storage.fetch, made.blob))
        except DataError as error:
            raise MiningError(f"{error}; what was finished is kept") from None
        manifests.append(manifest)
    return manifests
