"""Somebody else at the exchange: signs with a key made of one number."""

from __future__ import annotations

from typing import Any

import msgspec

from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest, user_signed_digest

CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}


class Client:
    """Signed bodies of requests, with nonces that rise from `nonce`."""

    def __init__(self, number: int, *, nonce: int) -> None:
        self.signer = Signer(bytes([number]) * 32)
        self.address = self.signer.address
        self.label = ("127.0.0.1", str(number))
        self._nonce = nonce

    def body(self, action: dict[str, Any]) -> bytes:
        """The signed body of an action."""
        self._nonce += 1
        if "signatureChainId" in action:
            action = {**action, "nonce": self._nonce}
            digest = user_signed_digest(action)
        else:
            connection_id = action_hash(action, nonce=self._nonce, vault_address=None, expires_after_ms=None)
            digest = l1_digest(connection_id, mainnet=False)
        return msgspec.json.encode(
            {"action": action, "nonce": self._nonce, "signature": self.signer.sign(digest).wire()}
        )


def order(*, asset: int, buys: bool, price: str, size: str, tif: str, cloid: str | None = None) -> dict[str, Any]:
    """An order as the wire has it."""
    made: dict[str, Any] = {"a": asset, "b": buys, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
    return made if cloid is None else {**made, "c": cloid}


def orders(*each: dict[str, Any]) -> dict[str, Any]:
    """An action that places them."""
    return {"type": "order", "orders": list(each), "grouping": "na"}
