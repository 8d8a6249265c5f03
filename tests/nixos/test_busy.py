"""The program that stands for busy ones is busy between two signals, and tells the manager what it waits for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("busy.py")
TICKS = 3  # hundredths of a second that nothing but turning uses


def used(pid: int) -> int:
    """Hundredths of a second of processor time that its threads have used."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


def wait_until_used(pid: int, ticks: int) -> None:
    deadline = time.monotonic() + 60
    while used(pid) < ticks:
        assert time.monotonic() < deadline, f"{used(pid)} of {ticks} used"
        time.sleep(0.01)


def test_it_is_ready_and_then_busy_when_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("notify")
        manager.settimeout(60)
        environment = os.environ | {"NOTIFY_SOCKET": "notify"}
        with subprocess.Popen([sys.executable, str(PROGRAM), "2"], env=environment) as process:
            try:
                assert manager.recv(100) == b"READY=1"
                process.send_signal(signal.SIGUSR1)
                wait_until_used(process.pid, used(process.pid) + TICKS)
                process.send_signal(signal.SIGUSR2)
                assert manager.recv(100) == b"WATCHDOG=1"
                rested = used(process.pid)
                assert manager.recv(100) == b"WATCHDOG=1"
                assert used(process.pid) <= rested + TICKS, "it turns on though it was told to rest"
            finally:
                process.kill()
