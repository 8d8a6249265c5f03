"""A warm brain has decided, and sent, before the first frame of the venue."""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.live.assembly import brain_of
from hlhft.live.warming import warm, warm_node
from hlhft.strategies import load
from hlhft.units import Market

MARKETS = (
    Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40),
    Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0),
)
NOW_NS = 1_790_000_000_000_000_000


def test_it_quotes_a_market_that_nobody_made():
    brain = brain_of(Config(), load("two_sided"), MARKETS[:1])
    assert warm(brain, MARKETS[:1], now_ns=NOW_NS) >= 2
    assert brain.lane.lane["illegal_transitions"][0] == 0
    assert brain.data.books["mark_ticks"][0] > 0


def test_spot_markets_and_several_are_as_good():
    brain = brain_of(Config(), load("glft"), MARKETS[::-1])
    warm(brain, MARKETS[::-1], now_ns=NOW_NS)
    assert brain.lane.lane["decisions"][0] > 0
    assert brain.lane.lane["illegal_transitions"][0] == 0


def test_a_nodes_lines_are_read_to_their_trade_in_every_kind_of_market():
    for markets in (MARKETS, MARKETS[::-1]):
        # A picture, an order that comes, changes and goes with a trade, and the touch each time it changes.
        assert warm_node(markets, now_ns=NOW_NS) >= 8
