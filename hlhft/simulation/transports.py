"""What stands in for sockets and HTTP in a simulated process."""

from __future__ import annotations

from collections.abc import Callable

from hlhft.live.http import Answer, HttpSettings
from hlhft.live.transport import Told, TransportSettings
from hlhft.simulation.host import Host
from hlhft.simulation.network import Connection, Network
from hlhft.simulation.time import MS, SECOND

HTTP_TIMEOUT_NS = int(HttpSettings().timeout_s * SECOND)
CONNECT_NS = int(HttpSettings().connect_s * SECOND)
UNACKNOWLEDGED_NS = HttpSettings().user_timeout_ms * MS
KEPT_SHARE = 0.5  # of requests in a partition: on a connection that was there before; no new one is made
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
        self.network = network
        self.host = host
        self.label = label
        self.under_way = 0
        self._leaves = leaves

    def post(self, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        """Posts a body, and tells what comes back: once, and never within this call."""
        self._leaves(body)
        self.under_way += 1
        _Request(self, path, bytes(body), told).begin()


class _Request:
    """One of them: it goes there and its answer comes back, each unless the weather forbids it."""

    def __init__(self, http: SimulatedHttp, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        self._http = http
        self._network = http.network
        self._path = path
        self._body = body
        self._told: Callable[[Answer], None] | None = told

    def begin(self) -> None:
        """It leaves, or cannot; something is told of it in any case, at the latest when its time is up."""
        network, host = self._network, self._http.host
        weather, time = network.weather, network.time
        is_kept = not weather.is_parted or network.happens(KEPT_SHARE)
        if not is_kept:
            host.at(time.now_ns + CONNECT_NS, self._tell, self._none("no connection"))
        elif weather.is_parted or not weather.is_down:
            self._leave()
        host.at(time.now_ns + HTTP_TIMEOUT_NS, self._tell, self._none("no answer within 10 s"))

    def _leave(self) -> None:
        network, weather = self._network, self._network.weather
        if network.happens(weather.requests_lost):
            return
        network.carry(self._http.label, self._arrive, patience_ns=UNACKNOWLEDGED_NS, gave_up=self._give_up)
        if network.happens(weather.requests_twice):
            network.time.at(network.time.now_ns + network.delay_ns(), network.carry, self._http.label, self._arrive)

    def _arrive(self) -> None:
        weather = self._network.weather
        if weather.refused_before:
            self._answer(weather.refused_before, b"")
        elif not weather.is_down:
            self._network.far.asked(self._http.label, self._path, self._body, self._answer)

    def _answer(self, status: int, body: bytes) -> None:
        network, weather = self._network, self._network.weather
        if network.happens(weather.answers_lost):
            return
        status = weather.refused_after or status
        answer = Answer(body, "", status) if status == _OK else Answer(None, f"HTTP {status}", status)
        network.time.at(network.time.now_ns + weather.answers_late_ns, self._come_back, answer)

    def _come_back(self, answer: Answer) -> None:
        self._network.carry(self._http.label, lambda: self._hear(answer))

    def _give_up(self) -> None:
        self._hear(self._none("nobody acknowledges it"))

    def _hear(self, answer: Answer) -> None:
        self._http.host.call_soon(self._tell, answer)

    def _tell(self, answer: Answer) -> None:
        told, self._told = self._told, None
        if told is not None:
            self._http.under_way -= 1
            told(answer)

    def _none(self, reason: str) -> Answer:
        return Answer(None, f"{self._path}: {reason}")
