"""A shell in virtual time for a connection: it keeps the timers and remembers every effect."""

from __future__ import annotations

from typing import Any

from hlhft.hyperliquid.backoff import SECOND_NS, Budget, connect_budget, message_budget
from hlhft.hyperliquid.connection import Connection, ConnectionSettings
from hlhft.hyperliquid.connection_events import (
    Acknowledged,
    Closed,
    Data,
    Desire,
    Effect,
    ErrorFrame,
    Input,
    Pong,
    Reconcile,
    Reconciled,
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
from hlhft.hyperliquid.subscriptions import Stream, StreamKind, market_stream, message, user_stream

S = SECOND_NS
URL = "wss://venue.example/ws"
USER = "0x" + "ab" * 20
BBO, FAST, CONTEXT, TRADES = (
    market_stream(kind, 0, "BTC")
    for kind in (StreamKind.BBO, StreamKind.FAST_BOOK, StreamKind.CONTEXT, StreamKind.TRADES)
)
ETH = market_stream(StreamKind.FAST_BOOK, 1, "ETH")
UPDATES = user_stream(StreamKind.ORDER_UPDATES, USER)


def subscribe(socket: int, stream: Stream) -> Send:
    return Send(socket, message("subscribe", stream))


def unsubscribe(socket: int, stream: Stream) -> Send:
    return Send(socket, message("unsubscribe", stream))


class Shell:
    """Performs effects by remembering them; `draw` is what every wait is given."""

    def __init__(
        self,
        *streams: Stream,
        draw: int = 0,
        connects: Budget | None = None,
        messages: Budget | None = None,
        **changes: Any,
    ) -> None:
        self.connection = Connection(
            ConnectionSettings(url=URL, **changes),
            connects=connect_budget() if connects is None else connects,
            messages=message_budget() if messages is None else messages,
        )
        self.now_ns = 0
        self.draw = draw
        self.timers: dict[TimerName, int] = {}
        self.history: list[tuple[int, Effect]] = []
        assert self.tell(Desire(streams)) == []

    def tell(self, event: Input) -> list[Effect]:
        """What follows, but for timers."""
        effects = self.connection.on(event, self.now_ns)
        for effect in effects:
            self.history.append((self.now_ns, effect))
            if isinstance(effect, SetTimer):
                assert effect.at_ns >= self.now_ns, "no timer in the past"
                self.timers[effect.name] = effect.at_ns
        return [effect for effect in effects if not isinstance(effect, SetTimer)]

    def next_ns(self) -> int | None:
        return min(self.timers.values(), default=None)

    def fire(self) -> list[Effect]:
        """Goes to the next timer and tells it."""
        name = min(self.timers, key=lambda name: self.timers[name])
        self.now_ns = max(self.now_ns, self.timers.pop(name))
        return self.tell(Timer(name, self.draw))

    def until(self, to_ns: int) -> list[Effect]:
        """What all timers up to a time bring."""
        effects = []
        while self.timers and min(self.timers.values()) <= to_ns:
            effects += self.fire()
        self.now_ns = max(self.now_ns, to_ns)
        return effects

    @property
    def socket(self) -> int:
        return self.connection.socket

    def open(self) -> list[Effect]:
        """From CONNECTING to an upgraded socket."""
        assert self.tell(TransportUp(self.socket)) == []
        return self.tell(Upgraded(self.socket))

    def acknowledge(self, *streams: Stream, method: str = "subscribe") -> list[Effect]:
        effects = []
        for stream in streams:
            effects += self.tell(Acknowledged(self.socket, method, stream.subscription()))
        return effects

    def data(self, stream: Stream, block_ms: int = 0, touch: tuple[int, int] = (10, 11)) -> list[Effect]:
        return self.tell(Data(self.socket, stream.kind, stream.market, block_ms, *touch))

    def reconcile(self) -> list[Effect]:
        """Tells the latest reconciliation done."""
        number = [effect.number for _, effect in self.history if isinstance(effect, Reconcile)][-1]
        return self.tell(Reconciled(number))


def live(*streams: Stream, **changes: Any) -> Shell:
    """A connection that has all it wants, at time 0."""
    shell = Shell(*streams, **changes)
    shell.tell(Start())
    bring_up(shell, *streams)
    return shell


def bring_up(shell: Shell, *streams: Stream) -> None:
    """From CONNECTING to live, all fresh."""
    shell.open()
    shell.acknowledge(*streams)
    for stream in streams:
        shell.data(stream, 1000)
    shell.reconcile()


def texts(effects: list[Effect]) -> list[str]:
    return [effect.payload.decode() for effect in effects if isinstance(effect, Send)]


def at(state: State) -> Shell:
    """A connection in this state, that wants a fast book."""
    shell = Shell(FAST)
    if state is State.IDLE:
        return shell
    shell.tell(Start())
    if state is State.CONNECTING:
        return shell
    if state is State.BACKING_OFF:
        shell.tell(Closed(1, 0))
    elif state is State.HANDSHAKING:
        shell.tell(TransportUp(1))
    elif state is State.CLOSED:
        shell.tell(Stop())
    else:
        shell.open()
        if state is not State.SUBSCRIBING:
            shell.acknowledge(FAST)
            if state is State.LIVE:
                shell.data(FAST)
            if state is not State.RECONCILING:
                shell.reconcile()
    assert shell.connection.state is state
    return shell


# One of each kind, as of the first socket; what leads to a wait has no luck.
EVENTS: list[Input] = [
    Desire((ETH,)),
    TransportUp(1),
    Upgraded(1),
    Data(1, StreamKind.BBO, 0, 9999, 1, 2),
    Pong(1),
    Acknowledged(1, "subscribe", FAST.subscription()),
    ErrorFrame(1, "x"),
    Closed(1, 0),
    Reconciled(1),
    Stop(),
    *(Timer(name, 0) for name in TimerName),
]
