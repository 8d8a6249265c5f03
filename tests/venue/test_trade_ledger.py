"""Entry prices, last prices, volumes and fees, from the fills that were told."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.venue.adl import move_between
from hlhft.venue.trade_ledger import book_trades, entry_after
from tests.venue.chain_desk import AT, OTHER, PERP, SPOT, USDC, ChainDesk


@pytest.mark.parametrize(
    ("entry", "start", "side", "ticks", "lots", "expected"),
    [
        (0, 0, 1, 100, 10, 1_000),
        (1_000, 10, 1, 130, 5, 1_650),
        (1_650, 15, -1, 200, 5, 1_100),  # a third goes out at its cost
        (1_100, 10, -1, 200, 10, 0),
        (1_100, 10, -1, 200, 13, 600),  # a flip: three lots from 200
        (0, 0, -1, 100, 10, 1_000),
        (1_000, -10, -1, 90, 10, 1_900),
        (1_900, -20, 1, 50, 10, 950),
    ],
)
def test_the_entry_by_hand(entry, start, side, ticks, lots, expected):
    assert entry_after(entry, start, side, ticks, lots) == expected


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(1, 10**6)), max_size=20))
def test_the_entry_is_the_average_of_what_opened(fills):
    entry, position, exact = 0, 0, Fraction(0)
    for side, ticks, lots in fills:
        if position * side >= 0:
            exact += ticks * lots
        else:
            closed = min(lots, abs(position))
            exact = exact * (1 - Fraction(closed, abs(position))) + ticks * (lots - closed)
        entry = entry_after(entry, position, side, ticks, lots)
        position += side * lots
        assert abs(entry - exact) <= len(fills)
        assert entry >= 0
        assert (entry == 0) <= (position == 0 or abs(position) * 10**6 >= 0)
    if position == 0:
        assert entry == 0


def test_a_block_books_what_it_told_once():
    """At 1,000.0 USDC 2,000 lots are 20 USDC: the taker pays 4.5 bp, 9,000 micro-USDC, the maker 1.5 bp, 3,000."""
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 2_000)
    chain = desk.chain
    assert chain.entries[1, PERP] == chain.entries[2, PERP] == 2_000 * AT
    assert chain.prices["last_trade_ticks"].tolist() == [AT, 0, 0]
    assert chain.state[0]["trading_fees_micro"] == 12_000
    assert chain.fees.traded_micro.tolist() == [0, 20 * USDC, 20 * USDC, 0, 0]
    desk.run()
    assert chain.state[0]["trading_fees_micro"] == 12_000
    desk.trade(2, 1, 500, AT - 100, OTHER)
    assert chain.entries[:, OTHER].tolist() == [0, 500 * (AT - 100), 500 * (AT - 100), 0, 0]
    assert chain.prices["last_trade_ticks"].tolist() == [AT, AT - 100, 0]
    assert chain.entries[:, SPOT].tolist() == [0] * 5


def test_what_no_order_caused_is_neither_volume_nor_a_price():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 2_000)
    move_between(desk.exchange, 1, 0, PERP, AT + 50, 2_000, desk.now_ns)
    desk.chain.state[0]["events_booked"] = 0
    assert book_trades(desk.chain, desk.now_ns) == 2
    assert desk.chain.entries[:3, PERP].tolist() == [2_000 * (AT + 50), 0, 2_000 * AT]
    assert desk.chain.prices[PERP]["last_trade_ticks"] == AT
    assert desk.chain.fees.traded_micro.tolist() == [0, 20 * USDC, 20 * USDC, 0, 0]


def test_events_that_are_booked_are_not_booked_again():
    desk = ChainDesk().open(1, 2)
    desk.trade(1, 2, 2_000)
    # As if the block were still open: its events stand there, booked.
    desk.exchange.engine[0]["event_count"] = len(desk.raw)
    assert book_trades(desk.chain, desk.now_ns) == 0
    assert desk.chain.state[0]["trading_fees_micro"] == 12_000
    desk.chain.state[0]["events_booked"] = 0
    assert book_trades(desk.chain, desk.now_ns) == len(desk.raw)
    assert desk.chain.state[0]["trading_fees_micro"] == 24_000
