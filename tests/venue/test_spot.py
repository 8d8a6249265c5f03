"""Spot balances: what is there, what orders hold, and what trades move."""

from __future__ import annotations

from hlhft.venue.blocks import ActionKind
from hlhft.venue.margin import cross_equity_micro
from hlhft.venue.refusals import Refusal
from hlhft.venue.spot import balance_units, cost_units, free_units, held_units, spot_admits
from tests.venue.chain_desk import ALO, AT, BUY, COIN, GTC, IOC, SELL, SPOT, USDC, ChainDesk

HYPE, DOLLAR = 1, 0

# At 10,000 ticks (0.01 USDC a coin) a lot of 0.01 HYPE costs 10,000 units of 1e-8 USDC, 100 micro-USDC.


def rich() -> ChainDesk:
    """Account 1 has 10 USDC in its spot balance, account 2 has 500 HYPE and no USDC."""
    desk = ChainDesk().open(1, 2)
    desk.leg(ActionKind.TRANSFER_CLASS, 1, side=-1, amount=10 * USDC).deposit(2, 500 * COIN, HYPE).run()
    return desk


def balances(desk: ChainDesk, account: int) -> tuple[int, int]:
    return balance_units(desk.exchange, account, DOLLAR), balance_units(desk.exchange, account, HYPE)


def test_a_trade_moves_both_tokens_and_takes_fees_in_dollars():
    """40,000 lots are 400 HYPE for 4 USDC; the seller takes for 4.5 bp, 1,800 micro-USDC, the maker pays 600."""
    desk = rich()
    desk.place(1, BUY, AT, 40_000, ALO, SPOT).place(2, SELL, AT, 40_000, GTC, SPOT).run()
    assert balances(desk, 1) == (6 * COIN - 600 * 100, 400 * COIN)
    assert balances(desk, 2) == (4 * COIN - 1_800 * 100, 100 * COIN)
    assert desk.chain.state[0]["trading_fees_micro"] == 2_400


def test_perpetuals_do_not_see_spot():
    desk = rich()
    before = desk.collateral(1), desk.collateral(2)
    desk.place(1, BUY, AT, 40_000, ALO, SPOT).place(2, SELL, AT, 40_000, GTC, SPOT).run()
    assert (desk.collateral(1), desk.collateral(2)) == before
    venue = desk.exchange
    for account in (1, 2):
        equity = cross_equity_micro(
            venue.collateral[account], venue.holdings[account], venue.margins[account], venue.markets, venue.marks
        )
        assert equity == venue.collateral[account]


def test_a_buy_holds_its_notional_and_the_takers_fee():
    """10 USDC pay for 99,955 lots: 9,995,500 micro-USDC and a fee of 4,497; 99,956 need 9,995,600 and 4,498."""
    desk = rich()
    venue = desk.exchange
    assert cost_units(venue, 1, SPOT, 99_955 * AT) == (9_995_500 + 4_497) * 100
    assert cost_units(venue, 1, SPOT, 99_956 * AT) == (9_995_600 + 4_498) * 100
    assert not spot_admits(venue, 1, SPOT, BUY, AT, 99_956)
    assert spot_admits(venue, 1, SPOT, BUY, AT, 99_955)
    desk.place(1, BUY, AT, 99_956, ALO, SPOT).run()
    assert desk.refusals() == [Refusal.INSUFFICIENT_SPOT_BALANCE]
    desk.place(1, BUY, AT, 99_955, ALO, SPOT).run()
    assert desk.refusals() == []
    assert held_units(venue, 1, DOLLAR) == (9_995_500 + 4_497) * 100
    assert free_units(venue, 1, DOLLAR) == 300
    desk.place(1, BUY, AT, 10, ALO, SPOT).run()
    assert desk.refusals() == [Refusal.INSUFFICIENT_SPOT_BALANCE]


def test_a_buy_of_everything_pays_no_builder_but_a_sell_does():
    """9.9955 USDC change hands: the taker pays 4,497 micro-USDC and has 3 left; the builder is paid for the sale."""
    desk = rich()
    desk.deposit(2, 500 * COIN, HYPE).place(2, SELL, AT, 99_955, ALO, SPOT, builder=4, builder_rate_e9=10**6)
    desk.place(1, BUY, AT, 99_955, GTC, SPOT, builder=4, builder_rate_e9=10**6).run()
    assert balances(desk, 1) == (300, 99_955 * 10**6)
    assert desk.exchange.builder_fees.tolist() == [0, 0, 0, 9_995, 0]
    assert balances(desk, 2)[0] == (9_995_500 - 1_499 - 9_995) * 100


def test_a_sell_holds_its_lots():
    desk = rich()
    desk.place(2, SELL, AT, 30_000, ALO, SPOT).place(2, SELL, AT, 20_001, ALO, SPOT).run()
    assert desk.refusals() == [Refusal.INSUFFICIENT_SPOT_BALANCE]
    assert held_units(desk.exchange, 2, HYPE) == 300 * COIN
    assert free_units(desk.exchange, 2, HYPE) == 200 * COIN
    assert not spot_admits(desk.exchange, 2, SPOT, SELL, 1, 2**46)


def test_a_cancel_or_a_fill_frees_what_was_held():
    desk = rich()
    desk.place(1, BUY, AT, 40_000, ALO, SPOT, client_id=7).place(1, BUY, AT - 10, 1_000, ALO, SPOT).run()
    desk.place(2, SELL, AT, 10_000, IOC, SPOT).run()
    quanta = 30_000 * AT + 1_000 * (AT - 10)
    assert desk.exchange.resting[1, SPOT]["buy_quanta"] == quanta
    assert held_units(desk.exchange, 1, DOLLAR) == cost_units(desk.exchange, 1, SPOT, quanta)
    desk.leg(ActionKind.CANCEL, 1, market=SPOT, target_id=7, target_is_client_id=1).run()
    assert held_units(desk.exchange, 1, DOLLAR) == cost_units(desk.exchange, 1, SPOT, 1_000 * (AT - 10))


def test_a_fee_rate_that_fell_still_holds_the_markets():
    desk = rich()
    desk.exchange.holdings[1, SPOT]["taker_rate_e9"] = 100_000
    assert cost_units(desk.exchange, 1, SPOT, 10**8) == 10**8 + 450 * 100
    desk.exchange.holdings[1, SPOT]["taker_rate_e9"] = 900_000
    assert cost_units(desk.exchange, 1, SPOT, 10**8) == 10**8 + 900 * 100


def test_a_resting_spot_order_is_no_matter_of_margin():
    """Its owner has no collateral for perpetuals at all, yet the maker is matched."""
    desk = rich()
    desk.leg(ActionKind.WITHDRAW, 1, amount=990 * USDC).run()
    assert desk.collateral(1) == 0
    desk.place(1, BUY, AT, 1_000, ALO, SPOT).place(2, SELL, AT, 1_000, IOC, SPOT).run()
    assert desk.position(1, SPOT) == 1_000
