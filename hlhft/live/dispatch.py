"""The core's way in and out: events are recorded and stepped over, commands are recorded and sent, in one call.

A frame of market data is stepped over in the callback of its socket. What that leads to (actions written, so tick-to-
trade measured, so perhaps a breaker tripped, so orders cancelled) comes back as rows, which become further frames in
the same call, up to a bound; what is beyond waits for the next turn of the loop.

What cannot be recorded is not traded: when the journal is full, the owner hears of it before the commands of that very
step leave, and its reserve takes what still cancels.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from hlhft.core.brain import Brain
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, empty
from hlhft.hyperliquid.decode import Row
from hlhft.live.journal.segments import JournalFull
from hlhft.live.loop import Loop, Time
from hlhft.live.timers import Timers
from hlhft.monitor.histogram import Histogram

ROWS_MAX = 1024  # of one frame; more become several
STEPS_MAX = 64  # of one turn of the loop
FRAMES_MAX = 4096  # waiting; more is an error of this program, as each has a cause that a bound holds
OWNER = "core"  # of the timers here
TICK, BATCH = "tick", "batch"
TICK_NS = 100_000_000
_TICK_ID, _BATCH_ID = 0, 1
_OPERATOR_BIT = 1 << 13  # hlhft.core.risk.Breaker.OPERATOR: whoever halted knows of it
_FRAME_END = int(EventFlag.FRAME_END)
# Written so, a row costs a tenth of what an assignment to a structured array does.
_EVENT = struct.Struct("<7q3H2b")
assert _EVENT.size == EVENT_DTYPE.itemsize
_LOCAL, _KIND, _FLAGS = 1, 7, 8  # places in a row
_VISIBLE = int(EventFlag.LOCAL_VISIBLE)
_TIMER, _SENT, _MARKET_STATE = int(EventKind.TIMER), int(EventKind.COMMAND_SENT), int(EventKind.MARKET_STATE)


class Recorder(Protocol):
    """The journal, as far as the core's way needs it."""

    def inputs(self, events: np.ndarray, count: int) -> None:
        """Events that are stepped over next. Raises JournalFull."""

    def commands(self, records: np.ndarray, count: int) -> None:
        """What the step led to. Raises JournalFull."""

    def use_reserve(self) -> None:
        """Opens the room that is kept for a halt."""


class Listener(Protocol):
    """Who hears what the core's way finds out."""

    def tripped(self, latches: int, breaker: int) -> None:
        """Breakers latched: all latches that are set, and the code of the first."""

    def journal_full(self, sentence: str) -> None:
        """The journal takes no more."""

    def ticked(self, halt_code: int) -> None:
        """The core heard the time; the code of the breaker that keeps it from quoting, 0 for none."""


class Dispatch:
    """The one place that steps the brain. `send(commands, received_ns)` takes what leaves, COMMAND_DTYPE[n], n > 0.

    `after(events, count)`, if there is one, gets each frame of market data, and what is told of a market's state, once
    the commands that it led to have been sent: no order waits for it.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        journal: Recorder,
        send: Callable[[np.ndarray, int], None],
        listener: Listener,
        timers: Timers,
        clock: Time,
        loop: Loop,
        lateness: Callable[[int], int] = lambda now_ns: 0,
        watch: Callable[[Sequence[Row]], None] | None = None,
        after: Callable[[np.ndarray, int], None] | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.received_ns = 0  # when what is dealt with now was received
        self.has_journal = True
        self.steps = Histogram()  # from a frame in hand to the end of the core's step over it
        self._brain = brain
        self._commands = brain.commands
        self._journal = journal
        self._send = send
        self._listener = listener
        self._timers = timers
        self._clock = clock
        self._loop = loop
        self._lateness = lateness
        self._watch = watch  # hears of rows before they are stepped over
        self._after = after  # hears of frames of market data once what they led to has left
        self._rows = empty(ROWS_MAX)
        self._bytes = memoryview(self._rows.view(np.uint8).data)
        self._waiting: deque[Sequence[Row]] = deque()
        self._is_busy = False
        self._is_resuming = False
        self._batch_ns = 0
        self._stepped_ns = 0  # the newest time that the core was told
        self._began_ns = 0  # when the frame was taken in hand that is stepped over next; 0 for what is told
        lane = brain.lane.lane
        self._latches, self._halt_code = lane["latches"], lane["halt_code"]
        self._held_back = lane["waiting_count"]
        self._known_latches = 0
        timers.own(OWNER, self._fired)

    @property
    def is_behind(self) -> bool:
        """Whether rows were told that have not been stepped over."""
        return bool(self._waiting)

    def start(self) -> None:
        """Begins to tell the core the time."""
        self._timers.set(OWNER, TICK, self._clock.now_ns() + TICK_NS)

    def turn(self) -> int:
        """Something begins that a socket, a timer or an operator caused; returns the time.

        When the loop stood still before it, the core hears of that first, and decides about what stands before
        anything new is decided on.
        """
        late_ns = self._lateness(self._clock.now_ns())
        now_ns = self._clock.now_ns()
        self.received_ns = now_ns - late_ns
        return now_ns

    def frame(self, events: np.ndarray, count: int, now_ns: int) -> None:
        """Steps over one frame: the first `count` of EVENT_DTYPE `events`, all received at `now_ns`."""
        assert not self._is_busy, "frames come one after the other"
        assert now_ns >= self._stepped_ns, "time does not run backwards"
        self._stepped_ns = self._began_ns = now_ns
        self._is_busy = True
        try:
            self._step(events, count)
            if self._waiting:
                self._drain()
        finally:
            self._is_busy = False
        if self._after is not None:
            self._after(events, count)

    def tell(self, rows: Sequence[Row]) -> None:
        """Steps over rows as one frame: now, or after what is being stepped over."""
        if not rows:
            return
        assert len(self._waiting) < FRAMES_MAX, "what is told has causes that are bounded"
        self._waiting.append(rows)
        if self._is_busy or self._is_resuming:
            return
        self._is_busy = True
        try:
            self._drain()
        finally:
            self._is_busy = False

    def late(self, lateness_ns: int) -> None:
        """The loop stood still for so long: what it reads now was received then. The core judges it as it does the time
        of an action, before anything that was read leads to one."""
        now_ns = self._clock.now_ns()
        self.tell([(0, now_ns, 0, 0, 0, now_ns - lateness_ns, now_ns, _SENT, _VISIBLE, 0, 0, 0)])

    # Parts.

    def _fired(self, name: str, draw: int) -> None:
        now_ns = self.turn()
        if name == TICK:
            self._timers.set(OWNER, TICK, now_ns + TICK_NS)
            timer = _TICK_ID
        else:
            self._batch_ns = 0
            timer = _BATCH_ID
        self.tell([(0, now_ns, 0, 0, 0, timer, 0, _TIMER, _VISIBLE, 0, 0, 0)])
        if name == TICK:
            self._listener.ticked(int(self._halt_code[0]))

    def _drain(self) -> None:
        """Steps over what waits, and over what that leads to."""
        steps = 0
        while self._waiting:
            if steps >= STEPS_MAX:
                self.counters["turns that were cut"] += 1
                self._is_resuming = True
                self._loop.call_soon(self._resume)
                return
            steps += 1
            rows = self._waiting.popleft()
            if self._watch is not None:
                self._watch(rows)
            for first in range(0, len(rows), ROWS_MAX):
                count = self._write(rows[first : first + ROWS_MAX])
                self._step(self._rows, count)
                if self._after is not None and rows[first][_KIND] == _MARKET_STATE:
                    self._after(self._rows, count)

    def _write(self, rows: Sequence[Row]) -> int:
        """Makes the rows one frame; returns how many they are.

        A machine stamps what it tells with the time that it was asked at, and what followed meanwhile may have been
        stepped over before; for the core time only goes on.
        """
        stepped_ns, last = self._stepped_ns, len(rows) - 1
        for place, row in enumerate(rows):
            stepped_ns = max(stepped_ns, row[_LOCAL])
            flags = row[_FLAGS] | _FRAME_END if place == last else row[_FLAGS]
            before, behind = row[_LOCAL + 1 : _FLAGS], row[_FLAGS + 1 :]
            _EVENT.pack_into(self._bytes, place * _EVENT.size, row[0], stepped_ns, *before, flags, *behind)
        self._stepped_ns = stepped_ns
        return last + 1

    def _resume(self) -> None:
        self._is_resuming = False
        self._is_busy = True
        try:
            self._drain()
        finally:
            self._is_busy = False

    def _step(self, events: np.ndarray, count: int) -> None:
        self._record(events, count)
        commands = self._brain.step(events, count)
        began_ns, self._began_ns = self._began_ns, 0
        ended_ns = self._clock.now_ns() if began_ns else 0
        if commands:
            if self.has_journal:
                self._record_commands(commands)
            self._send(self._commands[:commands], self.received_ns)
        latches = self._latches[0]
        if latches != self._known_latches:
            self._look(int(latches))
        if self._held_back[0]:
            self._wait_for_batch()
        if began_ns:
            self.steps.note(ended_ns - began_ns)

    def _record(self, events: np.ndarray, count: int) -> None:
        if not self.has_journal:
            self.counters["frames without a journal"] += 1
            return
        try:
            self._journal.inputs(events, count)
        except JournalFull as error:
            self._full(error)
            self._record_in_reserve(events, count)

    def _record_in_reserve(self, events: np.ndarray, count: int) -> None:
        try:
            self._journal.inputs(events, count)
        except JournalFull:
            # Cancels go out without it: an order that stands is worse than a record that misses.
            self.has_journal = False

    def _record_commands(self, count: int) -> None:
        try:
            self._journal.commands(self._commands, count)
        except JournalFull as error:
            self.has_journal = False
            self._full(error)

    def _full(self, error: JournalFull) -> None:
        self.counters["times the journal was full"] += 1
        self._journal.use_reserve()
        self._listener.journal_full(str(error))

    def _look(self, latches: int) -> None:
        """Tells of latches that are new, after what the core itself does about them has left."""
        news = latches & ~self._known_latches & ~_OPERATOR_BIT
        self._known_latches = latches
        if news:
            self._listener.tripped(latches, int(self._halt_code[0]))

    def _wait_for_batch(self) -> None:
        deadline_ns = self._brain.next_deadline_ns()
        if deadline_ns != self._batch_ns:
            self._batch_ns = deadline_ns
            self._timers.set(OWNER, BATCH, deadline_ns)
