"""What stands in for sockets and HTTP in a simulated process."""

from __future__ import annotations

from collections.abc import Callable

from hlhft.live.http import Answer
from hlhft.live.transport import Told, TransportSettings
from hlhft.simulation.host import Host
from hlhft.simulation.network import Network, Wire
from hlhft.simulation.time import SECOND

HTTP_TIMEOUT_NS = 10 * SECOND


class SimulatedTransport:
    """A socket at a time of one connection machine, in place of `hlhft.live.transport.Transport`."""

    def __init__(self, told: Told, network: Network, host: Host, label: str) -> None:
        self.settings = TransportSettings()
        self.waiting_bytes = 0
        self.wire: Wire | None = None
        self._told = told
        self._network = network
        self._host = host
        self._label = label

    def open(self, url: str, socket: int) -> None:
        """Begins to open a socket; one that is still there is closed."""
        if self.wire is not None:
            self.wire.leave(loses=False)
        self.wire = Wire(self._network, self._host, self._label, socket, self._told)

    def send(self, socket: int, payload: bytes | bytearray | memoryview) -> bool:
        """Sends a text message; False when this socket is not there to take it."""
        wire = self.wire
        if wire is None or wire.socket != socket or wire.near_is_over or not wire.is_open:
            return False
        wire.send(bytes(payload))
        return True

    def close(self, socket: int, code: int) -> None:
        """Closes a socket at once; nothing more is told of it."""
        if self.wire is not None and self.wire.socket == socket:
            self.wire.leave(loses=False)
            self.wire = None


class SimulatedHttp:
    """Requests of one process, in place of `hlhft.live.http.Http`."""

    def __init__(self, network: Network, host: Host, label: str) -> None:
        self.under_way = 0
        self._network = network
        self._host = host
        self._label = label

    def post(self, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        """Posts a body, and tells what comes back: once, and never within this call."""
        time, network = self._network.time, self._network
        is_told = [False]

        def tell(answer: Answer) -> None:
            if not is_told[0]:
                is_told[0] = True
                told(answer)

        def answered(status: int, answer: bytes) -> None:
            if not network.is_lost():
                made = Answer(answer, "", status) if status == 200 else Answer(None, f"HTTP {status}", status)
                self._host.at(time.now_ns + network.delay_ns(), tell, made)

        if not network.is_lost():
            time.at(time.now_ns + network.delay_ns(), network.far.asked, self._label, path, bytes(body), answered)
        self._host.at(time.now_ns + HTTP_TIMEOUT_NS, tell, Answer(None, f"{path}: no answer within 10 s"))
