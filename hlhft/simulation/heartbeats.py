"""What engine and watchdog of a simulation agree on."""

from __future__ import annotations

EXPIRES_AFTER_MS = 3_000  # of what the engine sends
SECRET = bytes(range(32))  # of the beats
