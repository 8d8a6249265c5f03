"""A recording as the market data that are measured: best bid and offer, trades and depth, by the venue's time."""

from __future__ import annotations

import numpy as np

from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind, Side
from hlhft.exchange.flow.rehearsal import DEPTH_DTYPE, TOUCH_DTYPE, TRADE_DTYPE
from hlhft.exchange.flow.statistics import MarketData


def market_data(source: Source) -> MarketData:
    """The market data of a source with one market. Repeated and backfilled trades are left out.

    Raises DataError for what the reader refuses, and ValueError when the source has several markets.
    """
    if len(source.markets) != 1:
        raise ValueError(f"{source.name} has {len(source.markets)} markets, expected one at a time")
    events = np.concatenate(list(source.chunks()))
    return MarketData(
        market=source.markets[0], touches=_touches(events), trades=_trades(events), depths=_depths(events)
    )


def _touches(events: np.ndarray) -> np.ndarray:
    """The best bid and offer after each message, once both are known, only where they changed."""
    rows = events[events["kind"] == int(EventKind.BBO)]
    rows = rows[np.argsort(rows["ts_exch_ns"], kind="stable")]
    places = np.arange(len(rows))
    bids = np.maximum.accumulate(np.where(rows["side"] == int(Side.BUY), places, -1))
    asks = np.maximum.accumulate(np.where(rows["side"] == int(Side.SELL), places, -1))
    whole = ((rows["flags"] & int(EventFlag.FRAME_END)) != 0) & (bids >= 0) & (asks >= 0)
    out = np.zeros(int(whole.sum()), TOUCH_DTYPE)
    out["ts_ns"] = rows["ts_exch_ns"][whole]
    for name, latest in (("bid", bids[whole]), ("ask", asks[whole])):
        out[f"{name}_ticks"] = rows["price_ticks"][latest]
        out[f"{name}_lots"] = rows["size_lots"][latest]
    names = ["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]
    changed = np.append(True, out[names][1:] != out[names][:-1])
    return np.asarray(out[changed[: len(out)]])


def _trades(events: np.ndarray) -> np.ndarray:
    live = (events["flags"] & int(EventFlag.BACKFILL)) == 0
    rows = events[(events["kind"] == int(EventKind.TRADE)) & live]
    rows = rows[np.argsort(rows["ts_exch_ns"], kind="stable")]
    out = np.zeros(len(rows), TRADE_DTYPE)
    out["ts_ns"] = rows["ts_exch_ns"]
    for name in ("side", "price_ticks", "size_lots"):
        out[name] = rows[name]
    return out


def _depths(events: np.ndarray) -> np.ndarray:
    """The lots of all levels of each snapshot."""
    begins = np.flatnonzero(events["kind"] == int(EventKind.SNAPSHOT_BEGIN))
    levels = events["kind"] == int(EventKind.DEPTH_LEVEL)
    out = np.zeros(len(begins), DEPTH_DTYPE)
    if len(begins):
        out["ts_ns"] = events["ts_exch_ns"][begins]
        out["lots"] = np.add.reduceat(np.where(levels, events["size_lots"], 0), begins)
        out["levels"] = np.add.reduceat(levels.astype(np.int64), begins)
    return out
