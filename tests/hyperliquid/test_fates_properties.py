"""One true history, told in many orders: whatever is doubled, reordered or lost, the same end, the same money.

The histories are those of the embedded exchange without faults. Each is told again to other fates: news comes late,
some twice, some never. Then everybody is silent, and the same readings are given to all.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.hyperliquid.account import OpenOrder, OrderStatus
from hlhft.hyperliquid.account_requests import InfoKind, of_time, of_user, order_status
from hlhft.hyperliquid.answers import action_answer
from hlhft.hyperliquid.decode import Row
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import HALTING, Sent
from hlhft.hyperliquid.messages import Fill, Fills, NonUserCancels, OrderUpdates
from hlhft.hyperliquid.reading import Fault
from tests.exchange.clients import START_MS
from tests.hyperliquid.fate_news import OWNER, SESSION, S
from tests.hyperliquid.fate_world import Faults, World

HISTORIES, STEPS = 6, 60
FAR_S = 3600


class History(NamedTuple):
    """What happened, in the order in which it was sent and first heard, and what readings say in the end."""

    markets: Any
    log: tuple[Any, ...]
    statuses: dict[int, OrderStatus | None]  # by client order id
    fills: tuple[Fill, ...]
    listing: tuple[OpenOrder, ...]
    end_ms: int
    end_ns: int
    position_lots: int


class Told(NamedTuple):
    """What the core knows in the end: money by order, and what may still fill."""

    money: dict[int, tuple[int, int, int]]
    live: dict[int, int]


@cache
def history(number: int) -> History:
    world = World(100 + number, Faults(0, 0, 0, 0, 0))
    for _ in range(STEPS):
        deed = world.random.choices(
            (world.place, world.cancel, world.modify, world.trade, world.deliver), (3, 2, 1, 3, 8)
        )[0]
        deed()
        world.advance(world.random.choice((1, 5, 30)))
    world.advance(2000)
    while world.pending:
        world.deliver()
    world.advance(2000)
    names = {one.cloid for one in world.fates.live_orders()} | {
        update.cloid for news in world.log if isinstance(news, OrderUpdates) for update in news.updates if update.cloid
    }
    statuses = {
        name: world.account.order_status(world.info(order_status(world.trader.address, cloid=name))) for name in names
    }
    fills = world.account.fills(world.info(of_time(InfoKind.FILLS, world.trader.address, START_MS)))
    listing = world.account.open_orders(world.info(of_user(InfoKind.OPEN_ORDERS, world.trader.address)))
    assert not isinstance(fills, Fault)
    assert not isinstance(listing, Fault)
    return History(
        world.markets, tuple(world.log), statuses, fills, listing, world.now_ms, world.now_ns, world.true_position()
    )


def tell(told: History, seed: int, *, lost: float, doubled: float, late: int) -> Told:
    """The history in another order. News never comes before what it answers, nor before what was known when the next
    action left: only so the same actions leave."""
    draw = random.Random(seed)
    fates = Fates(told.markets, owner=OWNER, session=SESSION)
    queue: list[tuple[float, int, Any]] = []
    for place, item in enumerate(told.log):
        if isinstance(item, Sent):
            queue.append((place, len(queue), item))
            continue
        if draw.random() >= lost:
            for _ in range(1 + (draw.random() < doubled)):
                queue.append((place + draw.randrange(late + 1), len(queue), item))
    rows: list[Row] = []
    for _, _, item in sorted(queue, key=lambda one: one[:2]):
        rows += hear(fates, item, told.end_ns)
        check(fates, rows, told)
    rows += settle(fates, told)
    check(fates, rows, told)
    assert not [report for report in fates.take_reports() if report.code in HALTING]
    return Told(money_of(rows), {one.cloid: one.left_lots for one in fates.live_orders()})


def hear(fates: Fates, item: Any, now_ns: int) -> list[Row]:
    if isinstance(item, Sent):
        return fates.sent(item)
    if isinstance(item, OrderUpdates):
        return fates.updated(item, now_ns)
    if isinstance(item, Fills):
        return fates.filled(item, now_ns)
    if isinstance(item, NonUserCancels):
        return fates.ended(item, now_ns)
    post, answer = item
    read = action_answer(answer.body)
    assert not isinstance(read, Fault)
    return fates.answered(post.nonce, read, now_ns)


def settle(fates: Fates, told: History) -> list[Row]:
    """Nobody says anything any more: the same readings for all."""
    rows: list[Row] = []
    for item in told.log:
        if isinstance(item, Sent):
            rows += fates.silent(item.nonce, told.end_ns)
    rows += fates.listed(told.listing, told.end_ms, told.end_ns, told.end_ns)
    for doubt in fates.doubts(told.end_ns + FAR_S * S):
        status = told.statuses.get(doubt.cloid)
        rows += fates.status_read(doubt.order_id, status, told.end_ms, told.end_ns, revision=doubt.revision)
    rows += fates.filled(Fills(fills=told.fills), told.end_ns)
    return rows + fates.fills_read(START_MS - 100_000, told.end_ms, told.end_ns, told.end_ns)


def fields(row: Row) -> dict[str, int]:
    return dict(zip(EVENT_DTYPE.names, row, strict=True))


def money_of(rows: list[Row]) -> dict[int, tuple[int, int, int]]:
    """(signed lots, lots x ticks, fees) of each order."""
    money: dict[int, tuple[int, int, int]] = {}
    for row in map(fields, rows):
        if row["kind"] == EventKind.ORDER_FILLED:
            lots, value, fee = money.get(row["order_id"], (0, 0, 0))
            signed = row["side"] * row["size_lots"]
            money[row["order_id"]] = (lots + signed, value + signed * row["price_ticks"], fee + row["aux1"])
    return money


def check(fates: Fates, rows: list[Row], told: History) -> None:
    """What is done is over in truth, with all its fills booked: nothing less is counted than what is true."""
    booked: dict[int, int] = {}
    for row in map(fields, rows):
        if row["kind"] == EventKind.ORDER_FILLED:
            booked[row["order_id"]] = booked.get(row["order_id"], 0) + row["size_lots"]
    true: dict[int, int] = {}
    for fill in told.fills:
        order_id = (fill.cloid or 0) & (2**64 - 1)
        true[order_id] = true.get(order_id, 0) + fill.size_lots
    left: dict[int, int] = {}
    for one in fates.live_orders():
        left[one.order_id] = left.get(one.order_id, 0) + one.left_lots
    known = {row["order_id"] for row in map(fields, rows)} | set(left)
    for order_id in known:
        assert booked.get(order_id, 0) + left.get(order_id, 0) >= true.get(order_id, 0)
        if fates.is_done(order_id):
            assert booked.get(order_id, 0) == true.get(order_id, 0)
            assert order_id not in {(one.cloid or 0) & (2**64 - 1) for one in told.listing}


@settings(max_examples=40)
@given(
    number=st.integers(0, HISTORIES - 1),
    seed=st.integers(0, 2**32),
    lost=st.sampled_from([0.0, 0.2, 0.6]),
    doubled=st.sampled_from([0.0, 0.5]),
    late=st.sampled_from([0, 5, 80]),
)
def test_every_telling_of_a_history_ends_alike(number: int, seed: int, lost: float, doubled: float, late: int) -> None:
    true = history(number)
    told = tell(true, seed, lost=lost, doubled=doubled, late=late)
    assert told == tell(true, 0, lost=0, doubled=0, late=0)
    assert sum(lots for lots, _, _ in told.money.values()) == true.position_lots
    assert set(told.live) == {one.cloid for one in true.listing}
