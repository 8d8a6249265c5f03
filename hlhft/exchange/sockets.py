"""The WebSocket side of the exchange, pure: frames of clients in, frames to clients and closes out.

Source: venue reference section 6.1. A connection is a number that the shell got from `open`. What a subscription
delivers is the business of channels; what an action or a request of `post` does is the same as over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hlhft.exchange.answers import Answer
from hlhft.exchange.channels import Channels
from hlhft.exchange.limits import CONNECTIONS_TEXT, Client, ClientLimits
from hlhft.exchange.settings import ExchangeSettings
from hlhft.hyperliquid.wire import ms_of

ESTABLISHED = b"Websocket connection established."
PONG = b'{"channel":"pong"}'
UNREADABLE = "Error parsing JSON into valid websocket request: {}"
UNREADABLE_CHARACTERS_MAX = 256  # of what was sent, in an error frame
EXPIRED = "Expired"
INACTIVE = "Inactive"
NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
Frame = tuple[int, bytes]  # connection, what to send to it
FOREVER_NS = 2**62


class Ping(msgspec.Struct, tag_field="method", tag="ping"):
    """A sign of life."""


class Subscribe(msgspec.Struct, tag_field="method", tag="subscribe"):
    """A subscription begins."""

    subscription: Any


class Unsubscribe(msgspec.Struct, tag_field="method", tag="unsubscribe"):
    """A subscription ends."""

    subscription: Any


class PostRequest(msgspec.Struct):
    """The body of a request as over HTTP."""

    type: Literal["info", "action"]
    payload: msgspec.Raw


class Post(msgspec.Struct, tag_field="method", tag="post"):
    """A request over the socket."""

    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    request: PostRequest


_DECODER = msgspec.json.Decoder(Ping | Subscribe | Unsubscribe | Post)


@dataclass(slots=True)
class _Connection:
    client: Client
    opened_ns: int
    sent_ns: int
    closing: str = ""  # why it is to be closed


@dataclass(frozen=True, slots=True)
class Close:
    """A connection that the exchange closes."""

    connection: int
    code: int
    reason: str


def error_frame(text: str) -> bytes:
    """An error frame; it does not say which request it is about (venue reference section 6.1)."""
    return msgspec.json.encode({"channel": "error", "data": text})


class Sockets:
    """All connections. `admit` and `info` take a body, a client and a time, as of `hlhft.exchange.machine.Machine`;
    `block_ns` tells the latest block's time."""

    def __init__(
        self,
        settings: ExchangeSettings,
        channels: Channels,
        limits: ClientLimits,
        *,
        admit: Callable[[bytes, Client, int], int | Answer],
        info: Callable[[bytes, Client, int], Answer],
        block_ns: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.channels = channels
        self.limits = limits
        self._admit = admit
        self._info = info
        self._block_ns = block_ns
        self._last = 0
        self._connections: dict[int, _Connection] = {}
        self._posts: dict[int, tuple[int, int]] = {}  # ticket -> connection, id of the post

    def __len__(self) -> int:
        return len(self._connections)

    def open(self, client: Client, now_ns: int) -> tuple[int, list[bytes]] | str:
        """A new connection and the frames that greet it, or why there is none."""
        if len(self._connections) >= self.settings.connections_max:
            return CONNECTIONS_TEXT
        self._last += 1
        refusal = self.limits.connect(client, self._last, ms_of(now_ns))
        if refusal is not None:
            return refusal
        self._connections[self._last] = _Connection(client, now_ns, now_ns)
        self.channels.open(self._last)
        return self._last, [ESTABLISHED]

    def disconnect(self, connection: int) -> None:
        """Forgets a connection that is gone; what it asked for goes on without an answer."""
        if self._connections.pop(connection, None) is not None:
            self.channels.close(connection)
            self.limits.disconnect(connection)

    def receive(self, connection: int, text: bytes, now_ns: int) -> list[bytes]:
        """The frames that answer one text frame at once."""
        state = self._connections.get(connection)
        if state is None or state.closing:
            return []
        refusal = self.limits.message(connection, ms_of(now_ns))
        if refusal is not None:
            # What the venue does then is unverified; a close is what a client cannot overlook.
            state.closing = refusal
            return []
        try:
            request = _DECODER.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            replies = [error_frame(UNREADABLE.format(_shown(text)))]
        else:
            replies = self._reply(connection, state, request, _shown(text), now_ns)
        if replies:
            state.sent_ns = now_ns
        return replies

    def answered(self, ticket: int, answer: Answer) -> Frame | None:
        """The frame that brings the answer of an action; None when the ticket is none of a socket's that is there."""
        connection, post = self._posts.pop(ticket, (0, 0))
        if connection not in self._connections:
            return None
        self.limits.end_post(connection)
        return connection, _post_frame(post, "action", answer)

    def sent(self, connection: int, now_ns: int) -> None:
        """Notes that something goes out to the connection."""
        state = self._connections.get(connection)
        if state is not None:
            state.sent_ns = now_ns

    def next_deadline_ns(self) -> int:
        """When `due` has a connection to close, if nothing is sent until then."""
        return min([self._closes_ns(state)[0] for state in self._connections.values()], default=FOREVER_NS)

    def due(self, now_ns: int) -> list[Close]:
        """Closes what heard nothing for too long, what is too old and what broke a limit; they are forgotten."""
        closes: list[Close] = []
        if now_ns < self.next_deadline_ns():
            return closes
        for connection, state in list(self._connections.items()):
            deadline_ns, code, reason = self._closes_ns(state)
            if deadline_ns <= now_ns:
                closes.append(Close(connection, code, reason))
                self.disconnect(connection)
        return closes

    def _closes_ns(self, state: _Connection) -> tuple[int, int, str]:
        """When the connection is closed, with which code, and why."""
        if state.closing:
            return 0, POLICY_VIOLATION, state.closing
        idle_ns = state.sent_ns + self.settings.idle_close_ns
        if self.settings.rotation_ns and state.opened_ns + self.settings.rotation_ns < idle_ns:
            return state.opened_ns + self.settings.rotation_ns, NORMAL_CLOSURE, EXPIRED
        return idle_ns, NORMAL_CLOSURE, INACTIVE

    def _reply(
        self, connection: int, state: _Connection, request: Ping | Subscribe | Unsubscribe | Post, raw: str, now_ns: int
    ) -> list[bytes]:
        if isinstance(request, Ping):
            return [PONG]
        if isinstance(request, Subscribe):
            return self.channels.subscribe(connection, request.subscription, raw, self._block_ns())
        if isinstance(request, Unsubscribe):
            return self.channels.unsubscribe(connection, request.subscription, raw)
        payload = bytes(request.request.payload)
        refusal = self.limits.begin_post(connection)
        if refusal is not None:
            return [_post_frame(request.id, "error", Answer(429, refusal.encode(), is_json=False))]
        if request.request.type == "info":
            answer = self._info(payload, state.client, now_ns)
            self.limits.end_post(connection)
            return [_post_frame(request.id, "info", answer, payload)]
        taken = self._admit(payload, state.client, now_ns)
        if isinstance(taken, Answer):
            self.limits.end_post(connection)
            return [_post_frame(request.id, "action", taken)]
        self._posts[taken] = (connection, request.id)
        return []


class _Typed(msgspec.Struct):
    type: str


_TYPE = msgspec.json.Decoder(_Typed)


def request_type(body: bytes) -> str:
    """The `type` of a body; the empty text when it has none."""
    try:
        return _TYPE.decode(body).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _post_frame(post: int, kind: str, answer: Answer, payload: bytes = b"") -> bytes:
    response: dict[str, Any]
    if answer.status != 200:
        response = {"type": "error", "payload": f"{answer.status}: {answer.body.decode(errors='replace')}"}
    elif kind == "info":
        response = {"type": "info", "payload": {"type": request_type(payload), "data": msgspec.Raw(answer.body)}}
    else:
        response = {"type": "action", "payload": msgspec.Raw(answer.body)}
    return msgspec.json.encode({"channel": "post", "data": {"id": post, "response": response}})


def _shown(frame: bytes) -> str:
    return frame[:UNREADABLE_CHARACTERS_MAX].decode(errors="replace")
