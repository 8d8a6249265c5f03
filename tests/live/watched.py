"""An account at a real embedded exchange, as a watchdog's tests need it: it places orders and names an agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import requests

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest, user_signed_digest
from hlhft.hyperliquid.wire import cloid_text

REQUEST_S = 300.0  # the first request compiles, on a machine that may be busy with other tests
WITHIN_S = 15.0
OWNER, OTHER = 7, 8
AGENTS = 255  # the agent of an account has the key of this less the account's number
ETH = 1  # the asset's id there
ALO = {"limit": {"tif": "Alo"}}
CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}


def signer_of(number: int) -> Signer:
    """A key that only these tests know."""
    return Signer(number.to_bytes(1, "big") * 32)


class Account:
    """An account with money, and the signer of an agent that it may approve."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.signer = signer_of(number)
        self.address = self.signer.address
        self.agent = signer_of(AGENTS - number)
        self._http = requests.Session()
        self._nonce = time.time_ns() // 1_000_000
        self._orders = 0
        self._price = str(int(float(self.ask("metaAndAssetCtxs")[1][ETH]["oraclePx"]) * 0.9))
        self.deposit(100_000)
        self.eventually(lambda: self.ask("clearinghouseState")["withdrawable"] != "0.0")

    def _post(self, path: str, body: bytes) -> Any:
        response = self._http.post(self.url + path, data=body, timeout=REQUEST_S)
        assert response.status_code == 200, response.text
        return response.json()

    def deposit(self, usdc: int) -> None:
        """Money out of nothing, soon."""
        self._post("/admin", msgspec.json.encode({"address": self.address, "usdc": usdc}))

    def ask(self, kind: str) -> Any:
        """The answer to an information request about the account."""
        return self._post("/info", msgspec.json.encode({"type": kind, "user": self.address}))

    def act(self, action: dict[str, Any], *, expires_after_ms: int | None = None) -> Any:
        """The answer to an action."""
        self._nonce = max(self._nonce + 1, time.time_ns() // 1_000_000)
        if "signatureChainId" in action:
            action = {**action, "time" if "time" in action else "nonce": self._nonce}
            digest = user_signed_digest(action)
        else:
            hashed = action_hash(action, nonce=self._nonce, vault_address=None, expires_after_ms=expires_after_ms)
            digest = l1_digest(hashed, mainnet=False)
        body = {
            "action": action, "nonce": self._nonce, "signature": self.signer.sign(digest).wire(),
            "vaultAddress": None, "expiresAfter": expires_after_ms,
        }  # fmt: skip
        answer = self._post("/exchange", msgspec.json.encode(body))
        assert answer["status"] == "ok", answer
        return answer["response"]

    def approve(self, agent: Signer) -> None:
        """Lets an agent sign for the account."""
        self.act({"type": "approveAgent", **CHAIN, "agentAddress": agent.address, "agentName": "watchdog"})

    def place(self, *, owner: int | None = OWNER, expires_after_ms: int | None = None) -> int:
        """The venue's id of an order that rests below the market."""
        self._orders += 1
        cloid = {} if owner is None else {"c": cloid_text(Cloid(owner, 3, self._orders).number())}
        order = {"a": ETH, "b": True, "p": self._price, "s": "0.5", "r": False, "t": ALO, **cloid}
        (status,) = self.act({"type": "order", "orders": [order], "grouping": "na"}, expires_after_ms=expires_after_ms)[
            "data"
        ]["statuses"]
        return int(status["resting"]["oid"])

    def open_ids(self) -> set[int]:
        """The venue's ids of what rests."""
        return {order["oid"] for order in self.ask("openOrders")}

    def eventually(self, look: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
        """Waits until something is so."""
        deadline = time.monotonic() + within_s
        while not look():
            assert time.monotonic() < deadline, "it never came to be"
            time.sleep(0.02)


async def eventually(look: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    """Waits in a loop's turn after the other until something is so."""
    async with asyncio.timeout(within_s):
        while not look():
            await _moment()


async def _moment() -> None:
    await asyncio.sleep(0.005)
