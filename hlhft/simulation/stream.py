"""One direction of a TCP connection in virtual time: bytes stay in order, are late, come in pieces, and stop coming.

What a reader that stands still leaves unread waits in its window; beyond it the sender keeps the rest, and knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from hlhft.simulation.time import Time

WINDOW_BYTES = 1 << 18  # of a reader that does not read
HELD_BYTES_MAX = 1 << 24  # at the sender; who has sent more without anybody reading has no bound, which is an error


class Stream:
    """`deliver` gets each piece when it has arrived and the reader reads; `delay_ns` is asked once a message."""

    def __init__(
        self, time: Time, random: Random, *, delay_ns: Callable[[], int], deliver: Callable[[bytes], None]
    ) -> None:
        self.is_cut = False  # nothing arrives any more
        self.reads = True
        self.tears = 0.0  # share of messages that come in two pieces
        self.last_ns = 0  # when the newest piece arrives
        self._time = time
        self._random = random
        self._delay_ns = delay_ns
        self._deliver = deliver
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What the sender still has, as the reader's window is full."""
        return max(0, self._unread_bytes - WINDOW_BYTES)

    def send(self, data: bytes) -> None:
        """Bytes on their way."""
        if self.is_cut:
            return
        if self.tears and len(data) > 1 and self._random.random() < self.tears:
            at = self._random.randrange(1, len(data))
            self._carry(data[:at])
            data = data[at:]
        self._carry(data)

    def cut(self) -> None:
        """What is under way is lost, and all that follows."""
        self.is_cut = True
        self._unread.clear()
        self._unread_bytes = 0

    def stand_still(self) -> None:
        """The reader reads no more."""
        self.reads = False

    def go_on(self) -> None:
        """The reader reads what waits, and goes on."""
        self.reads = True
        while self._unread and not self.is_cut:
            piece = self._unread.popleft()
            self._unread_bytes -= len(piece)
            self._deliver(piece)

    def _carry(self, piece: bytes) -> None:
        self.last_ns = max(self.last_ns, self._time.now_ns + self._delay_ns())
        self._time.at(self.last_ns, self._arrive, piece)

    def _arrive(self, piece: bytes) -> None:
        if self.is_cut:
            return
        if self.reads:
            self._deliver(piece)
            return
        self._unread.append(piece)
        self._unread_bytes += len(piece)
        assert self._unread_bytes < HELD_BYTES_MAX, "somebody sends without end to whoever does not read"
