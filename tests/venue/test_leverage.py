"""Leverage, the kind of margin, and what stands behind an isolated position."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.venue.adl import equity_micro
from hlhft.venue.blocks import ActionKind
from hlhft.venue.leverage import free_collateral_micro, leverage_limit
from hlhft.venue.refusals import Refusal
from tests.venue.chain_desk import ALO, AT, BUY, OTHER, PERP, SELL, SPOT, TIERS, USDC, ChainDesk

CROSS = -1
LOTS = 100_000  # 1,000 USDC at 10,000 ticks


def leverage(desk: ChainDesk, account: int, value: int, cross: int, market: int = PERP) -> Refusal:
    return desk.do(ActionKind.UPDATE_LEVERAGE, account, market=market, amount=value, side=cross)


def margin(desk: ChainDesk, account: int, amount: int, market: int = PERP) -> Refusal:
    return desk.do(ActionKind.UPDATE_ISOLATED_MARGIN, account, market=market, amount=amount)


@pytest.mark.parametrize(
    ("market", "value", "expected"),
    [
        (PERP, 0, Refusal.INVALID_LEVERAGE),
        (PERP, 1, Refusal.NONE),
        (PERP, 40, Refusal.NONE),
        (PERP, 41, Refusal.INVALID_LEVERAGE),
        (OTHER, 10, Refusal.NONE),
        (OTHER, 11, Refusal.INVALID_LEVERAGE),
        (SPOT, 1, Refusal.INVALID_LEVERAGE),
    ],
)
def test_leverage_lies_between_one_and_the_markets(market, value, expected):
    desk = ChainDesk().open(1)
    assert leverage(desk, 1, value, 1, market) is expected
    told = [(int(e["aux0"]), int(e["aux1"])) for e in desk.only(EventKind.LEVERAGE_CHANGE)]
    assert told == ([(value, 1)] if expected is Refusal.NONE else [])
    if expected is Refusal.NONE:
        assert desk.exchange.holdings[1, market]["leverage"] == value


def test_the_kind_of_margin_changes_without_a_position_only():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, LOTS)
    assert leverage(desk, 1, 20, 0) is Refusal.LEVERAGE_TYPE_OPEN
    assert leverage(desk, 1, 10, 1) is Refusal.NONE
    desk.trade(2, 1, LOTS)
    assert leverage(desk, 1, 20, 0) is Refusal.NONE
    assert desk.exchange.margins[1, PERP]["isolated"] == 1


def test_changing_the_kind_of_margin_moves_no_money():
    """Account 1 won 10 USDC (1 % of 1,000) and paid 0.15 + 0.4545 of fees; cross or isolated, it is worth the same."""
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, LOTS)
    desk.trade(2, 1, LOTS, AT + 100)
    worth = 1_010 * USDC - 150_000 - 454_500
    assert equity_micro(desk.exchange, 1, CROSS) == worth
    for kind in (0, 0, 1, 1, 0):
        assert leverage(desk, 1, 20, kind) is Refusal.NONE
        assert equity_micro(desk.exchange, 1, CROSS) == worth
        assert equity_micro(desk.exchange, 1, PERP) == 0 or kind == 1


def test_where_only_isolated_margin_is_allowed():
    desk = ChainDesk().open(1)
    desk.exchange.terms[PERP]["isolated_only"] = 1
    assert leverage(desk, 1, 5, 1) is Refusal.CROSS_NOT_ALLOWED
    assert leverage(desk, 1, 5, 0) is Refusal.NONE


def test_a_lower_leverage_needs_the_collateral_for_it():
    """A position of 10,000 USDC needs 500 at 20x of 1,000 less fees; at 10x 1,000, which is not there."""
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 10 * LOTS - 1)
    assert leverage(desk, 1, 10, 1) is Refusal.MARGIN
    assert desk.exchange.holdings[1, PERP]["leverage"] == 20
    assert leverage(desk, 1, 11, 1) is Refusal.NONE
    # One that lacks the collateral already may still raise it.
    desk.mark(9_500).run()
    assert free_collateral_micro(desk.exchange, 1) < 0
    assert leverage(desk, 1, 12, 1) is Refusal.NONE


def test_an_unaffordable_switch_to_isolated_is_taken_back():
    """20x orders of 10,000 USDC hold 500; isolated at 5x they would need 2,000 of 1,000."""
    desk = ChainDesk().open(1)
    desk.place(1, BUY, AT - 10, 10 * LOTS - 10, ALO).run()
    assert leverage(desk, 1, 5, 0) is Refusal.MARGIN
    assert desk.exchange.margins[1, PERP]["isolated"] == 0
    assert desk.exchange.holdings[1, PERP]["leverage"] == 20


def test_a_large_position_limits_the_leverage():
    assert [leverage_limit(TIERS[PERP], n * USDC) for n in (0, 9_999, 10_000, 10**6)] == [40, 40, 20, 20]
    desk = ChainDesk().open(1, 2, micro=10_000 * USDC)
    desk.trade(1, 2, 10 * LOTS)
    assert leverage(desk, 1, 21, 1) is Refusal.POSITION_TIER_LIMIT
    assert leverage(desk, 1, 20, 1) is Refusal.NONE


def isolated() -> ChainDesk:
    """Account 1 long 1,000 USDC, isolated at 10x: 100 in the bucket."""
    desk = ChainDesk().open(1, 2)
    leverage(desk, 1, 10, 0)
    desk.trade(1, 2, LOTS)
    assert desk.exchange.margins[1, PERP]["bucket_micro"] == 100 * USDC
    return desk


def test_margin_goes_in_from_free_collateral():
    desk = isolated()
    free = free_collateral_micro(desk.exchange, 1)
    assert free == 900 * USDC - 150_000
    assert margin(desk, 1, free + 1) is Refusal.INSUFFICIENT_MARGIN_TRANSFER
    assert margin(desk, 1, free) is Refusal.NONE
    assert desk.exchange.margins[1, PERP]["bucket_micro"] == 1_000 * USDC - 150_000
    assert free_collateral_micro(desk.exchange, 1) == 0


def test_margin_comes_out_down_to_the_initial_one_or_a_tenth():
    desk = isolated()
    margin(desk, 1, 50 * USDC)
    assert margin(desk, 1, -50 * USDC - 1) is Refusal.INSUFFICIENT_MARGIN_TRANSFER
    assert margin(desk, 1, -20 * USDC) is Refusal.NONE
    leverage(desk, 1, 40, 0)
    assert desk.exchange.margins[1, PERP]["bucket_micro"] == 130 * USDC, "a new leverage moves nothing"
    assert margin(desk, 1, -30 * USDC - 1) is Refusal.INSUFFICIENT_MARGIN_TRANSFER, "at 40x a tenth stays"
    leverage(desk, 1, 8, 0)
    assert margin(desk, 1, -10 * USDC) is Refusal.INSUFFICIENT_MARGIN_TRANSFER, "at 8x an eighth stays, 125"
    assert margin(desk, 1, -5 * USDC) is Refusal.NONE


def test_margin_that_cannot_move():
    desk = isolated()
    assert margin(desk, 1, 0) is Refusal.INVALID_AMOUNT
    assert margin(desk, 2, USDC) is Refusal.NOT_ISOLATED
    assert margin(desk, 1, USDC, OTHER) is Refusal.NOT_ISOLATED
    leverage(desk, 1, 5, 0, OTHER)
    assert margin(desk, 1, USDC, OTHER) is Refusal.NOT_ISOLATED, "isolated, but no position"
    desk.exchange.terms[PERP]["strict_isolated"] = 1
    margin(desk, 1, 50 * USDC)
    assert margin(desk, 1, -1) is Refusal.STRICT_ISOLATED
    desk.place(2, SELL, AT, 1, ALO).run()
