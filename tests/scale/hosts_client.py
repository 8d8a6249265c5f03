"""The client of tests/scale/test_hosts.py, in a network namespace of its own: runs tasks and says what became of them.

python -m tests.scale.hosts_client ADDRESS STORE UNDER_WAY
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from hlhft.scale.dask_backend import connect
from hlhft.scale.running import run
from hlhft.scale.storage import Storage
from tests.scale.clusters import until
from tests.scale.made import busy

TASKS, TASK_S = 10, 0.4


def main(address: str, store: str, under_way: Path) -> None:
    storage = Storage(store)
    said: list[str] = []
    with connect(address, storage) as backend:

        def are_there() -> bool:
            slots = backend.slots()
            said.extend(backend.remarks())
            return slots == 2 and any("is not used" in one for one in said)

        until(are_there, "two that fit and one that does not")

        def progress(done: int, total: int) -> None:
            if done >= 2:
                under_way.touch()

        tasks = [busy(seed, seconds=TASK_S) for seed in range(TASKS)]
        ran = run(tasks, backend, storage, progress=progress, on_remark=said.append)
        until(lambda: backend.slots() == 1, "one that is left")
        said.extend(backend.remarks())
        digest = hashlib.blake2b(b"".join(ran.results())).hexdigest()
        workers = sorted({record.worker for key in ran.keys if (record := storage.record(key)) is not None})
    print(json.dumps({"digest": digest, "said": said, "workers": workers, "failures": len(ran.failures)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
