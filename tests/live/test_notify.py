"""What the service manager is told, and that nobody needs one."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest

from hlhft.live.notify import STATUS_CHARACTERS_MAX, Notifier


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_manager_hears_everything(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@hlhft-{secrets.token_hex(8)}" if is_abstract else str(tmp_path / "manager")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if is_abstract else name)
        manager.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready()
        notifier.alive("armed;\nengine  trading" + "x" * 1000)
        notifier.stopping()
        ready, alive, stopping = (manager.recv(4096).decode() for _ in range(3))
    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    assert alive.startswith("WATCHDOG=1\nSTATUS=armed; engine tradingxxx")
    assert len(alive) == len("WATCHDOG=1\nSTATUS=") + STATUS_CHARACTERS_MAX


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/at/all", "vsock:2:1"])
def test_without_a_manager_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name} if name else {})
    notifier.ready()
    notifier.alive("well")
    notifier.stopping()


def test_pulses_come_three_times_as_often_as_asked() -> None:
    assert Notifier({"WATCHDOG_USEC": "3000000"}).pulse_ns == 1_000_000_000
    assert Notifier({"WATCHDOG_USEC": "soon"}).pulse_ns is None
    assert Notifier({"WATCHDOG_USEC": "0"}).pulse_ns is None
    assert Notifier({}).pulse_ns is None
