"""What systemd is told of a service: ready, alive, stopping, and a line of status (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

STATUS_CHARACTERS_MAX = 256
_NS_PER_US = 1000


class Notifier:
    """Tells the service manager that the environment names; says nothing where it names none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is abstract; anything but that and a path is not spoken here.
        self._address = "\0" + path[1:] if path.startswith("@") else path if path.startswith("/") else ""
        limit_us = environment.get("WATCHDOG_USEC", "")
        self._limit_ns = int(limit_us) * _NS_PER_US if limit_us.isascii() and limit_us.isdigit() else 0

    @property
    def pulse_ns(self) -> int | None:
        """How often `alive` is to be called: a third of what the manager waits; None when it does not wait."""
        return self._limit_ns // 3 if self._limit_ns else None

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """The service is alive; `status` is shown to whoever asks the manager."""
        self._send(f"WATCHDOG=1\nSTATUS={' '.join(status.split())[:STATUS_CHARACTERS_MAX]}")

    def stopping(self) -> None:
        """The service is about to end."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # A manager that does not listen is no reason to stop.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), self._address)
