"""What a worker of a cluster is asked about itself: which code it has, and to take what that code is for.

A task is submitted with a demand for one unit of a resource that is named by the revision. A worker offers as many
units as it has threads, of its own revisions and no other: so the scheduler itself never gives a task to a worker with
other code, and one that joins later is used as soon as it was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hlhft.scale.revision import Identity, identity, revision

if TYPE_CHECKING:
    from distributed import Worker

_PREFIX = "hlhft-"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is."""

    host: str
    threads: int
    plain: Identity
    models: Identity


def resource(name: str) -> str:
    """The resource of that revision."""
    return _PREFIX + name


async def offer(dask_worker: Worker) -> bytes:
    """Run on a worker by `Client.run`: it offers what it can run, and answers as JSON."""
    threads = int(dask_worker.state.nthreads)
    offered = {resource(revision(models=models)): float(threads) for models in (False, True)}
    if any(dask_worker.state.total_resources.get(name) != amount for name, amount in offered.items()):
        await dask_worker.set_resources(**offered)
    answer = Answer(host=str(dask_worker.address), threads=threads, plain=identity(), models=identity(models=True))
    return msgspec.json.encode(answer)
