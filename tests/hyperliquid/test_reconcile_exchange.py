"""Reconciliation against the embedded exchange while it is traded: never a false disagreement, never a false agreement,
and nothing of a dead session left behind."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.reconcile_compare import Policy
from hlhft.hyperliquid.reconcile_events import (
    Adopt,
    Agreed,
    Begin,
    CancelLeftovers,
    Code,
    Disagreed,
    Empty,
    ProveEmpty,
    Reason,
    Report,
    ReportCode,
)
from tests.exchange.clients import order, orders
from tests.hyperliquid.reconcile_world import Exchange, S, Trader, quote_at_random, take, venue_lots


def started(seed: int, session: int = 5, exchange: Exchange | None = None, **settings: object) -> Trader:
    trader = Trader(exchange or Exchange(seed), session, **settings)
    trader.tell(Begin(1, Reason.START))
    trader.run(3 * S)
    assert told(trader, Agreed), "a session begins within three seconds"
    return trader


def told(trader: Trader, kind: type) -> list:
    return [effect for _, effect in trader.history if isinstance(effect, kind)]


def agreements_after(trader: Trader, block_ms: int) -> list[int]:
    """Blocks of the rounds that agreed about anything later."""
    details = [one.detail for one in told(trader, Report) if one.code is ReportCode.AGREED]
    return [block for block in (int(detail.rsplit(" ", 1)[1]) for detail in details) if block > block_ms]


@pytest.mark.parametrize("seed", range(4))
def test_random_trading_never_disagrees_and_ends_in_agreement(seed: int) -> None:
    trader = started(seed)
    trader.loss = 0.2
    for number in range(2, 7):
        trader.run(3 * S, lambda: quote_at_random(trader))
        if number % 2:
            trader.exchange.listen(trader.exchange.own, trader.arrive)
        trader.tell(Begin(number, Reason.CONNECTED))
    trader.run(12 * S)
    assert told(trader, Disagreed) == [], f"seed {seed}"
    assert told(trader, Agreed)[-1].number == 6, f"seed {seed}"
    assert trader.positions == venue_lots(trader.exchange), f"seed {seed}"
    assert told(trader, CancelLeftovers) == []
    listed = trader.exchange.own.info("openOrders")
    assert {one.oid for one in trader.fates.live_orders()} == {one["oid"] for one in listed}
    assert len(trader.exchange.own.info("userFillsByTime", startTime=0)) > 3, f"seed {seed} drew too few fills"


@pytest.mark.parametrize("seed", range(10, 12))
def test_a_fill_that_nobody_tells_is_never_agreed_to(seed: int) -> None:
    trader = started(seed)
    exchange = trader.exchange
    trader.run(3 * S, lambda: quote_at_random(trader))
    trader.place(1, "3998", "0.7")
    trader.run(2 * S)
    before = len(exchange.own.info("userFillsByTime", startTime=0))
    take(exchange, -1, "0.3")
    # It is hidden in the very block in which it happens.
    exchange.hidden_fills = AllBut({one["tid"] for one in exchange.own.info("userFillsByTime", startTime=0)})
    trader.run(20 * S)
    fills = exchange.own.info("userFillsByTime", startTime=0)
    assert len(fills) > before
    (first, *_) = [one for one in fills if one["tid"] in exchange.hidden_fills]
    disagreed = told(trader, Disagreed)
    assert disagreed and disagreed[0].code in (Code.POSITION, Code.ORDERS), f"seed {seed}"
    assert agreements_after(trader, first["time"]) == [], f"seed {seed}"


class AllBut(set):
    """Everything but what is in it."""

    def __contains__(self, item: object) -> bool:
        return not super().__contains__(item)


@pytest.mark.parametrize("seed", range(20, 22))
def test_an_order_that_is_not_listed_is_never_agreed_to(seed: int) -> None:
    trader = started(seed)
    trader.run(3 * S, lambda: quote_at_random(trader))
    trader.place(1, "3990", "0.7")
    trader.run(3 * S)
    newest = max(one["oid"] for one in trader.exchange.own.info("openOrders"))
    assert newest in {one.oid for one in trader.fates.live_orders()}
    trader.exchange.hidden_orders = {newest}
    hidden_ms = trader.exchange.now_ns // 1_000_000
    trader.run(20 * S)
    disagreed = told(trader, Disagreed)
    assert disagreed and disagreed[0].code is Code.ORDERS, f"seed {seed}"
    assert agreements_after(trader, hidden_ms) == [], f"seed {seed}"


@pytest.mark.parametrize("seed", range(30, 32))
def test_what_a_dead_session_leaves_is_cancelled_and_nothing_else(seed: int) -> None:
    """The last orders are still on their way when it dies: they arrive before their expiry, and are found."""
    first = started(seed)
    exchange = first.exchange
    foreign = exchange.own.statuses(orders(order(price="3900", size="0.5")))[0]["resting"]["oid"]
    first.run(5 * S, lambda: quote_at_random(first))
    first.place(1, "3990", "0.5")
    first.place(-1, "4010", "0.5")
    first.die()
    settled_ms = exchange.now_ns // 1_000_000 + 3_000
    second = Trader(exchange, 6)
    second.tell(Begin(1, Reason.START, settled_ms))
    second.run(8 * S)
    (agreed,) = told(second, Agreed)
    assert agreed.block_ms > settled_ms and told(second, CancelLeftovers), f"seed {seed}"
    assert [one["oid"] for one in exchange.own.info("openOrders")] == [foreign]
    assert second.positions == venue_lots(exchange)
    second.run(5 * S, lambda: quote_at_random(second))
    second.run(8 * S)
    assert told(second, Disagreed) == [] and second.positions == venue_lots(exchange)


@pytest.mark.parametrize("seed", range(40, 42))
def test_adopted_orders_fill_for_the_session_that_took_them(seed: int) -> None:
    first = started(seed)
    exchange = first.exchange
    first.place(1, "3998", "0.7")
    first.place(-1, "4002", "0.7")
    first.run(2 * S)
    take(exchange, -1, "0.2")
    first.run(S)
    first.die()
    second = Trader(exchange, 6, policy=Policy.ADOPT)
    second.tell(Begin(1, Reason.START))
    second.run(4 * S)
    (adopted,) = told(second, Adopt)
    assert sorted(one.left_lots for one in adopted.orders) == [5_000, 7_000]
    for side in (1, -1):
        take(exchange, side, "0.4")
        second.run(3 * S)
    assert second.positions == venue_lots(exchange) == [0, 2_000], f"seed {seed}"
    assert told(second, Disagreed) == told(second, CancelLeftovers) == []


def test_a_stopped_session_is_shown_to_be_empty() -> None:
    trader = started(50)
    exchange = trader.exchange
    trader.run(5 * S, lambda: quote_at_random(trader))
    expiry_ms = trader.fates.last_expiry_ms
    trader.tell(ProveEmpty(9, expiry_ms, exchange.now_ns + 20 * S))
    trader.run(8 * S)
    (empty,) = told(trader, Empty)
    assert empty.block_ms > expiry_ms and exchange.own.info("openOrders") == []
