"""Real schedulers and workers of Dask as processes, for tests: started, awaited by what they write, and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hlhft.scale.dask_backend import Tls

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 180.0  # nothing takes that long but on a machine that is shared by many


def until(met: object, what: str) -> None:
    """Waits for `met()` to be true, up to DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not met():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.05)


class Processes:
    """A scheduler and its workers in a folder; `address` is the scheduler's."""

    def __init__(self, folder: Path, tls: Tls | None = None) -> None:
        self.folder, self.started = folder, list[subprocess.Popen[bytes]]()
        self._tls: tuple[str, ...] = ()
        if tls is not None:
            files = {"ca-file": tls.ca, "cert": tls.certificate, "key": tls.key}
            self._tls = tuple(word for name, path in files.items() for word in (f"--tls-{name}", str(path)))
        file, host = folder / "scheduler.json", "127.0.0.1" if tls is None else "tls://127.0.0.1"
        self._start("dask_scheduler", "--port", "0", "--host", host, "--scheduler-file", str(file))
        until(lambda: file.is_file() and file.read_text().endswith("}"), "the scheduler's file")
        self.address = str(json.loads(file.read_text())["address"])

    def worker(self, *, code: Path = ROOT, threads: int = 1) -> subprocess.Popen[bytes]:
        """A worker process without a nanny, so that it stays dead when it is killed."""
        options = ("--no-nanny", "--nthreads", str(threads), "--host", "127.0.0.1", "--memory-limit", "0")
        return self._start("dask_worker", self.address, *options, "--local-directory", str(self.folder), code=code)

    def _start(self, module: str, *arguments: str, code: Path = ROOT) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments, *self._tls]
        environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
        log = (self.folder / f"{module}-{len(self.started)}.log").open("wb")
        with log:
            process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kills what is left."""
        for process in reversed(self.started):
            process.kill()
        for process in self.started:
            process.wait(DEADLINE_S)


@contextmanager
def processes(folder: Path, tls: Tls | None = None) -> Iterator[Processes]:
    """A scheduler in the folder, with TLS where its files are given, ended with all its workers."""
    made = Processes(folder, tls)
    try:
        yield made
    finally:
        made.end()
