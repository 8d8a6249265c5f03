"""The price ladder against a plain book of dictionaries, for any sequence of updates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.core.state import LEVEL_DTYPE
from hlhft.ladder import (
    ASK_NONE,
    BID_NONE,
    ask_above,
    bid_below,
    clear_asks,
    clear_bids,
    lots_at,
    new_cells,
    new_header,
    set_ask,
    set_bid,
    top_levels,
)

BASE, WIDTH = 100, 24


@dataclass
class PlainBook:
    """What the ladder promises, in dictionaries: a touch that only updates move, and levels that outlive a crossing."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    best_bid: int = BID_NONE
    best_ask: int = ASK_NONE
    outside: int = 0

    def next_bid(self, ticks: int) -> int:
        return max((price for price in self.bids if price < ticks), default=BID_NONE)

    def next_ask(self, ticks: int) -> int:
        return min((price for price in self.asks if price > ticks), default=ASK_NONE)

    def set_bid(self, ticks: int, lots: int) -> int:
        if not BASE <= ticks < BASE + WIDTH:
            self.outside += 1
            return -1
        before = self.bids.pop(ticks, 0)
        if lots:
            self.bids[ticks] = lots
            if ticks > self.best_bid:
                self.best_bid = ticks
                if ticks >= self.best_ask:
                    self.best_ask = self.next_ask(ticks)
        elif ticks == self.best_bid:
            self.best_bid = self.next_bid(ticks)
        return before

    def set_ask(self, ticks: int, lots: int) -> int:
        if not BASE <= ticks < BASE + WIDTH:
            self.outside += 1
            return -1
        before = self.asks.pop(ticks, 0)
        if lots:
            self.asks[ticks] = lots
            if ticks < self.best_ask:
                self.best_ask = ticks
                if ticks <= self.best_bid:
                    self.best_bid = self.next_bid(ticks)
        elif ticks == self.best_ask:
            self.best_ask = self.next_ask(ticks)
        return before

    def clear_bids(self, ticks: int) -> None:
        self.bids = {price: lots for price, lots in self.bids.items() if ticks > 0 and price < ticks}
        self.best_bid = max(self.bids, default=BID_NONE)

    def clear_asks(self, ticks: int) -> None:
        self.asks = {price: lots for price, lots in self.asks.items() if ticks > 0 and price > ticks}
        self.best_ask = min(self.asks, default=ASK_NONE)

    def walk(self, row: int) -> list[tuple[int, int]]:
        levels, ticks = [], self.best_bid if row == 0 else self.best_ask
        while ticks not in (BID_NONE, ASK_NONE):
            levels.append((ticks, (self.bids if row == 0 else self.asks)[ticks]))
            ticks = self.next_bid(ticks) if row == 0 else self.next_ask(ticks)
        return levels


prices = st.integers(BASE - 2, BASE + WIDTH + 1)
updates = st.tuples(st.sampled_from(["set_bid", "set_ask"]), prices, st.integers(0, 3))
clears = st.tuples(st.sampled_from(["clear_bids", "clear_asks"]), st.one_of(st.just(0), prices), st.just(0))
COMPILED = {"set_bid": set_bid, "set_ask": set_ask, "clear_bids": clear_bids, "clear_asks": clear_asks}


def top(header: np.ndarray, cells: np.ndarray, row: int, count: int) -> list[tuple[int, int]]:
    levels = np.zeros(count, LEVEL_DTYPE)
    found = top_levels(header[0], cells, row, levels)
    return [(int(level["price_ticks"]), int(level["size_lots"])) for level in levels[:found]]


# A level outlives the emptiness of its side; what is finds it again behind a touch that comes and goes.
OUTLIVING_BID = [("set_bid", 120, 2), ("set_ask", 110, 2), ("set_bid", 107, 2), ("set_bid", 107, 0)]
OUTLIVING_ASK = [("set_ask", 102, 2), ("set_bid", 110, 2), ("set_ask", 115, 2), ("set_ask", 115, 0)]


@given(st.lists(st.one_of(updates, updates, clears), max_size=40))
@example([*OUTLIVING_BID, ("set_bid", 122, 1), ("set_bid", 122, 0)])
@example([*OUTLIVING_ASK, ("set_ask", 101, 1), ("set_ask", 101, 0)])
@example([*OUTLIVING_BID, ("clear_bids", 0, 0)])
@example([*OUTLIVING_ASK, ("clear_asks", 0, 0)])
@settings(max_examples=60)
def test_any_updates_give_the_plain_book(steps: list[tuple[str, int, int]]) -> None:
    header, cells, plain = new_header(BASE, WIDTH), new_cells(WIDTH), PlainBook()
    for name, ticks, lots in steps:
        if name.startswith("set"):
            assert COMPILED[name](header[0], cells, ticks, lots) == getattr(plain, name)(ticks, lots)
        else:
            COMPILED[name](header[0], cells, ticks)
            getattr(plain, name)(ticks)
        assert (header["best_bid_ticks"][0], header["best_ask_ticks"][0]) == (plain.best_bid, plain.best_ask)
        assert header["updates_outside"][0] == plain.outside
    for row, book in ((0, plain.bids), (1, plain.asks)):
        assert top(header, cells, row, WIDTH) == plain.walk(row)
        assert [lots_at(header[0], cells, row, price) for price in range(BASE - 1, BASE + WIDTH + 1)] == [
            book.get(price, 0) for price in range(BASE - 1, BASE + WIDTH + 1)
        ]
    for ticks in range(BASE - 1, BASE + WIDTH + 2):
        assert bid_below(header[0], cells, ticks) == plain.next_bid(ticks)
        assert ask_above(header[0], cells, ticks) == plain.next_ask(ticks)


def test_a_crossed_level_stays_and_is_reached_again_when_it_is_named() -> None:
    header, cells = new_header(BASE, WIDTH), new_cells(WIDTH)
    set_ask(header[0], cells, 105, 2)
    set_ask(header[0], cells, 107, 4)
    set_bid(header[0], cells, 106, 1)
    assert (header["best_bid_ticks"][0], header["best_ask_ticks"][0]) == (106, 107)
    assert lots_at(header[0], cells, 1, 105) == 2
    set_ask(header[0], cells, 105, 3)
    assert (header["best_bid_ticks"][0], header["best_ask_ticks"][0]) == (BID_NONE, 105)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_top_is_cut_where_the_room_ends(count: int) -> None:
    header, cells = new_header(BASE, WIDTH), new_cells(WIDTH)
    for ticks in (101, 103, 104):
        set_bid(header[0], cells, ticks, ticks)
        set_ask(header[0], cells, ticks + 10, ticks)
    assert top(header, cells, 0, count) == [(104, 104), (103, 103), (101, 101)][:count]
    assert top(header, cells, 1, count) == [(111, 101), (113, 103), (114, 104)][:count]
