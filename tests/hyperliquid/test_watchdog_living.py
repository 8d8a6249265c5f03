"""The watchdog beside an engine that lives and does not come to trade, or does so for a moment only."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.watchdog_beats import EngineState
from hlhft.hyperliquid.watchdog_events import ReportCode, Start
from hlhft.hyperliquid.watchdog_table import State
from tests.hyperliquid.test_watchdog import lost
from tests.hyperliquid.watchdog_bench import MS, SECOND, Bench

HALTED, STARTING = EngineState.HALTED, EngineState.STARTING


def test_a_beat_in_time_at_the_start_saves_the_orders() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    bench.run(bench.settings.start_ns - SECOND)
    bench.live(bench.settings.waiting_grace_ns - SECOND, STARTING)
    assert bench.machine.state is State.GRACE
    bench.live(30 * SECOND)
    assert bench.machine.state is State.ARMED
    assert 1 in bench.venue.orders


def test_an_engine_that_lives_and_does_not_agree_with_the_venue_is_cancelled_for() -> None:
    """Also one that is started again and again: each start is heard within the silence, and none comes to trade."""
    bench = Bench(flatten_coins=("ETH",))
    bench.venue.place(1)
    bench.venue.positions["ETH"] = "1.5"
    bench.feed(Start())
    bench.live(5 * SECOND)
    for session in (2, 3, 4):
        bench.live(4 * SECOND, STARTING, session=session)
    assert bench.machine.state is State.CANCELLING
    bench.live(10 * SECOND, STARTING, session=4)
    assert not bench.venue.orders
    assert bench.machine.state is State.CANCELLING, "beats of an engine that starts do not bring it back"
    assert bench.venue.positions == {"ETH": "1.5"}, "it is not lost"
    bench.venue.place(2)
    bench.live(10 * SECOND, session=4, reconciliation=1)
    assert bench.machine.state is State.ARMED
    assert bench.venue.orders, "what it places once it trades is its own"


def test_nothing_is_proven_for_an_engine_that_starts_before_what_it_may_have_sent_last_has_expired() -> None:
    """It may trade and die before its next beat: its orders are found, and may be executed until they expire."""
    bench = Bench()
    bench.feed(Start())
    bench.live(5 * SECOND)
    bench.live(120 * SECOND, STARTING, session=2)
    assert bench.machine.state is State.CANCELLING, "as long as it lives"
    asked = len(bench.venue.asked)
    bench.live(60 * SECOND, STARTING, session=2)
    assert len(bench.venue.asked) - asked <= 4, "rounds that bring nothing are patient"
    bench.venue.place(60)
    executed_ns = bench.now_ns + (bench.settings.expires_after_ms - 1) * MS
    bench.venue.late.append((executed_ns // MS, 61))
    bench.run(bench.settings.look_first_ns + 2 * SECOND)
    assert 60 not in bench.venue.orders, "a round follows the last beat"
    bench.run(60 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert bench.machine.proven is not None
    assert bench.machine.proven.block_ms > executed_ns // MS
    assert not bench.venue.orders


def test_what_one_left_that_was_proven_empty_before_is_cancelled_beside_the_next_that_starts() -> None:
    """It came to trade and died between two beats, and the next has no more luck: its beats do not put off the look."""
    bench = Bench(flatten_coins=("ETH",))
    bench.venue.positions["ETH"] = "1.5"
    bench.feed(Start())
    bench.live(12 * SECOND, STARTING)
    bench.run(30 * SECOND)
    assert bench.machine.state is State.EMPTY
    bench.live(9 * SECOND, STARTING, session=2)
    bench.venue.place(60)
    wait_ns = bench.settings.expires_after_ms * MS + bench.settings.look_first_ns + 2 * SECOND
    bench.live(wait_ns, STARTING, session=3)
    assert not bench.venue.orders
    assert bench.machine.state is State.CANCELLING, "beats of an engine that starts do not bring it back"
    assert bench.venue.positions == {"ETH": "1.5"}, "the next is not lost"


def test_what_one_left_that_starts_is_found_soon_beside_the_next_that_starts_however_patient_the_rounds() -> None:
    bench = Bench()
    bench.feed(Start())
    bench.live(120 * SECOND, STARTING)
    assert bench.machine.state is State.CANCELLING
    bench.venue.place(60)
    bench.live(bench.settings.expires_after_ms * MS + bench.settings.look_first_ns + 2 * SECOND, STARTING, session=2)
    assert not bench.venue.orders


@pytest.mark.parametrize("is_proven", [True, False])
def test_what_the_second_of_two_left_that_started_one_after_the_other_is_found_soon_too(is_proven: bool) -> None:
    """The look for what the first left comes just when the second has sent its last, which rests a moment later."""
    bench = Bench()
    bench.feed(Start())
    bench.live((12 if is_proven else 120) * SECOND, STARTING)
    if is_proven:
        bench.run(30 * SECOND)
    assert bench.machine.state is (State.EMPTY if is_proven else State.CANCELLING)
    wait_ns = bench.settings.expires_after_ms * MS + bench.settings.look_first_ns
    bench.live(SECOND, STARTING, session=2)
    bench.live(wait_ns - 2 * SECOND, STARTING, session=3)
    bench.live(2 * SECOND, STARTING, session=4)
    bench.venue.place(60)
    bench.live(wait_ns, STARTING, session=4)
    assert not bench.venue.orders


def test_what_one_sent_counts_as_long_as_that_one_said_and_not_as_the_next_says() -> None:
    bench = Bench()
    bench.feed(Start())
    bench.live(120 * SECOND, STARTING, expires_after_ms=8_000)
    bench.live(7 * SECOND, STARTING, session=2, expires_after_ms=1_000)
    bench.venue.place(60)
    bench.live(SECOND + bench.settings.look_first_ns, STARTING, session=2, expires_after_ms=1_000)
    assert 60 in bench.venue.orders, "a round before it has expired might come too early"
    bench.live(2 * SECOND, STARTING, session=2, expires_after_ms=1_000)
    assert not bench.venue.orders


def test_what_an_earlier_session_left_is_cancelled_for_an_engine_that_starts_halted_and_cannot() -> None:
    """It says that it has no order, as it has not seen the venue's; its key may be gone."""
    bench = Bench(flatten_coins=("ETH",))
    bench.venue.place(1)
    bench.venue.positions["ETH"] = "1.5"
    bench.feed(Start())
    bench.live(5 * SECOND)
    bench.live(bench.settings.waiting_grace_ns + 10 * SECOND, HALTED, session=2, orders=0)
    assert ReportCode.OVERDUE in bench.codes
    assert not bench.venue.orders
    assert bench.venue.positions == {"ETH": "1.5"}, "it is not lost"
    bench.live(5 * SECOND, HALTED, session=2, orders=0, reconciliation=1)
    bench.live(5 * SECOND, session=2, reconciliation=1)
    assert bench.machine.state is State.ARMED


def test_an_engine_that_waits_for_the_venue_is_not_given_longer_by_who_halts_and_resumes_it() -> None:
    bench = Bench(flatten_coins=("ETH",))
    bench.venue.place(1)
    bench.venue.positions["ETH"] = "1.5"
    bench.feed(Start())
    bench.live(5 * SECOND)
    begun_ns = bench.now_ns
    for state in (STARTING, HALTED, STARTING):
        bench.live(3 * SECOND, state, session=2, orders=0)
    assert bench.machine.state is State.GRACE and bench.venue.orders
    for state in (HALTED, STARTING):
        bench.live(3 * SECOND, state, session=2, orders=0)
    assert ReportCode.OVERDUE in bench.codes and not bench.venue.orders
    assert bench.now_ns - begun_ns < bench.settings.waiting_grace_ns + 6 * SECOND
    assert bench.venue.positions == {"ETH": "1.5"}, "it is not lost"


def test_an_engine_that_was_well_meanwhile_has_its_whole_grace_again() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    for _ in range(3):
        bench.live(5 * SECOND, reconciliation=1)
        bench.live(4 * SECOND, STARTING, reconciliation=1)
        bench.live(4 * SECOND, HALTED, reconciliation=1)
    assert ReportCode.OVERDUE not in bench.codes and bench.venue.orders


def test_an_engine_that_is_cut_off_for_a_moment_is_left_alone() -> None:
    bench = Bench()
    bench.venue.place(1)
    bench.feed(Start())
    for _ in range(3):
        bench.live(5 * SECOND)
        bench.live(bench.settings.waiting_grace_ns - SECOND, STARTING)
    bench.live(5 * SECOND)
    assert bench.machine.state is State.ARMED
    assert bench.venue.orders


@pytest.mark.parametrize("state", [STARTING, EngineState.TRADING])
def test_what_an_engine_left_that_beat_once_after_the_proof_and_died_is_found_soon(state: EngineState) -> None:
    """Its other beats may be lost, and one that starts may trade before its next beat."""
    bench = lost()
    bench.run(100 * SECOND)
    assert bench.machine.state is State.EMPTY
    assert bench.machine.proven is not None
    bench.beat(state)
    assert bench.machine.proven is None, "what was proven is of before"
    bench.venue.place(60)
    bench.run(bench.settings.look_first_ns + 2 * SECOND)
    assert 60 not in bench.venue.orders


def test_what_a_halted_engine_left_that_was_resumed_and_died_between_two_beats_is_found_soon() -> None:
    bench = lost()
    bench.run(100 * SECOND)
    bench.live(100 * SECOND, HALTED, orders=0, reconciliation=1)
    assert bench.machine.state is State.EMPTY
    assert bench.machine.proven is not None, "a halted one places nothing"
    bench.venue.place(60)
    bench.run(bench.settings.look_first_ns + 2 * SECOND)
    assert 60 not in bench.venue.orders


def test_beats_of_a_halted_engine_do_not_put_off_a_look_for_ever() -> None:
    bench = lost()
    bench.run(100 * SECOND)
    bench.live(100 * SECOND, HALTED, orders=0, reconciliation=1)
    assert bench.machine.state is State.EMPTY
    bench.venue.place(60)
    bench.live(bench.settings.look_ns + 2 * SECOND, HALTED, orders=0, reconciliation=1)
    assert 60 not in bench.venue.orders


def test_what_a_halted_engine_left_is_found_soon_beside_the_next_that_starts_halted_and_cannot() -> None:
    bench = lost()
    bench.run(100 * SECOND)
    bench.live(100 * SECOND, HALTED, orders=0, reconciliation=1)
    bench.venue.place(60)
    wait_ns = bench.settings.expires_after_ms * MS + bench.settings.look_first_ns + 2 * SECOND
    bench.live(wait_ns, HALTED, orders=0, session=6)
    assert 60 not in bench.venue.orders


def test_one_that_comes_back_and_halts_has_its_grace() -> None:
    bench = lost()
    bench.beat(reconciliation=1)
    bench.run(1700 * MS)
    bench.live(600 * MS, reconciliation=1)
    bench.venue.place(60)
    bench.live(4 * SECOND, HALTED, reconciliation=1)
    assert bench.machine.state is State.RETURNING
    bench.live(SECOND, HALTED, orders=0, reconciliation=1)
    bench.live(10 * SECOND, HALTED, orders=0, reconciliation=1)
    assert 60 in bench.venue.orders
    bench.live(6 * SECOND, HALTED, orders=1, reconciliation=1)
    assert 60 not in bench.venue.orders


def test_what_an_engine_sent_before_another_took_its_place_bounds_the_proof() -> None:
    """The new one is halted, too, and of the orders of the one before it names none."""
    bench = lost()
    expiry_ms = bench.now_ms + 20_000
    bench.live(SECOND, HALTED, last_expiry_ms=expiry_ms, reconciliation=1)
    bench.session += 1
    bench.sequence = 0
    bench.live(10 * SECOND, HALTED, orders=0)
    assert ReportCode.OVERDUE in bench.codes and set(bench.venue.orders) == {3, 4}
    assert bench.machine.state is State.CANCELLING
    bench.live(20 * SECOND, HALTED, orders=0)
    proven = bench.machine.proven
    assert bench.machine.state is State.EMPTY and proven is not None and proven.block_ms > expiry_ms


def test_an_engine_that_was_replaced_may_have_sent_until_the_next_was_heard() -> None:
    bench = lost()
    bench.beat(expires_after_ms=8_000)
    silent_ms = bench.now_ms
    bench.run(SECOND)
    bench.session += 1
    bench.sequence = 0
    bench.live(7 * SECOND, HALTED, orders=0)
    assert ReportCode.OVERDUE not in bench.codes
    bench.live(8 * SECOND, HALTED, orders=0)
    proven = bench.machine.proven
    assert bench.machine.state is State.EMPTY and proven is not None
    assert proven.block_ms > silent_ms + 1_000 + 8_000


@pytest.mark.parametrize("lasts_s", range(10, 100, 6))
def test_an_engine_that_dies_after_its_beats_were_lost_for_long_is_swept_as_soon_as_any(lasts_s: int) -> None:
    """Four beats come through each few seconds, so one sweep follows the other while it goes on placing orders."""
    bench = Bench()
    bench.feed(Start())
    began_ns, oid = bench.now_ns, 60
    while bench.now_ns < began_ns + lasts_s * SECOND:
        bench.live(800 * MS)
        for _ in range(8):
            oid += 1
            bench.venue.place(oid)
            bench.run(500 * MS)
    bench.live(800 * MS)
    bench.venue.place(oid + 1)
    bench.run(bench.settings.silence_ns + bench.settings.look_first_ns + SECOND)
    assert not bench.venue.orders
    assert ReportCode.NO_WEIGHT not in bench.codes
