"""What stands in for sockets and HTTP in a simulated process."""

from __future__ import annotations

from collections.abc import Callable

from hlhft.live.http import Answer
from hlhft.live.transport import Told, TransportSettings
from hlhft.simulation.host import Host
from hlhft.simulation.network import Connection, Network
from hlhft.simulation.time import SECOND

HTTP_TIMEOUT_NS = 10 * SECOND
_OK = 200


class SimulatedTransport:
    """A socket at a time of one connection machine, in place of `hlhft.live.transport.Transport`; `leaves` hears of all
    that is sent."""

    def __init__(
        self, told: Told, network: Network, host: Host, label: str, leaves: Callable[[bytes], None] = lambda data: None
    ) -> None:
        self.settings = TransportSettings()
        self.connection: Connection | None = None
        self._told = told
        self._network = network
        self._host = host
        self._label = label
        self._leaves = leaves

    @property
    def waiting_bytes(self) -> int:
        """What was sent and has not left."""
        return 0 if self.connection is None else self.connection.waiting_bytes

    def open(self, url: str, socket: int) -> None:
        """Begins to open a socket; one that is still there is closed."""
        if self.connection is not None:
            self.connection.leave(loses=False)
        self.connection = Connection(self._network, self._host, self._label, socket, self._told)

    def send(self, socket: int, payload: bytes | bytearray | memoryview) -> bool:
        """Sends a text message; False when this socket is not there to take it."""
        one = self.connection
        if one is None or one.socket != socket or one.near_is_over or not one.is_open:
            return False
        self._leaves(bytes(payload))
        one.send(bytes(payload))
        return True

    def close(self, socket: int, code: int) -> None:
        """Closes a socket at once; nothing more is told of it."""
        if self.connection is not None and self.connection.socket == socket:
            self.connection.leave(loses=False)
            self.connection = None

    def stop(self) -> None:
        """The process is over."""
        if self.connection is not None:
            self.connection.leave(loses=False)
            self.connection = None


class SimulatedHttp:
    """Requests of one process, in place of `hlhft.live.http.Http`; `leaves` hears of all that is sent."""

    def __init__(
        self, network: Network, host: Host, label: str, leaves: Callable[[bytes], None] = lambda data: None
    ) -> None:
        self.under_way = 0
        self._network = network
        self._host = host
        self._label = label
        self._leaves = leaves

    def post(self, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        """Posts a body, and tells what comes back: once, and never within this call."""
        time, network = self._network.time, self._network
        self._leaves(body)
        is_told = [False]
        self.under_way += 1

        def tell(answer: Answer) -> None:
            if not is_told[0]:
                is_told[0] = True
                self.under_way -= 1
                told(answer)

        def answered(status: int, answer: bytes) -> None:
            weather = network.weather
            if weather.is_down or network.happens(weather.answers_lost):
                return
            status = weather.refused_after or status
            made = Answer(answer, "", status) if status == _OK else Answer(None, f"HTTP {status}", status)
            self._host.at(time.now_ns + network.delay_ns() + weather.answers_late_ns, tell, made)

        def arrive() -> None:
            if network.weather.refused_before:
                answered(network.weather.refused_before, b"")
            else:
                network.far.asked(self._label, path, bytes(body), answered)

        weather = network.weather
        if not weather.is_down and not network.happens(weather.requests_lost):
            time.at(time.now_ns + network.delay_ns(), arrive)
            if network.happens(weather.requests_twice):
                time.at(time.now_ns + network.delay_ns() + network.delay_ns(), arrive)
        self._host.at(time.now_ns + HTTP_TIMEOUT_NS, tell, Answer(None, f"{path}: no answer within 10 s"))
