"""What the insurance vault does with what it took over."""

from __future__ import annotations

from hlhft.events import EventKind
from hlhft.venue.adl import DELEVERAGED, DELEVERAGES, equity_micro, move_between
from hlhft.venue.trade_ledger import book_trades
from hlhft.venue.vault import VAULT, close_positions, previous_mark, rescue_vault
from tests.venue.chain_desk import ALO, AT, BUY, OTHER, SELL, USDC, ChainDesk

LOTS = 100_000  # 1,000 USDC at 10,000 ticks
CROSS = -1


def owner(side: int = BUY, micro: int = 30 * USDC) -> ChainDesk:
    """The vault has 30 USDC and 1,000 USDC of the second market at the mark of 10,000; account 2 the other side."""
    desk = ChainDesk().open(1, 2, 3)
    desk.exchange.holdings["maker_rate_e9"] = 0
    desk.exchange.holdings["taker_rate_e9"] = 0
    desk.trade(*((1, 2) if side == BUY else (2, 1)), LOTS, market=OTHER)
    desk.deposit(VAULT, micro).run()
    desk.exchange.engine[0]["event_count"] = 0
    desk.chain.state[0]["events_booked"] = 0
    move_between(desk.exchange, 1, VAULT, OTHER, AT, LOTS, desk.now_ns)
    book_trades(desk.chain, desk.now_ns)
    desk.exchange.engine[0]["event_count"] = 0
    return desk


def test_the_mark_before_is_the_present_one_at_first():
    desk = ChainDesk().open(1)
    assert previous_mark(desk.chain, OTHER) == AT
    desk.mark(9_900, OTHER).run()
    assert previous_mark(desk.chain, OTHER) == AT
    desk.mark(9_800, OTHER).run()
    assert previous_mark(desk.chain, OTHER) == 9_900


def test_it_sells_to_whoever_bids_the_mark():
    desk = owner()
    desk.place(3, BUY, AT, LOTS // 4, ALO, OTHER).place(3, BUY, AT - 1, LOTS, ALO, OTHER).run()
    assert desk.position(VAULT, OTHER) == LOTS * 3 // 4, "the level at the mark, and no further"
    assert [int(e["account"]) for e in desk.only(EventKind.ORDER_FILLED)] == [3, VAULT]
    desk.run()
    assert desk.raw.size == 0
    desk.place(3, BUY, AT + 7, 2 * LOTS, ALO, OTHER).run()
    assert desk.position(VAULT, OTHER) == 0


def test_it_buys_from_whoever_offers_the_mark():
    desk = owner(SELL)
    assert desk.position(VAULT, OTHER) == -LOTS
    desk.place(3, SELL, AT + 1, LOTS, ALO, OTHER).run()
    assert desk.position(VAULT, OTHER) == -LOTS
    desk.place(3, SELL, AT, LOTS, ALO, OTHER).run()
    assert desk.position(VAULT, OTHER) == 0


def test_an_empty_book_and_a_vault_without_positions_do_nothing():
    for desk in (owner(), owner(SELL), ChainDesk().open(1)):
        close_positions(desk.exchange, desk.now_ns)
        assert desk.exchange.engine[0]["event_count"] == 0


def test_a_parameter_keeps_it_from_closing():
    desk = owner()
    desk.chain.parameters[0]["vault_closes"] = 0
    desk.place(3, BUY, AT, LOTS, ALO, OTHER).run()
    assert desk.position(VAULT, OTHER) == LOTS


def test_a_vault_that_is_worth_less_than_nothing_is_deleveraged():
    """It took over at 10,000 with 30; at 9,600 it has lost 40. Closed at 10,000 it has 30 again."""
    desk = owner()
    assert not rescue_vault(desk.chain, desk.now_ns)
    desk.mark(9_600, OTHER).run()
    names = ("account", "size_lots", "aux0", "aux1", "price_ticks")
    told = [tuple(int(e[name]) for name in names) for e in desk.only(EventKind.LIQUIDATION)]
    assert told == [
        (VAULT, LOTS, DELEVERAGES, -10 * USDC, AT),
        (2, -LOTS, DELEVERAGED, 1_040 * USDC, AT),
    ]
    assert equity_micro(desk.exchange, VAULT, CROSS) == 30 * USDC
    assert equity_micro(desk.exchange, 2, CROSS) == 1_000 * USDC


def test_a_debt_without_positions_stays():
    desk = owner(micro=5 * USDC)
    desk.mark(9_900, OTHER).run()
    desk.exchange.collateral[VAULT] -= 6 * USDC
    desk.exchange.collateral[2] += 6 * USDC
    assert desk.position(VAULT, OTHER) == 0
    assert not rescue_vault(desk.chain, desk.now_ns)
    assert equity_micro(desk.exchange, VAULT, CROSS) == -USDC
