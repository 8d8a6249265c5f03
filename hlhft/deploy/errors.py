"""How a deployment ends when it cannot go on; each message is one sentence that shows nothing secret."""

from __future__ import annotations


class Refused(Exception):
    """What would not work, or not be safe, is not begun: nothing was changed."""


class VaultError(Exception):
    """An encrypted file that is none, or that the key at hand does not open."""


class StepError(Exception):
    """A program or a host that failed, or did not answer in time."""
