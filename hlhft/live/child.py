"""hlhft's commands as child processes that never outlive the one that started them.

    python -m hlhft.live.child PARENT COMMAND…

asks the kernel for a SIGTERM at its parent's death and becomes `hlhft COMMAND…`. The kernel keeps that wish over an
exec (prctl(2), PR_SET_PDEATHSIG), so it is asked for here and not between fork and exec, where Python may not run
safely.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_TAIL_BYTES = 4096  # of a log, looked through for its last line
_POLL_S = 0.05


@dataclass(slots=True)
class Child:
    """A running command, and the file that takes what it says."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def last_words(self) -> str:
        """The last line that it said; empty when it said nothing."""
        with self.log.open("rb") as stream:
            stream.seek(max(self.log.stat().st_size - _TAIL_BYTES, 0))
            lines = stream.read().decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def stop(self, *, within_s: float) -> int:
        """Asks it to end, and ends it when it does not in time; its exit code, negative when a signal ended it."""
        if self.is_running:
            self.process.terminate()
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def wait_for(self, path: Path, *, within_s: float) -> bool:
        """Waits until there is something at `path`; false when the command ended before, or the time is over."""
        end = time.monotonic() + within_s
        while not path.exists():
            if not self.is_running or time.monotonic() > end:
                return path.exists()
            time.sleep(_POLL_S)
        return True


def start(arguments: Sequence[str], *, log: Path, name: str = "") -> Child:
    """Starts `hlhft ARGUMENTS…` with this interpreter, in a session of its own: a Ctrl-C of the terminal is ours alone.

    The kernel ends it with the thread that called this, so call it from one that lasts. Raises OSError.
    """
    command = [sys.executable, "-m", __name__, str(os.getpid()), *arguments]
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Child(name or arguments[0], log, process)


def become(parent: int, arguments: Sequence[str]) -> None:
    """Turns this process into `hlhft ARGUMENTS…`, which ends with process `parent`; does not return.

    Raises SystemExit when the parent is gone already, and OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not promise to end this process with its parent")
    if os.getppid() != parent:
        raise SystemExit(0)  # it died before the wish was made
    os.execv(sys.executable, [sys.executable, "-m", "hlhft", *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
