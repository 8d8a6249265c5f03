"""The network between processes and one exchange: it delays, loses, and is cut."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from hlhft.live.transport import CLOSE_ABNORMAL, Told, TransportSettings
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS, SECOND, Time

CONNECT_TIMEOUT_NS = 5 * SECOND


class Far(Protocol):
    """What stands at the other end of the network."""

    def connected(self, label: str, wire: Wire) -> bool:
        """A socket stands, unless it is refused."""

    def heard(self, wire: Wire, text: bytes) -> None:
        """A message came."""

    def gone(self, wire: Wire) -> None:
        """A socket is gone."""

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        """A request came."""


class Network:
    """Between processes and one exchange. Messages of a socket stay in order; what a cut catches under way is lost."""

    def __init__(self, time: Time, random: Random, far: Far) -> None:
        self.time = time
        self.far = far
        self.is_down = False
        self.loss = 0.0  # of requests and answers over HTTP
        self._random = random
        self.wires: set[Wire] = set()

    def delay_ns(self) -> int:
        """How long a message is under way."""
        draw = self._random.random()
        return int((1 + 40 * draw + (300 * self._random.random() if draw > 0.98 else 0)) * MS)

    def is_lost(self) -> bool:
        """Whether a request or an answer does not arrive."""
        return self.is_down or self._random.random() < self.loss

    def cut(self, wires: list[Wire]) -> None:
        """Sockets are cut: some ends notice at once, others only when nothing comes any more."""
        for wire in wires:
            wire.cut(is_noticed=self._random.random() < 0.5)


class Wire:
    """One socket, seen from the network: `told` hears at the near end, the exchange at the far one."""

    def __init__(self, network: Network, host: Host, label: str, socket: int, told: Told) -> None:
        self.label = label
        self.socket = socket
        self.connection = 0  # its number at the exchange
        self.is_open = False
        self.near_is_over = self.far_is_over = self.is_cut = False
        self._network = network
        self._host = host
        self._told = told
        self._there_ns = self._back_ns = 0  # when the newest message in each direction arrives
        time = network.time
        time.at(time.now_ns + network.delay_ns(), self._arrive)
        host.at(time.now_ns + CONNECT_TIMEOUT_NS, self._timed_out)

    def send(self, text: bytes) -> None:
        """From here to there; the kernel gives a socket up when what was sent is not acknowledged."""
        if self.is_cut:
            unacknowledged_ns = TransportSettings().user_timeout_ms * MS
            self._host.at(self._network.time.now_ns + unacknowledged_ns, self._over, CLOSE_ABNORMAL, "timed out")
            return
        self._there_ns = max(self._there_ns, self._network.time.now_ns + self._network.delay_ns())
        self._network.time.at(self._there_ns, self._hear, text)

    def tell(self, text: bytes) -> None:
        """From there to here."""
        self._back_ns = max(self._back_ns, self._network.time.now_ns + self._network.delay_ns())
        self._host.at(self._back_ns, self._heard, text)

    def end(self, code: int, reason: str) -> None:
        """The exchange closes it."""
        self.far_is_over = True
        self._network.wires.discard(self)
        self._back_ns = max(self._back_ns, self._network.time.now_ns + self._network.delay_ns())
        self._host.at(self._back_ns, self._over, code, reason)

    def leave(self, *, loses: bool) -> None:
        """This end is gone: of what is under way the exchange still hears everything, or nothing."""
        self.near_is_over = True
        if loses:
            self._far_over()
        else:
            time = self._network.time
            time.at(max(self._there_ns, time.now_ns + self._network.delay_ns()), self._far_over)

    def cut(self, *, is_noticed: bool) -> None:
        """Nothing arrives any more, in either direction."""
        self.is_cut = True
        self._far_over()
        if is_noticed:
            self._host.call_soon(self._over, CLOSE_ABNORMAL, "cut")

    def _arrive(self) -> None:
        if self._network.is_down or self.near_is_over:
            return
        # Before what the exchange says first.
        self._back_ns = self._network.time.now_ns + self._network.delay_ns()
        self._host.at(self._back_ns, self._up)
        if self._network.far.connected(self.label, self):
            self._network.wires.add(self)
        else:
            self.far_is_over = self.is_cut = True

    def _up(self) -> None:
        if not self.near_is_over and not self.is_cut:
            self.is_open = True
            self._told.up(self.socket)
            self._told.upgraded(self.socket)

    def _hear(self, text: bytes) -> None:
        if not self.far_is_over:
            self._network.far.heard(self, text)

    def _heard(self, text: bytes) -> None:
        if not self.near_is_over and not self.is_cut:
            self._told.frame(self.socket, memoryview(text))

    def _timed_out(self) -> None:
        if not self.is_open:
            self._over(CLOSE_ABNORMAL, "no connection")

    def _over(self, code: int, reason: str) -> None:
        """The near end hears that it is gone, once."""
        if not self.near_is_over:
            self.near_is_over = True
            self._told.closed(self.socket, code, reason)

    def _far_over(self) -> None:
        self._network.wires.discard(self)
        if not self.far_is_over:
            self.far_is_over = True
            self._network.far.gone(self)
