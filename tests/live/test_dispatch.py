"""The core's way: what is stepped over in which order, what is recorded before what leaves, and where it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hlhft.core.state import MarketState, OrderState
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live import dispatch as dispatches
from hlhft.live.dispatch import BATCH, OWNER, ROWS_MAX, TICK, TICK_NS, Dispatch
from hlhft.live.journal.segments import JournalFull
from hlhft.live.timers import Timers
from tests.core.test_brain import START_NS, book_frame, new_brain
from tests.live.test_timers import Loop

SENT, TIMER, OPERATOR = int(EventKind.COMMAND_SENT), int(EventKind.TIMER), int(EventKind.OPERATOR_COMMAND)
STATE = int(EventKind.MARKET_STATE)


class Soon(Loop):
    """A loop whose next turn a test takes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS
        self.next: list[Callable[[], None]] = []

    def call_soon(self, work: Callable[[], None]) -> None:
        self.next.append(work)

    def turn(self) -> None:
        work, self.next = self.next, []
        for one in work:
            one()


class Bench:
    """A dispatch on a brain that quotes, with everything around it written down in `seen`."""

    def __init__(self, *, markets: int = 1, on_send: Callable[[], None] = lambda: None) -> None:
        self.loop = Soon()
        self.brain = new_brain(markets)
        self.seen: list[Any] = []
        self.full_at: set[int] = set()  # calls of the journal that find it full
        self._calls = 0
        self.on_send = on_send
        self.timers = Timers(self.loop, self.loop.clock)  # type: ignore[arg-type]
        self.dispatch = Dispatch(
            self.brain, journal=self, send=self.send, listener=self, timers=self.timers, clock=self.loop.clock,
            loop=self.loop,  # type: ignore[arg-type]
        )  # fmt: skip

    # The journal.

    def _record(self, what: tuple[Any, ...]) -> None:
        self._calls += 1
        if self._calls in self.full_at:
            raise JournalFull("there is no room")
        self.seen.append(what)

    def inputs(self, events: np.ndarray, count: int) -> None:
        self._record(("inputs", EventKind(int(events["kind"][0])).name, count, int(events["flags"][count - 1]) & 4))

    def commands(self, records: np.ndarray, count: int) -> None:
        self._record(("commands", count))

    def use_reserve(self) -> None:
        self.seen.append(("reserve",))

    # The listener, and the way out.

    def tripped(self, latches: int, breaker: int) -> None:
        self.seen.append(("tripped", latches, breaker))

    def journal_full(self, sentence: str) -> None:
        self.seen.append(("full", sentence))

    def ticked(self, halt_code: int) -> None:
        self.seen.append(("ticked", halt_code))

    def send(self, commands: np.ndarray, received_ns: int) -> None:
        self.seen.append(("send", len(commands), received_ns))
        self.on_send()

    # Moves.

    def book(self, number: int, mid_ticks: int = 1_000_000) -> None:
        frame = book_frame(mid_ticks, number=number)
        now_ns = int(frame["ts_local_ns"][0])
        self.loop.now_ns = max(self.loop.now_ns, now_ns)
        self.dispatch.received_ns = now_ns
        self.dispatch.frame(frame, len(frame), now_ns)

    def row(
        self, kind: int, *, aux0: int = 0, aux1: int = 0, order_id: int = 0, at_ns: int | None = None
    ) -> tuple[int, ...]:
        now_ns = self.loop.now_ns if at_ns is None else at_ns
        return (0, now_ns, 0, 0, order_id, aux0, aux1, kind, int(EventFlag.LOCAL_VISIBLE), 0, 0, 0)

    def acknowledge(self) -> None:
        """The venue took all orders."""
        rows = []
        for order in self.brain.lane.orders[0][self.brain.lane.orders[0]["state"] == OrderState.SENT]:
            numbers = (int(order["price_ticks"]), int(order["size_lots"]), int(order["order_id"]))
            side, now_ns = int(order["side"]), self.loop.now_ns
            rows.append((now_ns, now_ns, *numbers, 1, 0, int(EventKind.ORDER_ACKNOWLEDGED), 2, 0, side, 0))
        self.dispatch.tell(rows)
        self.seen.clear()

    def kinds(self) -> list[str]:
        return [what[1] if what[0] == "inputs" else what[0] for what in self.seen]


def test_inputs_are_recorded_before_the_step_and_commands_before_they_leave():
    bench = Bench()
    bench.book(0)
    received_ns = START_NS + 1_000_000
    assert bench.seen == [("inputs", "SNAPSHOT_BEGIN", 12, 4), ("commands", 2), ("send", 2, received_ns)]


def test_what_a_step_leads_to_is_stepped_over_in_the_same_call_and_afterwards():
    bench = Bench()
    bench.on_send = lambda: bench.dispatch.tell([bench.row(SENT, order_id=1), bench.row(SENT, order_id=1)])
    bench.book(0)
    assert bench.kinds() == ["SNAPSHOT_BEGIN", "commands", "send", "COMMAND_SENT"]
    assert not bench.dispatch.is_behind


def test_an_action_that_took_too_long_makes_a_cancel_of_all_follow_in_the_same_call():
    bench = Bench()
    bench.book(0)
    bench.acknowledge()
    now_ns = bench.loop.now_ns
    bench.dispatch.tell([bench.row(SENT, order_id=1, aux0=now_ns - 10**9, aux1=now_ns)])
    assert bench.kinds() == ["COMMAND_SENT", "commands", "send"]
    assert bench.brain.lane.lane["halt_code"][0] == 1


def test_lateness_is_judged_like_an_action_and_before_what_was_read():
    bench = Bench()
    bench.book(0)
    bench.acknowledge()
    bench.dispatch.late(200_000_000)
    assert bench.kinds() == ["COMMAND_SENT", "commands", "send"]
    bench.seen.clear()
    bench.dispatch.late(30_000_000)
    assert bench.kinds()[0] == "COMMAND_SENT"


def test_whatever_begins_a_turn_lateness_is_judged_before_it_and_counts_from_when_it_could_be_read():
    bench = Bench()
    bench.book(0)
    bench.acknowledge()
    late = [200_000_000]

    def lateness(now_ns: int) -> int:
        if late:
            bench.dispatch.late(late[0])
        return late.pop() if late else 0

    bench.dispatch._lateness = lateness
    bench.dispatch._fired(TICK, 0)
    assert bench.kinds() == ["COMMAND_SENT", "commands", "send", "TIMER", "ticked"]
    assert bench.dispatch.received_ns == bench.loop.now_ns - 200_000_000
    assert bench.dispatch.turn() == bench.dispatch.received_ns == bench.loop.now_ns


def test_time_only_goes_on_for_the_core():
    bench = Bench()
    bench.brain.limits["clock_step_ns_max"] = 10**12
    bench.book(1)
    bench.dispatch.tell([bench.row(TIMER, at_ns=bench.loop.now_ns - 50)])
    assert bench.brain.lane.lane["latches"][0] == 0
    with pytest.raises(AssertionError, match="time does not run backwards"):
        bench.book(0)


def test_a_turn_is_bounded_and_the_rest_waits_for_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatches, "STEPS_MAX", 3)
    bench = Bench()

    def tell_five() -> None:
        for _ in range(5):
            bench.dispatch.tell([bench.row(SENT)])

    bench.on_send = tell_five
    bench.book(0)
    assert bench.kinds().count("COMMAND_SENT") == 3
    assert bench.dispatch.is_behind
    bench.dispatch.tell([bench.row(STATE, aux0=MarketState.FRESH)])
    assert bench.kinds().count("MARKET_STATE") == 0
    bench.loop.turn()
    assert bench.kinds()[-3:] == ["COMMAND_SENT", "COMMAND_SENT", "MARKET_STATE"]
    assert bench.dispatch.counters["turns that were cut"] == 1


def test_more_rows_than_a_frame_holds_become_several():
    bench = Bench()
    bench.dispatch.tell([])
    bench.dispatch.tell([bench.row(STATE)] * (ROWS_MAX + 1))
    assert [what[2:] for what in bench.seen if what[0] == "inputs"] == [(ROWS_MAX, 4), (1, 4)]


def test_a_row_is_written_as_the_event_that_it_is():
    bench = Bench()
    row = (1, START_NS + 2, -3, 4, 5, -(2**63), 2**63 - 1, TIMER, 2, 65535, -1, 0)
    assert bench.dispatch._write([row, row]) == 2
    expected = np.array([row, (*row[:8], row[8] | EventFlag.FRAME_END, *row[9:])], EVENT_DTYPE)
    assert bench.dispatch._rows[:2].tobytes() == expected.tobytes()
    assert bench.dispatch._write([(*row[:1], START_NS, *row[2:])]) == 1
    assert bench.dispatch._rows["ts_local_ns"][0] == START_NS + 2


def test_breakers_that_latch_are_told_once_but_not_what_an_operator_did():
    bench = Bench()
    bench.dispatch.tell([bench.row(OPERATOR, aux0=0)])
    assert "tripped" not in bench.kinds()
    bench.dispatch.tell([bench.row(OPERATOR, aux0=1)])
    bench.dispatch.tell([bench.row(OPERATOR, aux0=3)])
    bench.dispatch.tell([bench.row(TIMER)])
    assert [what for what in bench.seen if what[0] == "tripped"] == [("tripped", 1 << 12, 12)]


def test_the_core_hears_the_time_and_of_what_batching_held_back():
    bench = Bench()
    bench.dispatch.start()
    bench.loop.run_until(START_NS + TICK_NS)
    assert bench.kinds() == ["TIMER", "ticked"]
    bench.brain.limits["batch_window_ns"] = 2_000_000
    bench.brain.lane.lane["batch_busy_until_ns"] = 2**62
    bench.book(1)
    assert bench.brain.lane.lane["waiting_count"][0] > 0
    bench.seen.clear()
    assert bench.timers._due[OWNER, BATCH] == bench.loop.now_ns + 2_000_000
    bench.loop.run_until(bench.loop.now_ns + 2_000_000)
    assert "send" in bench.kinds()
    assert bench.brain.lane.lane["waiting_count"][0] == 0
    assert (OWNER, TICK) in bench.timers._due


def test_a_full_journal_is_told_before_the_commands_of_that_very_step_leave():
    bench = Bench()
    bench.full_at = {1}
    bench.book(0)
    assert bench.kinds() == ["reserve", "full", "SNAPSHOT_BEGIN", "commands", "send"]
    assert bench.dispatch.has_journal


def test_when_the_reserve_is_full_too_cancels_go_out_unrecorded():
    bench = Bench()
    bench.full_at = {1, 2}
    bench.book(0)
    assert bench.kinds() == ["reserve", "full", "send"]
    assert not bench.dispatch.has_journal
    bench.book(1)
    assert bench.dispatch.counters["frames without a journal"] == 1


def test_commands_that_find_no_room_are_told_as_well():
    bench = Bench()
    bench.full_at = {2}
    bench.book(0)
    assert bench.kinds() == ["SNAPSHOT_BEGIN", "reserve", "full", "send"]


def test_an_error_leaves_it_able_to_tell_of_the_end():
    bench = Bench()

    def fail() -> None:
        raise AssertionError("a way out that breaks")

    bench.on_send = fail
    with pytest.raises(AssertionError, match="a way out"):
        bench.book(0)
    bench.on_send = lambda: None
    bench.dispatch.tell([bench.row(OPERATOR, aux0=4)])
    assert bench.kinds()[-1] in ("send", "OPERATOR_COMMAND")


def test_what_is_told_is_shown_to_whoever_watches():
    bench = Bench()
    watched: list[Any] = []
    bench.dispatch._watch = watched.append
    rows = [bench.row(TIMER)]
    bench.dispatch.tell(rows)
    assert watched == [rows]


def test_what_is_made_of_a_frame_is_made_once_its_orders_have_left_and_of_market_states_too():
    bench = Bench()
    bench.dispatch._after = lambda events, count: bench.seen.append(("after", int(events["kind"][0]), count))
    bench.on_send = lambda: bench.dispatch.tell([bench.row(SENT, order_id=1)])
    bench.book(0)
    assert bench.kinds() == ["SNAPSHOT_BEGIN", "commands", "send", "COMMAND_SENT", "after"]
    bench.seen.clear()
    bench.dispatch.tell([bench.row(STATE, aux0=MarketState.STALE)])
    bench.dispatch.tell([bench.row(TIMER)])
    assert [what for what in bench.seen if what[0] == "after"] == [("after", STATE, 1)]


def test_the_time_of_a_step_ends_before_what_it_led_to_is_sent():
    bench = Bench()

    def write() -> None:
        bench.loop.now_ns += 7_000_000

    bench.on_send = write
    bench.book(0)
    assert "send" in bench.kinds()
    assert (bench.dispatch.steps.count, bench.dispatch.steps.maximum) == (1, 0)
    step = bench.brain.step

    def slow(events: np.ndarray, count: int) -> int:
        bench.loop.now_ns += 3_000_000
        return step(events, count)

    bench.brain.step = slow  # type: ignore[method-assign]
    bench.dispatch.tell([bench.row(SENT, order_id=1)])
    assert bench.dispatch.steps.count == 1, "what is told is no frame"
    bench.book(20)
    assert (bench.dispatch.steps.count, bench.dispatch.steps.maximum) == (2, 3_000_000)
