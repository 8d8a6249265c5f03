"""Children say what they say into their log, end when asked, and end with whoever started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hlhft import __version__
from hlhft.live import child
from hlhft.live.child import Child, become, start

ENDS_S = 60.0


def sleeper(folder: Path, script: str = "import time; time.sleep(600)") -> Child:
    """A child that is no command of ours."""
    log = folder / "log"
    with log.open("wb") as stream:
        return Child("sleeper", log, subprocess.Popen([sys.executable, "-c", script], stdout=stream, stderr=stream))


def test_a_command_runs_with_its_output_in_the_log(tmp_path: Path) -> None:
    started = start(["--version"], log=tmp_path / "log")
    assert started.process.wait(ENDS_S) == 0
    assert (started.last_words, started.is_running, started.name) == (
        f"hlhft, version {__version__}",
        False,
        "--version",
    )
    assert started.stop(within_s=1) == 0, "what has ended is not ended again"


def test_one_that_is_asked_ends_and_one_that_does_not_is_ended(tmp_path: Path) -> None:
    willing = sleeper(tmp_path)
    assert willing.is_running and willing.last_words == ""
    assert willing.stop(within_s=ENDS_S) == -signal.SIGTERM
    deaf = sleeper(
        tmp_path,
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(600)",
    )
    while deaf.last_words != "deaf":
        assert deaf.is_running
    assert deaf.stop(within_s=0.05) == -signal.SIGKILL


def test_what_a_child_makes_is_waited_for_and_one_that_died_is_not(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    maker = sleeper(tmp_path, f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(600)")
    assert maker.wait_for(ready, within_s=ENDS_S)
    assert not maker.wait_for(tmp_path / "never", within_s=0.01)
    maker.stop(within_s=ENDS_S)
    assert not maker.wait_for(tmp_path / "never", within_s=ENDS_S)


def test_a_child_ends_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from hlhft.live import child\n"
        "exchange = ['exchange', '--flow', 'none', '--coins', 'ETH', '--port', '0']\n"
        "print(child.start(exchange, log=Path(sys.argv[1])).process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    pidfd = os.pidfd_open(grandchild)
    parent.kill()
    parent.wait()
    ended, _, _ = select.select([pidfd], [], [], ENDS_S)
    assert ended, "the exchange outlived its parent"
    os.close(pidfd)
    parent.stdout.close()


def test_one_whose_parent_is_gone_already_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.os, "execv", lambda *_: pytest.fail("it began"))
    code = (
        "from hlhft.live import child\n"
        "child.os.execv = lambda *_: print('began')\n"
        "child.become(1 if child.os.getppid() != 1 else 2, ['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_becomes_the_command_once_the_kernel_has_promised_to_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither can be done to the process of a test: what is asked of the kernel is looked at."""
    asked: list[object] = []

    class Promising:
        def prctl(self, *wish: int) -> int:
            asked.append(wish)
            return 0

    monkeypatch.setattr(child.ctypes, "CDLL", lambda *_, **__: Promising())
    monkeypatch.setattr(child.os, "execv", lambda *line: asked.append(line))
    become(os.getppid(), ["run", "--config", "x"])
    command = [sys.executable, "-m", "hlhft", "run", "--config", "x"]
    assert asked == [(1, signal.SIGTERM, 0, 0, 0), (sys.executable, command)]
    with pytest.raises(SystemExit) as ended:
        become(os.getpid(), [])
    assert ended.value.code == 0 and len(asked) == 3


def test_a_kernel_that_does_not_promise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def prctl(self, *_: int) -> int:
            return -1

    monkeypatch.setattr(child.ctypes, "CDLL", lambda *_, **__: Refusing())
    with pytest.raises(OSError, match="does not promise"):
        become(os.getppid(), [])
