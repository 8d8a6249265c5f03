"""The task that a cluster is tried with is as pure as any."""

from __future__ import annotations

import time
from pathlib import Path

from hlhft.scale.storage import Storage
from hlhft.scale.worker import run_task
from tests.scale.made import busy


def test_its_result_is_of_its_seed_mark_and_inputs(tmp_path: Path) -> None:
    storage = Storage(tmp_path)

    def result(seed: int, mark: str, inputs: dict[str, bytes]) -> bytes:
        import msgspec

        task = msgspec.structs.replace(
            busy(seed, mark=mark, inputs=sorted(inputs)),
            inputs={name: storage.put_bytes(content) for name, content in inputs.items()},
        )
        found = storage.get(run_task(task, storage).record.key)
        assert found is not None
        return found

    made = [
        result(*one) for one in ((1, "a", {}), (2, "a", {}), (1, "b", {}), (1, "a", {"x": b"1"}), (1, "a", {"x": b"2"}))
    ]
    assert len(set(made)) == 5 and result(1, "a", {}) == made[0]


def test_it_takes_as_long_as_it_is_told(tmp_path: Path) -> None:
    for compute in (False, True):
        begun = time.monotonic()
        record = run_task(busy(seconds=0.1, compute=compute), Storage(tmp_path)).record
        assert time.monotonic() - begun >= 0.1 and record.seconds >= 0.1 and record.error == ""
