"""The two trading connections: which of them carries an action.

Placements go over the first connection that is up, and stop while the send buffer of any is not empty: bytes that wait
there tell of a network in trouble. What takes risk away goes where nothing waits; a way that was tried before is taken
only when there is no other.
"""

from __future__ import annotations

from hlhft.hyperliquid.gateway_events import LANES


class Lanes:
    """The trading connections. `sockets` has the number of each one's socket, 0 while it is down."""

    def __init__(self) -> None:
        self.sockets = [0] * LANES
        self.first = -1  # the first that is up; -1 without any
        self.is_waiting = False  # bytes wait in one that is up
        self._waiting = [False] * LANES

    def up(self, lane: int, socket: int) -> None:
        """The connection stands, with an empty send buffer. `socket` is not 0."""
        assert socket != 0, "sockets are numbered from 1"
        self.sockets[lane] = socket
        self.press(lane, False)

    def down(self, lane: int) -> None:
        """The connection is gone."""
        self.sockets[lane] = 0
        self.press(lane, False)

    def press(self, lane: int, is_waiting: bool) -> None:
        """Whether bytes wait in its send buffer."""
        self._waiting[lane] = is_waiting and self.sockets[lane] != 0
        self.first = next((lane for lane in range(LANES) if self.sockets[lane]), -1)
        self.is_waiting = any(self._waiting)

    @property
    def is_up(self) -> bool:
        """Whether any connection is up."""
        return self.first >= 0

    def urgent(self, tried: int) -> tuple[int, ...]:
        """The connections that are up and have nothing waiting, best first; `tried` is the one that was used before."""
        free = [lane for lane in range(LANES) if self.sockets[lane] and not self._waiting[lane]]
        return tuple(sorted(free, key=lambda lane: lane == tried))
