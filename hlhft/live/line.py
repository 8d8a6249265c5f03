"""One connection machine and its socket: what the socket does is told to the machine, what that demands is performed.

Of what the machine says about the world an owner hears: markets that became stale or fresh, a reconciliation that is
wanted, whether the connection is live. Frames go to the owner as they come.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_events import (
    Acknowledged,
    Close,
    Closed,
    Desire,
    ErrorFrame,
    Input,
    MarketFresh,
    MarketStale,
    Open,
    Pong,
    PullQuotes,
    Reconcile,
    Reconciled,
    Report,
    Send,
    SetTimer,
    Start,
    Stop,
    Timer,
    TimerName,
    TransportUp,
    Upgraded,
)
from hlhft.hyperliquid.connection_table import State
from hlhft.hyperliquid.messages import Acknowledged as AcknowledgedFrame
from hlhft.hyperliquid.messages import Complaint, Established, Message
from hlhft.hyperliquid.messages import Pong as PongFrame
from hlhft.hyperliquid.subscriptions import Stream
from hlhft.live.loop import Time
from hlhft.live.timers import Timers
from hlhft.live.transport import Transport, TransportSettings

_LIVE = frozenset({State.LIVE, State.STALE})


class Owner(Protocol):
    """Who a line works for."""

    def heard(self, line: Line, frame: memoryview) -> None:
        """A message came; the view is of no worth once this returns."""

    def pressed(self, line: Line, *, is_waiting: bool) -> None:
        """Something sent waits in the buffer, or nothing does any more."""

    def reconcile(self, line: Line, demand: Reconcile) -> None:
        """The account is to be read; `Line.reconciled` ends it."""

    def market(self, line: Line, market: int, *, is_fresh: bool) -> None:
        """A market's data became stale or fresh."""

    def live(self, line: Line, *, is_live: bool) -> None:
        """The connection serves, or does not any more."""

    def reported(self, line: Line, report: Report) -> None:
        """Something to log and count."""

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""


class Line:
    """A connection by name; it registers its timers under that name."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        *,
        owner: Owner,
        timers: Timers,
        clock: Time,
        transport: TransportSettings | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.connection = connection
        self.is_live = False
        self.is_waiting = False  # bytes wait in the send buffer
        self.heard_ns = 0  # when a frame came last
        self.changed_ns = clock.now_ns()  # when it became live or ceased to be
        self.reconnects = 0
        self.transport = Transport(self, transport, tls=tls)
        self._owner = owner
        self._timers = timers
        self._clock = clock
        timers.own(name, self._fired)
        self._effects: dict[type, Callable[[Any], None]] = {
            Open: self._open, Send: self._send, Close: self._close, SetTimer: self._set_timer,
            MarketStale: self._stale, MarketFresh: self._fresh, PullQuotes: self._pull,
            Reconcile: self._reconcile, Report: self._report,
        }  # fmt: skip

    @property
    def socket(self) -> int:
        """The number of the present socket, 0 without one."""
        return self.connection.socket

    def on(self, event: Input) -> None:
        """Tells the machine, and performs what it demands."""
        for effect in self.connection.on(event, self._clock.now_ns()):
            self._effects[type(effect)](effect)
        is_live = self.connection.state in _LIVE
        if is_live is not self.is_live:
            self.is_live = is_live
            self.changed_ns = self._clock.now_ns()
            self._owner.live(self, is_live=is_live)

    def start(self, streams: tuple[Stream, ...]) -> None:
        """Connects, and subscribes to these."""
        self.on(Desire(streams))
        self.on(Start())

    def stop(self) -> None:
        """Ends it for good."""
        self.on(Stop())

    def reconciled(self, number: int) -> None:
        """The account agrees, as the demand of this number wanted."""
        self.on(Reconciled(number))

    def control(self, message: Message | None) -> bool:
        """Tells the machine of a message that is about the connection itself; whether it was one."""
        socket = self.connection.socket
        if isinstance(message, PongFrame):
            self.on(Pong(socket))
        elif isinstance(message, AcknowledgedFrame):
            self.on(Acknowledged(socket, message.method, msgspec.to_builtins(message.subscription)))
        elif isinstance(message, Complaint):
            self.on(ErrorFrame(socket, message.text))
        else:
            return isinstance(message, Established)
        return True

    # What the transport tells.

    def up(self, socket: int) -> None:
        """TCP stands."""
        self.on(TransportUp(socket))

    def upgraded(self, socket: int) -> None:
        """The WebSocket stands."""
        self.is_waiting = False
        self.on(Upgraded(socket))

    def frame(self, socket: int, frame: memoryview) -> None:
        """A message came."""
        self._owner.heard(self, frame)

    def closed(self, socket: int, code: int, reason: str) -> None:
        """The socket is gone."""
        self.is_waiting = False
        self.on(Closed(socket, self._timers.draw(), code, reason))

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        """Something waits in the buffer, or nothing does any more."""
        self.is_waiting = is_waiting
        self._owner.pressed(self, is_waiting=is_waiting)

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""
        self._owner.broke(error)

    # Effects, and timers.

    def _fired(self, name: str, draw: int) -> None:
        self.on(Timer(TimerName(name), draw))

    def _open(self, effect: Open) -> None:
        self.reconnects += effect.socket > 1
        self.is_waiting = False
        self.transport.open(effect.url, effect.socket)

    def _send(self, effect: Send) -> None:
        self.transport.send(effect.socket, effect.payload)

    def _close(self, effect: Close) -> None:
        self.is_waiting = False
        self.transport.close(effect.socket, effect.code)

    def _set_timer(self, effect: SetTimer) -> None:
        self._timers.set(self.name, effect.name, effect.at_ns)

    def _stale(self, effect: MarketStale) -> None:
        self._owner.market(self, effect.market, is_fresh=False)

    def _fresh(self, effect: MarketFresh) -> None:
        self._owner.market(self, effect.market, is_fresh=True)

    def _pull(self, effect: PullQuotes) -> None:
        """The core pulled them when it heard that the market is stale, which is told just before."""

    def _reconcile(self, effect: Reconcile) -> None:
        self._owner.reconcile(self, effect)

    def _report(self, effect: Report) -> None:
        self._owner.reported(self, effect)
