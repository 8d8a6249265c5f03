"""`hlhft status` shows the engine, and its exit code says whether it is halted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.live.control import ControlServer
from tests.live.operated import Engine, serving

# Makes the standard input the controlling terminal, so that Ctrl-C becomes a signal; some shells start us deaf to it.
ON_THIS_TERMINAL = """
import fcntl, signal, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from hlhft.cli import console
console()
"""


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def socket(tmp_path: Path, engine: Engine) -> Iterator[str]:
    with serving(ControlServer(tmp_path / "control.sock", engine)):
        yield str(tmp_path / "control.sock")


def test_the_picture_and_the_json(socket: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["status", "--socket", socket]) == 0
    shown = capsys.readouterr().out
    assert "QUOTING" in shown and "64999" in shown and "\x1b" not in shown
    assert invoke(["status", "--socket", socket, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["markets"][0]["bid"] == "64999"


def test_a_halted_engine_has_the_exit_code_of_one(
    socket: str, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.halted = "drawdown"
    assert invoke(["status", "--socket", socket]) == ExitCode.HALTED
    assert capsys.readouterr().err == "hlhft: it is halted: drawdown\n"
    assert invoke(["status", "--socket", socket, "--json"]) == ExitCode.HALTED
    assert capsys.readouterr().err == ""


def test_two_forms_at_once_are_refused(socket: str) -> None:
    assert invoke(["status", "--socket", socket, "--json", "--watch"]) == ExitCode.USAGE


def test_it_is_followed_on_a_terminal_until_ctrl_c(socket: str, engine: Engine) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-c", ON_THIS_TERMINAL, "status", "--socket", socket, "--watch"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while b"QUOTING" not in seen:
        seen += os.read(ours, 65536)
    engine.halted = "by hand"
    while b"halted: by hand" not in seen:
        seen += os.read(ours, 65536)
    os.write(ours, b"\x03")
    while watching.poll() is None:
        try:
            seen += os.read(ours, 65536)
        except OSError:
            break  # the terminal is gone with its last reader
    assert watching.wait(30) == 0
    assert b"Traceback" not in seen
    os.close(ours)
