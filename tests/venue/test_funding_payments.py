"""Premiums of all markets every five seconds, payments of all accounts on the hour."""

from __future__ import annotations

from hlhft.events import EventKind
from hlhft.venue.funding import HOUR_NS, RATE_NONE
from hlhft.venue.funding_payments import market_premium_e12
from tests.venue.chain_desk import ALO, AT, BUY, GTC, OTHER, PERP, SECOND, SELL, SPOT, START, USDC, ChainDesk

E12 = 10**12
DEEP = 3_000_000  # lots: 30,000 USDC at 10,000 ticks


def deep(desk: ChainDesk, bid: int, ask: int, market: int = PERP) -> None:
    """A book that 20,000 USDC do not move."""
    desk.leg(8, 3, market=market, amount=20, side=1).leg(8, 4, market=market, amount=20, side=1)
    desk.place(3, BUY, bid, DEEP, ALO, market).place(4, SELL, ask, DEEP, ALO, market).run()


def to_the_hour(desk: ChainDesk) -> int:
    """Nanoseconds to a moment just after the next full hour."""
    return HOUR_NS - desk.now_ns % HOUR_NS + SECOND // 20


def test_a_premium_needs_depth_on_both_sides_and_an_oracle():
    desk = ChainDesk().open(1, 2)
    desk.open(3, 4, micro=10_000 * USDC)
    venue, prices = desk.exchange, desk.chain.prices
    assert market_premium_e12(venue, prices, PERP) == RATE_NONE
    deep(desk, 10_100, 10_200)
    assert market_premium_e12(venue, prices, PERP) == E12 // 100, "1 % above the oracle"
    prices[PERP]["oracle_ticks"] = 0
    assert market_premium_e12(venue, prices, PERP) == RATE_NONE


def test_premiums_are_sampled_once_in_five_seconds():
    desk = ChainDesk().open(3, 4, micro=10_000 * USDC)
    deep(desk, AT, AT + 1)
    desk.run(5 * SECOND)
    samples = int(desk.chain.funding[PERP]["samples"])
    desk.run(SECOND)
    desk.run(SECOND)
    assert desk.chain.funding[PERP]["samples"] == samples
    desk.run(5 * SECOND)
    assert desk.chain.funding[PERP]["samples"] == samples + 1
    assert desk.chain.prices[PERP]["premium_e12"] == 0
    assert desk.chain.prices[OTHER]["premium_e12"] == RATE_NONE
    assert desk.chain.funding[SPOT]["samples"] == 0


def test_on_the_hour_every_position_pays_and_the_vault_bears_the_rest():
    """With the book at the oracle the premium is 0 and the hour's rate an eighth of 0.0001: 0.0000125. Account 1 is
    long 333,333 lots, worth 3,333.33 USDC at the oracle of 1,000.0, so it pays 41,666.625 micro-USDC, cut: 41,666; the
    others are short 111,111 and 222,222 lots and are paid 13,888 (of 13,888.875) and 27,777 (of 27,777.75)."""
    desk = ChainDesk().open(1, 2, micro=1_000 * USDC).open(3, 4, micro=10_000 * USDC)
    desk.trade(1, 2, 111_111)
    desk.trade(1, 4, 222_222)
    deep(desk, AT, AT + 1)
    desk.run(5 * SECOND)
    assert desk.chain.prices[PERP]["hourly_rate_e12"] == RATE_NONE
    desk.run(to_the_hour(desk))
    paid = desk.only(EventKind.FUNDING_PAYMENT)
    told = [(int(e["account"]), int(e["market"]), int(e["size_lots"]), int(e["aux0"]), int(e["aux1"])) for e in paid]
    assert told == [
        (1, PERP, 333_333, -41_666, 12_500_000),
        (2, PERP, -111_111, 13_888, 12_500_000),
        (4, PERP, -222_222, 27_777, 12_500_000),
    ]
    assert [int(event["leg"]) for event in paid] == [-1] * 3
    assert desk.collateral(0) == 1, "of what was paid one micro-USDC was cut from what was received"
    assert desk.chain.prices[PERP]["hourly_rate_e12"] == 12_500_000
    assert desk.chain.prices[PERP]["rate_ns"] == desk.now_ns
    assert desk.chain.funding[PERP]["samples"] == 0
    desk.run()
    assert desk.only(EventKind.FUNDING_PAYMENT) == []


def test_an_hour_without_a_premium_pays_nothing_and_says_so():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 1_000)
    desk.chain.prices["hourly_rate_e12"] = 5
    desk.run(to_the_hour(desk))
    assert desk.only(EventKind.FUNDING_PAYMENT) == []
    assert desk.chain.prices["hourly_rate_e12"].tolist() == [RATE_NONE, RATE_NONE, 5]


def test_the_payment_takes_the_position_and_the_oracle_of_the_hours_first_block():
    """A position opened in the block of the hour does not pay: funding stands before the actions."""
    desk = ChainDesk().open(1, 2).open(3, 4, micro=10_000 * USDC)
    deep(desk, AT, AT + 1)
    desk.run(5 * SECOND)
    desk.place(1, BUY, AT + 1, 1_000, GTC).oracle(AT + 3)
    desk.run(to_the_hour(desk))
    assert desk.only(EventKind.FUNDING_PAYMENT) == []
    assert desk.position(1) == 1_000
    assert desk.now_ns > START
