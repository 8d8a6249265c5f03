"""A small exchange and clients that sign, for tests of what stands between the wire and the kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec

from hlhft.data.markets import known
from hlhft.exchange.answers import Answer
from hlhft.exchange.listing import Listed, Listing
from hlhft.exchange.machine import Machine
from hlhft.exchange.settings import ExchangeSettings
from hlhft.hyperliquid.signing import Signer, action_hash, l1_digest, user_signed_digest
from hlhft.units import MICRO

START_NS = 1_790_000_000_000_000_000
START_MS = START_NS // 1_000_000
MILLISECOND_NS = 1_000_000
CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
BTC, ETH = 0, 1


def listing() -> Listing:
    markets = known()
    return Listing(
        tuple(Listed(market=replace(markets[name], asset_id=row)) for row, name in enumerate(("BTC", "ETH")))
    )


def small_settings(**changes: Any) -> ExchangeSettings:
    """Two markets, BTC at 110000 and ETH at 4000, room for a few accounts; no delays."""
    markets = known()
    values: dict[str, Any] = {
        "listing": listing(),
        "reference_ticks": (markets["BTC"].ticks("110000"), markets["ETH"].ticks("4000")),
        "start_ns": START_NS,
        "with_delays": False,
        "order_slots": 64,
        "waiting_max": 16,
        "width_ticks": 1 << 17,
        "accounts_max": 16,
        "legs_max": 1000,
    }
    return ExchangeSettings(**{**values, **changes})


def small_machine(**changes: Any) -> Machine:
    """An exchange whose oracle has spoken: marks exist."""
    machine = Machine(small_settings(**changes))
    machine.advance(START_NS + 1000 * MILLISECOND_NS)
    return machine


def order(
    *, asset: int = ETH, buy: bool = True, price: str = "3999", size: str = "0.1", tif: str = "Gtc", **more: Any
) -> dict[str, Any]:
    """An order as the wire has it; `trigger` replaces the time in force, `reduce` and `cloid` are the rest."""
    kind = {"trigger": more["trigger"]} if "trigger" in more else {"limit": {"tif": tif}}
    made = {"a": asset, "b": buy, "p": price, "s": size, "r": more.get("reduce", False), "t": kind}
    return {**made, "c": more["cloid"]} if "cloid" in more else made


def orders(*each: dict[str, Any], grouping: Any = "na", **more: Any) -> dict[str, Any]:
    return {"type": "order", "orders": list(each), "grouping": grouping, **more}


def stop(price: str, *, is_market: bool = True, tpsl: str = "sl") -> dict[str, Any]:
    return {"isMarket": is_market, "triggerPx": price, "tpsl": tpsl}


class Client:
    """Signs with a key made of one number, and talks to a machine as over HTTP."""

    def __init__(self, machine: Machine, number: int, *, usdc: int = 100_000) -> None:
        self.machine = machine
        self.signer = Signer(bytes([number]) * 32)
        self.address = self.signer.address
        self.nonce = START_MS + 1000 * number
        self.label = ("127.0.0.1", str(number))
        if usdc:
            machine.deposit(self.address, usdc * MICRO)
            machine.advance(machine.time_ns + MILLISECOND_NS)

    def body(self, action: dict[str, Any], **more: Any) -> bytes:
        """The signed body; `nonce`, `vault`, `expires` as given, and `signed` to sign something else."""
        self.nonce += 1
        nonce = more.get("nonce", self.nonce)
        if "signatureChainId" in action:
            action = {**action, "time" if "time" in action else "nonce": nonce}
        signed = more.get("signed", action)
        if "signatureChainId" in signed:
            digest = user_signed_digest(signed)
        else:
            expires, vault = more.get("expires"), more.get("vault")
            connection_id = action_hash(signed, nonce=nonce, vault_address=vault, expires_after_ms=expires)
            digest = l1_digest(connection_id, mainnet=more.get("mainnet", False))
        return json.dumps(
            {
                "action": action,
                "nonce": nonce,
                "signature": self.signer.sign(digest).wire(),
                "vaultAddress": more.get("vault"),
                "expiresAfter": more.get("expires"),
            }
        ).encode()

    def post(self, body: bytes) -> Answer:
        """The answer to a body, in the block that follows at once."""
        machine = self.machine
        now_ns = machine.time_ns + MILLISECOND_NS
        taken = machine.admit(body, self.label, now_ns)
        if isinstance(taken, Answer):
            return taken
        return dict(machine.advance(now_ns).answers)[taken]

    def send(self, action: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The decoded answer to an action."""
        answer = self.post(self.body(action, **more))
        assert answer.status == 200, answer
        decoded: dict[str, Any] = msgspec.json.decode(answer.body)
        return decoded

    def statuses(self, action: dict[str, Any], **more: Any) -> list[Any]:
        """The statuses of an action that was not refused as a whole."""
        answer = self.send(action, **more)
        assert answer["status"] == "ok", answer
        found: list[Any] = answer["response"]["data"]["statuses"]
        return found

    def refusal(self, action: dict[str, Any], **more: Any) -> str:
        """The words of a refusal."""
        answer = self.send(action, **more)
        assert answer["status"] == "err", answer
        return str(answer["response"])

    def info(self, kind: str, **more: Any) -> Any:
        """The decoded answer to an info request about this client."""
        body = json.dumps({"type": kind, "user": self.address, **more}).encode()
        answer = self.machine.info(body, self.label, self.machine.time_ns)
        assert answer.status == 200, answer
        return msgspec.json.decode(answer.body)

    @property
    def account(self) -> int:
        number = self.machine.addresses.number(self.address)
        assert number is not None
        return number

    @property
    def collateral_micro(self) -> int:
        return int(self.machine.kernel.chain.exchange.collateral[self.account])
