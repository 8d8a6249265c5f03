"""One WebSocket at a time for the recorder's connection machine, on another library than the engine's.

A shell: it opens, sends and closes as it is told, and tells what the socket does, each with the number that Open gave.
Nothing is told of a socket that was closed here. Deadlines are the machine's. What whoever hears raises goes to the
event loop's handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI

FRAME_BYTES_MAX = 1 << 22  # the decoder takes no longer one
FRAMES_WAITING_MAX = 1_024  # in the library, before it stops reading the socket
CLOSE_S = 1.0  # for the peer to agree to a close; then the socket is dropped
ADDRESSES_MAX = 4  # of a name, tried one after the other
USER_TIMEOUT_MS = 10_000  # how long what was sent may stay unacknowledged by the peer's kernel
CLOSE_ABNORMAL = 1006  # no close frame came (RFC 6455 section 7.4.1)
REASON_CHARACTERS_MAX = 200
_PORTS = {"ws": 80, "wss": 443}


class Told(Protocol):
    """Who hears of a socket."""

    def up(self, socket: int) -> None:
        """TCP stands."""

    def upgraded(self, socket: int) -> None:
        """The WebSocket stands."""

    def frame(self, socket: int, frame: bytes) -> None:
        """A message came."""

    def closed(self, socket: int, code: int, reason: str) -> None:
        """The socket is gone, or could not be opened."""


class Link:
    """The socket of one machine, on a running event loop."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._number = 0
        self._wire: ClientConnection | None = None
        self._life: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def open(self, url: str, socket: int) -> None:
        """Begins to open a socket; one that is still there is dropped."""
        self._drop()
        self._number = socket
        self._life = asyncio.get_running_loop().create_task(self._live(url, socket))
        self._life.add_done_callback(_raise_what_is_left)

    def send(self, socket: int, payload: bytes) -> None:
        """Sends a text message, if this socket is there to take it. Bounded by the machine's budget of messages."""
        if self._wire is not None and socket == self._number:
            task = asyncio.get_running_loop().create_task(self._send(self._wire, payload))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def close(self, socket: int) -> None:
        """Closes a socket at once; nothing more is told of it."""
        if socket == self._number:
            self._drop()

    async def ended(self) -> None:
        """Returns once nothing of it runs any more."""
        self._drop()
        left = [*self._sending, *([] if self._life is None else [self._life])]
        await asyncio.gather(*left, return_exceptions=True)

    async def _live(self, url: str, socket: int) -> None:
        code, reason = CLOSE_ABNORMAL, "without a close frame"
        try:
            tcp = await _connected(url)
            self._told.up(socket)
            async with connect(
                url, sock=tcp, open_timeout=None, ping_interval=None, close_timeout=CLOSE_S, proxy=None,
                max_size=FRAME_BYTES_MAX, max_queue=FRAMES_WAITING_MAX, compression=None, user_agent_header=None,
            ) as wire:  # fmt: skip
                self._wire = wire
                self._told.upgraded(socket)
                while True:
                    self._told.frame(socket, await wire.recv(decode=False))
        except ConnectionClosed as error:
            close = error.rcvd or error.sent
            if close is not None:
                code, reason = close.code, close.reason
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, InvalidURI, EOFError) as error:
            reason = f"{type(error).__name__}: {error}"
        self._wire = None
        if socket == self._number:
            self._number = 0
            self._told.closed(socket, code, reason[:REASON_CHARACTERS_MAX])

    async def _send(self, wire: ClientConnection, payload: bytes) -> None:
        # Whoever reads hears of the end.
        with contextlib.suppress(ConnectionClosed):
            await wire.send(payload, text=True)

    def _drop(self) -> None:
        self._number = 0
        self._wire = None
        if self._life is not None:
            self._life.cancel()
            self._life = None


def _raise_what_is_left(life: asyncio.Task[None]) -> None:
    """What the socket cannot raise is an invariant that does not hold: the loop's handler hears of it."""
    if not life.cancelled() and (error := life.exception()) is not None:
        raise error


async def _connected(url: str) -> sockets.socket:
    """A connected TCP socket. Raises OSError when no address of the host takes it."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme], type=sockets.SOCK_STREAM)
    error = OSError(f"{parts.hostname} has no address")
    for family, kind, protocol, _, address in found[:ADDRESSES_MAX]:
        tcp = sockets.socket(family, kind, protocol)
        try:
            tcp.setblocking(False)
            tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            await loop.sock_connect(tcp, address)
        except OSError as refused:
            error = refused
            tcp.close()
        except asyncio.CancelledError:
            tcp.close()
            raise
        else:
            return tcp
    raise error
