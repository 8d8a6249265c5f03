"""Progress goes to standard error: lines with the time left, a bar on a terminal, nothing when it is hidden."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.cli.progress import COMPILING, progress, say_if_it_compiles


def test_hidden_progress_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", hidden=True) as update:
        assert update is None
    assert capsys.readouterr() == ("", "")


def test_lines_come_now_and_then_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    times: Iterator[float] = iter([0.0, 100.0, 105.0, 116.0, 117.0, 130.0])
    with progress("reading", clock=lambda: next(times)) as update:
        assert update is not None
        update(10, 100)  # the pace counts from here
        update(20, 100)
        update(60, 100)
        update(61, 100)
        update(100, 100)
    captured = capsys.readouterr()
    # 10 of 90 took 5 s, so 80 more take 40 s; then 50 took 16 s and 40 more take 13.
    assert captured.err.splitlines() == ["reading", "reading: 20 %, 40 s left", "reading: 60 %, 13 s left"]
    assert captured.out == ""


def test_nothing_done_says_nothing_about_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 20.0, 40.0])
    with progress("reading", clock=lambda: next(times)) as update:
        assert update is not None
        update(5, 100)
        update(5, 100)
    assert capsys.readouterr().err == "reading\n"


def test_a_terminal_gets_a_bar(repository: Path) -> None:
    script = (
        "from hlhft.cli.progress import progress\n"
        "with progress('reading') as update:\n"
        "    update(1, 2)\n"
        "    update(2, 2)\n"
        "print('done')\n"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=repository, stdout=subprocess.PIPE, stderr=slave, env=environment, text=True
    )
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:
        pass  # Linux says so when the other end of a terminal is closed
    os.close(master)
    assert process.communicate()[0] == "done\n"
    assert "100%" in shown.decode() and "reading" in shown.decode()


def test_compiling_is_announced_until_it_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say_if_it_compiles(tmp_path / "none")
    assert capsys.readouterr().err == f"{COMPILING}\n"
    say_if_it_compiles(tmp_path, hidden=True)
    (tmp_path / "backtest_0").mkdir()
    (tmp_path / "backtest_0" / "loop.advance-364.py311.nbi").touch()
    say_if_it_compiles(tmp_path)
    assert capsys.readouterr() == ("", "")
