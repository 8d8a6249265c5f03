"""Whose account a simulation trades, and with which keys: made of one number each, of worth nowhere else."""

from __future__ import annotations

from hlhft.hyperliquid.signing import Signer
from hlhft.simulation.time import SECOND

OWNER = 7  # in the client ids of the engine's orders
COINS = ("BTC", "ETH")
TRADED, ENGINE, WATCHDOG = 13, 14, 15  # the account, and the API wallets of the two processes
EXPIRES_AFTER_MS = 3_000  # of what the engine sends by default
SECRET = bytes(range(32))  # of the beats
# What others do to it an engine knows by then: two readings, engine.reconcile_ms, one of which may fail.
READ_NS_MAX = 75 * SECOND


def signer_of(number: int) -> Signer:
    """The signer of one of the keys above."""
    return Signer(bytes([number]) * 32 if number < 256 else number.to_bytes(32, "big"))


ACCOUNT = signer_of(TRADED).address
