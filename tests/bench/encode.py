"""Commands to signed request bytes, ours and the official SDK's in turn on the same orders, results equal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid as SdkCloid

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.packing import LEG_DTYPE
from hlhft.hyperliquid.signing import Signer
from hlhft.units import Market
from tests.bench.figures import Figure, median

KEY = bytes.fromhex("0123456789012345678901234567890123456789012345678901234567890123")
NOW_MS = 1_770_381_849_400
OWNER, SESSION = 1, 1
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
LEGS = (1, 2, 10, 40)
TURN = 20  # actions of one side before the other's: nothing on the hot path empties its caches as the SDK does
NS_PER_US = 1e3
SECTION = "commands to signed request bytes, against the official SDK"


def commands_of(first: int, count: int) -> np.ndarray:
    """Post-only orders around 104000, others for each `first`."""
    made = np.zeros(count, LEG_DTYPE)
    number = first + np.arange(count)
    made["ts_ns"], made["kind"], made["side"] = NOW_MS * 1_000_000, 1, 1 - 2 * (number % 2)
    made["order_id"], made["price_ticks"], made["size_lots"] = number + 1 << 10, 1_040_000 + 10 * (number % 97), 150
    made["expires_ns"] = (NOW_MS + 3000) * 1_000_000
    return made


def requests_of(commands: np.ndarray) -> list[dict[str, Any]]:
    """The same as the SDK's callers have them."""
    return [
        {
            "coin": BTC.name,
            "is_buy": bool(command["side"] > 0),
            "sz": float(BTC.size_text(int(command["size_lots"]))),
            "limit_px": float(BTC.price_text(int(command["price_ticks"]))),
            "order_type": {"limit": {"tif": "Alo"}},
            "reduce_only": False,
            "cloid": SdkCloid.from_int(Cloid(OWNER, SESSION, int(command["order_id"])).number()),
        }
        for command in commands
    ]


def sdk_body(wallet: Any, requests: list[dict[str, Any]], nonce: int) -> bytes:
    """What the SDK does between its caller and the socket, with the encoder of JSON that `requests` uses."""
    wires = [sdk.order_request_to_order_wire(request, BTC.asset_id) for request in requests]
    action = sdk.order_wires_to_order_action(wires)
    signature = sdk.sign_l1_action(wallet, action, None, nonce, NOW_MS + 3000, False)
    body = {
        "action": action, "nonce": nonce, "signature": signature, "vaultAddress": None, "expiresAfter": NOW_MS + 3000,
    }  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """(microseconds, result)."""
    start = time.perf_counter_ns()
    result = call(*arguments, **options)
    return (time.perf_counter_ns() - start) / NS_PER_US, result


def measure(
    encoder: Encoder, signer: Signer, wallet: Any, indices: range, legs: int, times: dict[str, list[float]]
) -> None:
    """One turn: ours, the signature alone, the SDK's; then whether both sides made the same bytes."""
    batches = [commands_of(index * legs, legs) for index in indices]
    requests = [requests_of(commands) for commands in batches]
    ours, theirs = [], []
    for index, commands in zip(indices, batches, strict=True):
        elapsed, signed = timed(encoder.orders, commands, nonce=NOW_MS + index)
        times["ours"].append(elapsed)
        ours.append(signed.body)
    for body in ours:
        times["signature"].append(timed(signer.sign, body[:32])[0])
    for index, wanted in zip(indices, requests, strict=True):
        elapsed, body = timed(sdk_body, wallet, wanted, NOW_MS + index)
        times["theirs"].append(elapsed)
        theirs.append(body)
    assert ours == theirs, "both send the same bytes"


def encoding(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; both sides' bytes are equal at every action."""
    del recordings
    signer, wallet = Signer(KEY), Account.from_key(KEY)
    encoder = Encoder(BTC.record(), signer, owner=OWNER, session=SESSION, mainnet=False)
    figures = []
    for legs in LEGS:
        times: dict[str, list[float]] = {"ours": [], "theirs": [], "signature": []}
        for turn in range(10 if short else 60):
            measure(encoder, signer, wallet, range(turn * TURN, (turn + 1) * TURN), legs, times)
        ours, theirs, signature = (median(times[side]) for side in ("ours", "theirs", "signature"))
        name = f"{legs} order{'s' if legs > 1 else ''}"
        figures += [
            Figure(SECTION, f"encode and sign an action of {name}", ours, "us", maximum=35.0, gate=150.0),
            Figure(SECTION, f"the signature alone, {name}", signature, "us"),
            Figure(SECTION, f"the SDK, {name}", theirs, "us"),
            Figure(SECTION, f"encoding: ratio, {name}", theirs / ours, "x", minimum=5.0, gate=3.0),
        ]
    return figures
