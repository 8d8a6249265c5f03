"""The life of one engine as a pure machine: `on(event, now_ns)` gives the effects that a shell performs, in order.

It decides when the gate to the venue is open, what the core is told of connections and operators, what is written to
disk, and how the process ends. What is true of an engine, in all its stages:

- It trades only while its feed is live, a trading connection stands, and the account was agreed on since the feed came
  up. The core hears of the first two before the gate opens, and of their loss after it closed.
- A halt survives every restart: it is on disk, and only an operator's `resume` with a reason ends it, not before what
  it was about is mended: a disagreement needs an agreement, a full journal one that works.
- It ends by saying what is left at the venue: nothing, by a proof, or what may be. Asked to stop twice it does not wait
  for the proof, and says so.

The transitions are a table (`hlhft.hyperliquid.supervisor_table`).
"""

from __future__ import annotations

from collections.abc import Callable

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid import supervisor_events as told
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.supervisor_events import Effect, GateLevel, Halt, HaltCause, Input, ReportCode, Verdict
from hlhft.hyperliquid.supervisor_table import TRANSITIONS, Event, ImpossibleEvent, Stage, Step

REASON_CHARACTERS_MAX = 512  # of an operator or a machine; the rest is cut off
_VISIBLE = int(EventFlag.LOCAL_VISIBLE)
_HALT, _RESUME, _FLATTEN, _STOP = 0, 1, 2, 4  # of OPERATOR_COMMAND, hlhft.events
_CAUSES: dict[type, HaltCause] = {
    told.Disagreed: HaltCause.DISAGREEMENT,
    told.Tripped: HaltCause.BREAKER,
    told.JournalFailed: HaltCause.JOURNAL,
    told.NoncesRolledBack: HaltCause.NONCES,
    told.HaltAsked: HaltCause.OPERATOR,
    told.FlattenAsked: HaltCause.FLATTEN,
}
_KINDS: dict[type, Event] = {
    told.Agreed: Event.AGREED,
    told.FlattenAsked: Event.FLATTEN,
    told.StopAsked: Event.STOP,
    told.Failed: Event.STOP,
    told.EmptyProven: Event.EMPTY,
    told.NotEmpty: Event.NOT_EMPTY,
    told.StopDue: Event.STOP_DUE,
}
_REPORTS: dict[Stage, ReportCode] = {
    Stage.WAITING: ReportCode.WAITING,
    Stage.TRADING: ReportCode.TRADING,
    Stage.HALTED: ReportCode.HALTED,
    Stage.STOPPING: ReportCode.STOPPING,
}


class Supervisor:
    """The supervisor of one engine with `lanes` trading connections, numbered from 0.

    `halt` is what was on disk, None for an engine that may trade; `stop_ns_max` is how long a stop may take. Raises
    ValueError when it is not positive.
    """

    def __init__(self, *, lanes: int, stop_ns_max: int, halt: Halt | None = None) -> None:
        if lanes < 1 or stop_ns_max < 1:
            raise ValueError(f"an engine has a lane and time to stop, not {lanes} lanes and {stop_ns_max} ns")
        self.stage = Stage.STARTING
        self.halt = halt
        self._lanes = [False] * lanes
        self._stop_ns_max = stop_ns_max
        self._is_fed = False
        self._is_agreed = False
        self._is_told_up = False
        self._is_notified = False
        self._has_journal = True
        self._awaits_agreement = halt is not None and halt.cause is HaltCause.DISAGREEMENT
        self._failure = ""
        self._stop_ns = 0
        self._effects: list[Effect] = []
        self._refusal = ""
        self._steps: dict[Step, Callable[[Input, int], None]] = {
            step: getattr(self, f"_{step.name.lower()}") for step in Step
        }

    @property
    def is_agreed(self) -> bool:
        """Whether the account was read since market data came, and agrees with our records."""
        return self._is_agreed

    @property
    def is_ready(self) -> bool:
        """Whether all is there that trading needs; a halt forbids it all the same."""
        return self._is_fed and self._is_agreed and any(self._lanes)

    def on(self, event: Input, now_ns: int) -> list[Effect]:
        """The effects of what happened, to be performed in their order. Raises ImpossibleEvent for what cannot happen
        in this stage, which changes nothing."""
        kind = self._kind(event, now_ns)
        if kind is not None:
            self._run(kind, event, now_ns)
        derived = self._derived()
        if derived is not None:
            self._run(derived, event, now_ns)
        effects, self._effects = self._effects, []
        return effects

    # Events.

    def _kind(self, event: Input, now_ns: int) -> Event | None:
        """What the event is to the table, after its facts are noted; None when facts are all that it brings."""
        if isinstance(event, told.Warmed):
            return Event.WARMED if self.halt is None else Event.WARMED_HALTED
        if isinstance(event, told.LaneUp | told.LaneDown):
            if not 0 <= event.lane < len(self._lanes):
                raise ImpossibleEvent(f"there is no lane {event.lane}")
            self._lanes[event.lane] = isinstance(event, told.LaneUp)
            return None
        if isinstance(event, told.StopDue) and now_ns < self._stop_ns:
            return None
        if isinstance(event, told.ResumeAsked):
            self._refusal = self._why_not_resume(event)
            return Event.RESUME_REFUSED if self._refusal else Event.RESUME
        self._note(event)
        if type(event) in _CAUSES and not isinstance(event, told.FlattenAsked):
            return Event.HALT
        return _KINDS.get(type(event))

    def _note(self, event: Input) -> None:
        """Notes the facts that an event brings."""
        if isinstance(event, told.FeedUp):
            self._is_fed = True
        elif isinstance(event, told.FeedDown):
            self._is_fed = self._is_agreed = False
        elif isinstance(event, told.Agreed):
            self._is_agreed, self._awaits_agreement = True, False
        elif isinstance(event, told.Disagreed):
            self._is_agreed, self._awaits_agreement = False, True
        elif isinstance(event, told.JournalFailed | told.JournalWorks):
            self._has_journal = isinstance(event, told.JournalWorks)
        elif isinstance(event, told.Failed):
            self._failure = event.reason[:REASON_CHARACTERS_MAX]

    def _why_not_resume(self, event: told.ResumeAsked) -> str:
        """The sentence that refuses a resume; empty when nothing is against it."""
        if self.stage is not Stage.HALTED:
            return f"the engine is {self.stage}, not halted: there is nothing to resume"
        if not event.reason.strip():
            return "a resume needs a reason: say what was found and mended"
        if not self._has_journal:
            return "the journal cannot be written: make room on its disk first"
        if self._awaits_agreement:
            return "the account does not agree with our records yet: see what differs, and wait for the next reading"
        return ""

    def _run(self, kind: Event, event: Input, now_ns: int) -> None:
        row = TRANSITIONS.get((self.stage, kind))
        if row is None:
            raise ImpossibleEvent(f"{kind} cannot happen to an engine that is {self.stage}")
        self.stage, steps = row
        for step in steps:
            self._steps[step](event, now_ns)

    def _derived(self) -> Event | None:
        """What follows from what is known."""
        if self.stage is Stage.WAITING:
            return Event.READY if self.is_ready else None
        if self.stage is Stage.TRADING:
            return None if self.is_ready else Event.UNREADY
        if self.stage is Stage.HALTED or self.stage is Stage.STOPPING:
            if self.is_ready is self._is_told_up:
                return None
            if self.stage is Stage.STOPPING:
                self._is_told_up = self.is_ready
            return Event.READY if self.is_ready else Event.UNREADY
        return None

    # Steps: the halt.

    def _keep_halt(self, event: Input, now_ns: int) -> None:
        """The first halt keeps its cause and reason; latches are added up."""
        cause = _CAUSES[type(event)]
        reason = str(getattr(event, "reason", ""))[:REASON_CHARACTERS_MAX]
        latches, breaker = getattr(event, "latches", 0), getattr(event, "breaker", 0)
        if self.halt is None:
            self.halt = Halt(cause, reason, latches, breaker)
        else:
            first = self.halt
            self.halt = Halt(first.cause, first.reason, first.latches | latches, first.breaker or breaker)
        self._effects.append(told.Persist(self.halt, reason))

    def _forget_halt(self, event: Input, now_ns: int) -> None:
        assert isinstance(event, told.ResumeAsked), "the step of one event"
        self.halt = None
        self._effects.append(told.Persist(None, event.reason[:REASON_CHARACTERS_MAX]))

    # Steps: the gate, and what the core is told.

    def _open_gate(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.SetGate(GateLevel.OPEN))

    def _reduce_gate(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.SetGate(GateLevel.REDUCING))

    def _close_gate(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.SetGate(GateLevel.CLOSED))

    def _tell(
        self, kind: EventKind, now_ns: int, *, aux0: int = 0, aux1: int = 0, size_lots: int = 0, order_id: int = 0
    ) -> None:
        row: Row = (now_ns, now_ns, 0, size_lots, order_id, aux0, aux1, int(kind), _VISIBLE, 0, 0, 0)
        self._effects.append(told.TellCore((row,)))

    def _tell_restored(self, event: Input, now_ns: int) -> None:
        """What was latched; the peak from before the restart follows once it is known what was moved since
        (`hlhft.hyperliquid.reconcile`)."""
        halt = self.halt
        if halt is None:
            return
        self._tell(EventKind.RESTORED, now_ns, aux0=halt.latches, aux1=halt.breaker)
        if halt.cause is not HaltCause.BREAKER:
            # What was to be flattened and is not yet, is.
            command = _FLATTEN if halt.cause is HaltCause.FLATTEN else _HALT
            self._tell(EventKind.OPERATOR_COMMAND, now_ns, aux0=command, aux1=int(halt.cause))

    def _tell_up(self, event: Input, now_ns: int) -> None:
        self._is_told_up = True
        self._tell(EventKind.CONNECTION_UP, now_ns)

    def _tell_down(self, event: Input, now_ns: int) -> None:
        self._is_told_up = False
        self._tell(EventKind.CONNECTION_DOWN, now_ns)

    def _tell_halt(self, event: Input, now_ns: int) -> None:
        """The core halts by itself when it was its own breaker."""
        if not isinstance(event, told.Tripped):
            self._tell(EventKind.OPERATOR_COMMAND, now_ns, aux0=_HALT, aux1=int(_CAUSES[type(event)]))

    def _tell_resume(self, event: Input, now_ns: int) -> None:
        self._is_told_up = False
        self._tell(EventKind.OPERATOR_COMMAND, now_ns, aux0=_RESUME)

    def _tell_flatten(self, event: Input, now_ns: int) -> None:
        self._tell(EventKind.OPERATOR_COMMAND, now_ns, aux0=_FLATTEN, aux1=int(HaltCause.FLATTEN))

    def _tell_stop(self, event: Input, now_ns: int) -> None:
        self._tell(EventKind.OPERATOR_COMMAND, now_ns, aux0=_STOP)

    # Steps: the end.

    def _cancel_own(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.CancelOwn())

    def _prove_empty(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.ProveEmpty())

    def _set_deadline(self, event: Input, now_ns: int) -> None:
        self._stop_ns = now_ns + self._stop_ns_max
        self._effects.append(told.SetStopTimer(self._stop_ns))

    def _notify_ready(self, event: Input, now_ns: int) -> None:
        if not self._is_notified:
            self._is_notified = True
            self._effects.append(told.Ready())

    def _notify_stopping(self, event: Input, now_ns: int) -> None:
        self._effects.append(told.Stopping())

    def _answer_done(self, event: Input, now_ns: int) -> None:
        request = getattr(event, "request", None)
        if request is not None:
            self._effects.append(told.Answer(request, True, f"the engine is {self.stage}"))

    def _answer_refused(self, event: Input, now_ns: int) -> None:
        request = getattr(event, "request", None)
        if request is not None:
            refusal = self._refusal or f"the engine is {self.stage}: it takes no such request any more"
            self._effects.append(told.Answer(request, False, refusal))
        self._refusal = ""

    def _report(self, event: Input, now_ns: int) -> None:
        code = ReportCode.RESUMED if isinstance(event, told.ResumeAsked) else _REPORTS[self.stage]
        detail = str(getattr(event, "reason", ""))[:REASON_CHARACTERS_MAX]
        if isinstance(event, told.Warmed) and self.halt is not None:
            code, detail = ReportCode.STILL_HALTED, self.halt.reason
        self._effects.append(told.Report(code, detail))

    def _end(self, verdict: Verdict) -> None:
        self._effects += [
            told.Report(ReportCode.STOPPED, str(verdict)),
            told.Exit(verdict, self.halt, self._failure),
        ]

    def _end_unstarted(self, event: Input, now_ns: int) -> None:
        self._end(Verdict.UNSTARTED)

    def _end_empty(self, event: Input, now_ns: int) -> None:
        self._end(Verdict.EMPTY)

    def _end_not_empty(self, event: Input, now_ns: int) -> None:
        self._end(Verdict.NOT_EMPTY)
