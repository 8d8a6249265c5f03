"""The embedded exchange through its API: signed actions over one WebSocket.

The exchange runs in a process of its own, without artificial delay. A client signs its actions beforehand, so that only
the exchange is timed: post-only orders with a client order id and the cancels of them, in turn. Signatures, nonces,
precision and margin are checked; limits are off, as the figure's name says, or on, where only as much is sent as a
client may weigh in a minute.

It is loaded in two ways. *As fast as it answers*: WINDOW actions are always under way, so the rate is what the exchange
can do, and an answer's time is mostly that of the actions before it. *At a fixed rate*: RATE actions fall due each
second whether answers came or not, and an answer's time counts from when its action was due, so that a stall counts for
every action that fell into it. Both processes need a processor each; what the exchange's had to wait for one is told
beside the times, for on a busy machine that wait is most of their tail.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from hlhft.exchange.known_account import test_signer
from hlhft.hyperliquid.signing import action_hash, l1_digest
from tests.bench.figures import Figure, median

ACTIONS, ACTIONS_SHORT = 8_000, 1_500
WITH_LIMITS = 1_000  # below the weight of a minute, 1200
WINDOW = 4
RATE = 1_500
ROUNDS = 3  # of which the middle one is told
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


@dataclass(frozen=True)
class Run:
    """What one exchange did."""

    rate: float  # actions a second
    median_ms: float
    p99_ms: float
    waited: float  # share of the time in which the exchange was ready and had no processor


class Answers:
    """The time of each answer in ms, counted from `since`. Every answer is looked at."""

    def __init__(self) -> None:
        self.times_ms: list[float] = []
        self.since: dict[int, float] = {}

    async def receive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Takes the next one."""
        text = await socket.receive_str()
        data = json.loads(text)["data"]
        self.times_ms.append((time.perf_counter() - self.since.pop(data["id"])) * 1e3)
        assert "error" not in text and '"ok"' in text, text


async def flat_out(socket: aiohttp.ClientWebSocketResponse, posts: list[bytes], answers: Answers) -> None:
    """Keeps WINDOW actions under way."""

    async def send(index: int) -> None:
        answers.since[index] = time.perf_counter()
        await socket.send_bytes(posts[index])

    for index in range(WINDOW):
        await send(index)
    for index in range(len(posts)):
        await answers.receive(socket)
        if index + WINDOW < len(posts):
            await send(index + WINDOW)


async def at_rate(socket: aiohttp.ClientWebSocketResponse, posts: list[bytes], answers: Answers) -> None:
    """Sends RATE actions a second, whatever the answers do."""

    async def send() -> None:
        begin = time.perf_counter()
        for index, post in enumerate(posts):
            due = begin + index / RATE
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            answers.since[index] = due
            await socket.send_bytes(post)

    sender = asyncio.create_task(send())
    for _ in posts:
        await answers.receive(socket)
    await sender


async def drive(url: str, posts: list[bytes], load: Any) -> tuple[float, list[float]]:
    """Actions a second, and the time of each answer in ms."""
    answers = Answers()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
        await socket.receive_str()
        begin = time.perf_counter()
        await load(socket, posts, answers)
        return len(posts) / (time.perf_counter() - begin), answers.times_ms


def waited_s(process: int) -> float:
    """How long the process was ready to run and had no processor, so far."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def serve(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """An exchange in a process of its own, and its address."""
    command = [sys.executable, "-m", "hlhft", "exchange", "--coins", "BTC", "--flow", "none", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--no-delay", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


def measured(count: int, load: Any, *arguments: str) -> Run:
    """A run against an exchange of its own. The client's garbage is left lying: it is not what is timed."""
    process, url = serve(*arguments)
    try:
        posts = actions(count)
        gc.collect()
        gc.disable()
        before_s = waited_s(process.pid)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rate, times_ms = runner.run(drive(url, posts, load))
        waited = (waited_s(process.pid) - before_s) / (count / rate)
    finally:
        gc.enable()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return Run(rate, median(times_ms), sorted(times_ms)[len(times_ms) * 99 // 100], waited)


def middle(runs: list[Run]) -> Run:
    """The run whose p99 is the middle one."""
    return sorted(runs, key=lambda run: run.p99_ms)[len(runs) // 2]


def exchange(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; it needs no recordings."""
    del recordings
    count, rounds = (ACTIONS_SHORT, 1) if short else (ACTIONS, ROUNDS)
    fast = middle([measured(count, flat_out, "--no-limits") for _ in range(rounds)])
    steady = middle([measured(count, at_rate, "--no-limits") for _ in range(rounds)])
    limited = middle([measured(WITH_LIMITS, flat_out) for _ in range(rounds)])
    section = "the embedded exchange, one WebSocket, signatures checked"
    off, on = "limits and artificial delay off", "limits on, artificial delay off"
    return [
        Figure(section, f"actions, {off}", fast.rate, "actions/s", minimum=1_500.0, gate=300.0),
        Figure(section, f"their answers with {WINDOW} under way, median", fast.median_ms, "ms"),
        Figure(section, f"their answers with {WINDOW} under way, p99", fast.p99_ms, "ms"),
        Figure(section, "of that time the exchange waited for a processor", 100 * fast.waited, "%"),
        Figure(section, f"answers at {RATE:,} actions/s, {off}, median", steady.median_ms, "ms"),
        Figure(
            section, f"answers at {RATE:,} actions/s, {off}, p99", steady.p99_ms, "ms", maximum=5.0, gate=50.0,
        ),
        Figure(section, "of that time the exchange waited for a processor", 100 * steady.waited, "%"),
        Figure(section, f"actions, {on}", limited.rate, "actions/s"),
        Figure(section, f"their answers with {WINDOW} under way, p99", limited.p99_ms, "ms"),
    ]  # fmt: skip
