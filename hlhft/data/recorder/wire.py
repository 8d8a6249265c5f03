"""The recorder's connection: its machine, the socket, and what of either goes to the disk.

Every message that comes is stamped and handed to the disk's queue as it is; the machine hears of it, which judges
freshness and reconnects. What the machine finds out about the data (a socket lost, a stream not to be trusted) goes
into the same queue as a mark.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from hlhft.data.catalogue.layout import BBO, BOOK, CONTEXT, TRADE
from hlhft.data.recorder.link import Link
from hlhft.data.recorder.marks import Down, Mark, Odd, Stale, Up, encoded, is_mark
from hlhft.data.recorder.queue import LineQueue
from hlhft.events import EventKind, Side
from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_events import (
    ALARMING,
    Acknowledged,
    Close,
    Closed,
    Data,
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
    ReportCode,
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
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.messages import Acknowledged as AcknowledgedFrame
from hlhft.hyperliquid.messages import Complaint, Established, Message
from hlhft.hyperliquid.messages import Pong as PongFrame
from hlhft.hyperliquid.subscriptions import Stream, StreamKind
from hlhft.units import Market

NS_PER_S, NS_PER_MS = 1_000_000_000, 1_000_000
STEP_BACK_NS = 60 * NS_PER_S  # a clock that goes back by more was wrong before, and is followed
REASON_CHARACTERS_MAX = 200
# What is missing while a stream is stale. The full book is not asked: the fast one tells the same ten times as often.
MISSING_KINDS = {
    StreamKind.FAST_BOOK: BOOK, StreamKind.BBO: BBO, StreamKind.TRADES: TRADE, StreamKind.CONTEXT: CONTEXT,
}  # fmt: skip
_SNAPSHOT, _BBO, _TRADE = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.BBO), int(EventKind.TRADE)


class Wire:
    """One recorder's way from the venue to the queue, on a running event loop. `counters` only rise."""

    def __init__(
        self,
        connection: Connection,
        streams: tuple[Stream, ...],
        markets: list[Market],
        queue: LineQueue,
        *,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        draw: Callable[[], int],
        say: Callable[[str, bool], None],
    ) -> None:
        """`wall_ns` stamps what comes; `monotonic_ns` is the machine's time. `say` hears a sentence, and whether it
        alarms."""
        self.counters: Counter[str] = Counter()
        self.frames = self.frame_bytes = 0
        self.connection = connection
        self.last_ns = 0  # the newest stamp
        self.frame_ns = 0  # that of the newest frame, 0 before the first
        self._streams = streams
        self._queue = queue
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._draw, self._say = draw, say
        self._link = Link(self)
        self._decoder = Decoder(markets)
        self._timers: dict[TimerName, asyncio.TimerHandle] = {}
        self._up_socket = 0  # the socket that a mark said is up
        self._reason = "stopped"
        self._effects: dict[type, Callable[[Any], None]] = {
            Open: self._open, Send: self._send, Close: self._close, SetTimer: self._set_timer, Report: self._report,
            Reconcile: self._reconcile, MarketStale: _pass, MarketFresh: _pass, PullQuotes: _pass,
        }  # fmt: skip

    @property
    def is_live(self) -> bool:
        """Whether all that is wanted is subscribed to."""
        return self.connection.state in (State.LIVE, State.STALE)

    @property
    def stale(self) -> tuple[Stream, ...]:
        """The streams that are not to be trusted now."""
        return tuple(stream for stream in self._streams if not self.connection.is_stream_fresh(stream.key))

    def start(self) -> None:
        """Connects, and goes on connecting."""
        self._on(Desire(self._streams))
        self._on(Start())

    async def stop(self) -> None:
        """Ends it for good."""
        self._up_socket = 0  # an end on demand loses nothing
        self._on(Stop())
        for handle in self._timers.values():
            handle.cancel()
        await self._link.ended()

    def stamp(self) -> int:
        """The local time. While a clock that is set back by up to STEP_BACK_NS says less than before, the stamp before
        is given again, and counted; one that is set back by more is followed, and the recording begins anew."""
        now_ns = self._wall_ns()
        if now_ns < self.last_ns:
            self.counters["stamps of a clock that ran backwards"] += 1
            if now_ns < self.last_ns - STEP_BACK_NS:
                self._say(f"the local clock was set back by {(self.last_ns - now_ns) // NS_PER_S} s", True)
                self.last_ns = now_ns
        self.last_ns = max(self.last_ns, now_ns)
        return self.last_ns

    # What the socket tells.

    def up(self, socket: int) -> None:
        """TCP stands."""
        self._on(TransportUp(socket))

    def upgraded(self, socket: int) -> None:
        """The WebSocket stands."""
        self._up_socket = socket
        self._mark(Up(socket=socket))
        self._on(Upgraded(socket))

    def frame(self, socket: int, frame: bytes) -> None:
        """A message came."""
        now_ns = self.stamp()
        self.frames += 1
        self.frame_bytes += len(frame)
        self.frame_ns = now_ns
        if is_mark(frame):
            self.counters["frames that pretend to be ours"] += 1
            return
        count = self._decoder.decode(frame, now_ns)
        message = self._decoder.message
        if count < 0 or isinstance(message, Established):
            # Readers of raw logs want the venue's JSON on every line; what is none is kept as a mark.
            text = encoded(Odd(text=frame.decode(errors="replace"), is_fault=count < 0))
        else:
            text = frame
        if not self._queue.put(now_ns, text):
            self.counters["frames dropped, as the disk is too slow"] += 1
        if count > 0:
            self._note(socket, self._decoder.events[:count])
        elif count < 0:
            self.counters["frames that cannot be decoded"] += 1
        elif message is not None:
            self._told(socket, message)

    def closed(self, socket: int, code: int, reason: str) -> None:
        """The socket is gone."""
        self._reason = f"{code} {reason}".rstrip()
        self._on(Closed(socket, self._draw(), code, reason))

    # Parts.

    def _on(self, event: Input) -> None:
        """Tells the machine, and performs what it demands."""
        for effect in self.connection.on(event, self._monotonic_ns()):
            self._effects[type(effect)](effect)
        if self._up_socket and self.connection.socket != self._up_socket:
            self._up_socket = 0
            self._mark(Down(reason=self._reason[:REASON_CHARACTERS_MAX]))

    def _note(self, socket: int, events: np.ndarray) -> None:
        """Tells the machine what a frame of data says."""
        kind, market = int(events["kind"][0]), int(events["market"][0])
        bid = ask = 0
        if kind == _SNAPSHOT:
            stream = StreamKind.FAST_BOOK if events["aux1"][0] else StreamKind.BOOK
            bid, ask = _best(events, Side.BUY), _best(events, Side.SELL)
        elif kind == _BBO:
            stream = StreamKind.BBO
            bid, ask = int(events["price_ticks"][0]), int(events["price_ticks"][1])
        elif kind == _TRADE:
            stream = StreamKind.TRADES
        else:
            self._on(Data(socket, StreamKind.CONTEXT, market))
            return
        self._on(Data(socket, stream, market, int(events["ts_exch_ns"][-1]) // NS_PER_MS, bid, ask))

    def _told(self, socket: int, message: Message) -> None:
        """Tells the machine of a message that is about the connection itself."""
        if isinstance(message, PongFrame):
            self._on(Pong(socket))
        elif isinstance(message, AcknowledgedFrame):
            self._on(Acknowledged(socket, message.method, msgspec.to_builtins(message.subscription)))
        elif isinstance(message, Complaint):
            self._on(ErrorFrame(socket, message.text))

    def _mark(self, mark: Mark) -> None:
        self._queue.mark(self.stamp(), encoded(mark))

    # Effects, and timers.

    def _open(self, effect: Open) -> None:
        self.counters["connects"] += 1
        self._link.open(effect.url, effect.socket)

    def _send(self, effect: Send) -> None:
        self._link.send(effect.socket, effect.payload)

    def _close(self, effect: Close) -> None:
        self._link.close(effect.socket)

    def _reconcile(self, effect: Reconcile) -> None:
        """There is no account: all is well as it is, once this event is dealt with."""
        asyncio.get_running_loop().call_soon(self._on, Reconciled(effect.number))

    def _set_timer(self, effect: SetTimer) -> None:
        before = self._timers.get(effect.name)
        if before is not None:
            before.cancel()
        wait_s = max(0, effect.at_ns - self._monotonic_ns()) / NS_PER_S
        self._timers[effect.name] = asyncio.get_running_loop().call_later(wait_s, self._fired, effect.name)

    def _fired(self, name: TimerName) -> None:
        self._on(Timer(name, self._draw()))

    def _report(self, effect: Report) -> None:
        name = effect.code.name.lower().replace("_", " ")
        self.counters[name] += 1
        detail = f": {effect.detail}" if effect.detail else ""
        if effect.code is ReportCode.STREAM_STALE and self.connection.socket == self._up_socket:
            # Where the socket is given up at once, all streams are lost with it, and a mark says that.
            stale = [stream for stream in self.stale if stream.kind in MISSING_KINDS]
            if stale:
                self._mark(Stale(streams=tuple((MISSING_KINDS[one.kind], one.subject) for one in stale)))
        elif self._up_socket and effect.code is not ReportCode.STREAM_STALE:
            self._reason = name + detail
        self._say(f"connection: {name}{detail}", effect.code in ALARMING)


def _best(events: np.ndarray, side: Side) -> int:
    """The price of the first level of a side, 0 without one: levels stand the best first."""
    mine = np.flatnonzero(events["side"] == side)
    return int(events["price_ticks"][mine[0]]) if len(mine) else 0


def _pass(effect: MarketStale | MarketFresh | PullQuotes) -> None:
    """Nothing is quoted here."""
