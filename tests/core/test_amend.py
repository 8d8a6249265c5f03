"""Moves by modification: one action instead of two, never more than what was left, both orders in the worst case."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import orders
from hlhft.core.state import CommandClass, OrderState
from hlhft.events import EventKind as Kind
from tests.core.tables import Table
from tests.core.worlds import ALO, BUY, GTC, MS, SECOND, SELL, USDC, Command, Quote, World, resting


def moved(world: World, **quote: int) -> list[Command]:
    """The bid shall be at 998."""
    world.quotes(Quote(BUY, 998, **quote))
    return world.decide()


def tell(world: World, kind: Kind, **fields: int) -> list[Command]:
    return world.say(kind, order_id=world.active()[0]["order_id"], **fields)


def test_a_move_is_one_modification():
    world = resting(Quote(BUY, 999), Quote(SELL, 1001), amend=1, expires_after_ns=3 * SECOND)
    world.quotes(Quote(BUY, 998), Quote(SELL, 1001))
    assert world.decide() == [Command("MODIFY", BUY, 998, 1000)]
    command, order = world.raw[0], world.active()[0]
    assert (command["command_class"], command["time_in_force"]) == (CommandClass.ALO, ALO)
    assert command["order_id"] == order["order_id"]
    assert command["expires_ns"] == order["expires_ns"] == world.now + 3 * SECOND
    assert order["batch_id"] == command["batch_id"] != 0
    # Both count; and neither price gets a second order while nobody knows which one it is.
    assert world.position()["open_buy_lots"] == 2000
    world.quotes(Quote(BUY, 999), Quote(BUY, 998), Quote(SELL, 1001))
    assert world.decide() == []
    tell(world, Kind.ORDER_ACKNOWLEDGED, side=BUY, price_ticks=998, size_lots=1000, aux0=8)
    assert [int(order["price_ticks"]) for order in world.active()] == [998, 1001, 999]
    assert world.position()["open_buy_lots"] == 2000
    assert (world.row["amended"], world.row["cancelled"]) == (1, 0)


def test_it_is_off_unless_it_is_set():
    assert moved(resting(Quote(BUY, 999))) == [Command("CANCEL", BUY, 999, 1000), Command("PLACE", BUY, 998, 1000)]


@pytest.mark.parametrize("quote", [{"lots": 1001}, {"time_in_force": GTC}, {"reduce_only": 1}])
def test_what_a_modification_cannot_be_is_a_cancel_and_a_placement(quote):
    """More than is left would be quoted twice when the rest fills on the way; another kind of order is another one."""
    kinds = [command.kind for command in moved(resting(Quote(BUY, 999), amend=1), **quote)]
    assert kinds == (["CANCEL"] if quote.get("reduce_only") else ["CANCEL", "PLACE"])


def test_what_is_too_small_to_open_a_position_is_placed_anew_as_reduce_only():
    world = resting(Quote(BUY, 999), amend=1)
    world.position()["position_lots"] = -30_000
    world.data.markets["minimum_notional_micro"] = 10 * USDC
    assert [command.kind for command in moved(world)] == ["CANCEL", "PLACE"]
    assert world.raw[1]["reduce_only"] == 1


def test_an_order_that_was_filled_in_part_is_amended_to_what_is_left_at_most():
    world = resting(Quote(BUY, 999), amend=1, decide_on_fill=0)
    world.fill(world.active()[0], 400)
    assert [command.kind for command in moved(world)] == ["CANCEL", "PLACE"]
    world = resting(Quote(BUY, 999), amend=1, decide_on_fill=0)
    world.fill(world.active()[0], 400)
    assert moved(world, lots=600) == [Command("MODIFY", BUY, 998, 600)]


def test_a_modification_needs_room_for_both():
    """Cap 1500 lots: the old order and the new one would be 2000, so the new one is smaller."""
    world = resting(Quote(BUY, 999), amend=1, position_lots_max=1500)
    assert moved(world) == [Command("MODIFY", BUY, 998, 500)]
    world = resting(Quote(BUY, 999), amend=1, position_lots_max=1000)
    assert [command.kind for command in moved(world)] == ["CANCEL"]


def test_a_budget_for_one_leaves_the_other_a_cancel():
    world = resting(Quote(BUY, 999), Quote(BUY, 990), amend=1, address_enforced=1)
    world.row["address_actions"] = world.row["address_allowance"] - 1
    world.quotes(Quote(BUY, 998), Quote(BUY, 989))
    assert [command.kind for command in world.decide()] == ["MODIFY", "CANCEL"]


def test_an_answer_array_that_is_full_holds_no_modification():
    world = resting(Quote(BUY, 999), Quote(BUY, 990), amend=1)
    world.out = world.out[:1]
    world.quotes(Quote(BUY, 998), Quote(BUY, 989))
    assert world.decide() == [Command("MODIFY", BUY, 998, 1000)]


def test_a_stale_market_is_cancelled_not_amended():
    world = resting(Quote(BUY, 999), amend=1)
    world.quotes(Quote(BUY, 998))
    assert world.say(Kind.MARKET_STATE, aux0=1) == [Command("CANCEL", BUY, 999, 1000)]


def test_a_stop_cancels_as_soon_as_the_modification_is_answered():
    world = resting(Quote(BUY, 999), amend=1)
    moved(world)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=0) == []
    rests = tell(world, Kind.ORDER_ACKNOWLEDGED, side=BUY, price_ticks=998, size_lots=1000)
    assert rests == [Command("CANCEL", BUY, 998, 1000)]


def test_an_action_of_modifications_that_never_left_leaves_the_orders():
    world = resting(Quote(BUY, 999), Quote(BUY, 990), amend=1)
    world.quotes(Quote(BUY, 998), Quote(BUY, 989))
    assert len(world.decide()) == 2
    assert len(set(world.raw["batch_id"].tolist())) == 1
    batch = int(world.raw[0]["batch_id"])
    world.say(Kind.COMMAND_SEND_FAILED, order_id=batch, aux0=1)
    assert world.active()[["state", "price_ticks", "remaining_lots"]].tolist() == [
        (OrderState.OPEN, 999, 1000), (OrderState.OPEN, 990, 1000),
    ]  # fmt: skip
    assert world.position()["open_buy_lots"] == 2000
    assert [command.kind for command in world.decide(after_ns=MS)] == ["MODIFY", "MODIFY"]


@pytest.mark.parametrize(("refused", "left"), [(False, 1000), (True, 600)])
def test_a_fill_that_comes_before_a_modification_has_left_takes_nothing_from_it(refused, left):
    """Who tells of the fill has not heard of the modification, and says what is left of the old order alone."""
    world = resting(Quote(BUY, 999), amend=1, decide_on_fill=0)
    moved(world)
    order_id = int(world.active()[0]["order_id"])
    world.say(
        Kind.ORDER_FILLED, side=BUY, order_id=order_id, price_ticks=999, size_lots=400, aux0=600
    )  # fmt: skip
    assert world.position()["open_buy_lots"] == 1600
    if refused:
        tell(world, Kind.CANCEL_REJECTED)
    else:
        tell(world, Kind.ORDER_ACKNOWLEDGED, side=BUY, price_ticks=998, size_lots=1000, aux0=8)
    assert world.position()["open_buy_lots"] == left


def test_an_acknowledgement_of_what_is_being_modified_settles_nothing():
    """A fill came before the placement's own answer, and the modification was decided on between the two."""
    world = resting(Quote(BUY, 999), amend=1, decide_on_fill=0)
    moved(world)
    tell(world, Kind.ORDER_ACKNOWLEDGED, side=BUY, price_ticks=999, size_lots=1000, aux0=7)
    assert world.active()[0]["state"] == OrderState.REPLACING
    assert world.position()["open_buy_lots"] == 2000
    tell(world, Kind.ORDER_ACKNOWLEDGED, side=BUY, price_ticks=998, size_lots=1000, aux0=8)
    assert world.active()[["state", "price_ticks"]].tolist() == [(OrderState.OPEN, 998)]
    assert world.position()["open_buy_lots"] == 1000


def test_the_exposure_of_a_decision_counts_its_modifications():
    """2.5 USDC, a USDC each: the second modification would be the fourth order."""
    world = resting(Quote(BUY, 999), Quote(BUY, 990), amend=1, exposure_micro_max=3_500_000)
    world.quotes(Quote(BUY, 998), Quote(BUY, 989))
    assert [command.kind for command in world.decide()] == ["MODIFY", "CANCEL"]
    assert world.row["exposure_micro"] <= 3_500_000 < 4 * USDC


def test_our_own_book_level_does_not_hold_what_is_not_there_yet():
    world = resting(Quote(BUY, 990), amend=1)
    world.data.books["contains_own"] = 1
    world.data.books[0]["best_bid_ticks"], world.data.books[0]["best_bid_lots"] = 990, 1500
    world.quotes(Quote(BUY, 989))
    world.decide()
    level = world.data.levels[0, world.data.books[0]["front"], 0]
    level[0]["price_ticks"], level[0]["size_lots"] = 990, 1500
    world.data.books[0]["bid_count"] = 1
    world.decide()
    assert (world.lane.views[0]["best_bid_ticks"], world.lane.views[0]["best_bid_lots"]) == (990, 500)


@settings(max_examples=60)
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(
        st.sampled_from(["fill", "unaware", "late", "unknown", "ack", "failed", "refused", "amend", "cancelled"]),
        max_size=10,
    ),
)
def test_whatever_becomes_of_modifications_what_counts_covers_what_can_fill(lots, by, news):
    """The truth beside the table: what rests or may rest of either placement never exceeds what is counted."""
    table = Table()
    order_id = table.placed(lots=lots)
    orders.request_amend(table.position, table.orders, order_id & 1023, 101, min(by, lots), 99)
    old, new, filled, ticks, other = lots, min(by, lots), 0, 101, 102
    for what in news:
        if table.state(order_id) >= OrderState.DONE_FILLED:
            break
        if what == "fill" and old + new > 1:
            old, new = (old - 1, new) if old > 0 else (old, new - 1)
            filled += 1
            table.apply(Kind.ORDER_FILLED, order_id, lots=1, left=old + new)
        elif what == "unaware" and table.state(order_id) == OrderState.REPLACING and old > 1:
            old, filled = old - 1, filled + 1
            table.apply(Kind.ORDER_FILLED, order_id, lots=1, left=old)
        elif what == "unknown":
            table.apply(Kind.ORDER_UNKNOWN, order_id)
        elif what == "late" and table.state(order_id) == OrderState.REPLACING and old > 0:
            price = int(table.orders[order_id & 1023]["price_ticks"])
            table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, ticks=price, lots=old)
            assert table.state(order_id) == OrderState.REPLACING
        elif what == "ack" and new > 0:
            old = 0
            table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, ticks=ticks, lots=new)
        elif what in ("failed", "refused") and table.state(order_id) == OrderState.REPLACING and old > 0:
            new = 0
            kind = Kind.COMMAND_SEND_FAILED if what == "failed" else Kind.CANCEL_REJECTED
            table.apply(kind, order_id, left=0)
        elif what == "amend" and orders.may_amend(table.orders, order_id & 1023):
            old, new, ticks, other = old + new, 1, other, ticks
            orders.request_amend(table.position, table.orders, order_id & 1023, ticks, 1, 0)
        elif what == "cancelled":
            old = new = 0
            table.apply(Kind.ORDER_CANCELLED, order_id)
        assert table.open_lots() == (old + new, 0)
        assert table.position["position_lots"] == filled
    table.check_sums()
    assert table.row["illegal_transitions"] == 0
