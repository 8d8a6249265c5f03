"""Venues for a live scan to watch: an exchange that trades with itself, and one that says what a script says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def trading_exchange(folder: Path, coins: str) -> Iterator[str]:
    """An exchange as a process of its own with a synthetic order flow; yields its base URL once it listens."""
    ready = folder / "ready.json"
    line = [sys.executable, "-m", "hlhft", "exchange", "--coins", coins, "--port", str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*line, "--ready-file", str(ready)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as held:
        assert held.stderr is not None
        try:
            said = []
            for text in held.stderr:
                said.append(text)
                if text.startswith("block "):
                    break
            assert ready.is_file(), said
            yield json.loads(ready.read_text())["url"]
        finally:
            held.send_signal(signal.SIGTERM)
            held.stderr.read()


@contextlib.asynccontextmanager
async def scripted(
    listing: bytes, connections: Sequence[Sequence[str]], *later: bytes
) -> AsyncIterator[tuple[str, list[Any]]]:
    """A venue that sends these frames on its first, second ... connection once all is subscribed to, and closes all
    but the last; yields its base URL and what it was sent. `later` are its further listings, the last one for good."""
    heard: list[Any] = []
    scripts, listings = list(connections), [listing, *later]

    async def info(request: web.Request) -> web.Response:
        body = listings.pop(0) if len(listings) > 1 else listings[0]
        return web.Response(body=body, content_type="application/json")

    async def talk(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        frames = scripts.pop(0)
        async for message in ws:
            assert message.type is WSMsgType.TEXT
            heard.append(json.loads(message.data))
            if heard[-1].get("subscription", {}).get("type") == "trades":
                for frame in frames:
                    await ws.send_str(frame)
                if scripts:
                    await ws.close(code=1000, message=b"Expired")
        return ws

    application = web.Application()
    application.router.add_post("/info", info)
    application.router.add_get("/ws", talk)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", heard
    finally:
        await runner.cleanup()
