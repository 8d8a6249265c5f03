"""What stands between an engine and its exchange: it passes on what either says, or something else instead."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from tests.conformance.desk import eventually

HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
READY_S = 30.0
Change = Callable[[Any], Any]
Mute = Callable[[str], bool]


class Between:
    """An address of its own for the exchange at `url`. To be used as a context.

    `instead` changes the answer to the questions of a type; with `is_html` every request is answered as an overloaded
    gateway does. What the exchange pushes and `mutes` says true of never arrives; `is_down` refuses everything new.
    """

    def __init__(self, url: str) -> None:
        self.instead: dict[str, Change] = {}
        self.is_html = False
        self.is_down = False
        self.mutes: Mute = _nothing
        self._to = url
        self._sockets: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._port = 0
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    def __enter__(self) -> Between:
        self._thread.start()
        eventually(lambda: self._port, within_s=READY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(READY_S)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port}"

    def say(self, frame: str | bytes) -> None:
        """Sends one frame to all who are connected, as if the exchange had."""

        async def work() -> None:
            for socket in tuple(self._sockets):
                await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(READY_S)

    def cut(self) -> None:
        """Hangs up on all who are connected."""

        async def work() -> None:
            for socket in tuple(self._sockets):
                await socket.close()

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(READY_S)

    # Parts.

    async def _serve(self) -> None:
        application = web.Application()
        application.router.add_post("/{path}", self._post)
        application.router.add_get("/ws", self._socket)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        async with aiohttp.ClientSession() as self._session:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._port = runner.addresses[0][1]
            await self._over.wait()
            for socket in tuple(self._sockets):
                await socket.close()
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.is_html or self.is_down:
            return web.Response(status=502, text=HTML, content_type="text/html")
        async with self._session.post(self._to + request.path, data=body) as told:
            answer, status = await told.read(), told.status
        change = self.instead.get(str(json.loads(body).get("type")))
        if change is not None:
            answer = json.dumps(change(json.loads(answer))).encode()
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        if self.is_down:
            raise web.HTTPServiceUnavailable
        down = web.WebSocketResponse(compress=False)
        await down.prepare(request)
        async with self._session.ws_connect(self._to + "/ws") as up:
            self._sockets.add(down)
            ways = [
                asyncio.ensure_future(_pass_on(up, down, lambda text: self.mutes(text))),
                asyncio.ensure_future(_pass_on(down, up, _nothing)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self._sockets.discard(down)
            await up.close()
            await down.close()
            await asyncio.wait(ways)
        return down


def _nothing(text: str) -> bool:
    return False


async def _pass_on(source: Any, target: Any, mutes: Mute) -> None:
    """Every text of the one to the other that is not muted, until either ends."""
    async for message in source:
        if message.type is not aiohttp.WSMsgType.TEXT or target.closed:
            return
        if not mutes(message.data):
            await target.send_str(message.data)
