"""A worker that is asked offers what its code can run, as often as it has threads, and says what it is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec

from hlhft.scale.joining import Answer, offer, resource
from hlhft.scale.revision import identity, revision


class Asked:
    """What `offer` reads and calls of a worker."""

    address = "tcp://127.0.0.1:1"

    def __init__(self) -> None:
        self.state = SimpleNamespace(nthreads=3, total_resources={})
        self.told: list[dict[str, float]] = []

    async def set_resources(self, **resources: float) -> None:
        self.told.append(resources)
        self.state.total_resources.update(resources)


def test_it_offers_its_revisions_once_and_answers_each_time() -> None:
    worker = Asked()
    for _ in range(2):
        answer = msgspec.json.decode(asyncio.run(offer(worker)), type=Answer)  # type: ignore[arg-type]
        assert answer == Answer(host=worker.address, threads=3, plain=identity(), models=identity(models=True))
    expected = {resource(revision()): 3.0, resource(revision(models=True)): 3.0}
    assert worker.told == [expected]
