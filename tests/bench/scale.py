"""What spreading work costs and gains: schedulers and workers as processes of this machine.

    python tests/bench/scale.py [SECTION…]        speed, overhead, queue, kill

Prints each figure, and writes them to docs/benchmarks-scale.md when it has run all; `make bench-scale` does.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.scale.backends import InProcess  # noqa: E402
from hlhft.scale.dask_backend import connect  # noqa: E402
from hlhft.scale.running import Ran, run  # noqa: E402
from hlhft.scale.storage import Storage  # noqa: E402
from hlhft.scale.task import Task  # noqa: E402
from tests.bench.figures import Figure, machine, markdown, shown  # noqa: E402
from tests.scale.clusters import processes, until  # noqa: E402
from tests.scale.made import busy  # noqa: E402

SHARDS, SETS = 8, 64
ROUNDS = 2  # the best of them counts: others that run beside it only slow it down
SHARD_S = 14_400.0  # of each simulated day that a shard is
DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_756_944_000_000_000_000
TASK_S, TASKS = 1.0, 24
QUEUED = 10_000
KILL_TASK_S, KILL_TASKS = 0.5, 20
TITLE = "scale"


def hash_of(ran: Ran) -> str:
    """Of all results in order of the tasks."""
    digest = hashlib.blake2b(digest_size=16)
    for content in ran.results():
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def on_workers(count: int, folder: Path, tasks: Sequence[Task], store: Path) -> tuple[float, str]:
    """Seconds and the hash of the results on so many workers of one thread, which are there before it begins."""
    folder.mkdir()
    storage = Storage(store)
    with processes(folder) as cluster:
        for _ in range(count):
            cluster.worker()
        with connect(cluster.address, storage) as backend:
            until(lambda: backend.slots() == count, f"{count} workers")
            run(
                [busy(-1 - number, seconds=0.2) for number in range(4 * count)], backend, storage
            )  # what is loaded once
            begun = time.perf_counter()
            ran = run(tasks, backend, storage)
            taken_s = time.perf_counter() - begun
    return taken_s, hash_of(ran)


def overhead(folder: Path) -> list[Figure]:
    """How much longer two workers take for tasks of a second than the tasks do."""
    taken_s, _ = on_workers(
        2, folder / "cluster", [busy(seed, seconds=TASK_S) for seed in range(TASKS)], folder / "store"
    )
    ideal_s = TASK_S * TASKS / 2
    return [
        Figure(TITLE, "scheduling, tasks of 1 s on two workers", 100 * (taken_s / ideal_s - 1), "% more", maximum=3)
    ]


def queue(folder: Path) -> list[Figure]:
    """Resident memory of a scheduler that was given ten thousand tasks at once and has no worker for them."""
    from distributed import Client

    from hlhft.scale.worker import execute

    contents = [busy(seed, mark="queued").encoded() for seed in range(QUEUED)]
    (folder / "cluster").mkdir()
    with processes(folder / "cluster") as cluster:
        before = resident_bytes(cluster.started[0].pid)
        with Client(cluster.address, set_as_default=False) as client:
            futures = client.map(
                execute, contents, storage_url=str(folder / "store"), resources={"none": 1}, pure=False
            )
            until(lambda: client.run_on_scheduler(tasks_at) == QUEUED, "the tasks are there")
            found = resident_bytes(cluster.started[0].pid)
            client.cancel(futures, force=True)
    return [
        Figure(TITLE, "scheduler, before any task", before / 1e6, "MB"),
        Figure(TITLE, "scheduler, with 10,000 tasks queued", found / 1e6, "MB", maximum=500),
    ]


def tasks_at(dask_scheduler: Any) -> int:
    """How many the scheduler knows; runs there."""
    return len(dask_scheduler.tasks)


def resident_bytes(pid: int) -> int:
    """Of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024


def kill(folder: Path) -> list[Figure]:
    """One of two workers is killed in the middle: whether the results are as of one process, and what was repeated."""
    begun = folder / "begun.txt"
    tasks = [busy(seed, seconds=KILL_TASK_S, begun=str(begun)) for seed in range(KILL_TASKS)]
    here = Storage(folder / "here")
    with InProcess(here, KILL_TASKS) as backend:
        expected = hash_of(run(tasks, backend, here))
    begun.unlink()
    storage = Storage(folder / "store")
    (folder / "cluster").mkdir()
    with processes(folder / "cluster") as cluster:
        killed = cluster.worker()
        cluster.worker()

        def progress(done: int, total: int) -> None:
            if done >= total // 3 and killed.poll() is None:
                killed.send_signal(signal.SIGKILL)
                killed.wait(10)

        with connect(cluster.address, storage) as backend:
            until(lambda: backend.slots() == 2, "two workers")
            ran = run(tasks, backend, storage, progress=progress)
    repeated = len(begun.read_text().splitlines()) - KILL_TASKS
    return [
        Figure(TITLE, "a worker killed: results as of one process", float(hash_of(ran) == expected), "of 1", minimum=1),
        Figure(TITLE, "a worker of one slot killed: tasks begun again", float(repeated), "tasks", maximum=1),
    ]


def speed(folder: Path) -> list[Figure]:
    """A sweep of SETS sets over SHARDS days on one worker and on two, the bytes of all results the same."""
    tasks, store = swept(folder)
    # Once before it counts: every process loads what is compiled from the cache that the first one fills.
    on_workers(1, folder / "warm", tasks[:1], store)
    taken_s: dict[int, float] = {}
    digests = set()
    for number in range(ROUNDS):
        for count in (1, 2):
            target = folder / f"store-{number}-{count}"
            target.mkdir()
            (target / "blobs").symlink_to(store / "blobs")
            seconds, digest = on_workers(count, folder / f"cluster-{number}-{count}", tasks, target)
            taken_s[count] = min(seconds, taken_s.get(count, seconds))
            digests.add(digest)
    return [
        Figure(TITLE, f"sweep of {SETS} sets x {SHARDS} shards, one worker", taken_s[1], "s"),
        Figure(TITLE, f"sweep of {SETS} sets x {SHARDS} shards, two workers", taken_s[2], "s"),
        Figure(TITLE, "two workers against one", taken_s[1] / taken_s[2], "x", minimum=1.8),
        Figure(TITLE, "two workers against one: the same bytes", float(len(digests) == 1), "of 1", minimum=1),
    ]


def swept(folder: Path) -> tuple[list[Task], Path]:
    """The sweep's tasks, and the store that has their inputs."""
    from hlhft.alpha.paths import World, simulate, write_path
    from hlhft.backtest.recordings import compile_recording
    from hlhft.backtest.session import Settings
    from hlhft.data.sources import open_source
    from hlhft.scale.compiling import put_here
    from hlhft.scale.sweeping import Sweeper
    from hlhft.strategies import load

    recordings = []
    for number in range(SHARDS):
        path, _ = simulate(World(seconds=SHARD_S, feed_ms=50.0), number, begin_ns=BEGIN_NS + number * DAY_NS)
        write_path(folder / f"day-{number}.npz", path)
        recordings.append(compile_recording(open_source(folder / f"day-{number}.npz"), profile="recorded"))
    sets = [{"gamma": 0.01 * (1 + number % 8), "half_spread_bp_min": 0.2 * (number // 8)} for number in range(SETS)]
    storage = Storage(folder / "store")
    with InProcess(storage) as backend:
        shards = [put_here(recording, storage) for recording in recordings]
        cut = Sweeper(Settings(strategy=load("glft")), shards, backend, storage).tasks(sets)
    return [task for task, _, _ in cut], folder / "store"


SECTIONS: dict[str, Callable[[Path], list[Figure]]] = {
    "overhead": overhead,
    "queue": queue,
    "kill": kill,
    "speed": speed,
}


def main() -> int:
    """Runs the sections and prints each figure as it comes; 1 when one misses its promise."""
    parser = argparse.ArgumentParser(description="Measures what spreading work costs and gains.")
    parser.add_argument("sections", nargs="*", help="sections to run; default all")
    arguments = parser.parse_args()
    chosen = arguments.sections or list(SECTIONS)
    figures: list[Figure] = []
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="hlhft-bench-") as folder:
            for figure in SECTIONS[name](Path(folder)):
                print(f"{figure.name}: {shown(figure)} {figure.unit}", flush=True)
                figures.append(figure)
    if not arguments.sections:
        text = markdown(figures, machine()).replace("`make bench`", "`make bench-scale`", 1)
        (ROOT / "docs" / "benchmarks-scale.md").write_text(text)
    return int(not all(figure.is_met for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
