"""A recording as market data: counts and touches as its README states them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.exchange.flow.recordings import market_data
from tests.exchange.flow.stage import BTC

FOLDER = "hyperliquid/l2_trades_bbo_20250904"
END = int(EventFlag.FRAME_END)


class Source:
    """Events instead of files."""

    name = "events"

    def __init__(self, rows: list[tuple[int, EventKind, int, int, int, int]], markets: int = 1) -> None:
        self.markets = (BTC,) * markets
        self._events = np.zeros(len(rows), EVENT_DTYPE)
        for event, (ts_ns, kind, side, ticks, lots, flags) in zip(self._events, rows):
            event["ts_exch_ns"], event["kind"], event["side"] = ts_ns, int(kind), side
            event["price_ticks"], event["size_lots"], event["flags"] = ticks, lots, flags

    def chunks(self):
        yield self._events[:3]
        yield self._events[3:]


def test_touches_are_whole_messages_that_changed_something():
    bbo = EventKind.BBO
    data = market_data(
        Source(
            [
                (10, bbo, 1, 100, 5, END),  # no ask is known yet
                (20, bbo, 1, 100, 5, 0),
                (20, bbo, -1, 101, 7, END),
                (30, bbo, 1, 100, 5, 0),
                (30, bbo, -1, 101, 7, END),  # nothing new
                (50, bbo, -1, 102, 7, END),
                (40, bbo, 1, 100, 6, END),  # came late
            ]
        )
    )
    names = ["ts_ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]
    assert data.touches[names].tolist() == [(20, 100, 5, 101, 7), (40, 100, 6, 101, 7), (50, 100, 6, 102, 7)]
    assert len(data.trades) == len(data.depths) == 0


def test_trades_and_depth():
    level, begin, end = EventKind.DEPTH_LEVEL, EventKind.SNAPSHOT_BEGIN, EventKind.SNAPSHOT_END
    data = market_data(
        Source(
            [
                (9, EventKind.TRADE, -1, 99, 2, int(EventFlag.BACKFILL)),
                (10, begin, 0, 0, 0, 0),
                (10, level, 1, 100, 5, 0),
                (10, level, -1, 101, 7, 0),
                (10, end, 0, 0, 0, END),
                (30, EventKind.TRADE, 1, 101, 3, 0),
                (20, EventKind.TRADE, -1, 100, 4, END),
                (40, begin, 0, 0, 0, 0),
                (40, level, 1, 100, 1, 0),
                (40, end, 0, 0, 0, END),
            ]
        )
    )
    assert data.trades[["ts_ns", "side", "price_ticks", "size_lots"]].tolist() == [(20, -1, 100, 4), (30, 1, 101, 3)]
    assert data.depths[["ts_ns", "lots", "levels"]].tolist() == [(10, 12, 2), (40, 1, 1)]
    assert len(data.touches) == 0


def test_one_market_at_a_time():
    with pytest.raises(ValueError, match="events has 2 markets, expected one at a time"):
        market_data(Source([], markets=2))


def test_a_real_recording_has_what_its_description_says(recordings: Path):
    data = market_data(open_source(recordings / FOLDER / "trades_SOL.csv.gz"))
    assert data.market.name == "SOL"
    assert len(data.depths) == 3_785
    assert set(data.depths["levels"]) == {40}
    assert 13_000 < len(data.touches) <= 26_422 // 2
    assert 4_200 < len(data.trades) <= 4_437 - 8
    assert (data.touches["bid_ticks"] < data.touches["ask_ticks"]).all()
    seconds = (data.touches["ts_ns"][-1] - data.touches["ts_ns"][0]) / 1e9
    assert abs(len(data.touches) / seconds - 6.3) < 0.2
