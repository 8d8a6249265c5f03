"""The watchdog as a pure machine: `on(event, now_ns)` gives the effects that a shell performs, in order.

It hears the engine's heartbeat. When that is lost, or the engine says that it cancels and does not finish, or lives and
does not come to agree with the venue, it cancels the engine's orders with a key and over a connection of its own, and
goes on until it is proven that none is left (`hlhft.hyperliquid.watchdog_sweep`). What is true of it, in all its
states:

- It never cancels while the engine beats and is well: a beat moves the deadline, and a deadline that is met late, as
  this process itself stood still, is given once more.
- It never gives up: no refusal and no silence of the venue ends a sweep, they only slow it down.
- It never touches orders of others, and never says empty without the proof.
- An engine that was lost answers for its orders again when it beats again; it is trusted as before once its session is
  newer or it has reconciled since.
- When it starts, orders that stand and no beat mean that the host was lost: they are cancelled.

`now_ns` is Unix time in nanoseconds that never runs backwards: nonces and expiries are made of it, and compared with
the venue's. The transitions are a table (`hlhft.hyperliquid.watchdog_table`): a missing entry is an error of the
caller. Timers out of date are harmless, so none is ever cancelled; one of a name replaces the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hlhft.hyperliquid.backoff import MILLISECOND_NS
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog_beats import MAKES_ORDERS, Beat, EngineState, Hearing
from hlhft.hyperliquid.watchdog_events import (
    Answered,
    Effect,
    Ended,
    Heard,
    Input,
    Report,
    ReportCode,
    SetTimer,
    SocketDown,
    SocketUp,
    Start,
    Stop,
    Timer,
    TimerName,
    WatchdogSettings,
)
from hlhft.hyperliquid.watchdog_requests import Finished, Purpose, Requests
from hlhft.hyperliquid.watchdog_sweep import Found, Mode, Proven, Sweep
from hlhft.hyperliquid.watchdog_switch import Switch
from hlhft.hyperliquid.watchdog_table import TRANSITIONS, Event, ImpossibleStep, State, Step
from hlhft.hyperliquid.wire import ms_of

DETAIL_CHARACTERS_MAX = 256  # of a report; the rest is cut off
LOOKS_DOUBLED_MAX = 16  # beyond, doubling a wait changes nothing
DERIVED_MAX = 8  # events that one event may lead to

_WATCHED = frozenset({State.ARMED, State.GRACE, State.RETURNING})
_WITH_GRACE = frozenset({State.GRACE, State.RETURNING})
# What an engine does that is to be over within a grace, whatever orders it has.
_TAKES_A_WHILE = frozenset({EngineState.STARTING, EngineState.FLATTENING})
_LOOKING = frozenset({State.WAITING, State.EMPTY})
# Positions are closed when the engine was lost, not when an operator or the engine wanted to keep them.
_FLATTENING = frozenset({Event.SILENT, Event.OVERDUE, Event.ORPHANED, Event.FOUND})
_PLAIN_REPORTS = {
    Step.REPORT_HEARD: ReportCode.HEARD,
    Step.REPORT_SILENT: ReportCode.SILENT,
    Step.REPORT_OVERDUE: ReportCode.OVERDUE,
    Step.REPORT_STOPPED: ReportCode.STOPPED,
    Step.REPORT_ORPHANS: ReportCode.ORPHANS,
    Step.REPORT_SWEEP: ReportCode.SWEEP,
    Step.REPORT_FOUND: ReportCode.FOUND,
    Step.REPORT_BACK: ReportCode.BACK,
    Step.REPORT_RECONCILED: ReportCode.RECONCILED,
}


class Watchdog:
    """One watchdog of one account and owner, with the signer of an API wallet that nobody else uses."""

    def __init__(self, settings: WatchdogSettings, signer: Signer) -> None:
        self.settings = settings
        self.state = State.IDLE
        self.counters: Counter[str] = Counter()
        self.proven: Proven | None = None  # of the present sweep
        self.orders: int | None = None  # own ones of the latest listing, None before it
        self.heard_ns = 0  # the newest beat, 0 before it
        self._requests = Requests(settings, signer)
        self._sweep = Sweep(settings, self._requests)
        self._switch = Switch(settings, self._requests)
        self._beat: Beat | None = None  # the newest
        self._left_ms = 0  # the last block time at which something that earlier engines sent may be executed
        self._lost = (0, 0)  # session and reconciliation of the engine when it was lost
        self._back = 0  # beats in a row since
        self._has_waited = False  # the sweep is for an engine that lives and does not agree with the venue
        self._is_forgiven = False  # a late deadline was given once more
        self._grace: EngineState | None = None  # what the grace is for
        self._waiting_ns = 0  # since when it waits for the venue, 0 when it does not
        self._expected_by_ns = 0  # the first beat, since the start
        self._looks = 0  # since the latest proof
        self._look_by_ns = 0  # the next one, whatever is heard meanwhile
        self._is_clean = True
        self._due: dict[TimerName, int] = {}
        self._armed: dict[TimerName, int] = {}
        self._effects: list[Effect] = []
        self._cause = Event.START
        self._draw = 0
        self._now_ns = 0
        self._steps: dict[Step, Callable[[], None]] = {
            step: getattr(self, f"_{step.name.lower()}") for step in Step if step not in _PLAIN_REPORTS
        }

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """The effects of what happened, to be performed in their order. Raises ImpossibleStep for what cannot happen
        in this state, which changes nothing."""
        assert now_ns >= self._now_ns, "time does not run backwards"
        self._now_ns = now_ns
        if isinstance(event, SocketUp):
            self._requests.is_socket_up = True
        elif isinstance(event, SocketDown):
            self._take(self._requests.lost_socket(now_ns))
        elif isinstance(event, Answered):
            self._draw = event.draw
            finished = self._requests.answered(event.request_id, event.body, event.text, now_ns)
            self._take([] if finished is None else [finished])
        elif isinstance(event, Timer):
            self._draw = event.draw
            self._fire(event.name)
        elif isinstance(event, Heard):
            self._hear(event.beat)
        else:
            self._run(
                Event.START if isinstance(event, Start) else Event.STOP if isinstance(event, Stop) else Event.SWEEP
            )
        self._settle()
        self._collect()
        self._arm()
        effects, self._effects = self._effects, []
        return effects

    # What others ask.

    def hearing(self, beat: Beat) -> Hearing:
        """The answer to a beat."""
        return Hearing(
            session=beat.session,
            sequence=beat.sequence,
            state=str(self.state),
            switch=str(self._switch.state),
            switch_until_ms=self._switch.until_ms,
        )

    @property
    def switch_until_ms(self) -> int:
        """When the venue cancels by itself, as far as that is known; 0: it was not told to."""
        return self._switch.until_ms

    def status(self) -> str:
        """One line for an operator."""
        beat = self._beat
        engine = "engine not heard" if beat is None else f"engine {beat.state.name.lower()}, session {beat.session}"
        if beat is not None:
            engine += f", {beat.orders if beat.orders >= 0 else 'unknown'} orders"
        proof = "" if self.proven is None else f", proven at {self.proven.block_ms}"
        return f"{self.state}{proof}; {engine}; dead man's switch {self._switch.state}"

    # Events.

    def _run(self, event: Event) -> None:
        row = TRANSITIONS.get((self.state, event))
        if row is None:
            raise ImpossibleStep(f"{event} cannot happen to a watchdog that is {self.state}")
        self._cause = event
        self.state, steps = row
        for step in steps:
            if step in _PLAIN_REPORTS:
                self._report(_PLAIN_REPORTS[step], self._engine())
            else:
                self._steps[step]()

    def _hear(self, beat: Beat) -> None:
        self.counters["beats"] += 1
        if self._beat is not None and beat.session != self._beat.session:
            self._look_after_session(self._beat)
        # One that was swept because it did not agree is back once it does.
        is_back = beat.state in MAKES_ORDERS and not (self._has_waited and beat.state is EngineState.STARTING)
        is_in_row = is_back and self._now_ns - self.heard_ns <= self.settings.silence_ns
        self._back = self._back + 1 if is_in_row else int(is_back)
        self.heard_ns = self._now_ns
        self._beat = beat
        if self.state is State.EMPTY:
            if beat.state in MAKES_ORDERS:
                self._doubt()
            elif beat.state is not EngineState.STOPPED:
                self._look_after_it()
        if beat.state is EngineState.STOPPED:
            self._run(Event.STOPPED)
        elif beat.state in _TAKES_A_WHILE or (beat.state not in MAKES_ORDERS and _has_work(beat)):
            self._run(Event.UNFINISHED)
        else:
            self._run(Event.WELL)

    def _look_after_session(self, last: Beat) -> None:
        """Another engine was heard than the one whose last beat this was. That one is over, and may have come to trade
        after it: however long the new one takes to start, what it left is looked for once nothing more can appear, and
        nothing is proven before."""
        self._left_ms = max(self._left_ms, self._bound_of_living_ms(last, self._now_ns - self.heard_ns))
        if self.state is State.EMPTY or self.state is State.CANCELLING:
            expired_ns = self._now_ns + self._expires_after_ms(last) * MILLISECOND_NS
            self._sweep.look_once_by(expired_ns + self.settings.look_first_ns)

    def _fire(self, name: TimerName) -> None:
        self._armed.pop(name, None)
        if name is TimerName.ROUND:
            self._sweep.due(self._now_ns)
        elif name is TimerName.REQUEST:
            self._take(self._requests.due(self._now_ns))
        elif name is TimerName.SWITCH:
            self._switch.due(self._now_ns)
        else:
            due_ns = self._due.get(name)
            if due_ns is None or due_ns > self._now_ns:
                self.counters["timers out of date"] += 1
            elif name is TimerName.SILENCE and self._is_late(due_ns):
                self.counters["stood still"] += 1
            else:
                del self._due[name]
                self._run(_DUE[name])

    def _is_late(self, due_ns: int) -> bool:
        """Whether this process stood still itself and beats may wait to be read: once, the engine is given time."""
        if self._is_forgiven or self._now_ns - due_ns <= self.settings.silence_ns:
            return False
        self._is_forgiven = True
        self._due[TimerName.SILENCE] = self._now_ns + self.settings.silence_ns
        return True

    def _take(self, ended: list[Finished]) -> None:
        """Requests have ended."""
        for finished in ended:
            if finished.pending.purpose is Purpose.SWITCH:
                self._switch.finished(finished, self._now_ns)
                continue
            result = self._sweep.finished(finished, self._draw, self._now_ns)
            if isinstance(result, Proven):
                self.proven, self.orders = result, 0
                self._run(Event.PROVEN)
            elif isinstance(result, Found):
                self._run(self._what_was_found(result))

    def _what_was_found(self, found: Found) -> Event:
        self.orders = found.own
        if not found.own:
            return Event.NONE_FOUND
        return Event.ORPHANED if self._is_engine_late() else Event.FOUND

    def _is_engine_late(self) -> bool:
        """Whether the first beat has not come in time."""
        return self.state is State.WAITING and self._now_ns >= self._expected_by_ns

    def _settle(self) -> None:
        """Runs what follows from what is known, until nothing does."""
        for _ in range(DERIVED_MAX):
            derived = self._derived()
            if derived is None:
                return
            self._run(derived)
        raise AssertionError("a watchdog settles after a few transitions")

    def _derived(self) -> Event | None:
        if self.state is State.CANCELLING:
            return Event.BACK if self._back >= self.settings.returns else None
        if self.state is State.EMPTY:
            return Event.BACK if self._back else None
        if self.state is State.RETURNING:
            return Event.RECONCILED if self._is_trusted() else None
        if self.state is State.ENDING:
            return Event.CLEARED if self._switch.is_settled else None
        return None

    def _is_trusted(self) -> bool:
        """Whether the engine knows what was done for it: it is a newer one, or has read its account since."""
        beat = self._beat
        assert beat is not None, "an engine returns with a beat"
        return (beat.session, beat.reconciliation) > self._lost

    # After each event.

    def _collect(self) -> None:
        self._effects += self._requests.asks
        self._requests.asks = []
        for part in (self._sweep, self._switch):
            for report in part.reports:
                self._report(report.code, report.detail)
            part.reports = []

    def _arm(self) -> None:
        """Drops what this state does not wait for, and sets timers that are missing or too late; one that fires too
        early is set again then."""
        if self.state not in _WATCHED:
            self._due.pop(TimerName.SILENCE, None)
        if self.state not in _WITH_GRACE:
            self._end_grace()
        if self.state not in _LOOKING:
            self._due.pop(TimerName.LOOK, None)
        if self.state is not State.ENDING:
            self._due.pop(TimerName.END, None)
        due: dict[TimerName, int | None] = {
            **self._due,
            TimerName.ROUND: self._sweep.next_ns,
            TimerName.REQUEST: self._requests.next_deadline_ns(),
            TimerName.SWITCH: self._switch.next_ns,
        }
        if self.state is State.ENDED:
            return
        for name, due_ns in due.items():
            armed_ns = self._armed.get(name)
            if due_ns is not None and (armed_ns is None or armed_ns > due_ns):
                self._armed[name] = due_ns
                self._effects.append(SetTimer(name, due_ns))

    def _report(self, code: ReportCode, detail: str = "") -> None:
        self.counters[str(code)] += 1
        self._effects.append(Report(code, detail[:DETAIL_CHARACTERS_MAX]))

    def _engine(self) -> str:
        beat = self._beat
        if beat is None:
            return f"no engine was heard; {self.orders or 0} own orders were seen"
        breaker = f", breaker {beat.breaker}" if beat.breaker else ""
        return f"session {beat.session}, {beat.state.name.lower()}{breaker}, {beat.orders} orders"

    # Steps.

    def _expect(self) -> None:
        self._expected_by_ns = self._now_ns + self.settings.start_ns
        # Also where the first look waits in vain: the next is urgent.
        self._due[TimerName.LOOK] = self._expected_by_ns

    def _look(self) -> None:
        # At the start the engine may be starting, too, and needs its part of the rate limit; one that is late does not.
        is_urgent = self.state is State.EMPTY or self._is_engine_late()
        self._look_by_ns = self._now_ns + self.settings.look_ns
        self._sweep.begin(Mode.LOOK, self._now_ns, is_urgent=is_urgent)

    def _look_later(self) -> None:
        """Soon after a proof, as an engine whose beats alone were lost would go on sending orders; then less often."""
        wait_ns = self.settings.look_ns
        self._look_by_ns = self._now_ns + wait_ns
        if self.state is State.EMPTY:
            wait_ns = min(self.settings.look_first_ns << min(self._looks, LOOKS_DOUBLED_MAX), wait_ns)
            self._looks += 1
        elif self._now_ns < self._expected_by_ns:
            wait_ns = self._expected_by_ns - self._now_ns
        self._set_look(self._now_ns + wait_ns)

    def _set_look(self, at_ns: int) -> None:
        """The next look comes then, or before for what an earlier engine left."""
        once_by_ns = self._sweep.once_by_ns
        self._due[TimerName.LOOK] = at_ns if once_by_ns is None else min(at_ns, once_by_ns)

    def _doubt(self) -> None:
        """An engine that makes orders, or may at any time, was heard: what was proven is of before. If it dies before
        it is back, its last orders are found by the look that follows the last beat."""
        self.proven = None
        self._look_after_it()

    def _look_after_it(self) -> None:
        """A halted engine was heard: what was proven holds, but it may be resumed, place orders and die before its next
        beat. The next look follows its last beat, and comes in any case when it would have."""
        self._looks = 0
        self._set_look(min(self._now_ns + self.settings.look_first_ns, self._look_by_ns))

    def _note_beat(self) -> None:
        self._is_forgiven = False

    def _watch(self) -> None:
        self._due[TimerName.SILENCE] = self._now_ns + self.settings.silence_ns

    def _give_grace(self) -> None:
        """Once for each thing that the engine says it does; more beats of it do not make it longer."""
        beat = self._beat
        assert beat is not None, "grace is given for what a beat says"
        if self._grace is beat.state:
            return
        self._grace = beat.state
        if beat.state is EngineState.FLATTENING:
            due_ns = self._now_ns + self.settings.flatten_grace_ns
        elif beat.state is EngineState.STARTING or _is_new(beat):
            # One that is halted and resumed while it waits for the venue does not begin to wait anew.
            self._waiting_ns = self._waiting_ns or self._now_ns
            due_ns = max(self._waiting_ns + self.settings.waiting_grace_ns, self._now_ns)
        else:
            due_ns = self._now_ns + self.settings.halt_grace_ns
        self._due[TimerName.GRACE] = due_ns

    def _end_grace(self) -> None:
        self._due.pop(TimerName.GRACE, None)
        self._grace = None
        self._waiting_ns = 0

    def _rest(self) -> None:
        self._sweep.cease()

    def _cancel(self) -> None:
        beat = self._beat
        if beat is not None:
            self._lost = (beat.session, beat.reconciliation)
        self._back = self._looks = 0
        self.proven = None
        is_waiting = self._grace is EngineState.STARTING or (beat is not None and _is_new(beat))
        # Found beside one that starts is what an earlier one left.
        is_beside = self._cause is Event.FOUND and self._now_ns - self.heard_ns <= self.settings.silence_ns
        self._has_waited = is_waiting and (self._cause is Event.OVERDUE or is_beside)
        # Whoever lives and is cut off from the venue is not lost: its positions stay.
        flatten = self._cause in _FLATTENING and not self._has_waited
        self._sweep.begin(Mode.CANCEL, self._now_ns, bound_ms=self._bound_ms(), flatten=flatten)

    def _bound_ms(self) -> int:
        """The last block time at which something that an engine sent may be executed."""
        beat = self._beat
        if beat is None or self._cause is Event.FOUND:
            silent_ms = self.settings.expires_after_ms + self.settings.clock_skew_ms
            return max(self._left_ms, self._requests.block_ms(self._now_ns) + silent_ms)
        return self._bound_of_ms(beat, may_make=self._cause is Event.SILENT or beat.state in MAKES_ORDERS)

    def _bound_of_ms(self, beat: Beat, *, may_make: bool) -> int:
        """The same of the engine whose newest beat this is, and of those before it."""
        silence_ns = self.settings.silence_ns  # until it is noticed
        return max(self._left_ms, self._bound_of_living_ms(beat, silence_ns) if may_make else beat.last_expiry_ms)

    def _bound_of_living_ms(self, beat: Beat, lived_ns: int) -> int:
        """The same of an engine that may have lived, and sent, for so long after its beat."""
        return max(beat.last_expiry_ms, beat.time_ms + ms_of(lived_ns) + self._expires_after_ms(beat))

    def _expires_after_ms(self, beat: Beat) -> int:
        """How long what an engine sends may be executed: as it says, or as is set."""
        return beat.expires_after_ms or self.settings.expires_after_ms

    def _extend(self) -> None:
        beat = self._beat
        assert beat is not None, "proof takes longer for a beat"
        # One that starts may come to trade and die before its next beat: while it lives, nothing is proven.
        bound_ms = self._bound_of_ms(beat, may_make=beat.state in MAKES_ORDERS)
        self._sweep.extend(bound_ms, look_by_ns=self._now_ns + self.settings.look_first_ns)

    def _hold_switch(self) -> None:
        self._switch.hold(self._now_ns)
        self._switch.due(self._now_ns)

    def _leave_switch(self) -> None:
        self._switch.leave()

    def _clear_switch(self) -> None:
        self._switch.clear(self._now_ns)

    def _begin_end(self) -> None:
        self._due[TimerName.END] = self._now_ns + self.settings.end_ns

    def _finish(self) -> None:
        self._effects.append(Ended(self._is_clean))

    def _report_empty(self) -> None:
        proven = self.proven
        assert proven is not None, "empty is only said with a proof"
        self._report(
            ReportCode.EMPTY,
            f"block time {proven.block_ms}; {self._sweep.cancelled} cancels; {proven.others} orders of others, "
            f"{proven.positions} positions stay",
        )

    def _report_unproven(self) -> None:
        self._is_clean = False
        self._report(ReportCode.UNPROVEN, f"{self._sweep.cancelled} cancels were sent")


_DUE = {
    TimerName.SILENCE: Event.SILENT,
    TimerName.GRACE: Event.OVERDUE,
    TimerName.LOOK: Event.LOOK_DUE,
    TimerName.END: Event.END_DUE,
}


def _is_new(beat: Beat) -> bool:
    """Whether its session has not come to agree with the venue once: of earlier ones' orders it knows nothing yet."""
    return beat.reconciliation == 0


def _has_work(beat: Beat) -> bool:
    """Whether an engine that makes no orders has some that are to go, or does not know whether it has."""
    return beat.orders != 0 or _is_new(beat)
