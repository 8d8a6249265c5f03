"""The network between processes and one exchange, byte by byte: it delays, tears, loses, and is cut.

Messages of one direction of a socket stay in order; those of two sockets do not, nor do requests. What a cut catches
under way is lost, and one end may not notice. What a partition catches comes late, unless the kernel here has given its
socket up by then: the exchange hears of that only once it is over. Misfortune is in `Weather`, and calm without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import Protocol

from hlhft.live.transport import CLOSE_ABNORMAL, Told, TransportSettings
from hlhft.simulation.framing import FrameReader, framed
from hlhft.simulation.host import Host
from hlhft.simulation.stream import Stream
from hlhft.simulation.time import MS, SECOND, Time

CONNECT_TIMEOUT_NS = 5 * SECOND
SYN_RETRY_NS = 1 * SECOND  # TCP_TIMEOUT_INIT of Linux: to the second answer to who connects
_ACTION = b'"action"'
CHANNEL_HEAD = b'{"channel":"'
USUAL_MS, SPREAD_MS, LATE_MS, LATE_SHARE = 1, 40, 300, 0.02  # of one way


class Moment(IntEnum):
    """When a connection is cut that is cut at a moment."""

    HANDSHAKE = 0  # TCP stands, and no WebSocket yet
    FIRST_READ = 1  # with the first message that comes
    SEND = 2  # with an action that leaves, and is lost
    ANSWER = 3  # an action has arrived, and its answer never does


class Far(Protocol):
    """What stands at the other end of the network."""

    def connected(self, label: str, connection: Connection) -> bool:
        """A socket stands, unless it is refused."""

    def heard(self, connection: Connection, text: bytes) -> None:
        """A message came."""

    def gone(self, connection: Connection) -> None:
        """A socket is gone."""

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        """A request came; it is answered once, or never."""


@dataclass(slots=True, kw_only=True)
class Weather:
    """What goes wrong on the way now; everything at its default is calm. Shares are of requests, or of messages."""

    is_down: bool = False  # no request and no new connection gets through
    is_parted: bool = False  # nor anything on sockets that stand
    requests_lost: float = 0.0
    answers_lost: float = 0.0
    answers_late_ns: int = 0
    requests_twice: float = 0.0  # somebody on the way sends them again
    refused_before: int = 0  # the status that stands in for the exchange, which hears nothing
    refused_after: int = 0  # the status in place of the exchange's answer
    tears: float = 0.0
    cuts_at: Moment | None = None
    peer_reads: bool = True
    mutes: frozenset[bytes] = field(default_factory=frozenset)  # channels that say nothing on sockets that stand


class Network:
    """Everything under way."""

    def __init__(self, time: Time, random: Random, far: Far) -> None:
        self.time = time
        self.far = far
        self.random = random
        self.weather = Weather()
        self.connections: dict[int, Connection] = {}  # that stand, by the order in which they did
        self._opened = 0
        self._carried: dict[int, tuple[str, Stream]] = {}  # requests and answers under way, of whom
        self._parted: list[Connection | Stream] = []  # what the partition caught

    def delay_ns(self) -> int:
        """How long a message is under way."""
        draw = self.random.random()
        late = LATE_MS * self.random.random() if draw > 1 - LATE_SHARE else 0
        return int((USUAL_MS + SPREAD_MS * draw + late) * MS)

    def happens(self, share: float) -> bool:
        """Whether a misfortune of this share happens now; nothing is drawn for one that does not exist."""
        return share > 0 and self.random.random() < share

    def number(self) -> int:
        """Of the next connection."""
        self._opened += 1
        return self._opened

    def of(self, label: str) -> list[Connection]:
        """The connections of a process, in the order in which they were made."""
        return [one for one in self.connections.values() if one.label == label]

    def carry(
        self, label: str, work: Callable[[], None], *, patience_ns: int = 0, gave_up: Callable[[], None] = lambda: None
    ) -> None:
        """A request of `label` or its answer, on a connection of its own that stands: calls `work` once it has come.
        What a partition catches comes after it, unless it was given up after `patience_ns`."""
        number = self.number()

        def is_over(told: Callable[[], None]) -> None:
            self._carried.pop(number, None)
            told()

        stream = Stream(
            self.time, self.random, delay_ns=self.delay_ns, deliver=_nothing, patience_ns=patience_ns,
            gave_up=lambda: is_over(gave_up),
        )  # fmt: skip
        self._carried[number] = label, stream
        if self.weather.is_parted:
            stream.stop()
            self._parted.append(stream)
        stream.end(lambda: is_over(work))

    def lose(self, label: str | None = None) -> None:
        """Requests and answers under way of `label`, or of all, never come."""
        lost = [number for number, (whose, _) in self._carried.items() if label in (None, whose)]
        for number in lost:
            self._carried.pop(number)[1].cut()

    def peer_reads_on(self) -> None:
        """The exchange reads again what it was sent."""
        self.weather.peer_reads = True
        for one in list(self.connections.values()):
            one.read_on()

    def part(self) -> None:
        """No byte gets through to the other side, and no end notices at once."""
        self.weather.is_parted = True
        caught = (*self._parted, *self.connections.values(), *(stream for _, stream in self._carried.values()))
        self._parted = list({id(one): one for one in caught}.values())
        for one in self._parted:
            one.stop()

    def join(self) -> int:
        """All gets through again. Returns when what was lost meanwhile has come."""
        self.weather.is_parted = False
        parted, self._parted = self._parted, []
        return max((one.let_through() for one in parted), default=self.time.now_ns)

    def cut(self, connections: Iterable[Connection], *, noticed: float = 0.5) -> None:
        """Cuts these; some ends notice at once, the others only when nothing comes any more."""
        for one in list(connections):
            one.cut(is_noticed=self.random.random() < noticed)


class Connection:
    """One socket: `told` hears at the near end, which lives on `host`, and the exchange at the far one."""

    def __init__(self, network: Network, host: Host, label: str, socket: int, told: Told) -> None:
        self.label = label
        self.socket = socket
        self.number = network.number()
        self.at_exchange = 0  # its number there
        self.is_open = False
        self._up_ns = 0  # since when it stands, and the exchange reads
        self.near_is_over = self.far_is_over = self.is_cut = False
        self._network = network
        self._host = host
        self._told = told
        self._sent, self._read = FrameReader(), FrameReader()
        self._is_given_up = False
        time, random = network.time, network.random
        self.there = Stream(
            time, random, delay_ns=network.delay_ns, deliver=self._hear,
            patience_ns=TransportSettings().user_timeout_ms * MS, gave_up=self._give_up,
        )  # fmt: skip
        self.back = Stream(time, random, delay_ns=network.delay_ns, deliver=self._heard)
        time.at(time.now_ns + network.delay_ns(), self._arrive)
        host.at(time.now_ns + CONNECT_TIMEOUT_NS, self._timed_out)

    # The near end.

    @property
    def waiting_bytes(self) -> int:
        """What was sent and has not left."""
        return self.there.held_bytes

    def send(self, text: bytes) -> None:
        """From here to there; the kernel gives a socket up when what was sent is not acknowledged."""
        if self.is_cut:
            unacknowledged_ns = TransportSettings().user_timeout_ms * MS
            self._host.at(self._network.time.now_ns + unacknowledged_ns, self._over, CLOSE_ABNORMAL, "timed out")
            return
        weather = self._network.weather
        if weather.cuts_at is Moment.SEND and _ACTION in text:
            self.cut(is_noticed=True)
            return
        if not weather.peer_reads:
            self.there.stand_still()
        self.there.tears = weather.tears
        self.there.send(framed(text))

    def leave(self, *, loses: bool) -> None:
        """This end is gone: of what is under way the exchange still hears everything, or nothing."""
        self.near_is_over = True
        self.back.cut()
        if loses:
            self._far_over()
        else:
            self.there.end(self._far_over)

    def stand_still(self) -> None:
        """This end reads no more."""
        self.back.stand_still()

    def go_on(self) -> None:
        """This end reads what waits."""
        if not self.near_is_over:
            self.back.go_on()

    # The far end.

    def tell(self, text: bytes) -> None:
        """From there to here."""
        weather = self._network.weather
        if weather.mutes and channel_of(text) in weather.mutes:
            return
        self.back.tears = weather.tears
        self.back.send(framed(text))

    @property
    def unread_bytes(self) -> int:
        """What the exchange keeps because nobody reads here."""
        return self.back.held_bytes

    def end(self, code: int, reason: str) -> None:
        """The exchange closes it."""
        self.far_is_over = True
        self._network.connections.pop(self.number, None)
        self.back.end(lambda: self._host.call_soon(self._over, code, reason))

    def cut(self, *, is_noticed: bool) -> None:
        """Nothing arrives any more, in either direction."""
        self.is_cut = True
        self.there.cut()
        self.back.cut()
        self._far_over()
        if is_noticed:
            self._host.call_soon(self._over, CLOSE_ABNORMAL, "cut")

    def stop(self) -> None:
        """No byte gets through in either direction."""
        self.there.stop()
        self.back.stop()

    def let_through(self) -> int:
        """All gets through again. Returns when what was lost meanwhile has come, in both directions."""
        time = self._network.time
        if self._is_given_up:
            time.at(time.now_ns + self._network.delay_ns(), self._far_over)
        return max(self.there.let_through(), self.back.let_through())

    @property
    def up_ns(self) -> int:
        """Since when what is sent arrives, and is read; 0 before it stands."""
        return max(self._up_ns, self.there.flows_ns)

    @property
    def stands(self) -> bool:
        """Whether what is sent arrives, and is read."""
        is_over = self.is_cut or self.near_is_over or self.far_is_over
        return self.is_open and self.there.reads and self.there.flows and not is_over

    def read_on(self) -> None:
        """The exchange reads again what it was sent."""
        if not self.there.reads:
            self._up_ns = self._network.time.now_ns
        self.there.go_on()

    # What happens.

    def _arrive(self) -> None:
        if self._network.weather.is_down or self.near_is_over:
            return
        self._host.at(self._network.time.now_ns + self._network.delay_ns(), self._up)
        # Nothing that the exchange says is here before the socket stands.
        self.back.stand_still()
        if self._network.far.connected(self.label, self):
            self._network.connections[self.number] = self
        else:
            self.far_is_over = self.is_cut = True

    def _up(self) -> None:
        if self.near_is_over or self.is_cut:
            return
        if self._network.weather.is_parted:
            self._host.at(self._network.time.now_ns + SYN_RETRY_NS, self._up)
            return
        self.is_open = True
        self._up_ns = self._network.time.now_ns
        self._told.up(self.socket)
        if self._network.weather.cuts_at is Moment.HANDSHAKE:
            self.cut(is_noticed=True)
            return
        self._told.upgraded(self.socket)
        if not self._host.is_frozen:
            self.go_on()

    def _hear(self, piece: bytes) -> None:
        for text in self._sent.feed(piece):
            if self.far_is_over:
                return
            self._network.far.heard(self, text)
            if self._network.weather.cuts_at is Moment.ANSWER and _ACTION in text:
                self.cut(is_noticed=True)

    def _heard(self, piece: bytes) -> None:
        for text in self._read.feed(piece):
            if self.near_is_over or self.is_cut:
                return
            self._host.does(self._told.frame, self.socket, memoryview(text))
            if self._network.weather.cuts_at is Moment.FIRST_READ:
                self.cut(is_noticed=True)

    def _timed_out(self) -> None:
        if not self.is_open:
            self._over(CLOSE_ABNORMAL, "no connection")

    def _give_up(self) -> None:
        """The kernel here gives up what nobody acknowledges; the exchange does not hear of it before something gets
        through."""
        self._is_given_up = True
        self._host.call_soon(self._over, CLOSE_ABNORMAL, "timed out")

    def _over(self, code: int, reason: str) -> None:
        """The near end hears that it is gone, once."""
        if not self.near_is_over:
            self.near_is_over = True
            self.back.cut()
            self._told.closed(self.socket, code, reason)

    def _far_over(self) -> None:
        self._network.connections.pop(self.number, None)
        if not self.far_is_over:
            self.far_is_over = True
            self._network.far.gone(self)


def _nothing(piece: bytes) -> None:
    raise AssertionError(f"{piece!r} came where only an end does")


def channel_of(text: bytes) -> bytes:
    """The channel that a message of the exchange is of; empty for one of none."""
    if not text.startswith(CHANNEL_HEAD):
        return b""
    return text[len(CHANNEL_HEAD) : text.index(b'"', len(CHANNEL_HEAD))]
