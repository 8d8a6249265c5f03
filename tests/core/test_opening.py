"""What a session starts from: position, equity, orders and latches, by events alone."""

from __future__ import annotations

import pytest

from hlhft.core import orders
from hlhft.core.opening import adopt
from hlhft.core.orders import APPLIED
from hlhft.core.risk import Breaker
from hlhft.core.state import ORDERS_PER_MARKET, SLOT_BITS, Mode
from hlhft.events import EventKind as Kind
from hlhft.venue.refusals import Refusal
from tests.core.tables import Table
from tests.core.worlds import BUY, SELL, USDC, Command, Quote, World, event, fresh, resting


def opened(lots: int = 0, *, mark: int = 1000, equity: int = 1000 * USDC, **limits: int) -> World:
    """A session with a position that the venue stated, connected."""
    world = fresh(**limits)
    world.say(Kind.POSITION_STATE, size_lots=lots, price_ticks=mark)
    world.say(Kind.EQUITY_STATE, aux0=equity, aux1=1)
    world.say(Kind.CONNECTION_UP)
    return world


# Position.


@pytest.mark.parametrize("lots", [1_000_000, -1_000_000])
def test_a_stated_position_is_worth_nothing_at_its_mark_and_what_the_price_does_from_then_on(lots):
    world = opened(lots, mark=900)
    # 1000 lots at 1000 ticks are a USDC: the book's mid is 1000, a hundred ticks above the mark.
    assert world.row["equity_micro"] == (1000 + (100 if lots > 0 else -100)) * USDC
    assert (world.position()["position_lots"], world.position()["stated"]) == (lots, 1)


def test_at_the_mark_the_equity_stays_what_it_was():
    assert opened(777, mark=1000).row["equity_micro"] == 1000 * USDC


def test_a_stated_position_is_closed_by_fills_to_the_micro():
    world = opened(1000, mark=990)
    world.hold(-1000, ticks=1000)
    world.decide()
    assert world.row["equity_micro"] == 1000 * USDC + 10_000


def test_a_position_is_stated_once_and_later_statements_are_checks():
    world = opened(1000)
    world.say(Kind.POSITION_STATE, size_lots=1000, price_ticks=5000)
    assert (world.row["illegal_transitions"], world.position()["cash_quanta"]) == (0, -1_000_000)
    world.hold(500)
    world.say(Kind.POSITION_STATE, size_lots=1500, price_ticks=5000)
    assert world.row["illegal_transitions"] == 0
    world.say(Kind.POSITION_STATE, size_lots=1499, price_ticks=5000)
    assert (world.row["halt_code"], world.position()["position_lots"]) == (Breaker.ILLEGAL_TRANSITION, 1500)


def test_no_position_is_stated_without_a_price_and_then_holds():
    world = opened(0, mark=0)
    world.say(Kind.POSITION_STATE, size_lots=5, price_ticks=1000)
    assert world.row["halt_code"] == Breaker.ILLEGAL_TRANSITION


def test_a_fill_before_the_first_statement_makes_it_a_check():
    world = fresh()
    world.hold(300)
    world.say(Kind.POSITION_STATE, size_lots=400, price_ticks=1000)
    assert (world.row["halt_code"], world.position()["position_lots"]) == (Breaker.ILLEGAL_TRANSITION, 300)


@pytest.mark.parametrize("mark", [0, -1])
def test_a_position_without_a_mark_is_a_fault(mark):
    world = fresh()
    world.say(Kind.POSITION_STATE, size_lots=5, price_ticks=mark)
    assert (world.row["halt_code"], world.position()["position_lots"]) == (Breaker.ILLEGAL_TRANSITION, 0)


# Equity.


def test_the_equity_of_the_start_is_the_first_peak():
    world = opened(drawdown_e6_max=30_000)
    assert (world.row["starting_equity_micro"], world.row["peak_max_micro"]) == (1000 * USDC, 1000 * USDC)
    world.hold(1_000_000, ticks=1031)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_the_start_is_stated_once():
    world = opened()
    world.say(Kind.EQUITY_STATE, aux0=900 * USDC, aux1=1)
    assert (world.row["halt_code"], world.row["starting_equity_micro"]) == (Breaker.ILLEGAL_TRANSITION, 1000 * USDC)


def test_a_later_equity_only_measures_the_gap():
    """50 lost, 200 paid in: the venue should say 1150, and says 1145."""
    world = opened()
    world.hold(1_000_000, ticks=1050)
    world.decide()
    world.feed_silently(Kind.LEDGER_TRANSFER, aux0=200 * USDC)
    world.say(Kind.EQUITY_STATE, aux0=1145 * USDC)
    assert (world.row["equity_gap_micro"], world.row["equity_micro"]) == (-5 * USDC, 950 * USDC)
    assert (world.row["halt_code"], world.row["starting_equity_micro"]) == (0, 1000 * USDC)


# What survives a restart.


def test_latches_hold_until_an_operator_resumes():
    world = fresh()
    world.quotes(Quote(BUY, 999))
    latches = 1 << Breaker.REJECTION_STORM | 1 << Breaker.OPERATOR
    world.say(Kind.RESTORED, aux0=latches, aux1=int(Breaker.REJECTION_STORM))
    world.say(Kind.EQUITY_STATE, aux0=1000 * USDC, aux1=1)
    assert world.say(Kind.CONNECTION_UP) == []
    assert (world.row["mode"], world.row["halt_code"]) == (Mode.HALTED, Breaker.REJECTION_STORM)
    assert (world.row["latches"], world.row["must_be_flat"]) == (latches, 0)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=1) == [Command("PLACE", BUY, 999, 1000)]


def test_without_latches_nothing_is_halted():
    world = fresh()
    world.quotes(Quote(BUY, 999))
    world.say(Kind.RESTORED, aux1=int(Breaker.STALE_DATA))
    assert world.say(Kind.CONNECTION_UP) == [Command("PLACE", BUY, 999, 1000)]


def test_latches_without_a_code_are_latches():
    world = fresh()
    world.say(Kind.RESTORED, aux0=1 << Breaker.OPERATOR)
    assert (world.row["mode"], world.row["halt_code"]) == (Mode.HALTED, 0)


@pytest.mark.parametrize(
    ("breaker", "side", "closes"),
    [
        (Breaker.DRAWDOWN, 0, True),
        (Breaker.MARGIN_DISTANCE, 0, True),
        (Breaker.OPERATOR, 0, False),
        (Breaker.OPERATOR, 1, True),
    ],
)
def test_a_close_that_a_restart_interrupted_goes_on(breaker, side, closes):
    world = fresh()
    world.say(Kind.RESTORED, aux0=1 << breaker, aux1=int(breaker), side=side)
    # Before the account was read, and without a connection, nothing is sent.
    assert world.say(Kind.POSITION_STATE, size_lots=500, price_ticks=1000) == []
    close = [Command("PLACE", SELL, 950, 500)] if closes else []
    assert world.say(Kind.CONNECTION_UP) == close
    assert (world.row["close_at_market"], world.row["must_be_flat"]) == (int(closes), int(closes))


# Orders of an earlier session: the table by itself, then through a step.


def take_over(
    table: Table, order_id: int, *, side: int = BUY, ticks: int = 100, lots: int = 10, reduce_only: int = 0
) -> None:
    adopt(table.row, table.position, table.orders, table.active, order_id, side, ticks, lots, 77, reduce_only, 30)


def test_an_adopted_order_rests_in_its_own_slot_and_newer_ids_stand_above_it():
    table = Table()
    take_over(table, (9 << SLOT_BITS) | 3, side=SELL, reduce_only=1)
    take_over(table, (7 << SLOT_BITS) | 100)
    older, newer = table.order(100), table.order(3)
    assert (newer["state"], newer["venue_order_id"], newer["remaining_lots"], newer["side"]) == (4, 77, 10, SELL)
    assert (newer["reduce_only"], older["reduce_only"], newer["acknowledged_ns"], newer["unknown_ns"]) == (1, 0, 30, 0)
    assert table.open_lots() == (10, 10)
    assert table.row["order_sequence"] == 9
    # New ones come above, and their slots go round the adopted ones.
    for _ in range(5):
        assert table.create() >> SLOT_BITS > 9
    table.check_sums()
    assert table.row["illegal_transitions"] == 0


def test_what_happens_to_an_adopted_order_is_what_happens_to_any():
    table = Table()
    order_id = (7 << SLOT_BITS) | 5
    take_over(table, order_id)
    assert orders.may_cancel(table.orders, 5)
    assert table.apply(Kind.ORDER_FILLED, order_id, lots=4, left=6) == APPLIED
    orders.request_cancel(table.orders, 5)
    assert table.apply(Kind.ORDER_CANCELLED, order_id, left=Refusal.REQUESTED) == APPLIED
    assert table.position["position_lots"] == 4
    table.check_sums()
    # What is done leaves its slot to another.
    take_over(table, (8 << SLOT_BITS) | 5)
    assert table.open_lots() == (10, 0)


@pytest.mark.parametrize(
    ("order_id", "fields"),
    [
        ((7 << SLOT_BITS) | 5, {}),  # the slot is taken
        ((7 << SLOT_BITS) | ORDERS_PER_MARKET, {}),
        (0, {}),
        ((7 << SLOT_BITS) | 6, {"side": 0}),
        ((7 << SLOT_BITS) | 6, {"ticks": 0}),
        ((7 << SLOT_BITS) | 6, {"lots": 0}),
    ],
)
def test_what_cannot_be_adopted_is_a_fault(order_id, fields):
    table = Table()
    take_over(table, (9 << SLOT_BITS) | 5)
    take_over(table, order_id, **fields)
    assert table.row["illegal_transitions"] == 1
    assert (table.position["active_count"], table.open_lots()) == (1, (10, 0))


def test_an_adopted_order_is_kept_where_it_is_quoted_and_else_cancelled():
    world = fresh()
    world.quotes(Quote(BUY, 999))
    adopted = [
        event(
            Kind.ORDER_ADOPTED, world.now, side=BUY, price_ticks=ticks, size_lots=400, order_id=(5 << SLOT_BITS) | slot
        )
        for slot, ticks in ((2, 999), (3, 998))
    ]
    assert world.feed(*adopted) == [], "the strategy has not been asked yet"
    assert world.position()["open_buy_lots"] == 800
    commands = world.feed(event(Kind.CONNECTION_UP, world.now))
    assert commands == [Command("CANCEL", BUY, 998, 400)]
    assert world.raw[0]["order_id"] == (5 << SLOT_BITS) | 3
    assert world.position()["open_buy_lots"] == 800


@pytest.mark.parametrize("command", [0, 4], ids=["halt", "stop"])
def test_what_was_adopted_goes_with_a_halt_or_a_stop_before_the_first_connection(command):
    world = fresh()
    order_id = (5 << SLOT_BITS) | 2
    adopted = event(Kind.ORDER_ADOPTED, world.now, side=BUY, price_ticks=999, size_lots=400, order_id=order_id)
    assert world.feed(adopted) == []
    assert world.feed(event(Kind.OPERATOR_COMMAND, world.now, aux0=command)) == [Command("CANCEL", BUY, 999, 400)]


def test_a_lost_connection_keeps_nothing():
    world = resting(Quote(BUY, 999))
    assert world.feed(event(Kind.CONNECTION_DOWN, world.now)) == [Command("CANCEL", BUY, 999, 1000)]
    assert world.feed(event(Kind.CONNECTION_DOWN, world.now)) == [], "its cancel is under way"


def test_an_occupied_slot_halts():
    world = opened()
    world.quotes(Quote(BUY, 999))
    world.decide()
    slot = int(world.active()[0]["order_id"]) & ((1 << SLOT_BITS) - 1)
    world.say(Kind.ORDER_ADOPTED, side=BUY, price_ticks=998, size_lots=5, order_id=(900 << SLOT_BITS) | slot)
    assert world.row["halt_code"] == Breaker.ILLEGAL_TRANSITION
