"""One WebSocket client socket at a time, for one connection machine: its Open, Send and Close performed, and what the
socket does told back.

Frames are handed over in the callback that read them, as views of the reader's buffer: no copy, no task, no queue. What
is sent leaves in the call, or waits in the socket's buffer, which is told as pressure as long as anything waits. A
socket that hangs is given up by the kernel (TCP_USER_TIMEOUT) as well as by the machine's deadlines; closing never
waits for the peer.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, WSUpgradeResponse, ws_connect

CLOSE_ABNORMAL = 1006  # no close frame came (RFC 6455 section 7.4.1)
CLOSE_TOO_BIG = 1009
CLOSE_NONE = 1005  # a close frame without a code
REASON_CHARACTERS_MAX = 200
ADDRESSES_MAX = 4  # of a name, tried one after the other
# Of the machine's frames none but text is sent; what the venue sends is text as well, and binary is told alike.
_DATA = frozenset({WSMsgType.TEXT, WSMsgType.BINARY})
_CONTROL = frozenset({WSMsgType.PING, WSMsgType.PONG})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """The bounds of one socket."""

    message_bytes_max: int = 1 << 22  # a longer message ends the socket; the decoder takes no longer one either
    user_timeout_ms: int = 5_000  # how long what was sent may stay unacknowledged by the peer's kernel

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of a transport is {getattr(self, name)}, and must be more than 0")


class Told(Protocol):
    """Who hears of a socket. Each names the number that Open gave; nothing is told of one that was closed here."""

    def up(self, socket: int) -> None:
        """TCP stands; TLS, where there is any, counts to the handshake."""

    def upgraded(self, socket: int) -> None:
        """The WebSocket stands."""

    def frame(self, socket: int, frame: memoryview) -> None:
        """A message came; the view is of no worth once this returns."""

    def closed(self, socket: int, code: int, reason: str) -> None:
        """The socket is gone, or could not be opened."""

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        """Something sent waits in the buffer, or nothing does any more."""

    def broke(self, error: BaseException | None) -> None:
        """One of the above raised: an invariant does not hold."""


class Transport:
    """The socket of one machine. `counters` only rise."""

    def __init__(
        self, told: Told, settings: TransportSettings | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.settings = settings or TransportSettings()
        self._told = told
        self._tls = tls
        self._attempt: _Attempt | None = None

    @property
    def socket(self) -> int:
        """The number of the socket that is open or being opened, 0 without one."""
        return 0 if self._attempt is None else self._attempt.socket

    def open(self, url: str, socket: int) -> None:
        """Begins to open a socket; one that is still there is closed."""
        if self._attempt is not None:
            self._attempt.drop(CLOSE_NONE)
        if self._tls is None and url.startswith("wss:"):
            self._tls = ssl.create_default_context()
        self._attempt = _Attempt(self, url, socket)

    def send(self, socket: int, payload: bytes | bytearray | memoryview) -> bool:
        """Sends a text message; False when this socket is not there to take it."""
        attempt = self._attempt
        if attempt is None or attempt.socket != socket or attempt.wire is None:
            self.counters["messages without a socket"] += 1
            return False
        attempt.wire.send(WSMsgType.TEXT, payload)
        return True

    def close(self, socket: int, code: int) -> None:
        """Closes a socket at once; nothing more is told of it."""
        if self._attempt is not None and self._attempt.socket == socket:
            self._attempt.drop(code)
            self._attempt = None

    @property
    def waiting_bytes(self) -> int:
        """How much was sent and waits in this process."""
        attempt = self._attempt
        if attempt is None or attempt.wire is None:
            return 0
        return int(attempt.wire.underlying_transport.get_write_buffer_size())

    def _ended(self, attempt: _Attempt, code: int, reason: str) -> None:
        if self._attempt is attempt:
            self._attempt = None
            attempt.guarded(self._told.closed, code, reason[:REASON_CHARACTERS_MAX])


class _Attempt(WSListener):
    """One socket from its opening to its end."""

    def __init__(self, owner: Transport, url: str, socket: int) -> None:
        self.socket = socket
        self.wire: WSTransport | None = None
        self._owner = owner
        self._told = owner._told
        self._bytes_max = owner.settings.message_bytes_max
        self._parts = bytearray()  # of a message that comes in several frames
        self._ending = (CLOSE_ABNORMAL, "without a close frame")
        self._is_over = False
        self._is_ending = False  # what comes behind a close, or behind what we close for, is not looked at
        self._life = asyncio.get_running_loop().create_task(self._live(url))
        self._life.add_done_callback(_retrieved)

    # Opening.

    async def _live(self, url: str) -> None:
        owner = self._owner
        try:
            wire, _ = await ws_connect(
                self._listener,
                url,
                ssl_context=owner._tls if url.startswith("wss:") else None,
                websocket_handshake_timeout=None,  # the machine has deadlines of its own
                max_frame_size=self._bytes_max,
                max_redirects=0,
                socket_factory=self._tcp,
            )
        except (TimeoutError, OSError, WSError, ValueError) as error:
            self._over(CLOSE_ABNORMAL, _cause(error))
            return
        await wire.wait_disconnected()
        # A peer that hangs up instead of answering ends the opening without an error.
        self._over(*self._ending)

    def _listener(self, request: WSUpgradeRequest, response: WSUpgradeResponse) -> WSListener:
        return self

    async def _tcp(self, url: Any) -> sockets.socket:
        """A connected socket with its options set. Raises OSError when no address of the host takes it."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, url.port, type=sockets.SOCK_STREAM)
        error: OSError = OSError(f"{url.host} has no address")
        for family, kind, protocol, _, address in found[:ADDRESSES_MAX]:
            tcp = sockets.socket(family, kind, protocol)
            try:
                tcp.setblocking(False)
                tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
                tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, self._owner.settings.user_timeout_ms)
                await loop.sock_connect(tcp, address)
            except OSError as refused:
                error = refused
                tcp.close()
            except asyncio.CancelledError:
                tcp.close()
                raise
            else:
                is_told = False
                try:
                    self.guarded(self._told.up)
                    is_told = True
                finally:
                    if not is_told:
                        tcp.close()
                return tcp
        raise error

    # What picows tells.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade was accepted."""
        if self._is_over:
            transport.disconnect(graceful=False)
            return
        # Anything at all that waits is pressure.
        transport.underlying_transport.set_write_buffer_limits(high=0, low=0)
        self.wire = transport
        self.guarded(self._told.upgraded)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        if self._is_over or self._is_ending:
            return
        is_done = False
        try:
            if frame.payload_size > self._bytes_max:
                # picows complains and hands it over all the same.
                self._too_big()
            elif frame.fin and frame.msg_type is WSMsgType.TEXT and not self._parts:
                self._told.frame(self.socket, frame.get_payload_as_memoryview())
            else:
                self._uncommon(frame)
            is_done = True
        finally:
            if not is_done:
                # picows would log it, close the socket, and go on.
                self._told.broke(sys.exc_info()[1])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self.wire = None
        self._over(*self._ending)

    def pause_writing(self) -> None:
        """Something waits to be written."""
        self._owner.counters["writes that had to wait"] += 1
        self._press(is_waiting=True)

    def resume_writing(self) -> None:
        """Nothing waits any more."""
        self._press(is_waiting=False)

    # Parts.

    def drop(self, code: int) -> None:
        """Ends it without a word to anybody but the peer."""
        self._is_over = True
        wire, self.wire = self.wire, None
        if wire is None:
            self._life.cancel()
        else:
            if code != CLOSE_NONE:
                wire.send_close(code)  # type: ignore[arg-type]
            wire.disconnect(graceful=False)

    def _over(self, code: int, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._owner._ended(self, code, reason)

    def _press(self, *, is_waiting: bool) -> None:
        if not self._is_over and self.wire is not None:
            self.guarded(self._told.pressed, is_waiting=is_waiting)

    def guarded(self, tell: Callable[..., None], *values: Any, **named: Any) -> None:
        """Tells; what raises is told as broken, as picows would log it and go on."""
        is_done = False
        try:
            tell(self.socket, *values, **named)
            is_done = True
        finally:
            if not is_done:
                self._told.broke(sys.exc_info()[1])

    def _uncommon(self, frame: WSFrame) -> None:
        """Messages in parts, binary ones, and control frames."""
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            self._end(*_close_of(frame))
            return
        if kind in _CONTROL:
            return  # picows answers pings by itself
        if kind in _DATA and frame.fin:
            self._told.frame(self.socket, frame.get_payload_as_memoryview())
            return
        self._owner.counters["parts of messages"] += 1
        if len(self._parts) + frame.payload_size > self._bytes_max:
            self._too_big()
            return
        self._parts += frame.get_payload_as_memoryview()
        if frame.fin:
            whole, self._parts = self._parts, bytearray()
            self._told.frame(self.socket, memoryview(whole))

    def _too_big(self) -> None:
        assert self.wire is not None, "a frame comes from a socket"
        self.wire.send_close(CLOSE_TOO_BIG)  # type: ignore[arg-type]
        self._end(CLOSE_TOO_BIG, f"a message of more than {self._bytes_max} bytes")

    def _end(self, code: int, reason: str) -> None:
        self._ending = code, reason
        self._is_ending = True
        assert self.wire is not None, "a frame comes from a socket"
        self.wire.disconnect(graceful=False)


def _retrieved(life: asyncio.Task[None]) -> None:
    """What picows raises at the end was told before, as `closed` or as `broke`."""
    if not life.cancelled():
        life.exception()


def _close_of(frame: WSFrame) -> tuple[int, str]:
    """(code, reason) of a close frame."""
    if frame.payload_size < 2:
        return CLOSE_NONE, ""
    payload = frame.get_payload_as_bytes()
    return int.from_bytes(payload[:2]), payload[2:].decode(errors="replace")


def _cause(error: BaseException) -> str:
    """Why a socket could not be opened, in a few words without anything of ours in it."""
    if isinstance(error, WSError):
        response = getattr(error, "response", None)
        if response is not None:
            kind = response.headers.get("Content-Type", "no type")
            return f"the venue answered HTTP {int(response.status)} ({kind}) instead of an upgrade"
    return f"{type(error).__name__}: {error}"
