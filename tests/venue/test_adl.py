"""Auto-deleveraging: who comes first, at which price, and what both sides are told."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.venue.adl import (
    DELEVERAGED,
    DELEVERAGES,
    bucket_of,
    deleverage,
    equity_micro,
    first_counterparty,
    move_between,
    rank_of,
)
from hlhft.venue.conservation import is_conserved
from tests.venue.chain_desk import ALO, AT, BUY, GTC, PERP, SELL, USDC, ChainDesk

LOTS = 100_000  # 1,000 USDC at 10,000 ticks
E9 = 10**9


def free_of_fees(*accounts: int, micro: int = 1_000 * USDC) -> ChainDesk:
    desk = ChainDesk().open(*accounts, micro=micro)
    desk.exchange.holdings["maker_rate_e9"] = 0
    desk.exchange.holdings["taker_rate_e9"] = 0
    return desk


def told(desk: ChainDesk, kind: EventKind) -> list[tuple[int, ...]]:
    rows = desk.exchange.events[: desk.exchange.engine[0]["event_count"]]
    names = ("account", "size_lots", "price_ticks", "aux0", "side", "start_position_lots", "venue_order_id", "trade_id")
    return [tuple(int(row[name]) for name in names) for row in rows if row["kind"] == kind]


def test_the_rank_is_profit_times_leverage():
    """Account 1 is long 1,000 USDC from 10,000; at 11,000 mark over entry is 1.1, its notional 1,100 and its account
    worth 1,100, so 1.1 x 1. Account 2 is short: 10,000 / 11,000 x 1,100 / 900."""
    desk = free_of_fees(1, 2)
    desk.trade(1, 2, LOTS)
    desk.mark(11_000).run()
    assert rank_of(desk.chain, 1, PERP) == 1_100_000_000
    assert rank_of(desk.chain, 2, PERP) == 909_090_909 * 1_222_222_222 // E9


def test_a_rank_has_an_end():
    """An account that is worth nothing, or a position that cost nothing, ranks highest, not beyond 64 bits."""
    desk = free_of_fees(1, 2)
    desk.trade(1, 2, LOTS)
    desk.exchange.collateral[1] = 0
    desk.chain.entries[1, PERP] = 0
    assert rank_of(desk.chain, 1, PERP) == 10**12 * 10**14 // E9
    desk.exchange.collateral[1] = -5 * USDC
    assert rank_of(desk.chain, 1, PERP) == 10**12 * 10**14 // E9


def three() -> ChainDesk:
    """Account 4 short 3,000 USDC against 1,000 each of accounts 1, 2 and 3, who have 2,000, 500 and 1,000."""
    desk = free_of_fees(4, micro=10_000 * USDC)
    for account, micro in ((1, 2_000), (2, 500), (3, 1_000)):
        desk.deposit(account, micro * USDC).run()
        desk.trade(account, 4, LOTS)
    return desk


def test_the_most_leveraged_winner_is_first():
    desk = three()
    assert first_counterparty(desk.chain, 4, PERP) == 2
    assert first_counterparty(desk.chain, 1, PERP) == 4
    desk.exchange.collateral[1] = 400 * USDC
    assert first_counterparty(desk.chain, 4, PERP) == 1
    desk.exchange.collateral[1] = 500 * USDC
    assert first_counterparty(desk.chain, 4, PERP) == 1, "of equals the lower number"


def test_a_loser_is_closed_against_one_after_the_other():
    desk = three()
    desk.exchange.holdings[4, PERP]["position_lots"] += LOTS // 2
    desk.exchange.holdings[1, PERP]["position_lots"] -= LOTS // 2
    trade = int(desk.exchange.engine[0]["next_trade_id"])
    assert deleverage(desk.chain, 4, PERP, 10_500, desk.now_ns) == 0
    assert [desk.position(account) for account in range(5)] == [0, 0, 0, 0, 0]
    # Ranks: 2 with 500, 3 with 1,000, then 1 with half of the position and 2,000.
    assert [(row[0], row[1], row[2], row[3]) for row in told(desk, EventKind.LIQUIDATION)] == [
        (4, -LOTS, 10_500, DELEVERAGES), (2, LOTS, 10_500, DELEVERAGED),
        (4, -LOTS, 10_500, DELEVERAGES), (3, LOTS, 10_500, DELEVERAGED),
        (4, -LOTS // 2, 10_500, DELEVERAGES), (1, LOTS // 2, 10_500, DELEVERAGED),
    ]  # fmt: skip
    assert told(desk, EventKind.ORDER_FILLED)[:2] == [
        (4, LOTS, 10_500, 0, BUY, -5 * LOTS // 2, 0, trade),
        (2, LOTS, 10_500, 0, SELL, LOTS, 0, trade),
    ]
    # Bought at 10,000 and sold at 10,500: 50 USDC each.
    assert equity_micro(desk.exchange, 2, -1) == 550 * USDC
    assert equity_micro(desk.exchange, 3, -1) == 1_050 * USDC


def test_one_who_is_only_partly_needed_keeps_the_rest():
    desk = free_of_fees(1, 2, 3)
    desk.trade(1, 2, LOTS)
    desk.trade(1, 3, 2 * LOTS)
    assert deleverage(desk.chain, 2, PERP, AT, desk.now_ns) == 0
    assert [desk.position(account) for account in (1, 2, 3)] == [2 * LOTS, 0, -2 * LOTS]


def test_nobody_on_the_other_side_leaves_the_position():
    desk = free_of_fees(1)
    desk.exchange.holdings[1, PERP]["position_lots"] = 7
    assert first_counterparty(desk.chain, 1, PERP) == -1
    assert deleverage(desk.chain, 1, PERP, AT, desk.now_ns) == 7


def test_an_isolated_winner_gets_its_margin_back():
    desk = free_of_fees(1, 2)
    desk.leg(8, 1, market=PERP, amount=10, side=0).run()
    desk.trade(1, 2, LOTS)
    assert (bucket_of(desk.exchange, 1, PERP), bucket_of(desk.exchange, 2, PERP)) == (PERP, -1)
    assert equity_micro(desk.exchange, 1, PERP) == 100 * USDC
    deleverage(desk.chain, 2, PERP, AT + 100, desk.now_ns)
    assert desk.collateral(1) == 1_010 * USDC
    assert equity_micro(desk.exchange, 1, PERP) == 0
    assert is_conserved(desk.chain)


def test_orders_that_reduce_end_with_the_position():
    desk = free_of_fees(1, 2)
    desk.trade(1, 2, LOTS)
    desk.place(1, SELL, AT + 500, LOTS, GTC, reduce_only=1).place(2, BUY, AT - 500, LOTS, ALO, reduce_only=1).run()
    deleverage(desk.chain, 2, PERP, AT, desk.now_ns)
    assert desk.exchange.resting["reduce_only_lots"].sum() == 0
    assert desk.exchange.open_orders.tolist() == [0] * 5


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_position_moves_with_the_buyer_told_first(side):
    desk = free_of_fees(1, 2)
    desk.trade(*((1, 2) if side == BUY else (2, 1)), LOTS)
    move_between(desk.exchange, 1, 0, PERP, AT, LOTS, desk.now_ns)
    assert [desk.position(account) for account in (0, 1)] == [side * LOTS, 0]
    fills = told(desk, EventKind.ORDER_FILLED)
    assert [(row[0], row[4], row[5]) for row in fills] == (
        [(0, BUY, 0), (1, SELL, LOTS)] if side == BUY else [(1, BUY, -LOTS), (0, SELL, 0)]
    )
    assert desk.exchange.holdings[1, PERP]["fills"] == 1, "nothing was ordered"
