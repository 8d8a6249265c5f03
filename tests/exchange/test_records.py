"""What the exchange remembers, block after block."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.events import EventKind
from hlhft.exchange.fill_records import HASH_NONE
from hlhft.exchange.memory import RecordSettings
from hlhft.exchange.records import Records
from hlhft.units import MICRO
from hlhft.venue.adl import DELEVERAGED, INTO_BOOK, TAKEN_OVER
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, Grouping, TriggerKind
from hlhft.venue.refusals import Refusal
from tests.exchange.hall import ALO, ANN, BOB, BTC, BUY, CAT, GTC, IOC, LISTING, PURR, SELL, Hall, Told, address, event

CLOID = "0x00030050c6301a2b00000100000000d2"


def statuses(hall: Hall, account: int) -> list[tuple[int, str, int]]:
    """(order, status, lots) of the latest block."""
    return [(update.order.oid, update.status, update.lots) for update in hall.changes.orders.get(account, [])]


def hall_with_asks(*asks: tuple[str, str]) -> Hall:
    hall = Hall().mark("80000")
    for price, size in asks:
        hall.place(BOB, SELL, price, size, ALO)
    hall.run()
    return hall


# Orders.


def test_a_resting_order_is_open_and_a_cancelled_one_canceled():
    hall = Hall().mark("80000")
    hall.place(ANN, BUY, "79000", "0.5", ALO, cloid=CLOID).run()
    assert statuses(hall, ANN) == [(1, "open", 50_000)]
    order = hall.records.order(ANN, 1)
    assert order is not None
    assert (order.tif, order.cloid, order.placed_ms, order.status) == ("Alo", CLOID, hall.now_ms, "open")
    assert hall.records.order_by_client_id(ANN, 1) is order
    assert list(hall.records.account(ANN).open) == [1]
    hall.cancel(ANN, 1).run()
    assert statuses(hall, ANN) == [(1, "canceled", 50_000)]
    assert hall.records.account(ANN).open == {}
    assert order.status_ms == hall.now_ms
    assert hall.changes.ended == {}


def test_a_listener_hears_of_everything_in_its_order_and_because_of_which_leg():
    hall, told = Hall().mark("80000"), Told()
    hall.records = Records(LISTING, hall.people, RecordSettings(tells_partial_fills=False), listener=told)
    hall.place(BOB, SELL, "80000", "0.2", ALO).place(ANN, BUY, "80000", "0.3", GTC).run()
    assert told.heard[:2] == [("order", 1, "open", 0), ("order", 2, "open", 1)]
    assert told.heard[2:] == [("fill", 2, 20_000), ("trade", 1), ("fill", 1, 20_000), ("order", 1, "filled", 1)]


def test_an_order_of_before_the_first_block_is_no_news_and_what_rests_without_a_leg_is_good_till_cancelled():
    hall, told = Hall().mark("80000"), Told()
    hall.place(ANN, BUY, "79000", "0.5", ALO, cloid=CLOID).run()
    order = hall.records.orders[1]
    hall.records = Records(LISTING, hall.people, listener=told)
    hall.records.remember(order)
    assert hall.records.order_by_client_id(ANN, 1) is order
    hall.take(event(EventKind.ORDER_ACKNOWLEDGED, account=BOB, market=BTC, venue_order_id=9, side=BUY, size_lots=5))
    hall.cancel(ANN, 1).run()
    assert told.heard == [("order", 9, "open", -1), ("order", 1, "canceled", 0)]
    assert hall.records.orders[9].tif == "Gtc"


def test_an_order_is_its_owners_only():
    hall = hall_with_asks(("80000", "1"))
    assert hall.records.order(BOB, 1) is not None
    assert hall.records.order(ANN, 1) is None
    assert hall.records.order(BOB, 99) is None
    assert hall.records.order_by_client_id(BOB, 5) is None


def test_a_rejected_order_is_told_with_its_whole_size_and_its_reason():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "0.3", ALO).place(ANN, BUY, "79000", "0.2", IOC).run()
    assert statuses(hall, ANN) == [(2, "badAloPxRejected", 30_000), (3, "iocCancelRejected", 20_000)]
    assert hall.records.account(ANN).open == {}


def test_an_order_without_an_id_is_not_remembered():
    hall = Hall().mark("80000")
    hall.place(ANN, BUY, "0", "0.3", GTC).run()
    assert hall.changes.orders == {}


def test_an_order_that_takes_at_once_is_open_and_then_filled():
    hall = hall_with_asks(("80000", "1"), ("80001", "1"))
    hall.place(ANN, BUY, "80001", "1.5", GTC).run()
    assert statuses(hall, ANN) == [(3, "open", 150_000), (3, "filled", 0)]
    assert statuses(hall, BOB) == [(1, "filled", 0), (2, "open", 50_000)]


def test_what_a_taker_leaves_rests_and_is_told_with_what_is_left():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "1.5", GTC).run()
    assert statuses(hall, ANN) == [(2, "open", 150_000), (2, "open", 50_000)]
    order = hall.records.order(ANN, 2)
    assert order is not None
    assert (order.lots, order.lots_original) == (50_000, 150_000)


def test_partial_fills_are_told_only_where_that_is_set():
    hall = Hall(settings=RecordSettings(tells_partial_fills=False)).mark("80000")
    hall.place(BOB, SELL, "80000", "1", ALO).run()
    hall.place(ANN, BUY, "80000", "0.5", GTC).run()
    assert statuses(hall, BOB) == []
    order = hall.records.order(BOB, 1)
    assert order is not None and order.lots == 50_000


def test_an_ioc_that_was_filled_in_part_ends_as_it_is_set():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "1.5", IOC).run()
    assert statuses(hall, ANN) == [(2, "open", 150_000), (2, "filled", 50_000)]


def test_a_modify_cancels_the_old_order_and_opens_a_post_only_one():
    hall = Hall().mark("80000")
    hall.place(ANN, BUY, "79000", "0.5", ALO).run()
    fields = {"account": ANN, "market": BTC, "side": BUY, "price_ticks": 791_000, "size_lots": 7, "time_in_force": GTC}
    hall.leg(kind=ActionKind.MODIFY, target_id=1, **fields).run()
    assert statuses(hall, ANN) == [(1, "canceled", 50_000), (2, "open", 7)]
    order = hall.records.order(ANN, 2)
    assert order is not None and order.tif == "Alo"
    hall.leg(kind=ActionKind.MODIFY, target_id=2, always_place=1, **fields).run()
    order = hall.records.order(ANN, 3)
    assert order is not None and order.tif == "Gtc"


def test_an_own_order_in_the_way_is_ended_and_told_as_not_the_owners_wish():
    hall = hall_with_asks(("80000", "1"))
    hall.place(BOB, BUY, "80000", "1", GTC).run()
    assert statuses(hall, BOB) == [(1, "selfTradeCanceled", 100_000), (2, "open", 100_000)]
    assert hall.changes.ended == {BOB: [{"coin": "BTC", "oid": 1}]}


def test_a_reduce_only_order_that_shrinks_is_told_with_its_new_size_and_ends_when_flat():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "1", GTC).run()
    hall.place(ANN, SELL, "81000", "1", ALO, reduce_only=1).run()
    hall.place(BOB, BUY, "79000", "0.4", ALO).run()
    hall.place(ANN, SELL, "79000", "0.4", IOC).run()
    assert (3, "open", 60_000) in statuses(hall, ANN)
    order = hall.records.order(ANN, 3)
    assert order is not None
    assert (order.lots, order.lots_original, order.reduce_only) == (60_000, 100_000, True)
    hall.place(BOB, BUY, "79000", "0.6", ALO).run()
    hall.place(ANN, SELL, "79000", "0.6", IOC).run()
    assert (3, "reduceOnlyCanceled", 60_000) in statuses(hall, ANN)
    assert hall.changes.ended == {}


def test_a_market_order_of_the_front_end_is_called_one():
    hall = hall_with_asks(("80000", "1"))
    legs = np.zeros(1, ACTION_DTYPE)
    legs["account"], legs["side"], legs["price_ticks"], legs["size_lots"], legs["time_in_force"] = ANN, 1, 9, 5, 3
    refused = event(EventKind.ORDER_REJECTED, account=ANN, venue_order_id=9, side=1, aux0=Refusal.NO_LIQUIDITY, leg=0)
    hall.take(refused, legs)
    order = hall.records.order(ANN, 9)
    assert order is not None
    assert (order.tif, order.order_type, order.status) == ("FrontendMarket", "Market", "marketOrderNoLiquidityRejected")


def test_finished_orders_are_forgotten_oldest_first_and_open_ones_never():
    hall = Hall(settings=RecordSettings(orders_finished_max=2, statuses_max=3)).mark("80000")
    hall.place(ANN, BUY, "79000", "0.5", ALO, cloid=CLOID).run()
    for number in range(4):
        hall.place(ANN, BUY, "78000", "0.5", IOC, cloid=f"0x{number:032x}").run()
    assert hall.records.forgotten == 2
    assert [hall.records.order(ANN, oid) is not None for oid in range(1, 6)] == [True, False, False, True, True]
    assert hall.records.order_by_client_id(ANN, 2) is None
    assert len(hall.records.account(ANN).statuses) == 3


# Orders that wait.


def waiting_legs() -> np.ndarray:
    """A parent and its take profit and stop."""
    legs = np.zeros(3, ACTION_DTYPE)
    legs["action"], legs["account"], legs["grouping"] = 1, ANN, Grouping.NORMAL_TPSL
    legs["side"] = [1, -1, -1]
    legs["price_ticks"] = [790_000, 700_000, 600_000]
    legs["size_lots"] = 100
    legs["time_in_force"] = GTC
    legs["kind"][1:] = ActionKind.PLACE_TRIGGER
    legs["trigger_kind"] = [0, TriggerKind.TAKE_PROFIT, TriggerKind.STOP_LOSS]
    legs["trigger_ticks"] = [0, 900_000, 700_000]
    legs["trigger_is_market"] = [0, 1, 0]
    legs["reduce_only"][1:] = 1
    return legs


def waiting(oid: int, leg: int) -> np.ndarray:
    return event(EventKind.ORDER_WAITING, account=ANN, venue_order_id=oid, side=-1, size_lots=100, leg=leg)


def with_waiting() -> Hall:
    hall = Hall().mark("80000")
    parent = event(
        EventKind.ORDER_ACKNOWLEDGED, account=ANN, venue_order_id=1, side=1, size_lots=100, price_ticks=790_000, leg=0
    )
    hall.take(np.concatenate([parent, waiting(2, 1), waiting(3, 2)]), waiting_legs())
    return hall


def test_children_wait_open_and_are_named_by_their_parent():
    hall = with_waiting()
    assert statuses(hall, ANN) == [(1, "open", 100), (2, "open", 100), (3, "open", 100)]
    parent, profit, stop = (hall.records.order(ANN, oid) for oid in (1, 2, 3))
    assert parent is not None and profit is not None and stop is not None
    assert parent.children == [profit, stop]
    assert (profit.order_type, profit.trigger_condition, profit.tif) == (
        "Take Profit Market",
        "Price above 90000",
        None,
    )
    assert (stop.order_type, stop.trigger_condition) == ("Stop Limit", "Price below 70000")
    assert profit.is_trigger and profit.reduce_only and not profit.is_position_tpsl
    hall.take(waiting(2, -1))  # armed: nothing new is said
    assert hall.changes.orders == {}


def test_a_trigger_fires_and_goes_on_as_an_order_under_the_same_id():
    hall = with_waiting()
    rests = event(EventKind.ORDER_ACKNOWLEDGED, account=ANN, venue_order_id=3, side=-1, size_lots=100)
    ended = event(EventKind.ORDER_CANCELLED, account=ANN, venue_order_id=2, size_lots=100, aux0=Refusal.SIBLING_FILLED)
    fired = event(EventKind.ORDER_TRIGGERED, account=ANN, venue_order_id=3)
    hall.take(np.concatenate([fired, rests, ended]))
    assert statuses(hall, ANN) == [
        (3, "triggered", 100),
        (3, "open", 100),
        (2, "siblingFilledCanceled", 100),
    ]
    order = hall.records.order(ANN, 3)
    assert order is not None and order.tif == "Gtc"
    assert hall.changes.ended == {ANN: [{"coin": "BTC", "oid": 2}]}


def test_a_market_trigger_keeps_no_time_in_force():
    hall = with_waiting()
    hall.take(event(EventKind.ORDER_TRIGGERED, account=ANN, venue_order_id=2))
    order = hall.records.order(ANN, 2)
    assert order is not None and order.tif is None and order.status == "triggered"


def test_the_orders_of_a_position_say_so_and_have_no_parent():
    hall = Hall()
    legs = waiting_legs()[1:]
    legs["grouping"] = Grouping.POSITION_TPSL
    hall.take(np.concatenate([waiting(2, 0), waiting(3, 1)]), legs)
    order = hall.records.order(ANN, 2)
    assert order is not None and order.is_position_tpsl


def test_events_about_orders_that_nobody_remembers_change_nothing():
    hall = Hall()
    kinds = (EventKind.ORDER_CANCELLED, EventKind.ORDER_EXPIRED, EventKind.ORDER_TRIGGERED, EventKind.SIGNAL)
    hall.take(np.concatenate([event(kind, account=ANN, venue_order_id=77) for kind in kinds]))
    assert hall.changes.orders == {}


# Fills and trades.


def test_both_sides_of_a_trade_are_remembered_with_the_takers_transaction():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "0.5", GTC).run()
    bought, sold = hall.records.account(ANN).fills[-1], hall.records.account(BOB).fills[-1]
    assert bought.hash == sold.hash == hall.block.hashes[0]
    assert bought.trade_id == sold.trade_id
    assert (bought.crossed, sold.crossed) == (True, False)
    assert bought.fee_micro == 40_000 * 450  # 4.5 bp of 40,000 USDC
    assert sold.fee_micro == 40_000 * 150
    trade = hall.records.markets[BTC].trades[-1]
    assert (trade.aggressor, trade.lots, trade.buyer, trade.seller) == (1, 50_000, address(ANN), address(BOB))
    assert hall.changes.trades[BTC] == [trade]
    hall.place(BOB, BUY, "79000", "1", ALO).run()
    hall.place(ANN, SELL, "79000", "0.1", IOC).run()
    trade = hall.records.markets[BTC].trades[-1]
    assert (trade.aggressor, trade.buyer, trade.seller) == (-1, address(BOB), address(ANN))


def test_profits_are_those_of_the_average_price_and_gross_of_fees():
    hall = hall_with_asks(("80000", "1"), ("80100", "1"))
    hall.place(ANN, BUY, "80100", "2", IOC).run()
    hall.place(BOB, BUY, "80250", "3", ALO).run()
    hall.place(ANN, SELL, "80250", "3", IOC).run()
    fill = hall.records.account(ANN).fills[-1]
    assert (fill.start_lots, fill.closed_quanta) == (200_000, 400 * MICRO)  # bought at 80,050
    assert fill.shape()["dir"] == "Long > Short"
    assert hall.records.account(ANN).entries[BTC].lots == -100_000


def test_volumes_candles_and_the_last_price_follow_the_trades():
    hall = hall_with_asks(("80000", "1"))
    hall.place(ANN, BUY, "80000", "0.5", GTC).run()
    market = hall.records.markets[BTC]
    day = hall.now_ms - hall.now_ms % 86_400_000
    assert market.last_ticks == 800_000
    assert (market.day.quanta, market.day.lots) == (40_000 * MICRO, 50_000)
    assert market.candles.between("1m", 0, 2**53)[0]["n"] == 1
    assert hall.records.account(ANN).volumes.on(day) == (40_000 * MICRO, 0)
    assert hall.records.account(BOB).volumes.on(day) == (0, 40_000 * MICRO)
    assert hall.records.volumes.on(day) == (40_000 * MICRO, 0)


def test_accounts_that_are_ignored_move_the_market_and_leave_no_trace():
    hall = Hall().mark("80000")
    hall.records.ignore([BOB])
    hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, SELL, "80000", "1", IOC).run()
    hall.place(ANN, BUY, "80000", "0.5", GTC).run()
    hall.cancel(BOB, 1).run()
    hall.place(BOB, SELL, "80000", "1", ALO).run()
    hall.place(BOB, BUY, "80000", "1.5", IOC).run()
    assert len(hall.records.account(ANN).fills) == 1
    assert not hall.records.account(BOB).fills
    assert not hall.records.account(BOB).statuses
    assert len(hall.records.markets[BTC].trades) == 1
    told = [
        event(EventKind.ORDER_EXPIRED, account=BOB, venue_order_id=2),
        event(EventKind.ORDER_WAITING, account=BOB, venue_order_id=50),
        event(EventKind.TWAP_STATE, account=BOB, order_id=1),
        event(EventKind.FUNDING_PAYMENT, account=BOB, aux0=5),
        event(EventKind.LIQUIDATION, account=BOB),
    ]
    changes = hall.take(np.concatenate(told))
    assert not any([changes.orders, changes.twaps, changes.fundings, changes.liquidations])


def test_a_position_that_was_moved_otherwise_is_taken_as_the_fill_says():
    hall = Hall()
    side = {"market": BTC, "venue_order_id": 1, "side": -1, "price_ticks": 900_000, "size_lots": 10, "leg": -1}
    hall.take(event(EventKind.ORDER_FILLED, account=ANN, start_position_lots=30, flags=9, aux0=1, **side))
    fill = hall.records.account(ANN).fills[-1]
    assert (fill.start_lots, fill.closed_quanta) == (30, 0)  # it is taken to have come at this price
    assert hall.records.account(ANN).entries[BTC].lots == 20


def test_spot_is_bought_and_sold_and_its_profit_has_eight_decimals():
    hall = Hall()
    leg = {"market": PURR, "venue_order_id": 1, "price_ticks": 150, "size_lots": 3, "aux0": 0, "leg": -1}
    hall.take(event(EventKind.ORDER_FILLED, account=ANN, side=1, **leg))
    leg |= {"venue_order_id": 2, "price_ticks": 200}
    hall.take(event(EventKind.ORDER_FILLED, account=ANN, side=-1, start_position_lots=3, **leg))
    shape = hall.records.account(ANN).fills[-1].shape()
    assert (shape["dir"], shape["closedPnl"]) == ("Sell", "0.0000015")


# The venue's own doing.


def forced(account: int, *, order: int, maker: int, lots: int = 10, trade: int = 5, twap_id: int = 0) -> np.ndarray:
    """A sale that the venue forces on `account`, to `maker`."""
    common = {"price_ticks": 800_000, "size_lots": lots, "trade_id": trade}
    buyer = event(
        EventKind.ORDER_FILLED, account=maker, side=1, venue_order_id=order and 70, flags=9 if order else 1, **common
    )
    seller = event(
        EventKind.ORDER_FILLED,
        account=account,
        side=-1,
        venue_order_id=order,
        flags=1,
        aux0=2,
        twap_id=twap_id,
        **common,
    )
    return np.concatenate([buyer, seller])


def liquidation(account: int, how: int) -> np.ndarray:
    return event(EventKind.LIQUIDATION, account=account, price_ticks=801_000, size_lots=10, aux0=how, aux1=7 * MICRO)


def test_both_sides_of_a_forced_sale_say_that_it_was_one():
    hall = Hall()
    hall.take(np.concatenate([liquidation(ANN, INTO_BOOK), forced(ANN, order=71, maker=BOB)]))
    for account in (ANN, BOB):
        shape = hall.records.account(account).fills[-1].shape()
        assert shape["liquidation"] == {"liquidatedUser": address(ANN), "markPx": "80100.0", "method": "market"}
    assert statuses(hall, ANN) == [(71, "open", 12), (71, "filled", 2)]
    order = hall.records.order(ANN, 71)
    assert order is not None and (order.tif, order.order_type) == ("LiquidationMarket", "Market")
    assert hall.changes.liquidations == {
        ANN: [
            {
                "lid": 1,
                "liquidator": address(0),
                "liquidated_user": address(ANN),
                "liquidated_ntl_pos": "8.01",
                "liquidated_account_value": "7.0",
            }
        ]
    }


def test_a_position_that_is_taken_over_is_filled_without_an_order_and_is_no_trade_of_the_market():
    hall = Hall()
    hall.take(np.concatenate([liquidation(ANN, TAKEN_OVER), forced(ANN, order=0, maker=BOB)]))
    fill = hall.records.account(ANN).fills[-1]
    assert (fill.oid, fill.liquidation and fill.liquidation.method) == (0, "backstop")
    assert hall.changes.orders == {}
    assert hall.changes.trades == {}


def test_who_is_deleveraged_is_not_told_to_be_liquidated():
    hall = Hall()
    hall.take(liquidation(CAT, DELEVERAGED))
    assert hall.changes.liquidations == {}


def test_slices_of_a_twap_carry_its_number_and_the_empty_hash():
    hall = Hall()
    legs = np.zeros(1, ACTION_DTYPE)
    legs["kind"], legs["account"], legs["side"] = ActionKind.PLACE_TWAP, ANN, -1
    legs["size_lots"], legs["duration_ns"], legs["randomize"] = 100, 300 * 10**9, 1
    begun = event(EventKind.TWAP_STATE, account=ANN, order_id=6, side=-1, leg=0)
    hall.take(begun, legs)
    assert [status.request.minutes for status in hall.changes.twaps[ANN]] == [5]
    assert list(hall.records.account(ANN).latest_twaps) == [6]
    on = event(EventKind.TWAP_STATE, account=ANN, order_id=6, side=-1, size_lots=10, aux1=8 * MICRO)
    hall.take(np.concatenate([forced(ANN, order=71, maker=BOB, twap_id=6), on]))
    fill = hall.records.account(ANN).fills[-1]
    assert (fill.twap_id, fill.hash, fill.liquidation) == (6, HASH_NONE, None)
    assert hall.records.account(BOB).fills[-1].twap_id is None
    done = event(EventKind.TWAP_STATE, account=ANN, order_id=6, side=-1, size_lots=100, aux0=1)
    hall.take(np.concatenate([forced(ANN, order=72, maker=BOB, trade=6, twap_id=6), done]))
    assert hall.records.account(ANN).latest_twaps == {}
    assert [status.state for status in hall.records.account(ANN).twaps] == [0, 0, 1]
    hall.take(done)  # of a TWAP that nobody remembers
    assert hall.changes.twaps == {}


def test_a_twap_and_a_liquidation_of_one_account_are_told_apart():
    hall = Hall()
    legs = np.zeros(1, ACTION_DTYPE)
    legs["kind"], legs["account"] = ActionKind.PLACE_TWAP, ANN
    hall.take(event(EventKind.TWAP_STATE, account=ANN, order_id=6, leg=0), legs)
    on = event(EventKind.TWAP_STATE, account=ANN, order_id=6)
    slice_, sale = forced(ANN, order=71, maker=BOB, twap_id=6), forced(ANN, order=72, maker=BOB, trade=6)
    other = forced(CAT, order=73, maker=BOB, trade=7)
    hall.take(np.concatenate([other, slice_, on, liquidation(ANN, INTO_BOOK), sale]))
    first, second = hall.records.account(ANN).fills
    assert (first.twap_id, first.liquidation) == (6, None)
    assert second.twap_id is None and second.liquidation is not None
    assert hall.records.account(CAT).fills[-1].liquidation is None


def test_funding_is_remembered_by_account_and_position():
    hall = Hall()
    paid = event(EventKind.FUNDING_PAYMENT, account=ANN, market=BTC, aux0=-5, aux1=12_500_000, size_lots=30)
    hall.take(paid)
    payment = hall.records.account(ANN).fundings[-1]
    assert (payment.amount_micro, payment.lots, payment.rate_e12) == (-5, 30, 12_500_000)
    assert hall.records.account(ANN).entries[BTC].funding_paid_micro == 5
    assert hall.changes.fundings == {ANN: [payment]}


def test_the_rate_of_an_hour_is_remembered_once():
    hall = Hall()
    price = hall.chain.prices[BTC]
    hall.run()
    price["rate_ns"], price["hourly_rate_e12"], price["premium_e12"] = hall.now_ns, 12_500_000, -300
    hall.take(np.zeros(0, hall.block.events.dtype))
    hall.take(np.zeros(0, hall.block.events.dtype))
    assert list(hall.records.markets[BTC].rates) == [(hall.now_ms, 12_500_000, -300)]
    price["rate_ns"], price["hourly_rate_e12"] = hall.now_ns + 1, -(2**62)
    hall.take(np.zeros(0, hall.block.events.dtype))
    assert len(hall.records.markets[BTC].rates) == 1


def test_money_that_comes_goes_and_moves_is_in_the_ledger():
    hall = Hall()
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=50 * MICRO).run()
    hall.leg(kind=ActionKind.WITHDRAW, account=ANN, amount=20 * MICRO).run()
    hall.leg(kind=ActionKind.TRANSFER_COLLATERAL, account=ANN, counterparty=BOB, amount=MICRO).run()
    kinds = [record.delta["type"] for record in hall.records.account(ANN).ledger]
    assert kinds == ["deposit", "withdraw", "internalTransfer"]
    assert hall.records.account(ANN).deposited_micro == 30 * MICRO
    assert list(hall.changes.ledger) == [ANN, BOB]
    hall.records.ignore([BOB])
    hall.leg(kind=ActionKind.DEPOSIT, account=BOB, amount=MICRO).run()
    assert hall.changes.ledger == {}
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=-MICRO).run()  # refused
    assert hall.changes.ledger == {}
    hall.take(event(EventKind.ACTION_DONE, account=ANN))
    assert hall.changes.ledger == {}


# With the kernel's own orders that wait.


def test_a_parent_is_filled_its_stop_fires_and_its_take_profit_goes():
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, BUY, "70000", "5", ALO).run()
    hall.place(ANN, BUY, "80000", "1", GTC, grouping=Grouping.NORMAL_TPSL)
    child = {
        "account": ANN,
        "market": BTC,
        "side": SELL,
        "size_lots": 100_000,
        "reduce_only": 1,
        "trigger_is_market": 1,
    }
    for kind, ticks, worst in ((TriggerKind.TAKE_PROFIT, 900_000, 810_000), (TriggerKind.STOP_LOSS, 750_000, 675_000)):
        child |= {"trigger_kind": kind, "trigger_ticks": ticks, "price_ticks": worst, "grouping": Grouping.NORMAL_TPSL}
        hall.leg(same_action=True, kind=ActionKind.PLACE_TRIGGER, **child)
    hall.run()
    assert statuses(hall, ANN) == [(3, "open", 100_000), (3, "filled", 0), (4, "open", 100_000), (5, "open", 100_000)]
    hall.leg(kind=ActionKind.ORACLE_PRICE, market=BTC, price_ticks=740_000).run(after_ns=4 * 10**9)
    assert statuses(hall, ANN) == [(5, "triggered", 100_000), (5, "filled", 0), (4, "siblingFilledCanceled", 100_000)]
    fill = hall.records.account(ANN).fills[-1]
    assert (fill.oid, fill.ticks, fill.closed_quanta, fill.hash) == (5, 700_000, -10_000 * MICRO, HASH_NONE)
    assert hall.records.account(ANN).open == {}


def test_a_twap_runs_to_its_end_in_slices():
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80000", "100", ALO).place(BOB, BUY, "79999", "100", ALO).run()
    twap = {"account": ANN, "market": BTC, "side": BUY, "size_lots": 1_000_000, "duration_ns": 300 * 10**9}
    hall.leg(kind=ActionKind.PLACE_TWAP, **twap).run()
    for _ in range(10):
        assert list(hall.records.account(ANN).latest_twaps) == [1]
        hall.run(after_ns=30 * 10**9)
    records = hall.records.account(ANN)
    assert records.latest_twaps == {}
    assert sum(fill.lots for fill in records.fills) == 1_000_000
    assert {fill.twap_id for fill in records.fills} == {1}
    assert {fill.twap_id for fill in hall.records.account(BOB).fills} == {None}
    assert (records.twaps[-1].state, records.twaps[-1].executed_micro) == (1, 800_000 * MICRO)
    assert records.open == {}


def test_who_falls_short_is_sold_out_and_both_sides_are_told():
    hall = Hall(leverage=20).mark("80000")
    hall.chain.exchange.collateral[ANN] = 4_100 * MICRO
    hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, BUY, "76700", "5", ALO).run()
    hall.place(ANN, BUY, "80000", "1", IOC).run()
    for kind in (ActionKind.ORACLE_PRICE, ActionKind.EXTERNAL_MARK):
        hall.leg(kind=kind, market=BTC, price_ticks=768_000)
    hall.run(after_ns=4 * 10**9)
    assert hall.changes.liquidations[ANN][0]["liquidated_user"] == address(ANN)
    notes = [hall.records.account(account).fills[-1].liquidation for account in (ANN, BOB)]
    assert notes[0] is not None and notes[0] is notes[1]
    assert (notes[0].user, notes[0].method) == (address(ANN), "market")
    order = hall.records.order(ANN, hall.records.account(ANN).fills[-1].oid)
    assert order is not None and order.tif == "LiquidationMarket"
    assert hall.records.account(ANN).open == {}


# Whatever happens.

LEGS = st.lists(
    st.tuples(
        st.sampled_from([ANN, BOB, CAT]),
        st.sampled_from([BUY, SELL]),
        st.integers(79_990, 80_010),
        st.integers(1, 40),
        st.sampled_from([ALO, GTC, IOC]),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=25)
@given(st.lists(LEGS, max_size=4))
def test_what_is_remembered_is_what_the_kernel_holds(blocks):
    hall = Hall().mark("80000")
    for legs in blocks:
        for account, side, price, hundredths, tif, reduce_only in legs:
            hall.place(account, side, str(price), f"0.{hundredths:02}", tif, reduce_only=int(reduce_only))
        hall.run()
    exchange = hall.chain.exchange
    resting = {int(order["order_id"]): int(order["remaining_lots"]) for order in exchange.orders if order["order_id"]}
    for account in (ANN, BOB, CAT):
        records = hall.records.account(account)
        mine = {oid: order.lots for oid, order in records.open.items()}
        held = [
            int(order["order_id"]) for order in exchange.orders if order["order_id"] and order["account"] == account
        ]
        assert mine == {oid: resting[oid] for oid in held}
        holding = exchange.holdings[account, BTC]
        entry = records.entry(BTC)
        assert entry.lots == holding["position_lots"]
        realised = sum(fill.closed_quanta for fill in records.fills)
        signed = entry.basis_quanta * (1 if entry.lots > 0 else -1)
        assert holding["cash_quanta"] == realised - signed
        assert sum(fill.fee_micro for fill in records.fills) == holding["fee_micro"]
