"""One stream of actions, through the kernel with legs and through the exchange with signed requests: the same ledgers.

The legs are written down here, apart from what the exchange makes of requests. Three sides see the stream: the embedded
exchange, the chain that executes whole blocks, and the matching alone as a backtest calls it. What they remember is
compared byte for byte.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.kernel import Kernel
from hlhft.exchange.machine import Machine
from hlhft.exchange.standing_prices import StandingPrices
from hlhft.units import MICRO
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce, TriggerKind
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import Chain, arrays_of
from hlhft.venue.matching import execute_block
from tests.exchange.clients import BTC, CHAIN, ETH, MILLISECOND_NS, Client, small_settings

CLIENTS, FUNDS_USDC = 3, 1_000_000
FIRST_ACCOUNT = 1  # of the clients, as they are opened
TOUCH_TICKS = {BTC: 1_100_000, ETH: 400_000}
STEP_TICKS = {BTC: 10, ETH: 10}  # on the grid at these prices
LOT_VALUES = {BTC: 20, ETH: 50}
SCRATCH = {"exchange.events", "intents", "order"}
# What the matching keeps; who else keeps something of a trade is the chain's business.
OF_MATCHING = ("orders", "cells", "heads", "tails", "ladders", "holdings", "collateral", "margins", "tokens")

PLACE_CLASS, CANCEL_CLASS, TAKE_CLASS = 0, 1, 2  # the order inside a block (venue reference section 8)
TIMES = {"Alo": TimeInForce.ALO, "Gtc": TimeInForce.GTC, "Ioc": TimeInForce.IOC}


class Step(NamedTuple):
    """One action: what the client signs, and the fields of the leg that it means."""

    client: int
    action: dict[str, Any]
    leg: dict[str, int]
    block_class: int
    cloid: int = 0  # of the order that the leg places
    target_cloid: int = 0  # of the order that the leg cancels


def placed(
    client: int, market: int, side: int, distance: int, size: int, tif: str, cloid: int, *, reduce: bool
) -> Step:
    """A limit order `distance` steps behind the touch."""
    order, leg = _order(market, side, distance, size, reduce=reduce)
    order["t"] = {"limit": {"tif": tif}}
    leg |= {"kind": ActionKind.PLACE, "time_in_force": TIMES[tif]}
    if cloid:
        order["c"] = f"0x{cloid:032x}"
    return Step(client, _orders(order), leg, PLACE_CLASS if tif == "Alo" else TAKE_CLASS, cloid)


def waiting(client: int, market: int, side: int, distance: int, size: int) -> Step:
    """A stop that sells or buys as a market order."""
    order, leg = _order(market, side, -30, size, reduce=True)
    trigger_ticks = TOUCH_TICKS[market] + side * (distance + 1) * STEP_TICKS[market]
    trigger = {"isMarket": True, "triggerPx": _price(market, trigger_ticks), "tpsl": "sl"}
    order["t"] = {"trigger": trigger}
    leg |= {
        "kind": ActionKind.PLACE_TRIGGER,
        "trigger_kind": TriggerKind.STOP_LOSS,
        "trigger_ticks": trigger_ticks,
        "trigger_is_market": 1,
    }
    return Step(client, _orders(order), leg, PLACE_CLASS)


def cancelled(client: int, market: int, oid: int) -> Step:
    """A cancel by the venue's id, of whoever's order that is."""
    action = {"type": "cancel", "cancels": [{"a": market, "o": oid}]}
    return Step(client, action, {"kind": ActionKind.CANCEL, "market": market, "target_id": oid}, CANCEL_CLASS)


def cancelled_by_cloid(client: int, market: int, cloid: int) -> Step:
    """A cancel by the client's id."""
    action = {"type": "cancelByCloid", "cancels": [{"asset": market, "cloid": f"0x{cloid:032x}"}]}
    leg = {"kind": ActionKind.CANCEL, "market": market, "target_is_client_id": 1}
    return Step(client, action, leg, CANCEL_CLASS, target_cloid=cloid)


def modified(client: int, market: int, oid: int, side: int, distance: int, size: int) -> Step:
    """Another order in the place of one that rests."""
    order, leg = _order(market, side, distance, size, reduce=False)
    order["t"] = {"limit": {"tif": "Gtc"}}
    leg |= {"kind": ActionKind.MODIFY, "target_id": oid, "time_in_force": TimeInForce.GTC}
    return Step(client, {"type": "modify", "oid": oid, "order": order}, leg, TAKE_CLASS)


def levered(client: int, market: int, leverage: int, *, cross: bool) -> Step:
    """Another leverage."""
    action = {"type": "updateLeverage", "asset": market, "isCross": cross, "leverage": leverage}
    leg = {"kind": ActionKind.UPDATE_LEVERAGE, "market": market, "amount": leverage, "side": int(cross)}
    return Step(client, action, leg, PLACE_CLASS)


def moved(client: int, usdc: int, *, to_perp: bool) -> Step:
    """USDC to the spot balance and back."""
    action = {"type": "usdClassTransfer", "amount": str(usdc), "toPerp": to_perp, "nonce": 0, **CHAIN}
    leg = {"kind": ActionKind.TRANSFER_CLASS, "amount": usdc * MICRO, "side": 1 if to_perp else -1}
    return Step(client, action, leg, PLACE_CLASS)


def _order(market: int, side: int, distance: int, size: int, *, reduce: bool) -> tuple[dict[str, Any], dict[str, int]]:
    ticks = TOUCH_TICKS[market] - side * distance * STEP_TICKS[market]
    lots = size * LOT_VALUES[market]
    listed = small_settings().listing.markets[market].market
    order = {"a": market, "b": side > 0, "p": _price(market, ticks), "s": listed.size_text(lots), "r": reduce}
    leg = {"market": market, "side": side, "price_ticks": ticks, "size_lots": lots, "reduce_only": int(reduce)}
    return order, leg


def _price(market: int, ticks: int) -> str:
    return small_settings().listing.markets[market].market.price_text(ticks)


def _orders(order: dict[str, Any]) -> dict[str, Any]:
    keys = ("a", "b", "p", "s", "r", "t", "c")
    return {"type": "order", "orders": [{key: order[key] for key in keys if key in order}], "grouping": "na"}


class Sides:
    """The exchange, and beside it the kernel twice, block for block at the same times."""

    def __init__(self) -> None:
        given = small_settings(with_limits=False)
        self.machine = Machine(given)
        self.chain: Chain = Kernel(given).chain
        self.matching: Chain = Kernel(given).chain
        self.prices = StandingPrices(given.reference_ticks, interval_ns=given.oracle_interval_ns)
        self.legs = np.zeros(given.legs_max, ACTION_DTYPE)
        self.scratch = np.zeros(given.legs_max, np.int64)
        self.actions = 0
        self.client_ids: dict[tuple[int, int], int] = {}
        self.numbers = 0
        self.run([])
        self.clients = [Client(self.machine, number + 1, usdc=0) for number in range(CLIENTS)]
        for number, client in enumerate(self.clients):
            account, funds_micro = FIRST_ACCOUNT + number, FUNDS_USDC * MICRO
            assert self.machine.deposit(client.address, funds_micro) == account
            self.matching.exchange.collateral[account] = funds_micro
        deposits = [
            {"kind": ActionKind.DEPOSIT, "account": FIRST_ACCOUNT + number, "amount": FUNDS_USDC * MICRO}
            for number in range(CLIENTS)
        ]
        self.run([], before=deposits)

    def run(self, steps: list[Step], *, before: list[dict[str, int]] = []) -> None:  # noqa: B006 - never written
        """Sends the actions so that one block takes them all, and gives the same block to the other two."""
        now_ns = self.machine.time_ns + MILLISECOND_NS
        if not steps and not before:
            now_ns = self.machine.next_deadline_ns()
        for step in steps:
            taken = self.machine.admit(self.clients[step.client].body(step.action), ("127.0.0.1", "stream"), now_ns)
            assert isinstance(taken, int), taken
        blocks = self.machine.advance(now_ns).blocks
        due = sorted(steps, key=lambda step: step.block_class)
        for block in blocks:
            count = 0
            for leg in before:
                count = self.add(count, leg, arrival_ns=block.time_ns)
            # Of several blocks that became due, the first that is not before the arrival takes the actions.
            for step in due if block.time_ns >= now_ns else []:
                count = self.add_step(count, step, arrival_ns=now_ns)
            before, due = [], due if block.time_ns < now_ns else []
            self.execute(count, block.time_ns)
        assert not due, "the exchange made a block of what it was sent"

    def add_step(self, count: int, step: Step, *, arrival_ns: int) -> int:
        account, leg = FIRST_ACCOUNT + step.client, dict(step.leg)
        if step.target_cloid:
            leg["target_id"] = self.client_ids.get((account, step.target_cloid), 0)
            if not leg["target_id"]:
                return count  # an id that was never used: refused before it becomes a leg
        if step.cloid:
            self.numbers += 1
            leg["client_id"] = self.client_ids[account, step.cloid] = self.numbers
        return self.add(count, {"account": account, **leg}, arrival_ns=arrival_ns)

    def add(self, count: int, leg: dict[str, int], *, arrival_ns: int) -> int:
        self.actions += 1
        for name, value in {"action": self.actions, "arrival_ns": arrival_ns, **leg}.items():
            self.legs[count][name] = value
        return count + 1

    def execute(self, count: int, time_ns: int) -> None:
        mine = count
        count += self.prices.legs(self.chain, self.legs, count, time_ns)
        run_block(self.chain, self.legs, count, time_ns)
        assert self.chain.state[0]["broken"] == 0
        self.chain.exchange.engine[0]["event_count"] = 0
        # The marks are the chain's; orders are executed at those of their block.
        self.matching.exchange.marks[:] = self.chain.exchange.marks
        orders = self.legs[:mine]
        orders = orders[(orders["kind"] <= ActionKind.PLACE_TRIGGER) & (orders["kind"] != ActionKind.DEPOSIT)].copy()
        execute_block(self.matching.exchange, orders, len(orders), self.scratch, time_ns)
        self.matching.exchange.engine[0]["event_count"] = 0
        self.legs[:count] = np.zeros(1, ACTION_DTYPE)

    def check(self, *, matching_too: bool) -> None:
        """That nothing that anybody remembers differs."""
        served, driven = arrays_of(self.machine.kernel.chain), arrays_of(self.chain)
        assert served.keys() == driven.keys()
        differing = [name for name, array in served.items() if array.tobytes() != driven[name].tobytes()]
        assert [name for name in differing if name not in SCRATCH] == []
        if matching_too:
            alone = arrays_of(self.matching)
            for name in (f"exchange.{part}" for part in OF_MATCHING):
                assert served[name].tobytes() == alone[name].tobytes(), name


CLIENT, MARKET = st.integers(0, CLIENTS - 1), st.sampled_from([BTC, ETH])
SIDE, DISTANCE, SIZE = st.sampled_from([1, -1]), st.integers(-3, 6), st.integers(1, 9)
CLOID, OID = st.integers(0, 12), st.integers(1, 60)
PLACED = st.builds(
    placed, CLIENT, MARKET, SIDE, DISTANCE, SIZE, st.sampled_from(sorted(TIMES)), CLOID, reduce=st.booleans()
)
ORDERS = st.one_of(
    PLACED,
    PLACED,
    st.builds(cancelled, CLIENT, MARKET, OID),
    st.builds(cancelled_by_cloid, CLIENT, MARKET, CLOID.filter(bool)),
    st.builds(modified, CLIENT, MARKET, OID, SIDE, DISTANCE, SIZE),
)
ALL = st.one_of(
    ORDERS,
    st.builds(waiting, CLIENT, MARKET, SIDE, st.integers(0, 20), SIZE),
    st.builds(levered, CLIENT, MARKET, st.integers(1, 30), cross=st.booleans()),
    st.builds(moved, CLIENT, st.integers(1, 900_000), to_perp=st.booleans()),
)


def test_a_stream_of_orders_leaves_the_same_ledgers_however_it_came():
    """Hand-made, so that it is known to trade: the taker pays 0.045 % of 2 x 0.5 ETH at 4,000, the maker 0.015 %."""
    sides = Sides()
    sides.run([placed(0, ETH, -1, 0, 100, "Alo", 7, reduce=False)])
    sides.run([placed(1, ETH, 1, 0, 100, "Ioc", 0, reduce=False), cancelled_by_cloid(0, ETH, 7)])
    sides.run([placed(1, ETH, 1, 0, 100, "Ioc", 0, reduce=False)])
    sides.check(matching_too=True)
    holdings = sides.machine.kernel.chain.exchange.holdings[:, ETH]
    assert holdings["position_lots"].tolist()[:4] == [0, 0, 0, 0]  # cancels go before what takes

    sides.run([placed(0, ETH, -1, 0, 100, "Alo", 8, reduce=False)])
    sides.run([placed(1, ETH, 1, 0, 100, "Ioc", 0, reduce=False)])
    sides.check(matching_too=True)
    holdings = sides.machine.kernel.chain.exchange.holdings[:, ETH]
    assert holdings["position_lots"].tolist()[:4] == [0, -5000, 5000, 0]
    assert holdings["fee_micro"].tolist()[:4] == [0, 300_000, 900_000, 0]


@pytest.mark.parametrize("seed", range(3))
def test_a_long_stream_leaves_the_same_ledgers(seed: int):
    drawn = np.random.default_rng(seed)
    sides = Sides()
    for _ in range(120):
        steps = []
        for _ in range(int(drawn.integers(1, 4))):
            client, market, side = int(drawn.integers(CLIENTS)), int(drawn.integers(2)), int(drawn.choice([1, -1]))
            tif = str(drawn.choice(["Alo", "Gtc", "Ioc"]))
            distance, size, cloid = int(drawn.integers(-2, 7)), int(drawn.integers(1, 9)), int(drawn.integers(0, 99))
            steps.append(placed(client, market, side, distance, size, tif, cloid, reduce=bool(drawn.integers(4) == 0)))
        sides.run(steps)
    sides.check(matching_too=True)
    assert sides.machine.kernel.chain.exchange.engine[0]["next_trade_id"] > 20


@settings(max_examples=30)
@given(st.lists(st.lists(ORDERS, min_size=1, max_size=4), min_size=1, max_size=25))
def test_orders_cancels_and_modifications_leave_the_same_ledgers(blocks: list[list[Step]]):
    sides = Sides()
    for steps in blocks:
        sides.run(steps)
    sides.check(matching_too=True)


@settings(max_examples=30)
@given(st.lists(st.lists(ALL, min_size=1, max_size=4), min_size=1, max_size=25))
def test_every_kind_of_action_leaves_the_same_ledgers(blocks: list[list[Step]]):
    sides = Sides()
    for steps in blocks:
        sides.run(steps)
    for _ in range(20):
        sides.run([])
    sides.check(matching_too=False)
