"""What waits between the socket and the disk: bounded, in order, and honest about what it dropped.

The socket's thread puts lines in and never waits; the disk's thread takes them out. When the disk takes less than comes
for so long that the queue is full, frames are dropped and counted, and the first line that fits again is preceded by a
mark that says so: memory stays bounded, at twice the bound (what waits, and what was taken), and the gap is in the
recording.
"""

from __future__ import annotations

import threading
from collections import deque

from hlhft.data.recorder.marks import Lost, encoded

BYTES_MAX = 64 << 20  # some ten minutes of a hundred coins
LINE_OVERHEAD_BYTES = 200  # what a line costs beside its text: a tuple, two numbers, a bytes object
URGENT_BYTES = 1 << 20  # waiting: the disk's thread is woken before its time
MARKS_MAX = 10_000  # marks that wait; they come with connections, of which there are few a minute

Line = tuple[int, bytes]  # local ns, json


class LineQueue:
    """Lines for the disk."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        if bytes_max <= 0:
            raise ValueError(f"a queue of {bytes_max} bytes takes nothing, expected more than 0")
        self.dropped_frames = 0  # since the start
        self.waiting_bytes = 0
        self._bytes_max = bytes_max
        self._lines: deque[Line] = deque()
        self._marks = 0
        self._lost_frames = self._lost_bytes = 0
        self._is_closed = False
        self._news = threading.Condition()

    def put(self, local_ns: int, text: bytes) -> bool:
        """Adds a frame; False when it is dropped instead."""
        cost = len(text) + LINE_OVERHEAD_BYTES
        with self._news:
            if self.waiting_bytes + cost > self._bytes_max:
                self.dropped_frames += 1
                self._lost_frames += 1
                self._lost_bytes += len(text)
                return False
            self._tell_lost(local_ns)
            self._add(local_ns, text, cost)
            return True

    def mark(self, local_ns: int, text: bytes) -> None:
        """Adds a mark, however full the queue is."""
        with self._news:
            self._marks += 1
            assert self._marks <= MARKS_MAX, "marks come with connections, and those are bounded by the minute"
            self._tell_lost(local_ns)
            self._add(local_ns, text, 0)

    def take(self, timeout_s: float) -> list[Line] | None:
        """All that waits, oldest first, after `timeout_s`, or sooner when much waits; empty when nothing came, None
        once it is closed and empty.

        In batches, so that the disk's thread seldom takes the interpreter from the one that stamps what comes.
        """
        with self._news:
            if not self._is_closed and self.waiting_bytes < URGENT_BYTES:
                self._news.wait(timeout_s)
            if not self._lines:
                return None if self._is_closed else []
            taken = list(self._lines)
            self._lines.clear()
            self.waiting_bytes = self._marks = 0
            return taken

    def close(self, local_ns: int) -> None:
        """Nothing is added any more; what waits is still taken."""
        with self._news:
            self._tell_lost(local_ns)
            self._is_closed = True
            self._news.notify()

    def _tell_lost(self, local_ns: int) -> None:
        if self._lost_frames:
            lost = Lost(frames=self._lost_frames, bytes=self._lost_bytes)
            self._lost_frames = self._lost_bytes = 0
            self._add(local_ns, encoded(lost), 0)

    def _add(self, local_ns: int, text: bytes, cost: int) -> None:
        self._lines.append((local_ns, text))
        self.waiting_bytes += cost
        if self.waiting_bytes >= URGENT_BYTES:
            self._news.notify()
