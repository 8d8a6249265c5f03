"""The peak that the drawdown is judged by: an hour of minutes, and what an earlier session left of it."""

from __future__ import annotations

import pytest

from hlhft.core.risk import Breaker
from hlhft.events import EventKind as Kind
from tests.core.worlds import SECOND, USDC, World, fresh, started

MINUTE = 60 * SECOND


def test_the_peak_is_that_of_the_last_hour():
    """Up to 1100, then 33 down each half hour: 3 % of 1100 are 33, and after an hour the peak is a lower one."""
    world = World(drawdown_e6_max=30_000)
    world.quotes()
    world.hold(1_000_000)
    for after, mid in ((0, 1100), (30, 1070), (40, 1067)):
        world.touch(mid - 1, mid + 1)
        assert world.decide(after_ns=after * MINUTE) == []
        assert world.row["equity_micro"] == mid * USDC
    assert world.row["peak_max_micro"] == 1070 * USDC
    world.touch(1039, 1040)
    assert world.decide() == []
    world.touch(1036, 1038)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_a_peak_counts_from_the_moment_it_is_reached():
    world = started(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    for mid, code in ((1100, 0), (1067, 0), (1066, Breaker.DRAWDOWN)):
        world.touch(mid - 1, mid + 1)
        world.decide()
        assert world.row["halt_code"] == code


def test_within_the_hour_the_peak_stays():
    world = World(drawdown_e6_max=30_000)
    world.quotes()
    world.hold(1_000_000)
    for after, mid in ((0, 1100), (0, 1070), (59, 1068)):
        world.touch(mid - 1, mid + 1)
        world.decide(after_ns=after * MINUTE)
        assert world.row["halt_code"] == 0
    world.touch(1065, 1067)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_what_was_lost_before_the_first_decision_counts():
    world = World(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    world.touch(968, 970)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_silence_of_days_leaves_the_peak_at_what_was():
    world = World()
    world.hold(1_000_000)
    world.decide()
    world.touch(1099, 1101)
    world.decide(after_ns=3 * 24 * 60 * MINUTE)
    assert world.row["peak_max_micro"] == 1100 * USDC
    assert world.row["peak_next_ns"] == world.now + MINUTE


def test_resuming_starts_the_peak_again():
    world = started(drawdown_e6_max=30_000)
    world.hold(1_000_000)
    world.touch(949, 951)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN
    world.say(Kind.OPERATOR_COMMAND, aux0=1)
    assert (world.row["halt_code"], world.row["close_at_market"]) == (0, 0)
    world.decide(after_ns=2 * MINUTE)
    assert world.row["peak_max_micro"] == 950 * USDC
    world.touch(922, 924)
    world.decide()
    assert world.row["halt_code"] == 0
    world.touch(920, 922)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


@pytest.mark.parametrize("order", [("RESTORED", "EQUITY_STATE"), ("EQUITY_STATE", "RESTORED")])
@pytest.mark.parametrize(("peak", "trips"), [(1030, False), (1031, True)])
def test_an_earlier_peak_counts_for_its_hour(order, peak, trips):
    """3 % below 1031 lie above 1000; the order of the two statements is no matter."""
    world = fresh(drawdown_e6_max=30_000)
    fields = {
        "RESTORED": {"size_lots": peak * USDC, "order_id": world.now - 20 * MINUTE},
        "EQUITY_STATE": {"aux0": 1000 * USDC, "aux1": 1},
    }
    for name in order:
        world.say(Kind[name], **fields[name])
    assert world.row["latches"] == (1 << Breaker.DRAWDOWN if trips else 0)
    if not trips:
        assert world.row["peak_max_micro"] == peak * USDC
        world.decide(after_ns=39 * MINUTE)
        assert world.row["peak_max_micro"] == peak * USDC
        world.decide(after_ns=3 * MINUTE)
        assert world.row["peak_max_micro"] == 1000 * USDC


def test_a_peak_without_a_time_counts_from_now():
    world = fresh()
    world.say(Kind.EQUITY_STATE, aux0=1000 * USDC, aux1=1)
    world.say(Kind.RESTORED, size_lots=1010 * USDC)
    world.decide(after_ns=59 * MINUTE)
    assert world.row["peak_max_micro"] == 1010 * USDC
    world.decide(after_ns=3 * MINUTE)
    assert world.row["peak_max_micro"] == 1000 * USDC


@pytest.mark.parametrize("minutes", [61, 100_000])
def test_a_peak_that_is_too_old_counts_no_more(minutes):
    world = fresh(drawdown_e6_max=30_000)
    world.say(Kind.EQUITY_STATE, aux0=1000 * USDC, aux1=1)
    world.say(Kind.RESTORED, size_lots=5000 * USDC, order_id=world.now - minutes * MINUTE)
    assert (world.row["peak_max_micro"], world.row["latches"]) == (1000 * USDC, 0)
    assert world.row["restored_peak_micro"] == 0
