"""What a strategy sees: the same whatever the world, and never its own orders."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.core.state import BookKind, OrderState
from hlhft.events import EventKind as Kind
from tests.core.worlds import BUY, MS, SECOND, SELL, Quote, World, event, snapshot

BIDS = [(999 - level, 100 + level) for level in range(8)]
ASKS = [(1001 + level, 200 + level) for level in range(8)]
SIDES = ("bid", "ask")


def seen(world: World) -> dict[str, list[int]]:
    """Touch and levels of market 0 as the newest call of the strategy saw them."""
    view = world.lane.views[0]
    names = [f"best_{side}_{what}" for side in SIDES for what in ("ticks", "lots")]
    names += [f"{side}_{what}" for side in SIDES for what in ("ticks", "lots")]
    return {name: np.atleast_1d(view[name]).tolist() for name in names}


def resting(world: World, side: int, ticks: int, lots: int, *, acknowledged: bool = True) -> None:
    """An order of ours at a price, without asking anybody."""
    position, count = world.position(), int(world.position()["active_count"])
    order = world.lane.orders[0, count]
    order["order_id"], order["side"], order["price_ticks"] = 1024 + count, side, ticks
    order["size_lots"] = order["remaining_lots"] = lots
    order["state"], order["acknowledged_ns"] = OrderState.OPEN, int(acknowledged)
    world.lane.active[0, count] = count
    position["active_count"] = count + 1
    position["open_buy_lots" if side > 0 else "open_sell_lots"] += lots


def world_with(kind: BookKind, strategy: str) -> World:
    """A world whose book is of this kind and empty."""
    world = World(strategy=strategy) if strategy else World()
    for side in SIDES:
        world.data.books[f"best_{side}_ticks"] = world.data.books[f"best_{side}_lots"] = 0
    world.data.books["kind"] = int(kind)
    world.data.books["ladder_index"] = 0 if kind == BookKind.LADDER else -1
    world.data.ladders[0] = (980, 64, -(2**62), 2**62, 2**62, -(2**62), 0)
    return world


KINDS = [BookKind.LADDER, BookKind.SNAPSHOT]


@pytest.mark.parametrize("kind", KINDS)
def test_without_own_orders_the_view_is_the_book(kind):
    world = world_with(kind, "glft")
    world.feed(snapshot(world.now, BIDS, ASKS))
    assert seen(world) == {
        "best_bid_ticks": [999], "best_bid_lots": [100], "best_ask_ticks": [1001], "best_ask_lots": [200],
        "bid_ticks": [999, 998, 997, 996, 995], "bid_lots": [100, 101, 102, 103, 104],
        "ask_ticks": [1001, 1002, 1003, 1004, 1005], "ask_lots": [200, 201, 202, 203, 204],
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["glft", ""])
def test_own_resting_orders_change_nothing_that_is_seen(kind, strategy):
    """Ours: part of a level, a level by itself ahead of the touch, and one between the others, on both sides."""
    own = [(BUY, 999, 40), (BUY, 1000, 7), (BUY, 996, 13), (SELL, 1003, 5), (SELL, 1001, 60)]
    apart = [(999, 100), (998, 101), (997, 102), (995, 104), (994, 105), (993, 106)]
    clean = world_with(kind, strategy)
    clean.feed(snapshot(clean.now, apart, ASKS))
    dirty = world_with(kind, strategy)
    dirty.data.books["contains_own"] = 1
    books: dict[int, dict[int, int]] = {BUY: dict(apart), SELL: dict(ASKS)}
    for side, ticks, lots in own:
        resting(dirty, side, ticks, lots)
        books[side][ticks] = books[side].get(ticks, 0) + lots
    dirty.feed(snapshot(dirty.now, sorted(books[BUY].items(), reverse=True), sorted(books[SELL].items())))
    for world in (clean, dirty):
        # A trade reaches a distance from the mid of the others' touch.
        for _ in range(3):
            world.feed(event(Kind.TRADE, world.now, side=SELL, price_ticks=998, size_lots=3))
        world.decide(after_ns=MS)
    assert dirty.data.feature_memory.tobytes() == clean.data.feature_memory.tobytes()
    assert seen(dirty) == seen(clean)
    assert dirty.lane.views[0]["features"] == clean.lane.views[0]["features"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_side_that_is_only_ours_is_empty(kind):
    world = world_with(kind, "glft")
    world.data.books["contains_own"] = 1
    resting(world, BUY, 999, 100)
    world.feed(snapshot(world.now, [(999, 100)], [(1001, 5), (1002, 6)]))
    view = seen(world)
    assert (view["best_bid_ticks"], view["best_bid_lots"], view["bid_ticks"]) == ([0], [0], [0] * 5)
    assert (view["best_ask_ticks"], view["ask_lots"]) == ([1001], [5, 6, 0, 0, 0])


def test_an_order_that_nobody_acknowledged_is_not_in_the_book():
    world = world_with(BookKind.SNAPSHOT, "glft")
    world.data.books["contains_own"] = 1
    resting(world, BUY, 999, 40, acknowledged=False)
    world.feed(snapshot(world.now, BIDS, ASKS))
    assert seen(world)["best_bid_lots"] == [100]


def test_ages_positions_rates_and_signals_are_the_states():
    world = World(markets=2)
    world.feed_silently(Kind.FEE_CHANGE, market=1, aux0=-30_000, aux1=450_000)
    signal = {"market": 1, "price_ticks": 77, "size_lots": 5, "aux0": world.now + SECOND}
    world.feed_silently(Kind.SIGNAL, **signal)
    world.feed(
        event(
            Kind.ASSET_CONTEXT, world.now, market=1, price_ticks=1003, order_id=1004, aux0=12_500_000, aux1=-7,
        )
    )  # fmt: skip
    world.quotes(Quote(BUY, 990, 30, market=1), Quote(SELL, 1010, 20, market=1))
    world.decide()
    world.fill(world.active(1)[0], 10, market=1)
    world.decide(after_ns=400 * MS)
    view = world.lane.views[1]
    expected = {
        "now_ns": world.now, "market": 1, "book_age_ns": 400 * MS, "depth_age_ns": 400 * MS, "position_lots": 10,
        "open_buy_lots": 20, "open_sell_lots": 20, "working_orders": 2, "mark_ticks": 1003, "oracle_ticks": 1004,
        "funding_rate_e12": 12_500_000, "maker_rate_e9": -30_000, "taker_rate_e9": 450_000, "mode": 0,
        "signal_valid": 1, "signal_e9": 77, "signal_deviation_e9": 5, "equity_micro": world.row["equity_micro"],
    }  # fmt: skip
    assert {name: int(view[name]) for name in expected} == {name: int(value) for name, value in expected.items()}
    assert view["equity_micro"] != 0
    world.decide(after_ns=600 * MS)
    assert world.lane.views[1]["signal_valid"] == 0
    assert (world.lane.views[0]["position_lots"], world.lane.views[0]["maker_rate_e9"]) == (0, 0)


def test_deep_levels_carry_their_own_age():
    """The full channel spoke 300 ms (block time) before the newest fast frame, which came 50 ms ago."""
    world = World()
    world.feed(snapshot(world.now, BIDS, ASKS))
    world.now += 300 * MS
    world.feed(snapshot(world.now, BIDS[:5], ASKS[:5], channel=1))
    world.decide(after_ns=50 * MS)
    view = world.lane.views[0]
    assert (view["book_age_ns"], view["depth_age_ns"]) == (50 * MS, 350 * MS)


def test_units_and_grids_are_written_once():
    world = World(markets=2)
    for index in range(2):
        view = world.lane.views[index]
        market = world.data.markets[index]
        names = ("tick_size", "lot_size", "grid_rule", "grid_step_ticks", "whole_unit_ticks")
        assert [view[name] for name in names] == [market[name] for name in names]
        assert view["market"] == index
