"""A WebSocket client written by hand from the venue reference, section 6, with another library than the exchange's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.conformance.desk import Desk

ESTABLISHED = "Websocket connection established."
WITHIN_S = 15.0


class Client:
    """A socket, and all frames that came and were not asked for yet."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.kept: list[dict[str, Any]] = []

    async def send(self, body: Any) -> None:
        await self.socket.send(body if isinstance(body, str) else json.dumps(body))

    async def next(self, channel: str, holds: Callable[[dict[str, Any]], bool] = lambda frame: True) -> dict[str, Any]:
        """The next frame of the channel of which it holds; others are kept."""
        async with asyncio.timeout(WITHIN_S):
            for place, frame in enumerate(self.kept):
                if frame["channel"] == channel and holds(frame):
                    return self.kept.pop(place)
            while True:
                frame = json.loads(await self.socket.recv())
                if frame["channel"] == channel and holds(frame):
                    return dict(frame)
                self.kept.append(frame)

    async def subscribe(self, subscription: dict[str, Any], method: str = "subscribe") -> dict[str, Any]:
        """The subscription as the exchange acknowledges it."""
        await self.send({"method": method, "subscription": subscription})
        answer = await self.next("subscriptionResponse")
        assert answer["data"]["method"] == method
        return dict(answer["data"]["subscription"])

    async def error(self, body: Any) -> str:
        """The text of the error frame that it causes."""
        await self.send(body)
        return str((await self.next("error"))["data"])

    async def post(self, kind: str, payload: dict[str, Any], number: int = 1) -> dict[str, Any]:
        """The response to a request over the socket."""
        await self.send({"method": "post", "id": number, "request": {"type": kind, "payload": payload}})
        data = (await self.next("post", lambda frame: frame["data"]["id"] == number))["data"]
        assert set(data) == {"id", "response"}
        return dict(data["response"])


@asynccontextmanager
async def connected(desk: Desk) -> AsyncIterator[Client]:
    async with websockets.connect(
        desk.socket_url, ping_interval=None, proxy=None, max_size=None, max_queue=None
    ) as socket:
        assert await socket.recv() == ESTABLISHED
        yield Client(socket)
