"""One direction of a TCP connection in virtual time: bytes stay in order, are late, come in pieces, and stop coming.

What a reader that stands still leaves unread waits in its window; beyond it the sender keeps the rest, and knows. What
is lost on the way is sent again, each time after twice as long, and nothing that follows is read before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from hlhft.simulation.time import MS, Time

WINDOW_BYTES = 1 << 18  # of a reader that does not read
HELD_BYTES_MAX = 1 << 24  # at the sender; who has sent more without anybody reading has no bound, which is an error
RETRY_NS = 200 * MS  # TCP_RTO_MIN of Linux: to the first retransmission, and twice as long to each that follows
_Piece = bytes | Callable[[], object]  # bytes, or who is told once all before them has come


class Stream:
    """`deliver` gets each piece when it has arrived and the reader reads; `delay_ns` is asked once a message.

    A sender gives up bytes that did not come through for `patience_ns`, and `gave_up` is called; 0: it never does.
    """

    def __init__(
        self,
        time: Time,
        random: Random,
        *,
        delay_ns: Callable[[], int],
        deliver: Callable[[bytes], None],
        patience_ns: int = 0,
        gave_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_cut = False  # nothing arrives any more
        self.flows_ns = 0  # since when what is sent comes through, 0 from the start
        self.reads = True
        self.tears = 0.0  # share of messages that come in two pieces
        self.last_ns = 0  # when the newest piece arrives
        self._time = time
        self._random = random
        self._delay_ns = delay_ns
        self._deliver = deliver
        self._patience_ns = patience_ns
        self._gave_up = gave_up
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._is_stopped = False
        self._lost: deque[_Piece] = deque()  # to be sent again
        self._lost_bytes = 0
        self._lost_ns = 0  # when the first of them was lost

    @property
    def held_bytes(self) -> int:
        """What the sender still has, as the reader's window is full."""
        return max(0, self._unread_bytes - WINDOW_BYTES)

    @property
    def flows(self) -> bool:
        """Whether what is sent now arrives in its time."""
        return not self.is_cut and not self._is_stopped and not self._lost

    def send(self, data: bytes) -> None:
        """Bytes on their way."""
        if self.is_cut:
            return
        if self.tears and len(data) > 1 and self._random.random() < self.tears:
            at = self._random.randrange(1, len(data))
            self._carry(data[:at])
            data = data[at:]
        self._carry(data)

    def end(self, told: Callable[[], object]) -> None:
        """Nothing follows; `told` is called once all that was sent has arrived."""
        self._carry(told)

    def cut(self) -> None:
        """What is under way is lost, and all that follows."""
        self.is_cut = True
        self._unread.clear()
        self._lost.clear()
        self._unread_bytes = self._lost_bytes = 0

    def stop(self) -> None:
        """Nothing comes through, and both ends go on to send."""
        self._is_stopped = True

    def let_through(self) -> int:
        """What is sent comes through; what was lost comes with its next retransmission. Returns when."""
        now_ns = self._time.now_ns
        self._is_stopped = False
        if not self._lost:
            self.flows_ns = now_ns
            return now_ns
        wait_ns, at_ns = RETRY_NS, self._lost_ns + RETRY_NS
        while at_ns < now_ns:
            wait_ns *= 2
            at_ns += wait_ns
        if self._patience_ns:
            at_ns = max(now_ns, min(at_ns, self._lost_ns + self._patience_ns))  # Linux tries once more before it ends
        self._time.at(at_ns, self._send_again)
        return at_ns

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

    def _carry(self, piece: _Piece) -> None:
        self.last_ns = max(self.last_ns, self._time.now_ns + self._delay_ns())
        self._time.at(self.last_ns, self._arrive, piece)

    def _arrive(self, piece: _Piece) -> None:
        if self._is_stopped or self._lost:
            self._lose(piece)
        else:
            self._take(piece)

    def _take(self, piece: _Piece) -> None:
        if self.is_cut:
            return
        if not isinstance(piece, bytes):
            piece()
            return
        if self.reads:
            self._deliver(piece)
            return
        self._unread.append(piece)
        self._unread_bytes += len(piece)
        assert self._unread_bytes < HELD_BYTES_MAX, "somebody sends without end to whoever does not read"

    def _lose(self, piece: _Piece) -> None:
        if self.is_cut:
            return
        if not self._lost:
            self._lost_ns = self._time.now_ns
            if self._patience_ns:
                self._time.at(self._lost_ns + self._patience_ns, self._give_up, self._lost_ns)
        self._lost.append(piece)
        self._lost_bytes += len(piece) if isinstance(piece, bytes) else 0
        assert self._lost_bytes < HELD_BYTES_MAX, "somebody sends without end to whoever is not reached"

    def _send_again(self) -> None:
        if self._is_stopped or not self._lost:
            return
        self.flows_ns = self._time.now_ns
        lost, self._lost, self._lost_bytes = self._lost, deque(), 0
        for piece in lost:
            self._take(piece)

    def _give_up(self, since_ns: int) -> None:
        if self._is_stopped and self._lost and self._lost_ns == since_ns:
            self.cut()
            self._gave_up()
