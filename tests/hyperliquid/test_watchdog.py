"""The watchdog as a whole: what it does when the engine lives, falls silent, halts, stops and comes back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_beats import Beat, EngineState
from hlhft.hyperliquid.watchdog_events import (
    Answered,
    Heard,
    Lane,
    ReportCode,
    SocketDown,
    SocketUp,
    Start,
    Stop,
    Sweep,
    Timer,
    TimerName,
)
from hlhft.hyperliquid.watchdog_table import ImpossibleStep, State
from tests.hyperliquid.watchdog_bench import KEY, MS, OTHER, SECOND, START_NS, Bench, settings

HALTED, FLATTENING, STOPPING = EngineState.HALTED, EngineState.FLATTENING, EngineState.STOPPING
STARTING, STOPPED = EngineState.STARTING, EngineState.STOPPED


def armed(**changes: Any) -> Bench:
    """A watchdog that has heard its engine for a second."""
    bench = Bench(**changes)
    bench.feed(Start())
    bench.live(SECOND)
    assert bench.machine.state is State.ARMED
    return bench


def lost(**changes: Any) -> Bench:
    """One whose engine was killed with two orders at the venue, beside one of somebody else."""
    bench = armed(**changes)
    bench.venue.place(1)
    bench.venue.place(2, coin="BTC")
    bench.venue.place(3, owner=OTHER)
    bench.venue.place(4, owner=None)
    return bench


def test_an_engine_that_beats_is_left_alone() -> None:
    bench = lost()
    bench.live(60 * SECOND)
    assert bench.machine.state is State.ARMED
    assert set(bench.venue.orders) == {1, 2, 3, 4}
    assert not bench.venue.actions
    assert bench.codes == [ReportCode.HEARD]


def test_beats_that_are_late_but_within_the_limit_change_nothing() -> None:
    bench = lost()
    for _ in range(20):
        bench.beat()
        bench.run(bench.settings.silence_ns - MS)
    assert bench.machine.state is State.ARMED
    assert not bench.venue.actions


def test_a_silent_engines_orders_are_cancelled_and_others_stay() -> None:
    bench = lost()
    silent_ns = bench.now_ns - 200 * MS
    bench.run(bench.settings.silence_ns - 200 * MS)
    bench.run(100 * MS)
    assert set(bench.venue.orders) == {3, 4}, "cancelled as soon as a listing and a cancel take"
    (action,) = bench.venue.actions
    assert action["type"] == "cancelByCloid" and action["f"] is True
    assert {leg["asset"] for leg in action["cancels"]} == {0, 1}
    assert bench.machine.state is State.CANCELLING, "an order may still be under way"
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    proven = bench.machine.proven
    assert proven is not None and proven.others == 2
    # The engine may have sent something until its silence was noticed, which then had 3 s.
    bound_ms = silent_ns // MS + bench.settings.silence_ns // MS + 3000
    assert bound_ms < proven.block_ms <= bound_ms + 1500
    assert ReportCode.SILENT in bench.codes and ReportCode.EMPTY in bench.codes


def test_what_is_executed_late_is_cancelled_before_empty_is_said() -> None:
    bench = lost()
    bench.venue.late = [(bench.now_ms + 1600 + wait_ms, 100 + wait_ms) for wait_ms in (0, 700, 1500, 2900)]
    bench.run(12 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert not bench.venue.late
    assert set(bench.venue.orders) == {3, 4}


def test_the_latest_expiry_that_the_engine_named_bounds_the_proof() -> None:
    bench = lost()
    expiry_ms = bench.now_ms + 60_000
    bench.beat(last_expiry_ms=expiry_ms)
    bench.run(50 * SECOND)
    assert bench.machine.state is State.CANCELLING
    assert set(bench.venue.orders) == {3, 4}
    bench.run(20 * SECOND)
    proven = bench.machine.proven
    assert bench.machine.state is State.EMPTY and proven is not None and proven.block_ms > expiry_ms


def test_an_engine_that_names_no_expiry_has_the_one_that_is_set() -> None:
    bench = lost(expires_after_ms=20_000)
    bench.beat(expires_after_ms=0)
    bench.run(20 * SECOND)
    assert bench.machine.state is State.CANCELLING
    bench.run(5 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_block_time_counts_and_not_our_clock() -> None:
    bench = lost()
    bench.venue.lag_ms = 30_000
    bench.run(15 * SECOND)
    assert bench.machine.state is State.CANCELLING
    bench.run(30 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_a_dead_venue_is_asked_until_it_answers() -> None:
    bench = lost()
    bench.venue.is_dead = True
    bench.run(600 * SECOND)
    assert bench.machine.state is State.CANCELLING
    assert ReportCode.UNREACHABLE in bench.codes
    bench.venue.is_dead = False
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert set(bench.venue.orders) == {3, 4}


def test_an_answer_in_html_is_told_and_asked_for_again() -> None:
    bench = lost()
    bench.venue.is_html = True
    bench.run(5 * SECOND)
    assert ReportCode.UNREADABLE in bench.codes
    bench.venue.is_html = False
    bench.run(15 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_a_venue_that_is_down_at_the_start_does_not_keep_the_lost_hosts_orders_for_a_minute() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.venue.is_dead = True
    bench.feed(Start())
    bench.run(bench.settings.start_ns - SECOND)
    bench.venue.is_dead = False
    bench.run(5 * SECOND)
    assert not bench.venue.orders
    assert ReportCode.ORPHANS in bench.codes


def test_orders_and_no_beat_at_the_start_are_the_lost_hosts() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.venue.place(3, owner=OTHER)
    bench.feed(Start())
    bench.run(bench.settings.start_ns - MS)
    assert bench.machine.state is State.WAITING
    assert not bench.venue.actions
    bench.run(SECOND)
    assert set(bench.venue.orders) == {3}
    assert ReportCode.ORPHANS in bench.codes
    bench.run(20 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_without_orders_it_waits_and_looks_now_and_then() -> None:
    bench = Bench()
    bench.feed(Start())
    bench.run(300 * SECOND)
    assert bench.machine.state is State.WAITING
    assert not bench.venue.actions
    bench.venue.place(1)
    bench.run(70 * SECOND)
    assert not bench.venue.orders


def test_a_halted_engine_has_time_to_cancel_by_itself() -> None:
    bench = lost()
    bench.live(3 * SECOND, HALTED, breaker=2, reconciliation=1)
    assert bench.machine.state is State.GRACE
    assert not bench.venue.actions
    bench.live(SECOND, HALTED, breaker=2, orders=0, reconciliation=1)
    assert bench.machine.state is State.ARMED
    bench.live(60 * SECOND, HALTED, breaker=2, orders=0, reconciliation=1)
    assert not bench.venue.actions


def test_a_halted_engine_that_does_not_finish_is_helped() -> None:
    bench = lost()
    bench.live(6 * SECOND, HALTED, breaker=2, last_expiry_ms=bench.now_ms, reconciliation=1)
    assert set(bench.venue.orders) == {3, 4}
    assert ReportCode.OVERDUE in bench.codes
    assert "breaker 2" in next(report.detail for report in bench.reports if report.code is ReportCode.OVERDUE)
    bench.live(4 * SECOND, HALTED, breaker=2, last_expiry_ms=bench.now_ms, reconciliation=1)
    assert bench.machine.state is State.EMPTY, "a halted engine sends nothing: its last expiry is all there is"


def test_an_engine_that_flattens_has_longer_and_its_own_grace() -> None:
    bench = lost()
    bench.live(3 * SECOND, HALTED)
    bench.live(20 * SECOND, FLATTENING)
    assert bench.machine.state is State.GRACE
    assert not bench.venue.actions
    bench.live(50 * SECOND, FLATTENING)
    assert ReportCode.OVERDUE in bench.codes


def test_a_clean_stop_is_verified_and_nothing_is_closed() -> None:
    bench = lost(flatten_coins=("ETH",))
    bench.venue.positions["ETH"] = "0.5"
    bench.live(SECOND, STOPPING)
    bench.venue.orders = {3: bench.venue.orders[3]}
    bench.beat(STOPPED, orders=0, last_expiry_ms=bench.now_ms)
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert not bench.venue.actions
    assert bench.codes[-2:] == [ReportCode.STOPPED, ReportCode.EMPTY]
    assert ReportCode.SILENT not in bench.codes
    assert set(bench.venue.positions) == {"ETH"}


def test_an_engine_that_dies_while_it_stops_is_lost() -> None:
    bench = lost()
    bench.live(SECOND, STOPPING)
    bench.run(10 * SECOND)
    assert set(bench.venue.orders) == {3, 4}


def test_a_first_beat_of_a_stopped_engine_is_verified() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    bench.beat(STOPPED, orders=0)
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert not bench.venue.orders


def test_a_first_beat_of_a_halted_engine_begins_its_grace() -> None:
    bench = Bench()
    bench.feed(Start())
    bench.beat(HALTED)
    assert bench.machine.state is State.GRACE


def test_orders_that_appear_after_the_proof_are_cancelled_too() -> None:
    bench = lost()
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    bench.venue.place(50)
    bench.run(70 * SECOND)
    assert set(bench.venue.orders) == {3, 4}
    assert ReportCode.FOUND in bench.codes
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_an_engine_whose_beats_alone_are_lost_is_found_soon_after_the_proof() -> None:
    bench = lost()
    bench.run(5 * SECOND)
    assert bench.machine.state is State.EMPTY
    bench.venue.place(50)
    bench.run(6 * SECOND)
    assert set(bench.venue.orders) == {3, 4}


def test_looks_after_the_proof_come_after_ever_longer_waits() -> None:
    bench = lost()
    bench.run(5 * SECOND)
    looked = []
    for _ in range(200):
        asked = len(bench.venue.asked)
        bench.run(SECOND)
        looked += [bench.now_ns // SECOND] if len(bench.venue.asked) > asked else []
    waits = [after - before for before, after in pairwise(looked)]
    assert waits[:4] == [10, 20, 40, 60] and set(waits[4:]) <= {60}


def test_looks_after_the_proof_go_on_and_find_nothing() -> None:
    bench = lost()
    bench.run(400 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert bench.venue.asked.count("openOrders") >= 6
    assert len(bench.venue.actions) == 1


# Coming back.


def test_an_engine_of_a_newer_session_is_trusted_at_once() -> None:
    bench = lost()
    bench.run(10 * SECOND)
    bench.session += 1
    bench.sequence = 0
    bench.beat(STARTING)
    assert bench.machine.state is State.ARMED
    assert bench.codes[-2:] == [ReportCode.BACK, ReportCode.RECONCILED]


def test_one_beat_does_not_end_cancelling() -> None:
    bench = lost()
    bench.run(1700 * MS)
    assert bench.machine.state is State.CANCELLING
    bench.beat()
    bench.run(4 * SECOND)
    bench.beat()
    assert bench.machine.state is State.CANCELLING
    bench.run(12 * SECOND)
    assert bench.machine.state is State.EMPTY


def test_a_beat_while_cancelling_makes_the_proof_take_longer() -> None:
    bench = lost()
    bench.run(1700 * MS)
    bench.beat()
    late_ms = bench.now_ms + 3000 + bench.settings.silence_ns // MS
    bench.run(15 * SECOND)
    proven = bench.machine.proven
    assert proven is not None and proven.block_ms > late_ms


def test_several_beats_end_cancelling_and_reconciling_brings_trust() -> None:
    bench = lost()
    bench.run(1700 * MS)
    bench.live(600 * MS)
    assert bench.machine.state is State.RETURNING
    actions = len(bench.venue.actions)
    bench.venue.place(60)
    bench.live(20 * SECOND)
    assert bench.machine.state is State.RETURNING
    assert len(bench.venue.actions) == actions and 60 in bench.venue.orders, "it lives, and answers for its orders"
    bench.live(SECOND, reconciliation=1)
    assert bench.machine.state is State.ARMED


def test_an_engine_that_falls_silent_again_is_cancelled_for_again() -> None:
    bench = lost()
    bench.run(1700 * MS)
    bench.live(600 * MS)
    bench.venue.place(60)
    bench.run(3 * SECOND)
    assert set(bench.venue.orders) == {3, 4}


def test_beats_of_an_engine_that_halts_do_not_end_a_sweep() -> None:
    bench = lost()
    bench.run(1700 * MS)
    bench.live(SECOND, HALTED, orders=0)
    bench.live(SECOND, HALTED, orders=3)
    assert bench.machine.state is State.CANCELLING
    bench.beat(STOPPED, orders=0)
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY
    for state in (HALTED, STOPPED):
        bench.beat(state, orders=0)
        bench.beat(state, orders=1)
    assert bench.machine.state is State.EMPTY


# Time.


def test_a_watchdog_that_stood_still_reads_before_it_acts() -> None:
    bench = lost()
    bench.now_ns += 60 * SECOND
    bench.feed(Timer(TimerName.SILENCE, 0))
    assert bench.machine.state is State.ARMED
    assert bench.machine.counters["stood still"] == 1
    bench.beat()
    bench.live(5 * SECOND)
    assert not bench.venue.actions


def test_it_is_given_more_time_once_only() -> None:
    bench = lost()
    bench.now_ns += 60 * SECOND
    bench.feed(Timer(TimerName.SILENCE, 0))
    bench.now_ns += 60 * SECOND
    bench.feed(Timer(TimerName.SILENCE, 0))
    assert bench.machine.state is State.CANCELLING


def test_timers_too_early_and_of_nothing_are_counted() -> None:
    bench = lost()
    for name in TimerName:
        bench.feed(Timer(name, 0))
    assert bench.machine.counters["timers out of date"] == 4
    assert bench.machine.state is State.ARMED


def test_time_does_not_run_backwards() -> None:
    bench = armed()
    bench.now_ns -= 1
    with pytest.raises(AssertionError, match="backwards"):
        bench.beat()


# Ending.


def test_it_leaves_at_once_when_no_switch_is_armed() -> None:
    bench = armed()
    bench.feed(Stop())
    assert bench.ended is True
    assert bench.machine.state is State.ENDED
    bench.beat()
    bench.beat(HALTED)
    bench.beat(STOPPED)
    bench.feed(Stop())
    bench.run(60 * SECOND)
    assert bench.machine.state is State.ENDED
    assert not bench.venue.actions


@pytest.mark.parametrize("begin", [[], [Start()]])
def test_it_leaves_before_it_heard_anything(begin: list[Any]) -> None:
    bench = Bench()
    for event in begin:
        bench.feed(event)
    bench.feed(Stop())
    assert bench.ended is True


def test_it_says_so_when_it_leaves_unproven() -> None:
    bench = lost()
    bench.run(1600 * MS)
    bench.feed(Stop())
    assert bench.ended is False
    assert bench.codes[-1] is ReportCode.UNPROVEN


def test_it_leaves_clean_after_the_proof() -> None:
    bench = lost()
    bench.run(10 * SECOND)
    bench.feed(Stop())
    assert bench.ended is True


def test_a_sweep_without_an_engine_is_proven() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.venue.place(3, owner=OTHER)
    bench.feed(Sweep())
    bench.run(SECOND)
    assert set(bench.venue.orders) == {3}
    bench.run(6 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert bench.machine.proven is not None
    assert bench.machine.proven.block_ms > START_NS // MS + 4000


def test_what_cannot_happen_is_an_error() -> None:
    machine = Watchdog(settings(), Signer(KEY))
    with pytest.raises(ImpossibleStep, match="cannot happen to a watchdog that is idle"):
        machine.on(Heard(Beat(session=1, sequence=1, time_ms=1, state=STARTING)), START_NS)
    machine.on(Start(), START_NS)
    with pytest.raises(ImpossibleStep):
        machine.on(Start(), START_NS)


# The switch.


def test_the_switch_is_pushed_while_the_engine_lives_and_cleared_after_the_proof() -> None:
    bench = lost(switch=True)
    bench.live(60 * SECOND)
    pushes = [action for action in bench.venue.actions if action["type"] == "scheduleCancel"]
    assert len(pushes) in (3, 4) and all("time" in push for push in pushes)
    beat = Beat(session=5, sequence=1, time_ms=0, state=EngineState.TRADING)
    hearing = bench.machine.hearing(beat)
    assert (hearing.state, hearing.switch) == ("armed", "armed")
    assert hearing.switch_until_ms > bench.now_ms
    bench.run(3 * SECOND)
    assert "time" in [action for action in bench.venue.actions if action["type"] == "scheduleCancel"][-1]
    bench.run(20 * SECOND)
    assert bench.venue.actions[-1] == {"type": "scheduleCancel"}
    assert bench.machine.hearing(beat).switch == "off"


def test_leaving_clears_the_switch_first() -> None:
    bench = armed(switch=True)
    bench.feed(Stop())
    assert bench.ended is None and bench.machine.state is State.ENDING
    bench.beat()
    bench.run(SECOND)
    assert bench.venue.actions[-1] == {"type": "scheduleCancel"}
    assert bench.ended is True


def test_leaving_does_not_wait_for_ever() -> None:
    for end_ns in (500 * MS, 5 * SECOND):
        bench = armed(switch=True, end_ns=end_ns)
        bench.venue.is_dead = True
        bench.feed(Stop())
        bench.run(min(end_ns, bench.settings.request_ns))
        assert bench.ended is True
        bench.run(60 * SECOND)


def test_leaving_unproven_leaves_the_switch() -> None:
    bench = lost(switch=True)
    bench.run(1600 * MS)
    bench.feed(Stop())
    bench.run(10 * SECOND)
    assert {"type": "scheduleCancel"} not in bench.venue.actions


# Lanes.


def test_a_socket_is_used_and_http_takes_over() -> None:
    bench = lost()
    bench.feed(SocketUp())
    bench.run(1700 * MS)
    assert bench.asks[-1].lane is Lane.SOCKET
    bench.lost_lanes = {Lane.SOCKET}
    bench.run(10 * SECOND)
    assert bench.machine.state is State.EMPTY, "each request is asked for again over HTTP"
    bench.feed(SocketDown())
    bench.run(120 * SECOND)
    assert bench.asks[-1].lane is Lane.HTTP


def test_what_was_on_a_lost_socket_is_asked_for_again() -> None:
    bench = lost()
    bench.feed(SocketUp())
    bench.lost_lanes = {Lane.SOCKET}
    bench.run(bench.settings.silence_ns)
    before = len(bench.asks)
    bench.feed(SocketDown())
    assert [ask.lane for ask in bench.asks[before - 1 :]] == [Lane.SOCKET, Lane.HTTP]
    assert bench.asks[before].body == bench.asks[before - 1].body


def test_answers_to_nothing_are_dropped() -> None:
    bench = lost()
    assert bench.feed(Answered(10**6, b"[]", 0)) == []


# Positions.


def test_positions_are_closed_when_that_is_wanted() -> None:
    bench = lost(flatten_coins=("ETH",))
    bench.venue.positions = {"ETH": "-0.5", "BTC": "1"}
    bench.run(12 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert set(bench.venue.positions) == {"BTC"}
    assert ReportCode.FLATTENING in bench.codes
    assert bench.machine.proven is not None and bench.machine.proven.positions == 1


# In words.


def test_its_status_is_one_line() -> None:
    bench = Bench()
    assert bench.machine.status() == "idle; engine not heard; dead man's switch off"
    bench = lost()
    assert bench.machine.status() == "armed; engine trading, session 5, 2 orders; dead man's switch off"
    bench.beat(orders=-1)
    assert "unknown orders" in bench.machine.status()
    bench.run(10 * SECOND)
    assert bench.machine.status().startswith("empty, proven at 1790")
