"""The same results on real processes that come, go, are killed, and have other code."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hlhft.scale import dask_backend
from hlhft.scale.backends import InProcess
from hlhft.scale.dask_backend import Cluster, ClusterError, Tls, connect, local
from hlhft.scale.joining import Answer
from hlhft.scale.revision import identity
from hlhft.scale.running import run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from tests.monitor.test_exporter import Authority
from tests.scale.clusters import ROOT, Processes, processes, until
from tests.scale.made import busy


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def results_here(tasks: list[Task], folder: Path) -> list[bytes]:
    storage = Storage(folder)
    with InProcess(storage, 2) as backend:
        return list(run(tasks, backend, storage).results())


@pytest.mark.processes
def test_a_killed_worker_costs_what_it_had_and_nothing_else(cluster: Processes, tmp_path: Path) -> None:
    """Workers join, one is killed in the middle of a task, one joins later, one has other code: the results are those
    of one process, and a task a slot is repeated at most."""
    code = tmp_path / "other"
    shutil.copytree(ROOT / "hlhft", code / "hlhft", ignore=shutil.ignore_patterns("__pycache__"))
    with (code / "hlhft" / "scale" / "probe.py").open("a") as file:
        file.write("\n# Another revision.\n")
    storage = Storage(tmp_path / "store")
    tasks = [busy(seed, seconds=0.3) for seed in range(14)]
    first = cluster.worker()
    stranger = cluster.worker(code=code)
    said: list[str] = []
    joined = []

    def progress(done: int, total: int) -> None:
        if done >= 2 and not joined:
            joined.append(cluster.worker())
            until(lambda: backend.slots() == 2, "one that joined in the middle")  # most tasks are not submitted yet
        if done >= 9 and first.poll() is None:
            first.send_signal(signal.SIGKILL)
            first.wait(10)

    with connect(cluster.address, storage) as backend:
        until(lambda: backend.slots() == 1 and backend._unfit, "one that fits and one that does not")
        ran = run(tasks, backend, storage, progress=progress, on_remark=said.append)
    assert ran.complete and not ran.failures and first.poll() == -signal.SIGKILL
    assert list(ran.results()) == results_here(tasks, tmp_path / "here")
    workers = {record.worker for key in ran.keys if (record := storage.record(key)) is not None}
    assert len(workers) == 2 and not any(name.endswith(f"/{stranger.pid}") for name in workers)
    assert ran.attempts <= len(tasks) + 1
    unfit, gone = (next(text for text in said if word in text) for word in ("is not used", "is gone"))
    assert unfit.endswith("it has other sources of hlhft, another processor or other compiled code") or unfit.endswith(
        "it has other sources of hlhft"
    )
    assert gone.endswith("what it had is run again")
    stranger.kill()


@pytest.mark.processes
def test_an_interrupt_takes_back_what_has_not_begun(cluster: Processes, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "store")
    cluster.worker()
    tasks = [busy(seed, seconds=0.3, mark="stopped") for seed in range(10)]

    def stop(done: int, total: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with connect(cluster.address, storage) as backend:
        ran = run(tasks, backend, storage, progress=stop)
    assert ran.interrupted and 2 <= len(ran.finished) < 10
    with connect(cluster.address, storage) as backend:
        again = run(tasks, backend, storage)
    assert again.complete and len(ran.finished) <= again.skipped < 10


@pytest.mark.processes
def test_without_a_worker_that_fits_the_run_ends_after_its_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(tmp_path)
    folder = tmp_path / "alone"
    folder.mkdir()
    with processes(folder) as alone:
        with connect(alone.address, storage) as backend:
            backend._patience_s = 0.5
            with pytest.raises(ClusterError, match=r"for 0 s \(none is there\): start workers"):
                run([busy()], backend, storage)
        monkeypatch.setattr(dask_backend, "CONNECT_SECONDS_MAX", 1)
        backend = connect(alone.address, storage)
        alone.end()
        with backend, pytest.raises(ClusterError, match="does not answer any more"):
            run([busy()], backend, storage)


@pytest.mark.processes
def test_a_local_cluster_gives_the_same_and_ends_its_processes(tmp_path: Path) -> None:
    import psutil

    storage, tasks = Storage(tmp_path / "store"), [busy(seed) for seed in range(6)]
    before = set(psutil.Process().children(recursive=True))
    with local(2, storage) as backend:
        assert backend.slots() == 2
        assert list(run(tasks, backend, storage).results()) == results_here(tasks, tmp_path / "here")
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [process for process in left if "resource_tracker" not in " ".join(process.cmdline())]


@pytest.mark.processes
def test_over_tls_only_who_has_a_certificate_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    tls, stranger = (
        Tls(ca=ours.file, certificate=certificate, key=key)
        for certificate, key in (ours.issue("host"), theirs.issue("stranger"))
    )
    monkeypatch.setattr(dask_backend, "CONNECT_SECONDS_MAX", 2)
    with processes(tmp_path, tls) as made:
        assert made.address.startswith("tls://")
        with connect(made.address, Storage(tmp_path / "store"), tls=tls) as backend:
            assert backend.slots() == 0
        with pytest.raises(ClusterError, match=f"no scheduler answers at {made.address}"):
            connect(made.address, Storage(tmp_path / "store"), tls=stranger)


def test_what_a_worker_answers_decides_whether_it_is_used(tmp_path: Path) -> None:
    ours = Answer(host="x", threads=3, plain=identity(), models=identity(models=True))
    backend = Cluster(None, Storage(tmp_path))
    other = msgspec.structs.replace(ours.plain, packages={**ours.plain.packages, "numpy": "0.1"})
    backend._note("tcp://fits", msgspec.json.encode(ours))
    backend._note("tcp://other", msgspec.json.encode(msgspec.structs.replace(ours, plain=other)))
    backend._note("tcp://bare", ModuleNotFoundError("hlhft.scale"))
    backend._note("tcp://odd", b"[]")
    backend._note("tcp://gone", OSError("closed"))
    backend._note("tcp://silent", None)
    assert backend._asked == {"tcp://fits": 3, "tcp://other": 0, "tcp://bare": 0, "tcp://odd": 0}
    assert backend.remarks() == [
        f"worker tcp://other is not used: it has numpy 0.1 instead of {ours.plain.packages['numpy']}",
        "worker tcp://bare is not used: it has no hlhft that runs tasks",
        "worker tcp://odd is not used: it has no hlhft that runs tasks",
    ]
    assert backend.remarks() == []
    # With the packages for models asked for, those decide too.
    backend = Cluster(None, Storage(tmp_path), models=True)
    backend._note("tcp://x", msgspec.json.encode(msgspec.structs.replace(ours, models=other)))
    assert backend._asked == {"tcp://x": 0}


@pytest.mark.parametrize(
    ("address", "tls"),
    [
        ("127.0.0.1:8786", None),
        ("http://127.0.0.1:8786", None),
        ("tls://127.0.0.1:8786", None),
        ("tcp://127.0.0.1:8786", Tls(ca=Path("ca"), certificate=Path("cert"), key=Path("key"))),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(tmp_path: Path, address: str, tls: Tls | None) -> None:
    with pytest.raises(ClusterError, match="give tcp://HOST:PORT, or tls://HOST:PORT with the files"):
        connect(address, Storage(tmp_path), tls=tls)
