"""The life of an engine: when it trades, when it does not, and what it says at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.events import EventKind
from hlhft.hyperliquid import supervisor_events as told
from hlhft.hyperliquid.supervisor import REASON_CHARACTERS_MAX, Supervisor
from hlhft.hyperliquid.supervisor_events import Effect, GateLevel, Halt, HaltCause, Input, ReportCode, Verdict
from hlhft.hyperliquid.supervisor_table import ImpossibleEvent, Stage

SECOND_NS = 1_000_000_000
STOP_NS = 10 * SECOND_NS
ON_DISK = Halt(HaltCause.OPERATOR, "maintenance")


@dataclass
class Room:
    """A supervisor, and what its effects have made of the world around it."""

    supervisor: Supervisor
    now_ns: int = 1_000 * SECOND_NS
    gate: GateLevel = GateLevel.CLOSED
    connected: bool = False
    disk: Halt | None = None
    core: list[tuple[EventKind, int]] = field(default_factory=list)
    reports: list[ReportCode] = field(default_factory=list)
    answers: list[told.Answer] = field(default_factory=list)
    exit: told.Exit | None = None
    effects: list[Effect] = field(default_factory=list)

    def tell(self, *events: Input) -> list[Effect]:
        """Tells what happens, a millisecond apart, and performs the effects; returns those of the last."""
        effects: list[Effect] = []
        for event in events:
            self.now_ns += 1_000_000
            effects = self.supervisor.on(event, self.now_ns)
            for effect in effects:
                self._perform(effect)
        return effects

    def _perform(self, effect: Effect) -> None:
        self.effects.append(effect)
        if isinstance(effect, told.SetGate):
            self.gate = effect.level
        elif isinstance(effect, told.TellCore):
            for row in effect.rows:
                kind = EventKind(row[7])
                self.core.append((kind, row[5]))
                self.connected = {EventKind.CONNECTION_UP: True, EventKind.CONNECTION_DOWN: False}.get(
                    kind, self.connected
                )
        elif isinstance(effect, told.Persist):
            self.disk = effect.halt
        elif isinstance(effect, told.Report):
            self.reports.append(effect.code)
        elif isinstance(effect, told.Answer):
            self.answers.append(effect)
        elif isinstance(effect, told.Exit):
            self.exit = effect

    def count(self, kind: type) -> int:
        """How many effects of this kind there were."""
        return sum(isinstance(effect, kind) for effect in self.effects)


def room(halt: Halt | None = None) -> Room:
    supervisor = Supervisor(lanes=2, stop_ns_max=STOP_NS, halt=halt)
    return Room(supervisor, disk=halt)


def trading() -> Room:
    there = room()
    there.tell(told.Warmed(), told.LaneUp(0), told.FeedUp(), told.Agreed())
    assert there.supervisor.stage is Stage.TRADING
    return there


def test_it_trades_once_it_is_warm_connected_and_agreed_and_says_so_once() -> None:
    there = room()
    there.tell(told.Warmed())
    assert (there.supervisor.stage, there.gate) == (Stage.WAITING, GateLevel.CLOSED)
    there.tell(told.Agreed(), told.FeedUp())
    assert there.gate is GateLevel.CLOSED
    effects = there.tell(told.LaneUp(1))
    assert [type(effect) for effect in effects] == [told.TellCore, told.SetGate, told.Ready, told.Report]
    assert (there.gate, there.connected, there.core) == (GateLevel.OPEN, True, [(EventKind.CONNECTION_UP, 0)])
    there.tell(told.LaneDown(1), told.LaneUp(1))
    assert there.gate is GateLevel.OPEN
    assert there.count(told.Ready) == 1
    assert there.reports == [ReportCode.WAITING, ReportCode.TRADING, ReportCode.WAITING, ReportCode.TRADING]


def test_what_came_up_while_it_warmed_counts() -> None:
    there = room()
    there.tell(told.LaneUp(0), told.FeedUp(), told.Agreed(), told.Warmed())
    assert (there.supervisor.stage, there.gate) == (Stage.TRADING, GateLevel.OPEN)


def test_one_lane_of_two_is_enough_and_none_is_not() -> None:
    there = trading()
    there.tell(told.LaneUp(1), told.LaneDown(0))
    assert there.gate is GateLevel.OPEN
    effects = there.tell(told.LaneDown(1))
    assert effects[0] == told.SetGate(GateLevel.CLOSED)
    assert not there.connected


def test_a_feed_that_was_lost_needs_a_new_agreement() -> None:
    there = trading()
    there.tell(told.FeedDown())
    assert (there.gate, there.connected) == (GateLevel.CLOSED, False)
    there.tell(told.FeedUp())
    assert there.gate is GateLevel.CLOSED
    there.tell(told.Agreed())
    assert there.gate is GateLevel.OPEN


@pytest.mark.parametrize(
    ("event", "cause", "core"),
    [
        (told.HaltAsked(7, "lunch"), HaltCause.OPERATOR, [(EventKind.OPERATOR_COMMAND, 0)]),
        (told.FlattenAsked(7, "news"), HaltCause.FLATTEN, [(EventKind.OPERATOR_COMMAND, 2)]),
        (told.Disagreed("2 lots more"), HaltCause.DISAGREEMENT, [(EventKind.OPERATOR_COMMAND, 0)]),
        (told.JournalFailed("disk full"), HaltCause.JOURNAL, [(EventKind.OPERATOR_COMMAND, 0)]),
        (told.NoncesRolledBack("backup"), HaltCause.NONCES, [(EventKind.OPERATOR_COMMAND, 0)]),
        (told.Tripped(4, 2, "drawdown"), HaltCause.BREAKER, []),
    ],
)
def test_a_halt_lets_reductions_pass_tells_the_core_and_is_kept(
    event: Input, cause: HaltCause, core: list[tuple[EventKind, int]]
) -> None:
    there = trading()
    there.core.clear()
    there.tell(event)
    assert there.supervisor.stage is Stage.HALTED
    # A disagreement is no agreement any more: it is not connected as far as the core is concerned.
    lost = cause is HaltCause.DISAGREEMENT
    assert there.gate is (GateLevel.CLOSED if lost else GateLevel.REDUCING)
    assert there.core == core + [(EventKind.CONNECTION_DOWN, 0)] * lost
    assert there.disk is not None
    assert (there.disk.cause, there.disk.reason) == (cause, event.reason)  # type: ignore[union-attr]
    assert [answer.is_done for answer in there.answers] == [True] * hasattr(event, "request")


def test_a_halt_outlives_connections_which_come_back_for_reductions() -> None:
    there = trading()
    there.tell(told.HaltAsked(1, "look"), told.FeedDown())
    assert (there.supervisor.stage, there.gate, there.connected) == (Stage.HALTED, GateLevel.CLOSED, False)
    there.tell(told.FeedUp(), told.Agreed())
    assert (there.supervisor.stage, there.gate, there.connected) == (Stage.HALTED, GateLevel.REDUCING, True)


def test_further_halts_add_latches_and_keep_the_first_reason() -> None:
    there = trading()
    there.tell(told.HaltAsked(1, "look"), told.Tripped(4, 2, "drawdown"), told.Tripped(64, 6, "margin"))
    assert there.disk == Halt(HaltCause.OPERATOR, "look", 4 | 64, 2)
    there.tell(told.FlattenAsked(2, "out"))
    assert there.core[-1] == (EventKind.OPERATOR_COMMAND, 2)


def test_a_halt_while_it_waits_closes_the_gate_even_for_reductions() -> None:
    for event in (told.HaltAsked(1, "look"), told.FlattenAsked(1, "out")):
        there = room()
        there.tell(told.Warmed(), event)
        assert (there.supervisor.stage, there.gate) == (Stage.HALTED, GateLevel.CLOSED)


def test_a_resume_with_a_reason_ends_a_halt_and_trading_goes_on() -> None:
    there = trading()
    there.tell(told.HaltAsked(1, "look"))
    there.tell(told.ResumeAsked(2, "nothing found"))
    assert (there.supervisor.stage, there.gate, there.disk, there.connected) == (
        Stage.TRADING, GateLevel.OPEN, None, True,
    )  # fmt: skip
    assert there.core[-2:] == [(EventKind.OPERATOR_COMMAND, 1), (EventKind.CONNECTION_UP, 0)]
    assert ReportCode.RESUMED in there.reports
    assert there.answers[-1].is_done


def test_a_resume_is_refused_by_a_sentence_while_its_condition_is_missing() -> None:
    there = room()
    there.tell(told.ResumeAsked(1, "why not"), told.Warmed(), told.ResumeAsked(2, "why not"))
    there.tell(told.LaneUp(0), told.FeedUp(), told.Agreed(), told.ResumeAsked(3, "why not"))
    there.tell(told.HaltAsked(4, "look"), told.ResumeAsked(5, "  "))
    there.tell(told.JournalFailed("full"), told.ResumeAsked(6, "made room"))
    there.tell(told.JournalWorks(), told.Disagreed("a fill"), told.ResumeAsked(7, "booked"))
    refused = [answer for answer in there.answers if not answer.is_done]
    assert [answer.request for answer in refused] == [1, 2, 3, 5, 6, 7]
    for answer, word in zip(refused, ("starting", "waiting", "trading", "reason", "journal", "agree"), strict=True):
        assert word in answer.text
    assert there.disk is not None
    there.tell(told.Agreed(), told.ResumeAsked(8, "booked"))
    assert (there.supervisor.stage, there.disk) == (Stage.TRADING, None)


def test_a_halt_on_disk_is_told_to_the_core_before_anything_else() -> None:
    there = room(Halt(HaltCause.BREAKER, "drawdown", 4, 2))
    effects = there.tell(told.Warmed())
    assert there.supervisor.stage is Stage.HALTED
    rows = [row for effect in effects if isinstance(effect, told.TellCore) for row in effect.rows]
    assert [(row[7], row[5], row[6], row[3], row[4]) for row in rows] == [(EventKind.RESTORED, 4, 2, 0, 0)]
    assert there.reports == [ReportCode.STILL_HALTED]
    there.tell(told.LaneUp(0), told.FeedUp(), told.Agreed())
    assert (there.supervisor.stage, there.gate) == (Stage.HALTED, GateLevel.REDUCING)


def test_an_operators_word_on_disk_is_an_operators_word_for_the_core() -> None:
    for halt, command in ((ON_DISK, 0), (Halt(HaltCause.JOURNAL, "full"), 0), (Halt(HaltCause.FLATTEN, "news"), 2)):
        there = room(halt)
        there.tell(told.Warmed())
        assert there.core == [(EventKind.RESTORED, 0), (EventKind.OPERATOR_COMMAND, command)]


def test_without_a_halt_nothing_is_restored() -> None:
    there = room()
    there.tell(told.Warmed())
    assert (there.core, there.supervisor.stage) == ([], Stage.WAITING)


def test_a_disagreement_on_disk_needs_an_agreement() -> None:
    there = room(Halt(HaltCause.DISAGREEMENT, "a fill"))
    there.tell(told.Warmed(), told.ResumeAsked(1, "booked"))
    assert not there.answers[-1].is_done
    there.tell(told.Agreed(), told.ResumeAsked(2, "booked"))
    assert there.answers[-1].is_done


def test_a_halt_while_it_starts_waits_for_the_core() -> None:
    there = room()
    there.tell(told.FlattenAsked(1, "out"), told.HaltAsked(2, "look"))
    assert (there.core, [answer.is_done for answer in there.answers]) == ([], [True, True])
    there.tell(told.Warmed())
    assert there.supervisor.stage is Stage.HALTED


def test_a_stop_cancels_and_ends_with_the_proof() -> None:
    there = trading()
    effects = there.tell(told.StopAsked("SIGTERM"))
    assert [type(effect) for effect in effects] == [
        told.SetGate, told.Stopping, told.TellCore, told.CancelOwn, told.ProveEmpty, told.SetStopTimer, told.Report,
    ]  # fmt: skip
    assert there.core[-1] == (EventKind.OPERATOR_COMMAND, 4)
    assert effects[5] == told.SetStopTimer(there.now_ns + STOP_NS)
    there.tell(told.EmptyProven())
    assert there.exit == told.Exit(Verdict.EMPTY, None)


@pytest.mark.parametrize("event", [told.NotEmpty(3), told.StopAsked("SIGTERM again")])
def test_a_stop_without_proof_says_so(event: Input) -> None:
    there = trading()
    there.tell(told.StopAsked("SIGTERM"), event)
    assert there.exit == told.Exit(Verdict.NOT_EMPTY, None)


def test_a_stop_takes_no_longer_than_it_may() -> None:
    there = trading()
    there.tell(told.StopAsked("SIGTERM"), told.StopDue())
    assert there.exit is None
    there.now_ns += STOP_NS
    there.tell(told.StopDue())
    assert there.exit == told.Exit(Verdict.NOT_EMPTY, None)


def test_a_connection_that_comes_back_while_it_stops_cancels_again() -> None:
    there = trading()
    there.tell(told.StopAsked("SIGTERM"), told.FeedDown(), told.FeedUp())
    assert there.count(told.CancelOwn) == 1
    there.tell(told.Agreed())
    assert there.count(told.CancelOwn) == 2


def test_a_halt_while_it_stops_counts_for_the_next_start() -> None:
    there = trading()
    there.tell(told.StopAsked("SIGTERM"), told.Tripped(4, 2, "drawdown"), told.HaltAsked(1, "look"))
    there.tell(told.FlattenAsked(2, "out"), told.ResumeAsked(3, "fine"), told.EmptyProven())
    assert [answer.is_done for answer in there.answers] == [True, False, False]
    assert there.disk == Halt(HaltCause.BREAKER, "drawdown", 4, 2)
    assert there.exit == told.Exit(Verdict.EMPTY, there.disk)


def test_a_stop_of_what_never_started_needs_no_proof() -> None:
    there = room()
    there.tell(told.StopAsked("SIGINT"))
    assert there.exit == told.Exit(Verdict.UNSTARTED, None)
    there.tell(told.Warmed(), told.HaltAsked(1, "look"), told.StopAsked("SIGINT"), told.LaneUp(0))
    assert (there.supervisor.stage, there.answers[-1].is_done) == (Stage.STOPPED, False)


def test_a_failure_stops_it_and_is_in_its_last_word() -> None:
    there = trading()
    there.tell(told.Failed("x" * 2 * REASON_CHARACTERS_MAX), told.EmptyProven())
    assert there.exit == told.Exit(Verdict.EMPTY, None, "x" * REASON_CHARACTERS_MAX)


def test_what_cannot_happen_is_an_error() -> None:
    there = trading()
    with pytest.raises(ImpossibleEvent, match="warmed cannot happen to an engine that is trading"):
        there.tell(told.Warmed())
    with pytest.raises(ImpossibleEvent, match="no lane 2"):
        there.tell(told.LaneUp(2))
    there = room()
    with pytest.raises(ValueError, match="0 lanes"):
        Supervisor(lanes=0, stop_ns_max=1)
    there.supervisor.stage = Stage.TRADING
    with pytest.raises(ValueError, match="lane and time"):
        Supervisor(lanes=1, stop_ns_max=0)


def test_proofs_and_deadlines_out_of_date_change_nothing() -> None:
    there = trading()
    assert there.tell(told.EmptyProven()) == there.tell(told.NotEmpty(1)) == there.tell(told.StopDue()) == []
    assert there.gate is GateLevel.OPEN


EVENTS: st.SearchStrategy[Input] = st.sampled_from(
    [
        told.FeedUp(), told.FeedDown(), told.LaneUp(0), told.LaneDown(0), told.LaneUp(1), told.LaneDown(1),
        told.Agreed(), told.Agreed(), told.Disagreed("d"), told.Tripped(4, 2, "t"), told.JournalFailed("j"),
        told.JournalWorks(), told.NoncesRolledBack("n"), told.HaltAsked(1, "h"), told.ResumeAsked(2, "r"),
        told.FlattenAsked(3, "f"), told.StopAsked("s"), told.EmptyProven(), told.NotEmpty(1), told.StopDue(),
    ]
)  # fmt: skip


@given(st.lists(EVENTS, max_size=40), st.sampled_from([None, ON_DISK]))
def test_whatever_happens_the_gate_is_open_only_when_it_may_be(events: list[Input], halt: Halt | None) -> None:
    there = room(halt)
    there.tell(told.Warmed())
    feed = agreed = False
    lanes = {0: False, 1: False}
    for event in events:
        there.tell(event)
        feed = {told.FeedUp: True, told.FeedDown: False}.get(type(event), feed)
        if isinstance(event, told.LaneUp | told.LaneDown):
            lanes[event.lane] = isinstance(event, told.LaneUp)
        if isinstance(event, told.Agreed):
            agreed = True
        elif isinstance(event, told.FeedDown | told.Disagreed):
            agreed = False
        is_ready = feed and agreed and any(lanes.values())
        stage = there.supervisor.stage
        assert (there.gate is GateLevel.OPEN) is (stage is Stage.TRADING)
        assert stage is not Stage.TRADING or (is_ready and there.disk is None and there.connected)
        assert there.gate is not GateLevel.REDUCING or (stage is Stage.HALTED and is_ready and there.connected)
        assert (there.disk is None) is (there.supervisor.halt is None)
        assert stage is not Stage.HALTED or there.disk is not None
        assert (there.exit is not None) is (stage is Stage.STOPPED)
