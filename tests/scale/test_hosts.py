"""Three hosts, each a network namespace: one works, one has another version of the code, one vanishes in the middle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.config import ports
from hlhft.scale.backends import InProcess
from hlhft.scale.running import run
from hlhft.scale.storage import Storage
from tests.scale.clusters import ROOT, until
from tests.scale.hosts_client import TASKS
from tests.scale.made import busy

HUB, FITS, STRANGER, VANISHES = "10.99.0.1", "10.99.0.2", "10.99.0.3", "10.99.0.4"
WITHIN_S = 60
# What a host that is cut off without a word is waited for, which is minutes where nobody says otherwise.
IMPATIENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s"}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=WITHIN_S)


class Hosts:
    """Namespaces on one bridge, which lies in that of the hub; processes in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, f"hl{os.getpid()}"
        self.names: dict[str, str] = {}
        self.started: list[subprocess.Popen[bytes]] = []
        self._add(HUB)
        ip("-n", self.names[HUB], "link", "add", "bridge0", "type", "bridge")
        ip("-n", self.names[HUB], "addr", "add", f"{HUB}/24", "dev", "bridge0")
        ip("-n", self.names[HUB], "link", "set", "bridge0", "up")
        for address in (FITS, STRANGER, VANISHES):
            self._add(address)
            own, port = self.names[address], f"port{address.rpartition('.')[2]}"
            ip("-n", own, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self.names[HUB])
            ip("-n", own, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", own, "link", "set", "eth0", "up")
            ip("-n", self.names[HUB], "link", "set", port, "master", "bridge0", "up")

    def _add(self, address: str) -> None:
        name = f"{self.prefix}-{address.rpartition('.')[2]}"
        ip("netns", "add", name)
        self.names[address] = name
        ip("-n", name, "link", "set", "lo", "up")

    def cut(self, address: str) -> None:
        """Takes the host off the network, without a word to anybody."""
        ip("-n", self.names[address], "link", "set", "eth0", "down")

    def start(self, address: str, *arguments: str, code: Path = ROOT, **environment: str) -> subprocess.Popen[bytes]:
        """`python -m ARGUMENTS` on that host."""
        environment = {**os.environ, **environment, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
        command = ["ip", "netns", "exec", self.names[address], sys.executable, "-m", *arguments]
        with (self.folder / f"{address}-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kills what is left, and removes the namespaces."""
        for process in reversed(self.started):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=WITHIN_S)
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=WITHIN_S)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("NOT TESTED: three hosts in network namespaces, which take root and the program ip")
    made = Hosts.__new__(Hosts)
    try:
        made.__init__(tmp_path)  # type: ignore[misc]
        yield made
    finally:
        made.end()


@pytest.mark.processes
def test_one_works_one_is_not_used_and_what_one_had_that_vanished_is_run_again(hosts: Hosts, tmp_path: Path) -> None:
    code = tmp_path / "other"
    shutil.copytree(ROOT / "hlhft", code / "hlhft", ignore=shutil.ignore_patterns("__pycache__", "samples"))
    with (code / "hlhft" / "scale" / "probe.py").open("a") as file:
        file.write("\n# Another version.\n")
    scheduler = f"tcp://{HUB}:{ports.SCHEDULER}"
    hosts.start(HUB, "hlhft", "dask", "scheduler", "--host", HUB, "--plain", **IMPATIENT)
    (log,) = tmp_path.glob(f"{HUB}-*.log")
    until(lambda: b"Scheduler at" in log.read_bytes(), "the scheduler listens")
    for address, own in ((FITS, ROOT), (STRANGER, code), (VANISHES, ROOT)):
        folder = str(tmp_path / f"spill-{address}")
        arguments = ("dask", "worker", scheduler, "--host", address, "--plain", "--processes", "1", "--folder", folder)
        hosts.start(address, "hlhft", *arguments, code=own)
    under_way = tmp_path / "under-way"
    store = str(tmp_path / "store")
    client = hosts.start(HUB, "tests.scale.hosts_client", scheduler, store, str(under_way))
    until(lambda: under_way.exists() or client.poll() is not None, "tasks are under way")
    hosts.cut(VANISHES)
    cut_s = time.monotonic()
    out, _ = client.communicate(timeout=WITHIN_S)
    assert client.returncode == 0, [path.read_text()[-2000:] for path in tmp_path.glob("*.log")]
    found = json.loads(out)
    tasks = [busy(seed, seconds=0.0) for seed in range(TASKS)]
    here = Storage(tmp_path / "here")
    with InProcess(here, TASKS) as backend:
        expected = hashlib.blake2b(b"".join(run(tasks, backend, here).results())).hexdigest()
    assert found["digest"] == expected and found["failures"] == 0
    stranger = [one for one in found["said"] if f"tcp://{STRANGER}:" in one]
    assert any("is not used: it has other sources of hlhft" in one for one in stranger), found["said"]
    assert any(f"tcp://{VANISHES}:" in one and "is gone" in one for one in found["said"]), found["said"]
    assert time.monotonic() - cut_s < WITHIN_S
