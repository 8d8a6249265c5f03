"""The breakers on live data: events alone trip them, without market data, and what leaves first is a cancel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hlhft.core.risk import Breaker
from hlhft.events import EventKind as Kind
from hlhft.venue.refusals import Refusal
from tests.core.worlds import BUY, MS, SECOND, SELL, USDC, Command, Quote, World, event, snapshot

CANCELLED = [Command("CANCEL", BUY, 999, 1000)]


def quiet(**limits: int) -> World:
    world = World(decide_on_frame=0, decide_on_fill=0, **limits)
    world.quotes(Quote(BUY, 999))
    world.decide()
    world.acknowledge()
    return world


def nothing_happens(world: World) -> None:
    """Time passes."""


def unanswered(world: World) -> None:
    """A second bid that nobody answers."""
    world.quotes(Quote(BUY, 999), Quote(BUY, 998))
    world.decide()


def lose_it(world: World) -> None:
    world.feed(event(Kind.ORDER_UNKNOWN, world.now, order_id=world.active()[0]["order_id"]))


def hold_much(world: World) -> None:
    """1.1 USDC are the cap of 1 and the price's doing."""
    fill = event(Kind.ORDER_FILLED, world.now, side=BUY, price_ticks=1000, size_lots=1101)
    world.feed(fill)


def lose_money(world: World) -> None:
    """Bought at 1040 what is worth 1000, 1000 USDC of it."""
    world.feed(event(Kind.ORDER_FILLED, world.now, side=BUY, price_ticks=1040, size_lots=1_000_000))


def near_liquidation(world: World) -> None:
    world.feed(event(Kind.ORDER_FILLED, world.now, side=BUY, price_ticks=1000, size_lots=1000))
    world.feed(event(Kind.ACCOUNT_STATE, world.now, price_ticks=119, order_id=100, size_lots=100, aux1=10_000))


def refused_often(world: World) -> None:
    for _ in range(4):
        world.feed(event(Kind.ORDER_REJECTED, world.now, order_id=1, aux0=int(Refusal.MARGIN)))


def spend_budget(world: World) -> None:
    world.feed(event(Kind.ACCOUNT_STATE, world.now, price_ticks=1, aux0=9_990, aux1=10_000))


def contradict(world: World) -> None:
    world.feed(event(Kind.ORDER_REJECTED, world.now, order_id=world.active()[0]["order_id"], aux0=3))


@pytest.mark.parametrize(
    ("breaker", "limits", "happens", "after_ns"),
    [
        (Breaker.DRAWDOWN, {"drawdown_e6_max": 30_000}, lose_money, 100 * MS),
        (Breaker.STALE_DATA, {"feed_age_ns_max": SECOND}, nothing_happens, SECOND + 1),
        (Breaker.ACKNOWLEDGEMENT, {"acknowledgement_ns_max": 400 * MS}, unanswered, 500 * MS),
        (Breaker.EXPOSURE, {"position_lots_max": 1100}, hold_much, 100 * MS),
        (Breaker.EXPOSURE, {"position_notional_micro_max": USDC}, hold_much, 100 * MS),
        (Breaker.MARGIN_DISTANCE, {"margin_distance_e6_min": 200_000}, near_liquidation, 100 * MS),
        (Breaker.REJECTION_STORM, {"rejections_max": 3, "rejection_window_ns": SECOND}, refused_often, 100 * MS),
        (Breaker.BUDGET, {"address_enforced": 1, "address_reserve": 10}, spend_budget, 100 * MS),
        (Breaker.CLOCK_STEP, {"clock_step_ns_max": SECOND}, nothing_happens, SECOND + 1),
        (Breaker.UNKNOWN_ORDER, {"unknown_age_ns_max": SECOND}, lose_it, SECOND + 1),
        (Breaker.ILLEGAL_TRANSITION, {}, contradict, 100 * MS),
    ],
)
def test_a_timer_is_enough_to_trip(
    breaker: Breaker, limits: dict[str, int], happens: Callable[[World], None], after_ns: int
) -> None:
    world = quiet(**limits)
    happens(world)
    commands = world.decide(after_ns=after_ns)
    assert world.row["halt_code"] == breaker
    resting_bid = [order for order in world.active() if order["state"] in (4, 6) and order["side"] == BUY]
    cancels = [command for command in commands if command.kind == "CANCEL"]
    # A budget that is used up leaves what rests; an order that nobody knows of cannot be cancelled.
    assert len(cancels) == (0 if breaker in (Breaker.BUDGET, Breaker.UNKNOWN_ORDER) else 1)
    assert all(order["state"] == 6 for order in resting_bid) or breaker == Breaker.BUDGET


@pytest.mark.parametrize(("late", "trips"), [(150 * MS, False), (150 * MS + 1, True)])
def test_a_turn_that_begins_late_writes_cancels_first(late, trips):
    """After a freeze the shell says how late it is before the frame it woke with: nothing else leaves."""
    world = quiet()
    world.limits["decide_on_frame"] = 1
    world.quotes(Quote(BUY, 998), Quote(SELL, 1002))
    world.now += 200 * MS
    told = event(Kind.COMMAND_SENT, world.now, aux0=world.now - late, aux1=world.now)
    commands = world.feed(told, snapshot(world.now, [(998, 5)], [(1003, 5)]))
    if trips:
        assert commands == CANCELLED
        assert world.row["halt_code"] == Breaker.TICK_TO_TRADE
    else:
        assert [command.kind for command in commands] == ["CANCEL", "PLACE", "PLACE"]
