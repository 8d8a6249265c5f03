"""One block of the whole venue: what comes first, and that every leg is answered."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.units import TICKS_MAX
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.chain import LEG_FIELDS, run_block
from hlhft.venue.fee_tiers import DAY_NS, DAYS
from hlhft.venue.refusals import Refusal
from tests.venue.chain_desk import ALO, AT, BUY, GTC, OTHER, PERP, SECOND, SELL, USDC, ChainDesk

COMMON = {"action", "arrival_ns", "expires_ns", "kind", "account", "block_class"}
DONE = EventKind.ACTION_DONE
MILLION = 10**6 * USDC


def test_every_kind_of_leg_says_what_it_uses():
    assert set(LEG_FIELDS) == set(ActionKind)
    fields = set(ACTION_DTYPE.names or ()) - COMMON
    for kind, row in LEG_FIELDS.items():
        assert set(row) <= fields, kind.name
        assert all(text and text == text.strip() for text in row.values()), kind.name


# The order inside a block.


def test_prices_come_first_then_the_classes_then_what_waits():
    """A taker, a cancel, a deposit, a trigger and an oracle price arrive in this order."""
    desk = ChainDesk().open(1, 2)
    desk.place(1, BUY, AT - 100, 1_000, ALO, client_id=5).run()
    desk.leg(
        ActionKind.PLACE_TRIGGER, 1, side=BUY, price_ticks=AT + 900, size_lots=500, trigger_ticks=AT + 200,
        trigger_kind=2, trigger_is_market=1,
    )  # fmt: skip
    desk.run()
    desk.place(2, SELL, AT - 100, 1_000, GTC)
    desk.leg(ActionKind.CANCEL, 1, target_id=5, target_is_client_id=1)
    desk.deposit(3, USDC)
    desk.mark(AT + 300)
    told = [(event[0], event[1], int(row["leg"])) for event, row in zip(desk.run(), desk.raw)]
    assert told == [
        (DONE, 0, 3),
        (DONE, 0, 4),
        (EventKind.LEDGER_TRANSFER, 3, 2),
        (DONE, 3, 2),
        (EventKind.ORDER_CANCELLED, 1, 1),
        (EventKind.ORDER_ACKNOWLEDGED, 2, 0),
        (EventKind.ORDER_TRIGGERED, 1, -1),
        (EventKind.ORDER_FILLED, 1, -1),
        (EventKind.ORDER_FILLED, 2, -1),
    ]
    assert desk.exchange.marks[PERP] == AT + 300
    # The trigger met the order of the block's last class, which came to the better price.
    assert int(desk.only(EventKind.ORDER_FILLED)[0]["price_ticks"]) == AT - 100


def test_a_block_without_legs_moves_the_time_only():
    desk = ChainDesk()
    assert desk.run(SECOND) == []
    assert (int(desk.chain.state[0]["time_ns"]), int(desk.chain.state[0]["height"])) == (desk.now_ns, 1)


# Prices.


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        (ActionKind.ORACLE_PRICE, 0, Refusal.INVALID_PRICE),
        (ActionKind.ORACLE_PRICE, TICKS_MAX, Refusal.NONE),
        (ActionKind.ORACLE_PRICE, TICKS_MAX + 1, Refusal.INVALID_PRICE),
        (ActionKind.EXTERNAL_MARK, -1, Refusal.INVALID_PRICE),
        (ActionKind.EXTERNAL_MARK, 0, Refusal.NONE),
        (ActionKind.EXTERNAL_MARK, TICKS_MAX, Refusal.NONE),
        (ActionKind.EXTERNAL_MARK, TICKS_MAX + 1, Refusal.INVALID_PRICE),
    ],
)
def test_prices_must_be_prices(kind, price, expected):
    desk = ChainDesk()
    assert desk.do(kind, 0, market=OTHER, price_ticks=price) is expected
    name = "oracle_ticks" if kind == ActionKind.ORACLE_PRICE else "external_ticks"
    assert desk.chain.prices[OTHER][name] == (price if expected is Refusal.NONE else 0)


def test_a_mark_is_made_with_the_oracle_and_when_it_is_too_old():
    desk = ChainDesk()
    desk.oracle(9_000).run()
    made = desk.now_ns
    assert desk.exchange.marks.tolist() == [9_000, 0, 0]
    desk.leg(ActionKind.EXTERNAL_MARK, market=PERP, price_ticks=9_100).run()
    assert desk.exchange.marks[PERP] == 9_000
    desk.run(3 * SECOND - 75_000_001)
    assert desk.chain.prices[PERP]["mark_ns"] == made, "not yet"
    desk.run(1)
    assert desk.exchange.marks[PERP] == 9_050
    assert desk.chain.prices[PERP]["previous_mark_ticks"] == 9_000
    desk.chain.parameters[0]["mark_interval_ns"] = 0
    desk.leg(ActionKind.EXTERNAL_MARK, market=PERP, price_ticks=0).run(1)
    desk.run(1)
    assert desk.exchange.marks[PERP] == 9_000


# What the hour, the day and a wrong ledger bring.


def test_a_new_hour_pays_and_a_new_day_sets_rates():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 10_000)
    desk.chain.funding[PERP]["samples"], desk.chain.funding[PERP]["premium_sum_e12"] = 1, 0
    desk.chain.fees.days[1, desk.now_ns // DAY_NS % DAYS, 0] = 6 * MILLION
    desk.run(DAY_NS - desk.now_ns % DAY_NS)
    paid = [(int(e["account"]), int(e["aux0"])) for e in desk.only(EventKind.FUNDING_PAYMENT)]
    assert paid == [(1, -1_250), (2, 1_250)], "0.0000125 of 100 USDC"
    assert [int(e["account"]) for e in desk.only(EventKind.FEE_CHANGE)] == [1]


def test_rates_can_follow_the_volume_at_once():
    desk = ChainDesk().open(1, 2)
    desk.chain.parameters[0]["fee_tiers_at_once"] = 1
    desk.chain.fees.days[1, desk.now_ns // DAY_NS % DAYS, 0] = 6 * MILLION
    desk.run()
    assert [int(e["account"]) for e in desk.only(EventKind.FEE_CHANGE)] == [1]


def test_a_ledger_that_does_not_add_up_is_counted():
    desk = ChainDesk().open(1)
    desk.exchange.collateral[1] += 1
    run_block(desk.chain, np.zeros(1, ACTION_DTYPE), 0, desk.now_ns + 1)
    assert desk.chain.state[0]["broken"] == 1
    desk.exchange.collateral[1] -= 1
    run_block(desk.chain, np.zeros(1, ACTION_DTYPE), 0, desk.now_ns + 2)
    assert desk.chain.state[0]["broken"] == 1, "and it stays said"


# Legs of accounts.


def test_a_leg_that_came_too_late_is_refused():
    desk = ChainDesk()
    late = desk.now_ns + SECOND
    for kind in (ActionKind.DEPOSIT, ActionKind.PLACE_TWAP, ActionKind.SCHEDULE_CANCEL, ActionKind.UPDATE_LEVERAGE):
        desk.leg(kind, 1, amount=USDC, expires_ns=late)
    desk.place(1, BUY, AT, 1, expires_ns=late).run(SECOND + 1)
    assert desk.refusals() == [Refusal.ACTION_EXPIRED] * 5
    assert desk.do(ActionKind.DEPOSIT, 1, amount=USDC, expires_ns=desk.now_ns + 75_000_000) is Refusal.NONE


def test_an_unknown_kind_is_refused_and_a_noop_is_done():
    desk = ChainDesk()
    assert desk.do(ActionKind.NOOP, 1) is Refusal.NONE
    assert desk.do(99, 1) is Refusal.UNKNOWN_ACTION  # type: ignore[arg-type]


def test_each_leg_of_an_account_reaches_its_ledger():
    """Done, and then refused: what the ledgers do with it is tested with them."""
    desk = ChainDesk().open(1)
    legs: list[tuple[ActionKind, dict[str, int], Refusal, dict[str, int]]] = [
        (ActionKind.UPDATE_LEVERAGE, {"amount": 5, "side": 1}, Refusal.INVALID_LEVERAGE, {"amount": 0}),
        (ActionKind.UPDATE_ISOLATED_MARGIN, {}, Refusal.NOT_ISOLATED, {"amount": 5}),
        (ActionKind.TRANSFER_COLLATERAL, {"amount": 5, "counterparty": 2}, Refusal.INVALID_AMOUNT, {"amount": 0}),
        (ActionKind.TRANSFER_CLASS, {"amount": 5, "side": -1}, Refusal.INVALID_AMOUNT, {"amount": -5}),
        (ActionKind.TRANSFER_CLASS, {"amount": 3, "side": 1}, Refusal.INVALID_AMOUNT, {"amount": 0, "side": 1}),
        (ActionKind.TRANSFER_TOKEN, {"amount": 5, "counterparty": 2}, Refusal.INSUFFICIENT_BALANCE, {"amount": 10**9}),
        (ActionKind.DEPOSIT, {"amount": 5}, Refusal.INVALID_AMOUNT, {"amount": 0}),
        (ActionKind.DEPOSIT, {"amount": 5, "token": 1}, Refusal.INVALID_AMOUNT, {"amount": 5, "token": 2}),
        (ActionKind.WITHDRAW, {"amount": 2 * USDC}, Refusal.INVALID_AMOUNT, {"amount": 0}),
    ]
    for kind, fields, refusal, refused in legs:
        if fields:
            assert desk.do(kind, 1, **fields) is Refusal.NONE, kind.name
            assert [int(e["aux0"]) for e in desk.only(EventKind.ACTION_DONE)] == [kind]
        assert desk.do(kind, 1, **refused) is refusal, kind.name
        assert [int(e["aux1"]) for e in desk.only(EventKind.ACTION_REFUSED)] == [kind]
        assert len(desk.raw) == 1
    assert desk.collateral(1) == 1_000 * USDC - 5 - 5 + 3 + 5 - 2 * USDC
    assert desk.exchange.tokens.tolist() == [[0, 0], [195, 5], [5, 0], [0, 0], [0, 0]]


def test_orders_in_parts_run_and_end():
    desk = ChainDesk().open(1, 2, micro=10_000 * USDC)
    desk.place(2, SELL, AT, 1_000_000, ALO).run()
    desk.leg(ActionKind.PLACE_TWAP, 1, side=BUY, size_lots=110_000, duration_ns=300 * SECOND).run()
    (running, part) = desk.only(EventKind.TWAP_STATE)
    assert (int(running["size_lots"]), int(part["size_lots"])) == (0, 10_000)
    twap = int(running["order_id"])
    desk.run(30 * SECOND)
    assert desk.position(1) == 20_000
    desk.leg(ActionKind.CANCEL_TWAP, 1, target_id=twap).run()
    assert [int(e["aux0"]) for e in desk.only(EventKind.TWAP_STATE)] == [2]
    desk.run(60 * SECOND)
    assert desk.position(1) == 20_000
    assert desk.do(ActionKind.CANCEL_TWAP, 1, target_id=twap) is Refusal.TWAP_UNKNOWN


def test_a_scheduled_cancel_needs_what_the_account_has_traded():
    desk = ChainDesk().open(1)
    desk.place(1, BUY, AT - 100, 1_000, ALO).run()
    at = desk.now_ns + 60 * SECOND
    assert desk.do(ActionKind.SCHEDULE_CANCEL, 1, amount=at) is Refusal.SCHEDULE_VOLUME
    desk.chain.fees.traded_micro[1] = MILLION
    assert desk.do(ActionKind.SCHEDULE_CANCEL, 1, amount=at) is Refusal.NONE
    desk.run(59 * SECOND)
    assert desk.only(EventKind.ORDER_CANCELLED) == []
    desk.run(SECOND)
    assert [int(e["aux0"]) for e in desk.only(EventKind.ORDER_CANCELLED)] == [Refusal.SCHEDULED_CANCEL]


def test_an_order_whose_owner_pays_a_builder_is_booked_whole():
    """100 USDC: a taker's fee of 45,000 micro-USDC, a builder's of 10,000."""
    desk = ChainDesk().open(1, 2)
    desk.place(1, BUY, AT, 10_000, ALO)
    desk.place(2, SELL, AT, 10_000, GTC, builder=4, builder_rate_e9=100_000).run()
    assert desk.exchange.builder_fees.tolist() == [0, 0, 0, 10_000, 0]
    assert desk.exchange.holdings[2, PERP]["fee_micro"] == 55_000
    assert np.all(desk.chain.entries[1:3, PERP] == 10_000 * AT)
