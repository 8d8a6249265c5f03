"""Hosting a feed: its markets among the listed ones, its money, and whose orders are whose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.merge import Events
from hlhft.events import EventFlag, EventKind
from hlhft.exchange.flow.feeding import FUNDS_MICRO, FeedFlow, cleared, places_of, visible
from hlhft.venue.blocks import ActionKind
from tests.data.making import BTC, ETH, LOCAL, bbo, event, joined, level, trade
from tests.exchange.flow.host import BACK, BLOCK_NS, FIRST_ACCOUNT, FLOW, USER, Host, book_of, deposit, order

BUY, SELL = 1, -1


class ListFlow(FeedFlow):
    """Rows in memory, handed on array by array."""

    def __init__(self, arrays: list[Events]) -> None:
        super().__init__([BTC], [BTC], first_account=FIRST_ACCOUNT)
        self.arrays = arrays

    def _next_rows(self, ts_ns: int) -> Events | None:
        return self.arrays.pop(0) if self.arrays else None

    def status(self) -> str:
        return f"{len(self.arrays)} arrays"


def test_markets_are_found_by_name():
    assert places_of([ETH, BTC], [BTC]) == [-1, 0]
    with pytest.raises(ValueError, match="none of them is listed"):
        places_of([ETH], [BTC])
    with pytest.raises(ValueError, match="market BTC is listed with decimals"):
        places_of([BTC], [replace(BTC, size_decimals=4)])


def test_only_what_happened_at_the_venue_is_visible():
    rows = joined([level(1, BUY, 100, 1), level(2, BUY, 101, 1, flags=LOCAL)])
    assert visible(rows)["ts_exch_ns"].tolist() == [1]
    gone = cleared([0, 1], 9)
    assert gone[["ts_exch_ns", "kind", "market", "side"]].tolist() == [(9, 2, 0, 0), (9, 2, 1, 0)]
    assert set(gone["flags"]) == {int(EventFlag.EXCHANGE_VISIBLE | EventFlag.SYNTHETIC)}


def test_the_first_block_brings_the_money_and_the_next_ones_the_rows():
    flow = ListFlow(
        [joined([level(10, BUY, 1_000, 50)]), joined([level(20, SELL, 1_002, 40), level(90, SELL, 1_003, 1)])]
    )
    assert flow.background is None
    assert len(flow.followed) == 0
    host = Host(flow, [BTC], [500])
    events = host.block(10)
    assert set(events["kind"]) >= {int(EventKind.ACTION_DONE)}
    assert host.exchange.collateral[[BACK, FLOW]].tolist() == [FUNDS_MICRO, FUNDS_MICRO]
    host.block(30)
    assert host.book() == ([(1_000, 50)], [(1_002, 40)])
    assert host.exchange.marks[0] == 1_001
    host.block(90)
    assert host.book() == ([(1_000, 50)], [(1_002, 40), (1_003, 1)])
    host.block(100)
    assert int(flow.followed[0]["rows"]) == 3
    assert flow.background is not None


def test_its_legs_follow_those_of_the_clients():
    flow = ListFlow([joined([level(10, BUY, 1_000_000, 5_000), level(10, SELL, 1_000_001, 5_000)])])
    host = Host(flow, [BTC], [970_000])
    host.block(5, deposit())
    host.block(10)
    flow.arrays.append(joined([trade(20, SELL, 1_000_000, 6_000)]))
    # The client's post-only bid comes before the recorded trade of the same block, and behind what was there.
    host.block(20, order(BUY, 1_000_000, 3_000))
    assert host.legs[:3]["kind"].tolist() == [ActionKind.PLACE, ActionKind.BACKGROUND_TRADE, 0]
    assert host.legs[:2]["action"].tolist() == [1, 2]
    assert [(int(fill["account"]), int(fill["size_lots"])) for fill in host.fills] == [(USER, 1_000)]


def test_a_block_without_room_leaves_rows_for_the_next():
    rows = joined([level(10, BUY, 1_000 - place, 5) for place in range(40)])
    host = Host(ListFlow([rows]), [BTC], [500], legs_max=16)
    for number in range(1, 8):
        host.block(10 + BLOCK_NS * number)
    bids, asks = host.book(levels=60)
    assert (len(bids), asks) == (40, [])
    assert np.all(host.exchange.heads[0, 0] >= 0)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["level", "level", "trade", "bbo", "clear", "full"]),
        st.sampled_from([BUY, SELL]),
        st.integers(995, 1_005),
        st.integers(0, 9),
    ),
    max_size=40,
)


def rows_of(what: str, side: int, price: int, lots: int) -> Events:
    if what == "level":
        return level(1, side, price, lots)
    if what == "trade":
        return trade(1, side, price, lots + 1)
    if what == "bbo":
        return bbo(1, (price, lots + 1), (price + 1 + lots, 3))
    if what == "clear":
        return event(EventKind.DEPTH_CLEAR, 1, side=side if lots else 0, price=price if lots > 4 else 0)
    ends = event(EventKind.SNAPSHOT_BEGIN, 1), event(EventKind.SNAPSHOT_END, 1)
    return joined([ends[0], level(1, BUY, price - 1, lots + 1), level(1, SELL, price, lots + 1), ends[1]])


@settings(max_examples=30)
@given(ROWS, st.integers(1, 5))
def test_without_clients_the_book_is_always_the_followed_one(rows, in_a_block):
    flow = ListFlow([])
    host = Host(flow, [BTC], [900], width=256)
    host.block(1)
    for number in range(0, len(rows), in_a_block):
        flow.arrays.append(joined(rows_of(*row) for row in rows[number : number + in_a_block]))
        host.block(10 + number * BLOCK_NS)
        assert flow.background is not None
        assert host.book() == book_of(flow.background.ladders[0], flow.background.cells[0], 20)
    assert host.exchange.holdings["position_lots"].sum() == 0
    trades = [row for row in rows if row[0] == "trade"]
    bought = sum(side * (lots + 1) for _, side, _, lots in trades)
    assert host.position(FLOW) == -host.position(BACK) == bought
