"""Joiners: queues at the touch that know where the fair price stands, and who closes a wide spread."""

from __future__ import annotations

import numpy as np

from hlhft.exchange.flow.joiners import joiner_legs
from hlhft.exchange.flow.legs import add_cancel, add_post
from hlhft.exchange.flow.rehearsal import START_NS, Rehearsal
from hlhft.exchange.flow.state import JOINER, JOINERS, MarketFlow
from hlhft.venue.blocks import ActionKind
from tests.exchange.flow.stage import BLOCK_NS, STILL, Legs, changed, execute, resting, set_fair, stage

OFTEN = changed(STILL, joins_per_s=1_000.0, queue_usdc=1_000_000.0, queue_lean=6.0, maker_delay_s=0.025)
OTHER = 20


class Joiners:
    """One bid and one ask of somebody else, and the joiners around them."""

    def __init__(self, numbers: MarketFlow, bid: int = 100_000, ask: int = 100_001, lots: int = 12) -> None:
        self.rehearsal: Rehearsal = stage(numbers)
        self.rehearsal.venue.marks[:] = 1_000_000
        self.now_ns = START_NS
        self.account = int(self.rehearsal.flow.accounts[JOINER])
        self.legs = Legs()
        rows = Legs()
        row = 0
        for side, price in ((1, bid), (-1, ask)):
            if price:
                row = add_post(self.rehearsal.flow, rows.rows, row, 9, 0, price, side, price * 10, lots, 1)
        execute(self.rehearsal, rows.take(row), START_NS)
        self.events = np.zeros(0)

    def act(self, blocks: int = 1) -> list[ActionKind]:
        kinds = []
        for _ in range(blocks):
            self.now_ns += BLOCK_NS
            venue, flow = self.rehearsal.venue, self.rehearsal.flow
            legs = self.legs.take(joiner_legs(venue, flow, self.legs.rows, 0, 0, self.now_ns))
            self.events = execute(self.rehearsal, legs, self.now_ns)
            kinds += self.legs.kinds()
        return kinds

    def queue(self, side: int) -> int:
        return sum(lots for (own, _), lots in self.orders().items() if own == side)

    def orders(self) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for order in self.rehearsal.venue.orders:
            if order["order_id"] != 0 and order["account"] == self.account:
                key = int(order["side"]), int(order["price_ticks"])
                found[key] = found.get(key, 0) + int(order["remaining_lots"])
        return found


def test_the_queue_is_long_where_the_fair_price_is_far():
    joiners = Joiners(OFTEN)
    set_fair(joiners.rehearsal, 100_000.8)
    joiners.act(60)
    assert set(joiners.orders()) == {(1, 1_000_000), (-1, 1_000_010)}
    # Ten bitcoins are all of a queue; 0.3 of a step is 0.6 of the way: 1 / (1 + exp(-6 x 0.6)) of them.
    assert abs(joiners.queue(1) / 1_000_000 - 0.973) < 0.03
    assert abs(joiners.queue(-1) / 1_000_000 - 0.027) < 0.02
    set_fair(joiners.rehearsal, 100_000.2)
    kinds = joiners.act(120)
    assert ActionKind.CANCEL in kinds
    assert joiners.queue(-1) > 900_000
    assert joiners.queue(1) < 200_000


def test_no_more_orders_than_there_are_places():
    joiners = Joiners(changed(OFTEN, queue_usdc=1e8))
    joiners.rehearsal.flow.numbers[0]["queue_lots"] = 10**8
    joiners.act(JOINERS + 30)
    count = sum(int(order["account"]) == joiners.account for order in joiners.rehearsal.venue.orders)
    assert count == JOINERS
    assert (joiners.rehearsal.flow.joiners[0]["client_id"] != 0).all()


def test_places_of_orders_that_are_gone_are_free_again():
    joiners = Joiners(OFTEN)
    joiners.act(6)
    taken = int((joiners.rehearsal.flow.joiners[0]["client_id"] != 0).sum())
    rows, row = Legs(), 0
    for joiner in joiners.rehearsal.flow.joiners[0]:
        if joiner["client_id"] != 0:
            row = add_cancel(joiners.rehearsal.flow, rows.rows, row, joiners.account, 0, joiner["client_id"], 1)
    execute(joiners.rehearsal, rows.take(row), joiners.now_ns)
    assert row == taken > 0
    joiners.act()
    assert (joiners.rehearsal.flow.joiners[0]["client_id"] != 0).sum() <= 1


def test_an_order_that_the_fair_price_has_passed_is_withdrawn():
    joiners = Joiners(OFTEN)
    joiners.act(10)
    joiners.rehearsal.flow.states[0]["next_join_ns"] = 2**62
    set_fair(joiners.rehearsal, 100_003.0)
    joiners.act(12)
    assert joiners.queue(-1) == 0
    assert joiners.queue(1) > 0


def test_an_order_behind_the_touch_is_withdrawn_later():
    joiners = Joiners(OFTEN)
    set_fair(joiners.rehearsal, 100_002.5)
    joiners.act(10)
    joiners.rehearsal.flow.states[0]["next_join_ns"] = 2**62
    rows = Legs()
    row = 0
    for order in joiners.rehearsal.venue.orders:
        if order["order_id"] != 0 and order["side"] < 0:
            row = add_cancel(joiners.rehearsal.flow, rows.rows, row, order["account"], 0, order["client_id"], 1)
    row = add_post(joiners.rehearsal.flow, rows.rows, row, 9, 0, 5, -1, 1_000_050, 12, 1)
    execute(joiners.rehearsal, rows.take(row), joiners.now_ns)
    rows = Legs()
    execute(
        joiners.rehearsal,
        rows.take(add_post(joiners.rehearsal.flow, rows.rows, 0, 9, 0, 6, 1, 1_000_020, 12, 1)),
        joiners.now_ns,
    )
    before = joiners.queue(1)
    assert before > 0
    joiners.act()
    assert joiners.queue(1) > 0, "not all at once"
    joiners.act(60)
    assert joiners.queue(1) == 0


def test_a_wide_spread_is_closed_to_a_step():
    numbers = changed(STILL, improves_per_s=1_000.0, half_spread_steps=2.0)
    joiners = Joiners(numbers, bid=99_998, ask=100_003)
    set_fair(joiners.rehearsal, 100_000.5)
    for _ in range(6):
        joiners.act()
    ladder = joiners.rehearsal.venue.ladders[0]
    assert ladder["best_ask_ticks"] - ladder["best_bid_ticks"] == 10
    assert joiners.act(5).count(ActionKind.PLACE) == 0, "there is nothing to close"


def test_a_wide_spread_stays_where_the_fair_price_is_not_within_reach():
    joiners = Joiners(changed(STILL, improves_per_s=1_000.0, half_spread_steps=1.0), bid=99_990, ask=100_010)
    set_fair(joiners.rehearsal, 100_000.0)
    joiners.act(2)
    assert ActionKind.PLACE not in joiners.act(20)


def test_joiners_leave_after_a_while():
    joiners = Joiners(OFTEN)
    joiners.act(20)
    state = joiners.rehearsal.flow.states[0]
    state["next_join_ns"] = 2**62
    joiners.rehearsal.flow.numbers[0]["leave_wait_ns"] = 1
    state["next_leave_ns"] = 0
    assert ActionKind.CANCEL in joiners.act(6)
    joiners.act(100)
    assert resting(joiners.rehearsal, joiners.account) == {}
    assert joiners.act(5) == []


def test_nobody_joins_half_a_book():
    joiners = Joiners(OFTEN, ask=0)
    assert joiners.act(10) == []
