"""An order-level venue to send actions to, and its invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, Grouping, TimeInForce
from hlhft.venue.matching import execute_block
from hlhft.venue.order_index import find_order
from hlhft.venue.state import Exchange, new_exchange
from hlhft.venue.triggers import fire_triggers
from hlhft.venue.waiting import find_waiting

ALO, GTC, IOC, MARKET = TimeInForce
BUY, SELL = 1, -1
ACKNOWLEDGED, REJECTED, FILLED = EventKind.ORDER_ACKNOWLEDGED, EventKind.ORDER_REJECTED, EventKind.ORDER_FILLED
WAITING, TRIGGERED, TWAP_STATE = EventKind.ORDER_WAITING, EventKind.ORDER_TRIGGERED, EventKind.TWAP_STATE
DONE, REFUSED = EventKind.ACTION_DONE, EventKind.ACTION_REFUSED
CANCELLED, EXPIRED, CANCEL_REJECTED = EventKind.ORDER_CANCELLED, EventKind.ORDER_EXPIRED, EventKind.CANCEL_REJECTED

# A tick is 0.1 USDC and a lot 0.00001 BTC, so a tick of a lot is one micro-USDC.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)


ANN, BOB, CAT, DAN = range(4)


class Event(NamedTuple):
    """One event of the venue in plain numbers."""

    kind: EventKind
    account: int
    market: int
    client_id: int
    order_id: int
    side: int
    price: int
    lots: int
    aux0: int
    fee: int = 0
    maker: bool = False
    trade_id: int = 0
    start: int = 0

    @property
    def short(self) -> tuple[Any, ...]:
        """Kind, account and what is told of it: fills by price and size, ends by cause and size, refusals by code."""
        if self.kind == FILLED:
            return (FILLED, self.account, self.side, self.price, self.lots, self.aux0)
        if self.kind == ACKNOWLEDGED:
            return (ACKNOWLEDGED, self.account, self.side, self.price, self.lots)
        if self.kind == CANCELLED:
            return (CANCELLED, self.account, self.lots, self.aux0)
        if self.kind == EXPIRED:
            return (EXPIRED, self.account, self.lots)
        if self.kind in (WAITING, TRIGGERED):
            return (self.kind, self.account, self.order_id, self.lots)
        return (self.kind, self.account, self.aux0)


class Desk:
    """An exchange for tests: prices 1 .. width, no validation and no margin unless asked for."""

    def __init__(
        self,
        *,
        accounts: int = 4,
        markets: int = 1,
        width: int = 200,
        slots: int = 64,
        waiting: int = 16,
        validate: bool = False,
        margin: bool = False,
        mark: int = 0,
        leverage: int = 10,
        collateral: int = 0,
    ) -> None:
        rules = rule_sets.hyperliquid()
        rules["enforce_validation"], rules["enforce_margin"] = int(validate), int(margin)
        records = np.repeat(BTC.record(), markets)
        base = [1] * markets
        self.exchange = new_exchange(
            records, rules, accounts=accounts, base_ticks=base, width=width, slots=slots, waiting=waiting
        )
        self.exchange.marks[:] = mark
        self.exchange.holdings["leverage"] = leverage
        self.exchange.collateral[:] = collateral
        self.now_ns = 10**18
        self.history: list[Event] = []
        self.pending: list[dict[str, int]] = []
        self._actions = 0

    # Actions wait until `run` executes them as one block.

    def place(self, account: int, side: int, price: int, lots: int, tif: int = GTC, **more: int) -> Desk:
        return self.leg(
            kind=ActionKind.PLACE,
            account=account,
            side=side,
            price_ticks=price,
            size_lots=lots,
            time_in_force=tif,
            **more,
        )

    def cancel(self, account: int, target: int, **more: int) -> Desk:
        return self.leg(kind=ActionKind.CANCEL, account=account, target_id=target, **more)

    def modify(self, account: int, target: int, side: int, price: int, lots: int, tif: int = ALO, **more: int) -> Desk:
        return self.leg(
            kind=ActionKind.MODIFY,
            account=account,
            target_id=target,
            side=side,
            price_ticks=price,
            size_lots=lots,
            time_in_force=tif,
            **more,
        )

    def trigger(
        self, account: int, side: int, kind: int, trigger: int, lots: int, price: int | None = None, **more: int
    ) -> Desk:
        """A take-profit or stop-loss order, as a market order unless it has a price; reduce-only unless told."""
        fields = {"reduce_only": 1, "trigger_is_market": int(price is None), **more}
        return self.leg(
            kind=ActionKind.PLACE_TRIGGER,
            account=account,
            side=side,
            price_ticks=trigger if price is None else price,
            size_lots=lots,
            trigger_kind=kind,
            trigger_ticks=trigger,
            **fields,
        )

    def mark(self, ticks: int, market: int = 0) -> Desk:
        """The mark price, from now on."""
        self.exchange.marks[market] = ticks
        return self

    def leg(self, **fields: int) -> Desk:
        self._actions += 1
        self.pending.append({"action": self._actions, **fields})
        return self

    def run(self) -> list[Event]:
        """Executes what waits as the next block and returns its events."""
        self.execute()
        return self.drain()

    def execute(self) -> None:
        """Executes what waits as the next block."""
        legs = np.zeros(len(self.pending), ACTION_DTYPE)
        for row, fields in zip(legs, self.pending):
            for name, value in fields.items():
                row[name] = value
        self.pending.clear()
        self.now_ns += 75_000_000
        execute_block(self.exchange, legs, len(legs), np.zeros(len(legs), np.int64), self.now_ns)
        fire_triggers(self.exchange, self.now_ns)

    def drain(self) -> list[Event]:
        """The events since the last time, which are forgotten."""
        engine = self.exchange.engine[0]
        assert engine["dropped"] == 0
        events = [event_of(row) for row in self.exchange.events[: engine["event_count"]]]
        for row in self.exchange.events[: engine["event_count"]]:
            assert row["ts_exch_ns"] == self.now_ns
            assert row["ts_local_ns"] == 0
        # What the next events do not write shows.
        self.exchange.events[: engine["event_count"]].view(np.uint8)[:] = 0x55
        engine["event_count"] = 0
        self.history.extend(events)
        return events

    def short(self) -> list[tuple[Any, ...]]:
        """As `run`, in short."""
        return [event.short for event in self.run()]

    def resting(self, side: int, price: int, market: int = 0) -> list[tuple[int, int]]:
        """(account, lots) of the orders at a level, in the order of their turn."""
        return [
            (int(order["account"]), int(order["remaining_lots"])) for order in level(self.exchange, market, side, price)
        ]

    def position(self, account: int, market: int = 0) -> int:
        return int(self.exchange.holdings[account, market]["position_lots"])

    def touch(self, market: int = 0) -> tuple[int | None, int | None]:
        ladder = self.exchange.ladders[market]
        bid, ask = int(ladder["best_bid_ticks"]), int(ladder["best_ask_ticks"])
        return (None if bid == BID_NONE else bid, None if ask == ASK_NONE else ask)


def asks(desk: Desk, *orders: tuple[int, int, int]) -> None:
    """Resting (account, price, lots)."""
    for account, price, lots in orders:
        desk.place(account, SELL, price, lots, ALO)
    desk.run()


def bids(desk: Desk, *orders: tuple[int, int, int]) -> None:
    for account, price, lots in orders:
        desk.place(account, BUY, price, lots, ALO)
    desk.run()


def position(desk: Desk, account: int, lots: int) -> None:
    """Gives the account a position at 100, from DAN."""
    side = BUY if lots > 0 else SELL
    desk.place(DAN, -side, 100, abs(lots)).run()
    desk.place(account, side, 100, abs(lots)).run()


def event_of(row: np.void) -> Event:
    kind = EventKind(int(row["kind"]))
    maker = int(row["flags"]) == EventFlag.EXCHANGE_VISIBLE | EventFlag.MAKER
    assert maker or int(row["flags"]) == EventFlag.EXCHANGE_VISIBLE
    names = ("account", "market", "order_id", "venue_order_id", "side", "price_ticks", "size_lots", "aux0", "aux1")
    return Event(kind, *(int(row[n]) for n in names), maker, int(row["trade_id"]), int(row["start_position_lots"]))


def level(exchange: Exchange, market: int, side: int, price: int) -> list[np.void]:
    """The orders of a level from its head, after checking that the list is whole in both directions."""
    row, cell = (0 if side > 0 else 1), price - exchange.ladders[market]["base_ticks"]
    found: list[np.void] = []
    slot, previous = int(exchange.heads[market, row, cell]), 0
    while slot != 0:
        order = exchange.orders[slot - 1]
        assert order["previous"] == previous
        assert (order["market"], order["side"], order["price_ticks"]) == (market, side, price)
        found.append(order)
        assert len(found) <= len(exchange.orders)
        slot, previous = int(order["next"]), slot
    assert exchange.tails[market, row, cell] == previous
    return found


def assert_consistent(exchange: Exchange, history: Sequence[Event] = (), *, by_ids: bool = True) -> None:
    """Every invariant of the engine, recomputed from its orders alone, and from the events that it told.

    Levels go by the venue's ids unless somebody paid for priority or an order that had waited came to rest.
    """
    live = {slot + 1 for slot, order in enumerate(exchange.orders) if order["order_id"] != 0}
    waiting = {slot + 1 for slot, order in enumerate(exchange.waiting) if order["order_id"] != 0}
    _assert_slab(exchange.orders, exchange.engine[0]["free"], exchange.engine[0]["resting"], live)
    _assert_slab(exchange.waiting, exchange.engine[0]["waiting_free"], exchange.engine[0]["waiting"], waiting)
    _assert_owned(exchange, live, waiting)
    _assert_belonging(exchange, live, waiting)
    _assert_books(exchange, live, by_ids)
    _assert_totals(exchange, live)
    _assert_found(exchange, live, by_ids=by_ids)
    _assert_money(exchange, history)


def _assert_slab(slab: np.ndarray, head: int, counted: int, live: set[int]) -> None:
    free = []
    slot = int(head)
    while slot != 0:
        free.append(slot)
        assert len(free) <= len(slab), "the free list has no loop"
        slot = int(slab[slot - 1]["next"])
    assert len(set(free)) == len(free)
    assert live | set(free) == set(range(1, len(slab) + 1)), "no slot leaks"
    assert live.isdisjoint(free)
    assert counted == len(live)


def walked(slab: np.ndarray, head: int, tail: int, after: str, before: str) -> list[int]:
    """The slots of a list from its head, after checking that it is whole in both directions."""
    found: list[int] = []
    slot, previous = int(head), 0
    while slot != 0:
        assert slab[slot - 1][before] == previous
        found.append(slot)
        assert len(found) <= len(slab)
        slot, previous = int(slab[slot - 1][after]), slot
    assert tail == previous
    return found


def _assert_owned(exchange: Exchange, live: set[int], waiting: set[int]) -> None:
    """Each account's lists hold its orders, all of them, by the venue's ids; so does the list of all that wait."""
    owner_links = ("owner_next", "owner_previous")
    for account, owned in enumerate(exchange.owned):
        for slab, name, slots in ((exchange.orders, "resting", live), (exchange.waiting, "waiting", waiting)):
            listed = walked(slab, owned[f"{name}_head"], owned[f"{name}_tail"], *owner_links)
            assert set(listed) == {slot for slot in slots if slab[slot - 1]["account"] == account}
            ids = [int(slab[slot - 1]["order_id"]) for slot in listed]
            assert ids == sorted(ids)
    engine = exchange.engine[0]
    listed = walked(exchange.waiting, engine["waiting_head"], engine["waiting_tail"], "next", "previous")
    assert set(listed) == waiting
    ids = [int(exchange.waiting[slot - 1]["order_id"]) for slot in listed]
    assert ids == sorted(ids)


def _assert_belonging(exchange: Exchange, live: set[int], waiting: set[int]) -> None:
    """Who waits for a parent has one in the book that knows of it; who follows a position is one of its kind."""
    ids = {int(exchange.orders[slot - 1]["order_id"]): slot for slot in live}
    of_positions = set()
    for slot in waiting:
        order = exchange.waiting[slot - 1]
        owner = int(order["account"]), int(order["market"])
        assert find_waiting(exchange, *owner, int(order["order_id"]), False) == slot
        if order["armed"] == 0:
            parent = exchange.orders[ids[int(order["parent_id"])] - 1]
            assert parent["children"] == 1
            assert (parent["account"], parent["market"], parent["side"]) == (*owner, -order["side"])
        if order["grouping"] == Grouping.POSITION_TPSL:
            kind = (*owner, int(order["trigger_kind"]))
            assert kind not in of_positions
            of_positions.add(kind)


def _assert_books(exchange: Exchange, live: set[int], by_ids: bool) -> None:
    seen = 0
    for market, ladder in enumerate(exchange.ladders):
        bids, asks = [], []
        for price in range(int(ladder["base_ticks"]), int(ladder["base_ticks"] + ladder["width"])):
            for side, prices in ((1, bids), (-1, asks)):
                orders = level(exchange, market, side, price)
                ids = [int(order["order_id"]) for order in orders]
                assert not by_ids or ids == sorted(ids), "first come, first served"
                assert all(order["remaining_lots"] > 0 for order in orders)
                cell = exchange.cells[market, 0 if side > 0 else 1, price - ladder["base_ticks"]]
                assert cell == sum(int(order["remaining_lots"]) for order in orders)
                seen += len(orders)
                if orders:
                    prices.append(price)
        assert ladder["best_bid_ticks"] == max(bids, default=BID_NONE)
        assert ladder["best_ask_ticks"] == min(asks, default=ASK_NONE)
        assert ladder["best_bid_ticks"] < ladder["best_ask_ticks"], "no crossed book"
        assert ladder["updates_outside"] == 0
    assert seen == len(live), "every live order stands in exactly one level"


def _assert_totals(exchange: Exchange, live: set[int]) -> None:
    totals: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counts: dict[int, int] = defaultdict(int)
    for order in exchange.waiting[exchange.waiting["order_id"] != 0]:
        counts[int(order["account"])] += 1
    for slot in live:
        order = exchange.orders[slot - 1]
        owner = int(order["account"]), int(order["market"])
        totals[owner]["buy_lots" if order["side"] > 0 else "sell_lots"] += int(order["remaining_lots"])
        if order["reduce_only"] != 0:
            totals[owner]["reduce_only_lots"] += int(order["remaining_lots"])
            closable = -order["side"] * exchange.holdings[owner]["position_lots"]
            assert closable > 0, "a reduce-only order has something to reduce"
        counts[owner[0]] += 1
    for owner, resting in np.ndenumerate(exchange.resting):
        for name in ("buy_lots", "sell_lots", "reduce_only_lots"):
            assert resting[name] == totals[owner][name]  # type: ignore[index]
        position = abs(int(exchange.holdings[owner]["position_lots"]))
        assert resting["reduce_only_lots"] <= position, "together they never exceed the position"
        _assert_reduce_only_list(exchange, owner, live)  # type: ignore[arg-type]
    for account, count in enumerate(exchange.open_orders):
        assert count == counts[account]


def _assert_reduce_only_list(exchange: Exchange, owner: tuple[int, int], live: set[int]) -> None:
    """From the oldest to the youngest, and none is missing."""
    listed = []
    slot, previous = int(exchange.resting[owner]["reduce_head"]), 0
    while slot != 0:
        order = exchange.orders[slot - 1]
        assert order["reduce_previous"] == previous
        listed.append(slot)
        assert len(listed) <= len(live)
        slot, previous = int(order["reduce_next"]), slot
    assert exchange.resting[owner]["reduce_tail"] == previous
    ids = [int(exchange.orders[slot - 1]["order_id"]) for slot in listed]
    assert ids == sorted(ids)
    owned = {s for s in live if (exchange.orders[s - 1]["account"], exchange.orders[s - 1]["market"]) == owner}
    assert set(listed) == {slot for slot in owned if exchange.orders[slot - 1]["reduce_only"] != 0}


def _assert_found(exchange: Exchange, live: set[int], *, by_ids: bool) -> None:
    """find_order finds exactly the live orders, under both ids; of equal own ids the one that came to rest last, which
    `by_ids` is the youngest: an order that waited rests later than its id says."""
    accounts, markets = exchange.holdings.shape
    by_venue_id = {int(exchange.orders[slot - 1]["order_id"]): slot for slot in live}
    by_own_id: dict[tuple[int, int, int], list[int]] = {}
    for slot in sorted(live, key=lambda slot: int(exchange.orders[slot - 1]["order_id"])):
        order = exchange.orders[slot - 1]
        if order["client_id"] != 0:
            own = int(order["account"]), int(order["market"]), int(order["client_id"])
            by_own_id[own] = [*by_own_id.get(own, ()), slot]
    for order_id, slot in by_venue_id.items():
        order = exchange.orders[slot - 1]
        assert find_order(exchange, order["account"], order["market"], order_id, False) == slot
        assert find_order(exchange, (order["account"] + 1) % accounts, order["market"], order_id, False) in (0, slot)
    for dead in range(1, min(int(exchange.engine[0]["next_order_id"]), 60)):
        if dead not in by_venue_id:
            assert all(find_order(exchange, account, 0, dead, False) == 0 for account in range(accounts))
    for account in range(accounts):
        for market in range(markets):
            for own in range(12):
                slots = by_own_id.get((account, market, own), [0])
                found = find_order(exchange, account, market, own, True)
                assert found == slots[-1] if by_ids else found in slots


def _assert_money(exchange: Exchange, history: Sequence[Event]) -> None:
    """What one side gains the other loses; the fills that were told are the positions, the cash and the fees."""
    assert (exchange.holdings["position_lots"].sum(axis=0) == 0).all()
    assert (exchange.holdings["cash_quanta"].sum(axis=0) == 0).all()
    fees = exchange.engine[0]["fees_micro"] + exchange.builder_fees.sum()
    assert exchange.holdings["fee_micro"].sum() == fees, "what accounts paid the venue and the builders got"
    bought: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    sides: dict[int, list[Event]] = defaultdict(list)
    for event in history:
        if event.kind == FILLED:
            sums = bought[event.account, event.market]
            assert event.start == sums[0]
            sums[0] += event.side * event.lots
            sums[1] -= event.side * event.lots * event.price
            sums[2] += event.fee
            sums[3] += 1
            sides[event.trade_id].append(event)
    if history:
        for owner, holding in np.ndenumerate(exchange.holdings):
            names = ("position_lots", "cash_quanta", "fee_micro", "fills")
            assert [int(holding[name]) for name in names] == bought[owner]  # type: ignore[index]
    for buyer, seller in sides.values():
        assert (buyer.side, seller.side) == (1, -1)
        assert (buyer.price, buyer.lots, buyer.market) == (seller.price, seller.lots, seller.market)
        assert buyer.maker != seller.maker
        assert buyer.account != seller.account
