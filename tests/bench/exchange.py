"""The embedded exchange through its API: signed actions over one WebSocket, a few of them in flight.

The exchange runs in a process of its own, without artificial delay. A client signs its actions beforehand, so that only
the exchange is timed, and keeps WINDOW of them in flight: post-only orders with a client order id and the cancels of
them, in turn. Signatures, nonces, precision and margin are checked; limits are off, as the figure's name says, or on,
where the second line counts only what a client may weigh in a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from hlhft.exchange.opening import test_signer
from hlhft.hyperliquid.signing import action_hash, l1_digest
from tests.bench.figures import Figure, median

ACTIONS, ACTIONS_SHORT = 8_000, 1_500
WITH_LIMITS = 1_000  # below the weight of a minute, 1200
WINDOW = 4
SEED = 1


def actions(count: int) -> list[bytes]:
    """Posts of signed actions: an order, and then its cancel."""
    signer, made = test_signer(SEED), []
    nonce = time.time_ns() // 1_000_000
    for index in range(count):
        cloid = f"0x{index // 2:032x}"
        action: dict[str, Any]
        if index % 2 == 0:
            order = {"a": 0, "b": True, "p": "100000", "s": "0.001", "r": False, "t": {"limit": {"tif": "Alo"}}}
            action = {"type": "order", "orders": [{**order, "c": cloid}], "grouping": "na"}
        else:
            action = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]}
        digest = l1_digest(
            action_hash(action, nonce=nonce + index, vault_address=None, expires_after_ms=None), mainnet=False
        )
        payload = {
            "action": action,
            "nonce": nonce + index,
            "signature": signer.sign(digest).wire(),
            "vaultAddress": None,
            "expiresAfter": None,
        }
        post = {"method": "post", "id": index, "request": {"type": "action", "payload": payload}}
        made.append(json.dumps(post).encode())
    return made


async def drive(url: str, posts: list[bytes]) -> tuple[float, list[float]]:
    """Actions a second, and the time of each answer in ms. Every answer is looked at."""
    times_ms: list[float] = []
    sent: dict[int, float] = {}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
        await socket.receive_str()

        async def send(index: int) -> None:
            sent[index] = time.perf_counter()
            await socket.send_bytes(posts[index])

        begin = time.perf_counter()
        for index in range(WINDOW):
            await send(index)
        following = WINDOW
        while len(times_ms) < len(posts):
            text = await socket.receive_str()
            data = json.loads(text)["data"]
            times_ms.append((time.perf_counter() - sent.pop(data["id"])) * 1e3)
            assert "error" not in text and '"ok"' in text, text
            if following < len(posts):
                await send(following)
                following += 1
        return len(posts) / (time.perf_counter() - begin), times_ms


def serve(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """An exchange in a process of its own, and its address."""
    command = [sys.executable, "-m", "hlhft", "exchange", "--coins", "BTC", "--flow", "none", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--no-delay", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


def measured(count: int, *arguments: str) -> tuple[float, float, float]:
    """Actions a second, median and p99 of the answers in ms."""
    process, url = serve(*arguments)
    try:
        rate, times_ms = asyncio.run(drive(url, actions(count)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return rate, median(times_ms), sorted(times_ms)[len(times_ms) * 99 // 100]


def exchange(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; it needs no recordings."""
    del recordings
    rate, middle, p99 = measured(ACTIONS_SHORT if short else ACTIONS, "--no-limits")
    limited, _, limited_p99 = measured(WITH_LIMITS)
    section = "the embedded exchange, one WebSocket, signatures checked"
    return [
        Figure(
            section, "actions, limits and artificial delay off", rate, "actions/s", minimum=1_500.0, gate=300.0,
        ),
        Figure(section, f"their answers with {WINDOW} in flight, median", middle, "ms"),
        Figure(section, f"their answers with {WINDOW} in flight, p99", p99, "ms", maximum=5.0, gate=50.0),
        Figure(section, "actions, limits on, artificial delay off", limited, "actions/s"),
        Figure(section, "their answers, p99", limited_p99, "ms"),
    ]  # fmt: skip
