"""The other side of the wire bench: a server over TLS that sends frames at a fixed pace and times the replies.

    python -m tests.bench.wire_peer CERTIFICATE KEY FRAMES COUNT SPACING_US

FRAMES is a file with a frame a line. Prints its port; a client that says `{"method":"go"}` gets COUNT frames, and after
the last one a line is printed for it: a JSON list of nanoseconds, from the send of each frame to the first post that
came before the next frame, -1 where none did. It runs until its standard input ends. Posts are answered as the venue
does: an immediate order finds nothing, any other rests, each cancel succeeds.

It spins instead of sleeping while it paces frames, so its clock is good to a microsecond; it needs a processor of its
own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

HOST = "127.0.0.1"
DONE = b'{"channel":"done"}'
IMMEDIATE = {"limit": {"tif": "Ioc"}}
UNMATCHED = "Order could not immediately match against any resting orders. asset=0"
SETTLE_S = 0.2  # after the last frame, for its reply


class Peer(WSListener):  # type: ignore[misc]
    """One client's server."""

    def __init__(self, frames: list[bytes], count: int, spacing_ns: int) -> None:
        self._frames, self._count, self._spacing_ns = frames, count, spacing_ns
        self._sent_ns: list[int] = []
        self._replied_ns: list[int] = []
        self._posts: list[bytes] = []
        self._oid = 1_000_000
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now_ns = time.perf_counter_ns()
        if frame.msg_type != WSMsgType.TEXT:
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(b'{"method":"post"'):
            if self._sent_ns and self._replied_ns[-1] < 0:
                self._replied_ns[-1] = now_ns - self._sent_ns[-1]
            self._posts.append(text)
            return
        told: dict[str, Any] = json.loads(text)
        if told["method"] == "go":
            gc.collect()
            gc.disable()
            self._sent_ns, self._replied_ns = [], []
            asyncio.get_running_loop().call_soon(self._pace, time.perf_counter_ns() + self._spacing_ns)
        elif told["method"] == "subscribe":
            answer = {"channel": "subscriptionResponse", "data": told}
            transport.send(WSMsgType.TEXT, json.dumps(answer, separators=(",", ":")).encode())
        elif told["method"] == "ping":
            transport.send(WSMsgType.TEXT, b'{"channel":"pong"}')

    def _pace(self, due_ns: int) -> None:
        """Sends the next frame once it is due; answers what was posted in the middle between two frames."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        now_ns = time.perf_counter_ns()
        if self._posts and now_ns > due_ns - self._spacing_ns // 2:
            self._transport.send(WSMsgType.TEXT, self._answer(self._posts.pop(0)))
        if now_ns >= due_ns:
            if len(self._sent_ns) == self._count:
                loop.call_later(SETTLE_S, self._finish)
                return
            frame = self._frames[len(self._sent_ns) % len(self._frames)]
            self._replied_ns.append(-1)
            self._sent_ns.append(time.perf_counter_ns())
            self._transport.send(WSMsgType.TEXT, frame)
            due_ns += self._spacing_ns
        loop.call_soon(self._pace, due_ns)

    def _finish(self) -> None:
        assert self._transport is not None
        gc.enable()
        while self._posts:
            self._transport.send(WSMsgType.TEXT, self._answer(self._posts.pop(0)))
        self._transport.send(WSMsgType.TEXT, DONE)
        print(json.dumps(self._replied_ns), flush=True)

    def _answer(self, text: bytes) -> bytes:
        told = msgspec.json.decode(text)
        action = told["request"]["payload"]["action"]
        statuses: list[Any] = []
        for order in action.get("orders", []):
            self._oid += 1
            if order["t"] == IMMEDIATE:
                statuses.append({"error": UNMATCHED})
            else:
                statuses.append({"resting": {"oid": self._oid, "cloid": order.get("c")}})
        statuses += ["success" for _ in action.get("cancels", [])]
        kind = "order" if "orders" in action else "cancel"
        response = {"type": kind, "data": {"statuses": statuses}}
        payload = {"status": "ok", "response": response}
        data = {"id": told["id"], "response": {"type": "action", "payload": payload}}
        return msgspec.json.encode({"channel": "post", "data": data})


async def serve(certificate: Path, key: Path, frames: list[bytes], count: int, spacing_ns: int) -> None:
    """Serves until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def listener(request: WSUpgradeRequest) -> WSListener:
        return Peer(frames, count, spacing_ns)

    server = await ws_create_server(listener, HOST, 0, ssl=context, enable_auto_pong=True)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> int:
    """Runs the peer."""
    certificate, key, frames, count, spacing_us = sys.argv[1:]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    lines = Path(frames).read_bytes().splitlines()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(certificate), Path(key), lines, int(count), int(spacing_us) * 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
