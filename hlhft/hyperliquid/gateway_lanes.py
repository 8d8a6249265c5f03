"""The two trading connections: which of them carries an action.

Placements go over the first connection that is up, and stop while the send buffer of any is not empty: bytes that wait
there tell of a network in trouble. What takes risk away goes where nothing waits; a way that was tried before is taken
only when there is no other.
"""

from __future__ import annotations

from msgspec import Struct

from hlhft.hyperliquid.gateway_events import LANES


class Lane(Struct):
    """One trading connection; `socket` is 0 while it is down."""

    socket: int = 0
    is_waiting: bool = False


class Lanes:
    """The trading connections."""

    def __init__(self) -> None:
        self.lanes = tuple(Lane() for _ in range(LANES))
        self.first = -1  # the first that is up; -1 without any
        self.is_waiting = False  # bytes wait in one that is up

    def up(self, lane: int, socket: int) -> None:
        """The connection stands, with an empty send buffer. `socket` is not 0."""
        assert socket != 0, "sockets are numbered from 1"
        self.lanes[lane].socket = socket
        self.lanes[lane].is_waiting = False
        self._look()

    def down(self, lane: int) -> None:
        """The connection is gone."""
        self.lanes[lane].socket = 0
        self._look()

    def press(self, lane: int, is_waiting: bool) -> None:
        """Whether bytes wait in its send buffer."""
        self.lanes[lane].is_waiting = is_waiting
        self._look()

    def socket(self, lane: int) -> int:
        """The socket's number, 0 while it is down."""
        return self.lanes[lane].socket

    @property
    def is_up(self) -> bool:
        """Whether any connection is up."""
        return self.first >= 0

    def urgent(self, tried: int) -> tuple[int, ...]:
        """The connections that are up and have nothing waiting, best first; `tried` is the one that was used before."""
        free = [lane for lane in range(LANES) if self.lanes[lane].socket and not self.lanes[lane].is_waiting]
        return tuple(sorted(free, key=lambda lane: lane == tried))

    def _look(self) -> None:
        self.first = next((lane for lane in range(LANES) if self.lanes[lane].socket), -1)
        self.is_waiting = any(lane.socket and lane.is_waiting for lane in self.lanes)
