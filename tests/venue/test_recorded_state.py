"""An empty recorded venue: nothing rests, everything is free, and each lane pays its market's fees."""

from __future__ import annotations

import numpy as np

from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import Market
from hlhft.venue.funding import RATE_NONE
from hlhft.venue.recorded_state import ORDER_INDEX, FillReason, new_venue
from hlhft.venue.rules import hyperliquid

MARKETS = np.concatenate(
    [
        Market(name="A", asset_id=0, price_decimals=1, size_decimals=5, maker_rate_e9=7, taker_rate_e9=8).record(),
        Market(name="B", asset_id=1, price_decimals=2, size_decimals=4, maker_rate_e9=-3, taker_rate_e9=9).record(),
    ]
)


def made():
    return new_venue(MARKETS, hyperliquid(), lanes=3, base_ticks=[100, 2000], width=50, slots=4)


def test_books_are_empty_in_their_bands():
    venue = made()
    assert venue.ladders["base_ticks"].tolist() == [100, 2000]
    assert venue.ladders["width"].tolist() == [50, 50]
    assert venue.ladders["best_bid_ticks"].tolist() == [BID_NONE] * 2
    assert venue.ladders["best_ask_ticks"].tolist() == [ASK_NONE] * 2
    assert venue.ladders["lowest_bid_ticks"].tolist() == [ASK_NONE] * 2
    assert venue.ladders["highest_ask_ticks"].tolist() == [BID_NONE] * 2
    assert venue.cells.shape == venue.heads.shape == (2, 2, 50)
    assert not venue.cells.any() and not venue.heads.any()


def test_nothing_rests_and_every_slot_is_free():
    venue = made()
    assert venue.edges["lowest_ask_ticks"].tolist() == [ASK_NONE] * 2
    assert venue.edges["highest_bid_ticks"].tolist() == [BID_NONE] * 2
    seen, slot = [], int(venue.venue[0]["free"])
    while slot:
        seen.append(slot)
        slot = int(venue.orders[slot - 1]["next"])
    assert seen == [1, 2, 3, 4]
    assert venue.slots.shape == (3, 2, ORDER_INDEX)
    # Every order can end, and every slot of one lane can be asked for in vain, before anybody listens.
    assert len(venue.replies) == 4 + ORDER_INDEX


def test_each_lane_holds_nothing_and_pays_its_markets_fees():
    venue = made()
    assert venue.holdings["maker_rate_e9"].tolist() == [[7, -3]] * 3
    assert venue.holdings["taker_rate_e9"].tolist() == [[8, 9]] * 3
    assert not venue.holdings["position_lots"].any() and not venue.lanes["open_orders"].any()
    assert venue.contexts["funding_rate_e12"].tolist() == [RATE_NONE] * 2


def test_it_has_rules_and_markets_of_its_own():
    rules, markets = hyperliquid(), MARKETS.copy()
    venue = new_venue(markets, rules, lanes=1, base_ticks=[1, 1], width=8, slots=1)
    rules["queue_model"], markets["asset_id"] = 5, 77
    assert venue.rules[0]["queue_model"] != 5 and 77 not in venue.markets["asset_id"]
    assert int(venue.orders[0]["next"]) == 0


def test_reasons_keep_their_numbers():
    """They are written to disk."""
    assert [reason.name for reason in FillReason] == [
        "NONE",
        "QUEUE_REACHED",
        "TRADED_THROUGH",
        "CROSSED",
        "TAKER",
        "LIQUIDATION",
    ]
