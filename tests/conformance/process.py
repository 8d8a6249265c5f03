"""`hlhft exchange` as a process of its own, as tests and benches start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, Queue

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("exchange", "--coins", "BTC,ETH,SOL", "--flow", "none", "--seed", "7", "--port", "0")
FREE = ("--no-limits", "--no-delay")
URL = re.compile(r"http://127\.0\.0\.1:\d+")
START_S = 300.0  # the first run compiles, on a machine that may be busy with other tests
STOP_S = 10.0


class ExchangeProcess:
    """A running `hlhft exchange`; its output is read as it comes, so that it never waits for a reader."""

    def __init__(self, arguments: Sequence[str], home: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        environment.pop("NUMBA_DISABLE_JIT", None)  # a client cannot tell, but for the time it takes
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hlhft", *arguments],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.then: list[Callable[[], object]] = []  # what is done once it has ended
        self._urls: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            found = URL.search(line)
            if found is not None:
                self._urls.put(found[0])
        self._urls.put(None)

    def url(self) -> str:
        """Where it listens, as it says; fails when it ends or says nothing in time."""
        try:
            url = self._urls.get(timeout=START_S)
        except Empty:
            url = None
        assert url is not None, "the exchange did not say where it listens:\n" + "".join(self.lines)
        return url

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """Ends it without a word."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        code = self.process.wait(timeout=STOP_S)
        self._reader.join(timeout=STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        for do in self.then:
            do()
        return code
