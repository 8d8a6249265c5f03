"""Whether an account can carry one more order."""

from __future__ import annotations

import pytest

from hlhft.venue.admission import exceeds_tier, margin_refusal
from hlhft.venue.refusals import Refusal
from tests.venue.chain_desk import ALO, AT, BUY, OTHER, PERP, SELL, SPOT, USDC, ChainDesk

LOTS = 100_000  # 1,000 USDC at 10,000 ticks


def refusal(desk: ChainDesk, side: int, lots: int, market: int = PERP, reduce_only: int = 0) -> Refusal:
    return Refusal(int(margin_refusal(desk.exchange, 1, market, side, AT, lots, reduce_only)))


@pytest.mark.parametrize(("lots", "expected"), [(10 * LOTS, Refusal.NONE), (10 * LOTS + 10, Refusal.MARGIN)])
def test_free_collateral_must_cover_the_initial_margin(lots, expected):
    """1,000 USDC at 10x."""
    desk = ChainDesk().open(1)
    assert refusal(desk, BUY, lots, OTHER) is expected
    assert refusal(desk, SELL, lots, OTHER) is expected


def test_nobody_opens_without_a_mark():
    desk = ChainDesk().deposit(1, 1_000 * USDC)
    desk.run()
    assert refusal(desk, BUY, 1) is Refusal.MARGIN


def test_what_only_reduces_needs_nothing():
    desk = ChainDesk()
    assert refusal(desk, BUY, 1, reduce_only=1) is Refusal.NONE


def test_a_position_stops_at_the_tier_that_forbids_its_leverage():
    """At 40x 10,000 USDC and more are not allowed: 10x LOTS; at 20x they are. Orders of the same side count."""
    desk = ChainDesk().open(1, 2, micro=10_000 * USDC)
    desk.exchange.holdings[1, PERP]["leverage"] = 40
    assert not exceeds_tier(desk.exchange, 1, PERP, BUY, 10 * LOTS - 1)
    assert exceeds_tier(desk.exchange, 1, PERP, BUY, 10 * LOTS)
    desk.trade(1, 2, 4 * LOTS)
    desk.place(1, BUY, AT - 1, 3 * LOTS, ALO).run()
    assert refusal(desk, BUY, 3 * LOTS - 1) is Refusal.NONE
    assert refusal(desk, BUY, 3 * LOTS) is Refusal.POSITION_TIER_LIMIT
    # Selling closes 4 first and opens 10 then.
    assert refusal(desk, SELL, 14 * LOTS - 1) is Refusal.NONE
    assert refusal(desk, SELL, 14 * LOTS) is Refusal.POSITION_TIER_LIMIT
    desk.exchange.holdings[1, PERP]["leverage"] = 20
    assert refusal(desk, BUY, 3 * LOTS) is Refusal.NONE


def test_what_closes_is_never_too_large_for_a_tier():
    desk = ChainDesk().open(1, 2, micro=10_000 * USDC)
    desk.trade(1, 2, 10 * LOTS)
    desk.exchange.holdings[1, PERP]["leverage"] = 40
    assert not exceeds_tier(desk.exchange, 1, PERP, SELL, 20 * LOTS)
    assert exceeds_tier(desk.exchange, 1, PERP, SELL, 20 * LOTS + 1)


def test_a_market_without_tiers_has_no_limit():
    desk = ChainDesk().open(1)
    desk.exchange.tiers[:] = 0
    assert not exceeds_tier(desk.exchange, 1, PERP, BUY, 10**9)


def test_a_spot_order_needs_a_balance():
    desk = ChainDesk().open(1)
    assert refusal(desk, BUY, 1, SPOT) is Refusal.INSUFFICIENT_SPOT_BALANCE
    desk.deposit(1, 10**6, 1).run()
    assert refusal(desk, SELL, 1, SPOT) is Refusal.NONE
    assert refusal(desk, SELL, 2, SPOT) is Refusal.INSUFFICIENT_SPOT_BALANCE
