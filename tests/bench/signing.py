"""Signing an action and recovering its signer, ours and the official SDK's in turn on the same actions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account import Account
from hyperliquid.utils import signing as sdk

from hlhft.hyperliquid.signing import Signature, Signer, action_hash, l1_digest, recover_address
from tests.bench.figures import Figure, median

KEY = bytes.fromhex("0123456789012345678901234567890123456789012345678901234567890123")
NONCE = 1_770_381_849_400
NS_PER_US = 1e3
SECTION = "signing, against the official SDK"


def action_of(index: int) -> dict[str, Any]:
    """A post-only order with a client order id, another one for each index."""
    order = {
        "a": 0,
        "b": True,
        "p": "104000",
        "s": "0.0015",
        "r": False,
        "t": {"limit": {"tif": "Alo"}},
        "c": f"0x{index:032x}",
    }
    return {"type": "order", "orders": [order], "grouping": "na"}


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """(microseconds, result)."""
    start = time.perf_counter_ns()
    result = call(*arguments)
    return (time.perf_counter_ns() - start) / NS_PER_US, result


def sign(signer: Signer, action: dict[str, Any], nonce: int) -> dict[str, Any]:
    connection_id = action_hash(action, nonce=nonce, vault_address=None, expires_after_ms=nonce + 5000)
    return dict(signer.sign(l1_digest(connection_id, mainnet=False)).wire())


def recover(action: dict[str, Any], signature: dict[str, Any], nonce: int) -> str:
    connection_id = action_hash(action, nonce=nonce, vault_address=None, expires_after_ms=nonce + 5000)
    read = Signature.read(signature)
    return recover_address(l1_digest(connection_id, mainnet=False), r=read.r, s=read.s, v=read.v)


def signing(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; both sides' results are equal at every action."""
    del recordings
    signer, wallet = Signer(KEY), Account.from_key(KEY)
    times: dict[str, list[float]] = {name: [] for name in ("sign", "sdk sign", "recover", "sdk recover")}
    for index in range(200 if short else 2000):
        action, nonce = action_of(index), NONCE + index
        elapsed, ours = timed(sign, signer, action, nonce)
        times["sign"].append(elapsed)
        elapsed, theirs = timed(sdk.sign_l1_action, wallet, action, None, nonce, nonce + 5000, False)
        times["sdk sign"].append(elapsed)
        assert ours == theirs, "both sign alike"
        elapsed, address = timed(recover, action, ours, nonce)
        times["recover"].append(elapsed)
        elapsed, theirs = timed(
            sdk.recover_agent_or_user_from_l1_action, action, ours, None, nonce, nonce + 5000, False
        )
        times["sdk recover"].append(elapsed)
        assert address == signer.address == theirs.lower(), "both find the signer"
    medians = {name: median(values) for name, values in times.items()}
    return [
        Figure(SECTION, "hash and sign one order", medians["sign"], "us", maximum=100.0, gate=300.0),
        Figure(SECTION, "the SDK", medians["sdk sign"], "us"),
        Figure(SECTION, "signing: ratio", medians["sdk sign"] / medians["sign"], "x", minimum=3.0, gate=2.0),
        Figure(
            SECTION, "hash and recover the signer of one order", medians["recover"], "us", maximum=150.0, gate=450.0
        ),
        Figure(SECTION, "the SDK, recovering", medians["sdk recover"], "us"),
        Figure(SECTION, "recovering: ratio", medians["sdk recover"] / medians["recover"], "x", minimum=2.5, gate=1.8),
    ]
