"""The funded account that an exchange of one's own opens with. Everybody who knows the seed knows its key.

Nothing here is compiled, so that what only speaks to an exchange need not be able to.
"""

from __future__ import annotations

from hlhft.hyperliquid.signing import Signer, keccak

SEED = 1  # of an exchange that is told none


def test_key(seed: int) -> bytes:
    """A key that everybody knows who knows the seed: 32 bytes."""
    return keccak(b"hlhft exchange, test account of seed " + str(seed).encode())


def test_signer(seed: int) -> Signer:
    """The signer of the test account."""
    return Signer(test_key(seed))
