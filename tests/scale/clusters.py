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

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, list[subprocess.Popen[bytes]]()
        file = folder / "scheduler.json"
        self._start("dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file))
        until(lambda: file.is_file() and file.read_text().endswith("}"), "the scheduler's file")
        self.address = str(json.loads(file.read_text())["address"])

    def worker(self, *, code: Path = ROOT, threads: int = 1) -> subprocess.Popen[bytes]:
        """A worker process without a nanny, so that it stays dead when it is killed."""
        options = ("--no-nanny", "--nthreads", str(threads), "--host", "127.0.0.1", "--memory-limit", "0")
        return self._start("dask_worker", self.address, *options, "--local-directory", str(self.folder), code=code)

    def _start(self, module: str, *arguments: str, code: Path = ROOT) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
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
def processes(folder: Path) -> Iterator[Processes]:
    """A scheduler in the folder, ended with all its workers."""
    made = Processes(folder)
    try:
        yield made
    finally:
        made.end()
