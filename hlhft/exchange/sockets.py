"""The WebSocket side of the exchange, pure: frames of clients in, frames to clients and closes out.

Source: venue reference section 6.1. A connection is a number that the shell got from `open`. What a subscription
delivers is the business of channels; what an action or a request of `post` does is the same as over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from hlhft.exchange.answers import Answer
from hlhft.exchange.settings import ExchangeSettings

ESTABLISHED = b"Websocket connection established."
PONG = b'{"channel":"pong"}'
UNREADABLE = "Error parsing JSON into valid websocket request: {}"
UNREADABLE_CHARACTERS_MAX = 256  # of what was sent, in an error frame
EXPIRED = "Expired"
NORMAL_CLOSURE = 1000
Frame = tuple[int, bytes]  # connection, what to send to it
FOREVER_NS = 2**62


class Subscriptions(Protocol):
    """What a connection can subscribe to; `hlhft.exchange.channels` keeps to it."""

    def subscribe(self, connection: int, subscription: dict[str, Any], now_ns: int) -> list[bytes]:
        """The acknowledgement and the snapshots, or an error frame."""

    def unsubscribe(self, connection: int, subscription: dict[str, Any], now_ns: int) -> list[bytes]:
        """The acknowledgement, or an error frame."""

    def disconnect(self, connection: int) -> None:
        """Forgets the connection."""


class NoSubscriptions:
    """An exchange that has nothing to subscribe to."""

    def subscribe(self, connection: int, subscription: dict[str, Any], now_ns: int) -> list[bytes]:
        """An error frame."""
        return [error_frame(f"Invalid subscription: {subscription.get('type')!r}")]

    def unsubscribe(self, connection: int, subscription: dict[str, Any], now_ns: int) -> list[bytes]:
        """An error frame."""
        return self.subscribe(connection, subscription, now_ns)

    def disconnect(self, connection: int) -> None:
        """There is nothing to forget."""


class Ping(msgspec.Struct, tag_field="method", tag="ping"):
    """A sign of life."""


class Subscribe(msgspec.Struct, tag_field="method", tag="subscribe"):
    """A subscription begins."""

    subscription: dict[str, Any]


class Unsubscribe(msgspec.Struct, tag_field="method", tag="unsubscribe"):
    """A subscription ends."""

    subscription: dict[str, Any]


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
    client: str
    opened_ns: int
    sent_ns: int
    posts: int = 0  # without an answer yet


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
    """All connections. `admit` and `info` take a body, a client and a time, as of `hlhft.exchange.machine.Machine`."""

    def __init__(
        self,
        settings: ExchangeSettings,
        subscriptions: Subscriptions,
        *,
        admit: Callable[[bytes, str, int], int | Answer],
        info: Callable[[bytes, str, int], Answer],
    ) -> None:
        self.settings = settings
        self.subscriptions = subscriptions
        self._admit = admit
        self._info = info
        self._last = 0
        self._connections: dict[int, _Connection] = {}
        self._posts: dict[int, tuple[int, int]] = {}  # ticket -> connection, id of the post

    def __len__(self) -> int:
        return len(self._connections)

    def client_of(self, connection: int) -> str | None:
        """Whose connection it is; None when it is gone."""
        found = self._connections.get(connection)
        return None if found is None else found.client

    def open(self, client: str, now_ns: int) -> tuple[int, list[bytes]] | None:
        """A new connection and the frames that greet it; None when there is no room for another."""
        if len(self._connections) >= self.settings.connections_max:
            return None
        self._last += 1
        self._connections[self._last] = _Connection(client, now_ns, now_ns)
        return self._last, [ESTABLISHED]

    def disconnect(self, connection: int) -> None:
        """Forgets a connection that is gone; what it asked for goes on without an answer."""
        if self._connections.pop(connection, None) is not None:
            self.subscriptions.disconnect(connection)

    def receive(self, connection: int, frame: bytes, now_ns: int) -> list[bytes]:
        """The frames that answer one text frame at once."""
        state = self._connections.get(connection)
        if state is None:
            return []
        try:
            request = _DECODER.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            replies = [error_frame(UNREADABLE.format(_shown(frame)))]
        else:
            replies = self._reply(connection, state, request, now_ns)
        if replies:
            state.sent_ns = now_ns
        return replies

    def answered(self, ticket: int, answer: Answer) -> Frame | None:
        """The frame that brings the answer of an action; None when the ticket is none of a socket's that is there."""
        connection, post = self._posts.pop(ticket, (0, 0))
        state = self._connections.get(connection)
        if state is None:
            return None
        state.posts -= 1
        return connection, _post_frame(post, "action", answer)

    def is_post(self, ticket: int) -> bool:
        """Whether the ticket is one that `receive` got."""
        return ticket in self._posts

    def sent(self, connection: int, now_ns: int) -> None:
        """Notes that something goes out to the connection."""
        state = self._connections.get(connection)
        if state is not None:
            state.sent_ns = now_ns

    def next_deadline_ns(self) -> int:
        """When `due` has a connection to close, if nothing is sent until then."""
        return min((self._closes_ns(state)[0] for state in self._connections.values()), default=FOREVER_NS)

    def due(self, now_ns: int) -> list[Close]:
        """Closes what heard nothing for too long, and what is too old; the connections are forgotten."""
        closes = []
        for connection, state in list(self._connections.items()):
            deadline_ns, reason = self._closes_ns(state)
            if deadline_ns <= now_ns:
                closes.append(Close(connection, NORMAL_CLOSURE, reason))
                self.disconnect(connection)
        return closes

    def _closes_ns(self, state: _Connection) -> tuple[int, str]:
        idle_ns = state.sent_ns + self.settings.idle_close_ns
        if self.settings.rotation_ns and state.opened_ns + self.settings.rotation_ns < idle_ns:
            return state.opened_ns + self.settings.rotation_ns, EXPIRED
        return idle_ns, "Inactive"

    def _reply(
        self, connection: int, state: _Connection, request: Ping | Subscribe | Unsubscribe | Post, now_ns: int
    ) -> list[bytes]:
        if isinstance(request, Ping):
            return [PONG]
        if isinstance(request, Subscribe):
            return self.subscriptions.subscribe(connection, request.subscription, now_ns)
        if isinstance(request, Unsubscribe):
            return self.subscriptions.unsubscribe(connection, request.subscription, now_ns)
        payload = bytes(request.request.payload)
        if request.request.type == "info":
            return [_post_frame(request.id, "info", self._info(payload, state.client, now_ns), payload)]
        taken = self._admit(payload, state.client, now_ns)
        if isinstance(taken, Answer):
            return [_post_frame(request.id, "action", taken)]
        state.posts += 1
        self._posts[taken] = (connection, request.id)
        return []


class _Typed(msgspec.Struct):
    type: str


_TYPE = msgspec.json.Decoder(_Typed)


def _post_frame(post: int, kind: str, answer: Answer, payload: bytes = b"") -> bytes:
    response: dict[str, Any]
    if answer.status != 200:
        response = {"type": "error", "payload": f"{answer.status}: {answer.body.decode(errors='replace')}"}
    elif kind == "info":
        name = _TYPE.decode(payload).type
        response = {"type": "info", "payload": {"type": name, "data": msgspec.Raw(answer.body)}}
    else:
        response = {"type": "action", "payload": msgspec.Raw(answer.body)}
    return msgspec.json.encode({"channel": "post", "data": {"id": post, "response": response}})


def _shown(frame: bytes) -> str:
    return frame[:UNREADABLE_CHARACTERS_MAX].decode(errors="replace")
