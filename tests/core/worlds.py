"""A small world for the core's tests: markets whose prices and sizes are easy sums, one lane, a scripted strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hlhft.core import risk
from hlhft.core.state import (
    COMMAND_DTYPE,
    LEVEL_DTYPE,
    LEVELS,
    LIMITS_DTYPE,
    BookKind,
    CommandKind,
    new_lane,
    new_market_data,
)
from hlhft.core.step import apply_account_event, prepare_view, step
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.strategies import Strategy, load
from hlhft.units import GridRule, Market

BUY, SELL = 1, -1
ALO, GTC, IOC = 0, 1, 2
MS = 1_000_000
SECOND = 1_000 * MS
START = 1_756_944_000 * SECOND  # a whole minute
USDC = 1_000_000  # in micro-USDC
# A price of 1 is 1000 ticks, a size of 1 is 1000 lots: ticks x lots is micro-USDC, 1000 lots at 1000 ticks are 1 USDC.
COIN = Market(
    name="COIN",
    asset_id=0,
    price_decimals=3,
    size_decimals=3,
    grid_rule=GridRule.FIXED,
    minimum_notional_micro=0,
    maker_rate_e9=0,
    taker_rate_e9=0,
)
SCRIPT = Path(__file__).with_name("scripted.py")
_LOADED: dict[str, Strategy] = {}

# Everything that a test does not set is off, or too large to matter.
LOOSE: dict[str, int] = {
    "tick_to_trade_ns_max": 150 * MS,
    "drawdown_e6_max": 1_000_000,
    "posts_in_flight_max": 1000,
    "open_orders_max": 1000,
    "legs_max": 200,
    "batch_busy_ns_max": SECOND,
    "decide_on_frame": 1,
    "decide_on_fill": 1,
    "ip_weight_per_minute": 1_000_000,
    "messages_per_minute": 1_000_000,
}


def limits_of(**values: int) -> np.ndarray:
    """LIMITS_DTYPE[1] with `values` over LOOSE."""
    limits = np.zeros(1, LIMITS_DTYPE)
    for name, value in {**LOOSE, **values}.items():
        limits[name] = value
    return limits


def loaded(name: str) -> Strategy:
    """A strategy, loaded once."""
    if name not in _LOADED:
        _LOADED[name] = load(name)
    return _LOADED[name]


def event(kind: EventKind, now_ns: int, **fields: int) -> np.ndarray:
    """EVENT_DTYPE[1]."""
    record = np.zeros(1, EVENT_DTYPE)
    record["kind"], record["ts_exch_ns"], record["ts_local_ns"] = int(kind), now_ns, now_ns
    for name, value in fields.items():
        record[name] = value
    return record


def snapshot(
    now_ns: int, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], *, market: int = 0, channel: int = 0
) -> np.ndarray:
    """The events of a full frame of (ticks, lots), each side from the touch."""
    parts = [event(EventKind.SNAPSHOT_BEGIN, now_ns, aux0=20, aux1=channel, market=market)]
    for side, levels in ((BUY, bids), (SELL, asks)):
        parts.extend(
            event(EventKind.DEPTH_LEVEL, now_ns, side=side, price_ticks=ticks, size_lots=lots, market=market)
            for ticks, lots in levels
        )
    parts.append(
        event(EventKind.SNAPSHOT_END, now_ns, aux0=20, aux1=channel, market=market, flags=int(EventFlag.FRAME_END))
    )
    return np.concatenate(parts)


class Quote(NamedTuple):
    """What the scripted strategy shall quote."""

    side: int
    ticks: int
    lots: int = 1000
    market: int = 0
    time_in_force: int = ALO
    reduce_only: int = 0


class Command(NamedTuple):
    """A command, without what only the wire needs."""

    kind: str
    side: int
    ticks: int
    lots: int
    market: int = 0


class World:
    """Market data, one lane and its limits; `touch` moves the market, `decide` asks for a decision by a timer."""

    def __init__(
        self,
        *,
        markets: int = 1,
        of: Market = COIN,
        strategy: str = str(SCRIPT),
        params: Mapping[str, float] | None = None,
        **limits: int,
    ) -> None:
        records = np.concatenate([of.record() for _ in range(markets)])
        self.data_buffer, self.data = new_market_data(records, 1, 64)
        self.lane_buffer, self.lane = new_lane(markets)
        chosen = loaded(strategy)
        self.limits = limits_of(features=chosen.features, **limits)
        self.data.books["kind"] = int(BookKind.SNAPSHOT)
        self.row["strategy_address"] = chosen.address()
        self.row["connected"] = 1
        self.row["starting_equity_micro"] = self.row["equity_micro"] = 1000 * USDC
        self.row["address_initial"] = self.row["address_allowance"] = 10_000
        self.lane.params[:] = chosen.params_bytes(params or {})
        self.script = self.lane.memory[: chosen.memory_dtype.itemsize].view(chosen.memory_dtype)
        self.scratch = np.zeros((2, LEVELS), LEVEL_DTYPE)
        self.out = np.zeros(64, COMMAND_DTYPE)
        self.raw = self.out[:0]  # the newest commands as they are
        self.now = START
        prepare_view(self.data, self.lane)
        for market in range(markets):
            self.touch(999, 1001, market=market)

    @property
    def row(self) -> Any:
        """The lane's record."""
        return self.lane.lane[0]

    def position(self, market: int = 0) -> Any:
        """The lane's position record."""
        return self.lane.positions[market]

    def touch(self, bid: int, ask: int, *, market: int = 0, lots: int = 1_000_000) -> None:
        """A book with this touch and nothing else, received now; 0 for an empty side."""
        book = self.data.books[market]
        book["best_bid_ticks"], book["best_ask_ticks"] = bid, ask
        book["best_bid_lots"], book["best_ask_lots"] = lots, lots
        book["time_local_ns"] = self.now

    def quotes(self, *quotes: Quote) -> None:
        """What the strategy quotes from now on."""
        script = self.script[0]
        script["count"] = len(quotes)
        for index, quote in enumerate(quotes):
            script["side"][index], script["price_ticks"][index] = quote.side, quote.ticks
            script["size_lots"][index], script["market"][index] = quote.lots, quote.market
            script["time_in_force"][index], script["reduce_only"][index] = quote.time_in_force, quote.reduce_only

    def feed(self, *events: np.ndarray) -> list[Command]:
        """One frame of these events; the commands it led to."""
        frame = np.concatenate(events)
        count = step(self.data, self.lane, self.limits, self.scratch, frame, len(frame), self.out)
        self.raw = self.out[:count].copy()
        return [
            Command(
                CommandKind(command["kind"]).name,
                int(command["side"]),
                int(command["price_ticks"]),
                int(command["size_lots"]),
                int(command["market"]),
            )
            for command in self.raw
        ]

    def decide(self, *, after_ns: int = 0) -> list[Command]:
        """Lets time pass and decides by a timer; books stay as fresh as they were."""
        self.now += after_ns
        return self.feed(event(EventKind.TIMER, self.now))

    def say(self, kind: EventKind, *, after_ns: int = 0, **fields: int) -> list[Command]:
        """One event by itself."""
        self.now += after_ns
        return self.feed(event(kind, self.now, **fields))

    def feed_silently(self, kind: EventKind, **fields: int) -> None:
        """One event that the core hears of before anything is decided."""
        apply_account_event(self.lane, self.limits[0], event(kind, self.now, **fields)[0])

    def hold(self, lots: int, *, ticks: int = 1000, market: int = 0) -> None:
        """More of a position, bought or sold at `ticks` by one fill that no order of ours made."""
        side = BUY if lots > 0 else SELL
        self.feed_silently(EventKind.ORDER_FILLED, side=side, price_ticks=ticks, size_lots=abs(lots), market=market)

    def active(self, market: int = 0) -> np.ndarray:
        """The orders not proven dead, oldest first: a copy."""
        slots = self.lane.active[market, : self.position(market)["active_count"]]
        return self.lane.orders[market][slots].copy()

    def acknowledge(self, market: int = 0, *, after_ns: int = 0) -> None:
        """The venue acknowledges every order that is SENT, without a decision in between."""
        self.now += after_ns
        on_fill, self.limits["decide_on_fill"] = int(self.limits["decide_on_fill"][0]), 0
        for order in self.active(market):
            if order["state"] == 2:
                self.feed(
                    event(
                        EventKind.ORDER_ACKNOWLEDGED,
                        self.now,
                        market=market,
                        side=order["side"],
                        price_ticks=order["price_ticks"],
                        size_lots=order["remaining_lots"],
                        order_id=order["order_id"],
                        aux0=7,
                    )
                )
        self.limits["decide_on_fill"] = on_fill

    def fill(self, order: Any, lots: int, *, market: int = 0, ticks: int = 0, fee_micro: int = 0) -> list[Command]:
        """The venue fills an order, at its own price unless `ticks` says otherwise."""
        left = int(order["remaining_lots"]) - lots
        return self.feed(
            event(
                EventKind.ORDER_FILLED,
                self.now,
                market=market,
                side=order["side"],
                price_ticks=ticks or order["price_ticks"],
                size_lots=lots,
                order_id=order["order_id"],
                aux0=left,
                aux1=fee_micro,
            )
        )


def started(*, markets: int = 1, **limits: int) -> World:
    """A world that has seen its equity once, and quotes nothing."""
    world = World(markets=markets, **limits)
    assert world.decide() == []
    return world


def fresh(**limits: int) -> World:
    """A core as a live session begins: nothing stated, no connection."""
    world = World(**limits)
    world.row["starting_equity_micro"] = world.row["equity_micro"] = world.row["connected"] = 0
    return world


def resting(*quotes: Quote, markets: int = 1, **limits: int) -> World:
    """A world in which these quotes are acknowledged orders."""
    world = World(markets=markets, **limits)
    world.quotes(*quotes)
    world.decide()
    for market in range(markets):
        world.acknowledge(market)
    return world


def ladder_world(*, strategy: str = str(SCRIPT), **limits: int) -> World:
    """A world whose market 0 keeps a ladder from 980 to 1043."""
    world = World(strategy=strategy, **limits)
    world.data.books["kind"], world.data.books["ladder_index"] = int(BookKind.LADDER), 0
    world.data.ladders[0] = (980, 64, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return world


def approve(
    world: World,
    side: int = BUY,
    ticks: int = 1000,
    lots: int = 1000,
    *,
    time_in_force: int = ALO,
    reduce_only: int = 0,
    market: int = 0,
) -> tuple[int, int]:
    """What the gate makes of a quote: lots and refusal."""
    lots, code = risk.approve(
        world.row, world.position(market), world.data.books[market], world.data.markets[market], world.limits[0], side,
        ticks, lots, time_in_force, reduce_only,
    )  # fmt: skip
    return int(lots), int(code)
