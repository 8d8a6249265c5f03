"""From a quote to a command: what the wire needs, and where gate, budgets, table and answer say no."""

from __future__ import annotations

from hlhft.core.risk import RiskRefusal
from hlhft.core.state import ORDERS_PER_MARKET, CommandClass, OrderState
from hlhft.events import EventKind as Kind
from hlhft.units import MarketKind
from tests.core.worlds import ALO, BUY, GTC, SECOND, SELL, USDC, Command, Quote, World, resting


def test_commands_carry_what_the_wire_needs():
    world = World(expires_after_ns=14 * SECOND)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1002, 7, time_in_force=GTC))
    world.decide()
    alo, other = world.raw
    assert (alo["command_class"], alo["time_in_force"]) == (CommandClass.ALO, ALO)
    assert (other["command_class"], other["time_in_force"]) == (CommandClass.OTHER, GTC)
    for command, order in zip(world.raw, world.active(), strict=True):
        assert command["order_id"] == order["order_id"] != 0
        assert command["batch_id"] == order["batch_id"] != 0
        assert command["expires_ns"] == order["expires_ns"] == world.now + 14 * SECOND
        assert command["ts_ns"] == order["sent_ns"] == world.now
    world.acknowledge()
    world.quotes()
    world.decide()
    assert world.raw["command_class"].tolist() == [CommandClass.CANCEL] * 2
    assert world.raw["expires_ns"].tolist() == [0, 0]
    assert world.row["cancelled"] == 2


def test_the_orders_of_one_decision_share_the_exposure_cap():
    """2.5 USDC, an order of 1 USDC each: the first two pass, bids and offers apart."""
    world = World(markets=2, exposure_micro_max=2_500_000)
    quotes = [Quote(BUY, 999 - level, market=market) for level in range(3) for market in range(2)]
    world.quotes(*quotes)
    assert [command.ticks for command in world.decide()] == [999, 999]
    assert world.row["refusals"][RiskRefusal.EXPOSURE_LIMIT] == 4
    assert world.row["exposure_micro"] == 2 * 1001 * 1000
    # Offers are another worst case: all bought or all sold.
    world.acknowledge(0)
    world.acknowledge(1)
    world.quotes(*quotes, Quote(SELL, 1001), Quote(SELL, 1002))
    assert world.decide() == [Command("PLACE", SELL, 1001, 1000)]


def test_what_does_not_fit_into_the_answer_is_refused_or_comes_later():
    world = World()
    world.out = world.out[:2]
    world.quotes(*[Quote(BUY, 999 - level) for level in range(3)])
    assert len(world.decide()) == 2
    assert world.row["refusals"][RiskRefusal.TABLE_FULL] == 1
    assert len(world.decide()) == 1
    world.acknowledge()
    world.quotes()
    assert [command.ticks for command in world.decide()] == [999, 998]
    assert [command.ticks for command in world.decide()] == [997]


def test_a_full_order_table_refuses():
    world = World()
    world.position()["active_count"] = ORDERS_PER_MARKET
    world.quotes(Quote(BUY, 999))
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.TABLE_FULL] == 1


def test_a_close_is_tried_even_with_a_used_up_budget():
    world = World(address_enforced=1)
    world.hold(500)
    world.decide()
    world.row["address_actions"] = 10_000
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == [Command("PLACE", SELL, 950, 500)]


def test_even_cancels_end_with_the_budget():
    world = resting(Quote(BUY, 999), address_enforced=1)
    world.row["address_actions"] = 20_000
    world.quotes()
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.BUDGET] == 1
    assert world.active()[0]["state"] == OrderState.OPEN
    world.row["address_actions"] = 10_000
    world.hold(50)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001))
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.BUDGET] == 2


def test_reduce_only_quotes_become_reduce_only_orders():
    world = World()
    world.position()["position_lots"] = 50
    world.quotes(Quote(SELL, 1001, 80, reduce_only=1))
    assert world.decide() == [Command("PLACE", SELL, 1001, 50)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (1, 1)


def test_what_is_too_small_to_open_a_position_is_reduce_only():
    """What it closes may be gone when it arrives: then the venue would refuse it, or it would open one."""
    world = World()
    world.data.markets["minimum_notional_micro"] = 10 * USDC
    world.position()["position_lots"] = 50
    world.quotes(Quote(SELL, 1001, 50))
    assert world.decide() == [Command("PLACE", SELL, 1001, 50)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (1, 1)
    world = World()
    world.data.markets["minimum_notional_micro"] = 10 * USDC
    world.position()["position_lots"] = 10_000
    world.quotes(Quote(SELL, 1001, 10_000))
    assert world.decide() == [Command("PLACE", SELL, 1001, 10_000)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (0, 0)


def test_on_spot_no_order_is_reduce_only_at_the_venue():
    """Nothing can be short there; our own row keeps what the order is for."""
    world = World()
    world.data.markets["kind"] = int(MarketKind.SPOT)
    world.position()["position_lots"] = 50
    world.quotes(Quote(SELL, 1001, 80, reduce_only=1))
    assert world.decide() == [Command("PLACE", SELL, 1001, 50)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (0, 1)
