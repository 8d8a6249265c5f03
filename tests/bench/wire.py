"""Tick to trade over the wire: loopback TLS, a thousand books a second, an order for each, against a client that does
nothing.

A peer in a process of its own (`tests.bench.wire_peer`) sends recorded 20-level books and times the first post after
each of them. In turn it faces two clients on the same transport: ours (decoder, core, gateway, signature), and one that
answers every frame with the same bytes. What lies between their medians is ours. The clients also time themselves, from
their callback to the return of the last send.

Beside it, in process and without a socket: the same path from the official SDK's parts, frame to signed request.
Garbage collection is frozen and off, batching, budgets and all breakers are as a user has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid as SdkCloid
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hlhft.backtest.session import Settings, limits_of
from hlhft.core.brain import Brain
from hlhft.core.state import BookKind
from hlhft.events import empty
from hlhft.hyperliquid.answers import ActionAnswer, ActionPosted, LegStatus, Outcome
from hlhft.hyperliquid.backoff import Budget
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_events import (
    Effect,
    Gate,
    LaneUp,
    MarkWritten,
    NonceEvidence,
    Post,
    Posted,
    Start,
    Tell,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.nonces import NonceAllocator, NonceRules
from hlhft.hyperliquid.signing import Signer
from hlhft.strategies import load
from hlhft.units import MICRO
from tests.bench.decode import recorded_frames
from tests.bench.encode import BTC, KEY, OWNER, SESSION
from tests.bench.figures import Figure, median
from tests.bench.wire_peer import UNMATCHED

SECTION = "tick to trade over loopback TLS, 1,000 books a second"
COUNT, COUNT_SHORT = 3_000, 600
ROUNDS, ROUNDS_SHORT = 5, 2
SPACING_US = 1_000
BOOK_NS = 100_000_000
TURN = 20  # of one side before the other's
NS_PER_US = 1e3
STRATEGY = Path(__file__).parent / "strategies" / "immediate.py"
GO = b'{"method":"go"}'
DONE_START = b'{"channel":"done"'
BOOK_START = b'{"channel":"l2Book"'


@dataclass
class Peer:
    """A running peer, its port and what it prints."""

    process: subprocess.Popen[str]
    port: int
    frames: list[bytes]

    def replies_ns(self) -> list[int]:
        """What it measured of the client that has just been served."""
        assert self.process.stdout is not None
        told: list[int] = json.loads(self.process.stdout.readline())
        return told


@contextlib.contextmanager
def running_peer(folder: Path, frames: list[bytes], count: int) -> Iterator[Peer]:
    """A peer with a certificate of its own making; on the last processor when there are two."""
    certificate, key, lines = folder / "certificate.pem", folder / "key.pem", folder / "frames"
    subject = ["-subj", "/CN=localhost", "-days", "1"]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run([*making, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    lines.write_bytes(b"\n".join(frames))
    command = [sys.executable, "-m", "tests.bench.wire_peer", str(certificate), str(key), str(lines)]
    process = subprocess.Popen(
        [*command, str(count), str(SPACING_US)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Peer(process, int(process.stdout.readline()), frames)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


@dataclass
class Timed:
    """What a client's round gave, in ns: wire to wire by the peer's clock, and inside the client."""

    wire_ns: list[int] = field(default_factory=list)
    inner_ns: list[int] = field(default_factory=list)
    frames: int = 0

    @property
    def replied_share(self) -> float:
        """Which share of the frames led to a post before the next frame."""
        return len(self.wire_ns) / self.frames

    def add(self, told: list[int], inner_ns: list[int]) -> None:
        """Takes in one round."""
        self.wire_ns += [value for value in told if value >= 0]
        self.inner_ns += inner_ns
        self.frames += len(told)


def percentile(values: list[int], share: float) -> float:
    """In microseconds."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] / NS_PER_US


class Client(WSListener):  # type: ignore[misc]
    """A client of the bench: `reply` is what it does with a book."""

    def __init__(self) -> None:
        self.inner_ns: list[int] = []
        self.done = asyncio.get_running_loop().create_future()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        start_ns = time.perf_counter_ns()
        content = frame.get_payload_as_memoryview()
        if content[: len(BOOK_START)] == BOOK_START:
            sent_ns = self.book(content)
            if sent_ns:
                self.inner_ns.append(sent_ns - start_ns)
        elif content[: len(DONE_START)] == DONE_START:
            self.done.set_result(None)
        else:
            self.other(content)

    def book(self, content: memoryview) -> int:
        """Answers a book; returns when the last byte was handed to the socket, 0 when nothing was."""
        raise NotImplementedError

    def other(self, content: memoryview) -> None:
        """Takes in what is no book."""


class NullClient(Client):
    """Answers each book with the same bytes."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self._reply = reply

    def book(self, content: memoryview) -> int:
        """Sends the reply."""
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, self._reply)
        return time.perf_counter_ns()


class Hot:
    """The engine's way from a frame to signed requests, without its socket and files."""

    def __init__(self) -> None:
        strategy = load(str(STRATEGY))
        limits = limits_of(Settings(strategy=strategy))
        limits["markets"] = 1
        limits["rejections_max"] = 0  # each order of this bench is rejected
        limits["address_enforced"] = 0  # and there are more than a minute of the venue allows
        markets = BTC.record()
        self.brain = brain = Brain(markets, limits)
        brain.data.books["kind"] = BookKind.SNAPSHOT
        brain.data.books["contains_own"] = 1
        lane = brain.lane.lane
        lane["strategy_address"], lane["connected"] = strategy.address(), 1
        lane["starting_equity_micro"] = lane["equity_micro"] = 10_000 * MICRO
        brain.lane.params[:] = strategy.params_bytes({})
        self.decoder = Decoder((BTC,))
        nonces = NonceAllocator(0, NonceRules(window_ms=1_800_000))
        fates = Fates((BTC,), owner=OWNER, session=SESSION)
        encoder = Encoder(markets, Signer(KEY), owner=OWNER, session=SESSION, mainnet=False)
        budget = Budget(10_000_000)
        self.gateway = Gateway(
            GatewaySettings(account="0x" + "ab" * 20, messages_kept=1), encoder=encoder, nonces=nonces, fates=fates,
            messages=budget, requests=budget,
        )  # fmt: skip
        self.news = empty(256)
        self._open(time.time_ns())

    def _open(self, now_ns: int) -> None:
        """As after a start that went well: nonces proven, a lane up, the gate open."""
        marks = [effect for effect in self.gateway.on(Start(), now_ns) if isinstance(effect, WriteMark)]
        self.gateway.on(MarkWritten(marks[0].mark), now_ns)
        self.gateway.on(NonceEvidence(0), now_ns)
        for lane in (0, 1):
            for effect in self.gateway.on(LaneUp(lane, 1 + lane), now_ns):
                if isinstance(effect, Post):
                    done = ActionAnswer(is_ok=True, kind="default")
                    message = ActionPosted(id=effect.request_id, answer=done)
                    self.gateway.on(Posted(effect.socket, message), now_ns)
        self.gateway.on(Gate(is_open=True), now_ns)

    def posts(self, frame: bytes | memoryview, received_ns: int) -> list[Post]:
        """What is to be written for a frame of market data."""
        brain = self.brain
        count = brain.step(self.decoder.events, self.decoder.decode(frame, received_ns))
        if count == 0:
            return []
        return [
            effect
            for effect in self.gateway.send(brain.commands[:count], received_ns, received_ns)
            if type(effect) is Post
        ]

    def written(self, post: Post, received_ns: int, at_ns: int) -> None:
        """Tells the core how long it took."""
        self.tell(self.gateway.on(Written(post.request_id, at_ns), max(received_ns, at_ns)))

    def answered(self, frame: bytes | memoryview, socket: int) -> None:
        """Takes in an answer."""
        now_ns = time.time_ns()
        assert self.decoder.decode(frame, now_ns) == 0
        message = self.decoder.message
        if isinstance(message, ActionPosted):
            self.tell(self.gateway.on(Posted(socket, message), now_ns))

    def unmatched(self, post: Post, now_ns: int) -> None:
        """The answer of a venue where nobody wanted it."""
        refused = LegStatus(outcome=Outcome.ERROR, text=UNMATCHED)
        answer = ActionAnswer(is_ok=True, kind="order", statuses=(refused,))
        self.tell(self.gateway.on(Posted(post.socket, ActionPosted(id=post.request_id, answer=answer)), now_ns))

    def tell(self, effects: Sequence[Effect]) -> None:
        """Hands the core what the gateway has to tell."""
        for effect in effects:
            if isinstance(effect, Tell):
                self.news[: len(effect.rows)] = effect.rows
                self.brain.step(self.news, len(effect.rows))


class OurClient(Client):
    """The engine's callback."""

    def __init__(self, hot: Hot) -> None:
        super().__init__()
        self.hot = hot

    def book(self, content: memoryview) -> int:
        """Decodes, decides, signs, sends; and tells the core that it was sent."""
        assert self.transport is not None
        received_ns = time.time_ns()
        sent_ns = 0
        for post in self.hot.posts(content, received_ns):
            self.transport.send(WSMsgType.TEXT, post.payload)
            sent_ns = time.perf_counter_ns()
            self.hot.written(post, received_ns, time.time_ns())
        return sent_ns

    def other(self, content: memoryview) -> None:
        """Answers."""
        self.hot.answered(content, 1)


async def round_of(client: Client, port: int, *, polls: bool) -> None:
    """One round of frames; a client that polls never sleeps (`engine.busy_poll`)."""
    loop = asyncio.get_running_loop()

    def turn() -> None:
        if not client.done.done():
            loop.call_soon(turn)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    transport, _ = await ws_connect(lambda: client, f"wss://127.0.0.1:{port}/ws", ssl_context=context)
    gc.collect()
    gc.freeze()
    gc.disable()
    if polls:
        loop.call_soon(turn)
    transport.send(WSMsgType.TEXT, GO)
    await asyncio.wait_for(client.done, 120)
    gc.enable()
    gc.unfreeze()
    transport.disconnect()
    await transport.wait_disconnected()


def by_the_sdk(frame: bytes, wallet: LocalAccount, place: int) -> bytes:
    """The same path as users of the official SDK have it: JSON, floats, its wire types and its signature."""
    book = json.loads(frame)["data"]
    request = {
        "coin": BTC.name, "is_buy": True, "sz": 0.0015, "limit_px": float(book["levels"][0][0]["px"]),
        "order_type": {"limit": {"tif": "Ioc"}}, "reduce_only": False,
        "cloid": SdkCloid.from_int(Cloid(OWNER, SESSION, 1 + place << 10).number()),
    }  # fmt: skip
    action = sdk.order_wires_to_order_action([sdk.order_request_to_order_wire(request, BTC.asset_id)])
    nonce = time.time_ns() // 1_000_000
    signature = sdk.sign_l1_action(wallet, action, None, nonce, nonce + 3000, False)
    body = {
        "action": action, "nonce": nonce, "signature": signature, "vaultAddress": None, "expiresAfter": nonce + 3000,
    }  # fmt: skip
    post = {"method": "post", "id": place, "request": {"type": "action", "payload": body}}
    return json.dumps(post, separators=(",", ":")).encode()


def in_process(frames: Sequence[bytes], count: int) -> tuple[float, float]:
    """Median microseconds from a frame to its signed request: ours, and by the SDK's parts; in turn."""
    hot, wallet = Hot(), Account.from_key(KEY)
    ours: list[float] = []
    theirs: list[float] = []
    start_ns = time.time_ns()
    for place in range(count):
        frame = frames[place % len(frames)]
        now_ns = start_ns + place * BOOK_NS  # frames do not come faster than answers
        began_ns = time.perf_counter_ns()
        posts = hot.posts(frame, now_ns)
        if posts:
            ours.append((time.perf_counter_ns() - began_ns) / NS_PER_US)
        for post in posts:
            hot.written(post, now_ns, now_ns)
            hot.unmatched(post, now_ns)
        if place % TURN == 0:
            for number in range(TURN):
                frame = frames[(place + number) % len(frames)]
                began_ns = time.perf_counter_ns()
                by_the_sdk(frame, wallet, place + number)
                theirs.append((time.perf_counter_ns() - began_ns) / NS_PER_US)
    assert len(ours) >= 0.9 * count, "nearly every frame leads to an order"
    return median(ours), median(theirs)


def over_the_wire(peer: Peer, hot: Hot, rounds: int) -> dict[tuple[str, bool], Timed]:
    """Rounds of both clients, in turn."""
    reply = hot.posts(peer.frames[0], time.time_ns())[0]
    hot.unmatched(reply, time.time_ns())
    times = {(name, polls): Timed() for name in ("null", "ours") for polls in (False, True)}
    for number in range(rounds + 1):
        for (name, polls), timed in times.items():

            async def one(name: str = name, polls: bool = polls) -> Client:
                client = OurClient(hot) if name == "ours" else NullClient(reply.payload)
                await round_of(client, peer.port, polls=polls)
                return client

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                client = runner.run(one())
            told = peer.replies_ns()
            if number:  # the first round of each warms
                timed.add(told, client.inner_ns)
    return times


def figures_of(times: dict[tuple[str, bool], Timed]) -> list[Figure]:
    """What lies between the two clients, and both by themselves; asleep between two frames, and polling."""
    found = []
    for polls, mode in ((False, ""), (True, ", both polling")):
        ours, null = times["ours", polls], times["null", polls]
        wire_us = percentile(ours.wire_ns, 0.5) - percentile(null.wire_ns, 0.5)
        inner_us = percentile(ours.inner_ns, 0.5) - percentile(null.inner_ns, 0.5)
        name = "ours over a client that does nothing"
        found += [
            Figure(SECTION, f"{name}, wire to wire{mode}", wire_us, "us", maximum=45.0, gate=300.0),
            Figure(SECTION, f"{name}, inside the client{mode}", inner_us, "us", maximum=45.0, gate=300.0),
        ]
        share = 100 * ours.replied_share
        found.append(Figure(SECTION, f"frames that lead to an order{mode}", share, "%", minimum=90.0, gate=50.0))
        for who, timed in (("ours", ours), ("a client that does nothing", null)):
            for part, mark in ((0.5, "median"), (0.99, "p99")):
                found += [
                    Figure(SECTION, f"{who}: wire to wire, {mark}{mode}", percentile(timed.wire_ns, part), "us"),
                    Figure(SECTION, f"{who}: inside the client, {mark}{mode}", percentile(timed.inner_ns, part), "us"),
                ]
    return found


def wire(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    folder = recordings / "hyperliquid" / "l2_trades_bbo_20250904"
    files = [folder / f"{name}_BTC.csv.gz" for name in ("orderbooks", "prices", "trades")]
    count = COUNT_SHORT if short else COUNT
    books = recorded_frames(files, BTC)["20 levels"][:count]
    in_process(books, 200)
    ours, theirs = in_process(books, 400 if short else 2_000)
    with tempfile.TemporaryDirectory() as temporary, running_peer(Path(temporary), books, count) as peer:
        times = over_the_wire(peer, Hot(), ROUNDS_SHORT if short else ROUNDS)
    return [
        *figures_of(times),
        Figure(SECTION, "in process, a book to a signed request: ours", ours, "us", gate=250.0),
        Figure(SECTION, "in process, a book to a signed request: the SDK's parts", theirs, "us"),
        Figure(SECTION, "in process: ratio", theirs / ours, "x", minimum=6.0, gate=3.0),
    ]
