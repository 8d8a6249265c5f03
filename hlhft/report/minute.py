"""A stretch of one market's recording as a picture: the resting book as a heat map, the touch, and the trades.

What is drawn is what reached us, by the exchange's clock. Memory and the page are bounded: COLUMNS moments, ROWS bands
of price, POINTS_MAX changes of the touch, TRADES_MAX trades.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, whole_frames
from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind, Side
from hlhft.report.markup import document, text_of
from hlhft.report.numbers import counted, duration, moment, plain
from hlhft.report.plots import BUY, INK, SELL, thinned
from hlhft.units import Market

COLUMNS, ROWS = 240, 120
POINTS_MAX, TRADES_MAX = 2400, 4000
SPAN_NS_MAX = 86_400_000_000_000
WARM_NS = 600_000_000_000  # how long before the stretch pictures of the book are read: one is enough
_MARGIN = 0.75  # of the touch's range, shown beyond it on either side
_LEAST_BANDS = 40  # of the market's steps of price, so that a quiet minute shows its book
EXPLANATION = (
    "The map shows what rested at each price, as it reached us, by the exchange's clock: the darker, the more. "
    "Triangles are trades, larger for larger sizes."
)
_LOCAL, _FRAME_END = int(EventFlag.LOCAL_VISIBLE), int(EventFlag.FRAME_END)
_LEVEL, _CLEAR, _BEGIN, _BBO, _TRADE = (
    int(kind)
    for kind in (
        EventKind.DEPTH_LEVEL,
        EventKind.DEPTH_CLEAR,
        EventKind.SNAPSHOT_BEGIN,
        EventKind.BBO,
        EventKind.TRADE,
    )
)

Book = dict[int, int]


@dataclass(slots=True)
class Stretch:
    """What a market's recording says of [begin_ns, end_ns) of exchange time."""

    market: Market
    begin_ns: int
    end_ns: int
    books: list[tuple[Book, Book]] = field(default_factory=list)  # bids and asks at the end of each column
    touches: list[tuple[int, int, int]] = field(default_factory=list)  # time, best bid, best ask; 0 for none
    trades: list[tuple[int, int, int, int]] = field(default_factory=list)  # time, side, ticks, lots


def stretch_of(source: Source, coin: str, begin_ns: int, end_ns: int) -> Stretch:
    """Follows the market `coin` of `source` through [begin_ns, end_ns).

    Raises DataError for a market that the source has not, or when nothing happens there.
    """
    if not 0 < end_ns - begin_ns <= SPAN_NS_MAX:
        raise ValueError(f"a stretch lasts at most {SPAN_NS_MAX} ns, not {end_ns - begin_ns}")
    names = [market.name for market in source.markets]
    if coin not in names:
        raise DataError(source.name, None, f"it has no market {coin}, expected one of {', '.join(names)}")
    index = names.index(coin)
    follower = _Follower(Stretch(source.markets[index], begin_ns, end_ns))
    from_ns = begin_ns - WARM_NS if source.snapshot_markets[index] else 0
    for rows in _frames(source, index):
        exch = rows["ts_exch_ns"]
        if int(exch.max()) < from_ns:
            continue
        if int(exch.min()) >= end_ns + WARM_NS:
            break
        follower.take(rows[exch < end_ns])
    found = follower.finish()
    if not found.touches and not found.trades and not any(bids or asks for bids, asks in found.books):
        at = f"{moment(begin_ns)} UTC and the {duration(end_ns - begin_ns)} after it"
        raise DataError(source.name, None, f"there is nothing of {coin} at {at}, choose another time with --at")
    return found


def _frames(source: Source, market: int) -> Iterator[Events]:
    for rows in whole_frames(source.chunks()):
        mine = rows[(rows["market"] == market) & ((rows["flags"] & _LOCAL) != 0)]
        if len(mine):
            yield mine


class _Follower:
    """The book, kept event by event, and noted at the end of each column."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._bids: Book = {}
        self._asks: Book = {}
        self._column_ns = (stretch.end_ns - stretch.begin_ns) / COLUMNS
        self._bbo = (0, 0)

    def take(self, rows: Events) -> None:
        """Rows of the market in order of arrival."""
        names = ("ts_exch_ns", "kind", "side", "price_ticks", "size_lots", "flags")
        for when, kind, side, ticks, lots, flags in zip(*(rows[name].tolist() for name in names), strict=True):
            self._note_until(when)
            if kind == _TRADE:
                if when >= self._stretch.begin_ns:
                    self._stretch.trades.append((when, side, ticks, lots))
            elif kind == _BEGIN:
                self._bids.clear()
                self._asks.clear()
            elif kind == _CLEAR:
                self._clear(side, ticks)
            elif kind == _LEVEL:
                self._set(side, ticks, lots)
            elif kind == _BBO:
                self._touch(when, side, ticks if lots else 0, ended=bool(flags & _FRAME_END))

    def _note_until(self, when: int) -> None:
        """Notes the book for every column that ended before `when`."""
        stretch = self._stretch
        while len(stretch.books) < COLUMNS and when >= stretch.begin_ns + (len(stretch.books) + 1) * self._column_ns:
            stretch.books.append((dict(self._bids), dict(self._asks)))

    def _set(self, side: int, ticks: int, lots: int) -> None:
        book = self._bids if side > 0 else self._asks
        if lots:
            book[ticks] = lots
        else:
            book.pop(ticks, None)

    def _clear(self, side: int, until_ticks: int) -> None:
        for sign, book in ((1, self._bids), (-1, self._asks)):
            if side in (0, sign):
                gone = [ticks for ticks in book if until_ticks == 0 or sign * ticks >= sign * until_ticks]
                for ticks in gone:
                    del book[ticks]

    def _touch(self, when: int, side: int, ticks: int, *, ended: bool) -> None:
        self._bbo = (ticks, self._bbo[1]) if side > 0 else (self._bbo[0], ticks)
        # What is better than the touch is gone since the last picture.
        book, sign = (self._bids, 1) if side > 0 else (self._asks, -1)
        for better in [level for level in book if ticks and sign * level > sign * ticks]:
            del book[better]
        if ended and when >= self._stretch.begin_ns:
            self._stretch.touches.append((when, *self._bbo))

    def finish(self) -> Stretch:
        """The stretch, every column noted."""
        self._note_until(self._stretch.end_ns)
        return self._stretch


def _touch_paths(stretch: Stretch) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(times, best bids, best asks), from the touch's own channel, else from the books; 0 for an empty side."""
    if stretch.touches:
        found = np.array(stretch.touches, dtype=np.int64)
        return found[:, 0], found[:, 1], found[:, 2]
    column_ns = (stretch.end_ns - stretch.begin_ns) / COLUMNS
    times = (stretch.begin_ns + np.arange(1, len(stretch.books) + 1) * column_ns).astype(np.int64)
    bids = np.array([max(bids, default=0) for bids, _ in stretch.books], dtype=np.int64)
    asks = np.array([min(asks, default=0) for _, asks in stretch.books], dtype=np.int64)
    return times, bids, asks


def _band(stretch: Stretch) -> tuple[int, int, int]:
    """(lowest price shown, ticks of one band, number of bands)."""
    _, bids, asks = _touch_paths(stretch)
    prices = np.concatenate([bids[bids > 0], asks[asks > 0], np.array([row[2] for row in stretch.trades], np.int64)])
    if len(prices) == 0:
        prices = np.array([ticks for bids, asks in stretch.books for ticks in (*bids, *asks)], dtype=np.int64)
    low, high = int(prices.min()), int(prices.max())
    levels = np.unique([ticks for bids, asks in stretch.books for ticks in (*bids, *asks)])
    step = int(np.diff(levels).min()) if len(levels) > 1 else 1
    margin = max(int(_MARGIN * (high - low)), _LEAST_BANDS * step // 2)
    # Where nothing ever rests there is nothing to see.
    low = max(low - margin, min(low, int(levels.min()) if len(levels) else low), 0)
    high = min(high + margin, max(high, int(levels.max()) if len(levels) else high))
    band = max(-(-(high - low) // (ROWS * step)), 1) * step
    low = low // band * band
    return low, band, (high - low) // band + 1


def _heat(stretch: Stretch, side: int) -> list[list[float | None]]:
    """Notional resting in each band (rows, lowest first) at the end of each column, in the quote currency."""
    low, band, count = _band(stretch)
    scale = 10.0 ** -(stretch.market.price_decimals + stretch.market.size_decimals)
    grid = np.zeros((count, COLUMNS))
    for column, (bids, asks) in enumerate(stretch.books):
        for ticks, lots in (bids if side > 0 else asks).items():
            if low <= ticks < low + count * band:
                grid[(ticks - low) // band, column] += ticks * lots * scale
    return [[round(value, 2) if value else None for value in row] for row in grid.tolist()]


def _milliseconds(times_ns: NDArray[np.int64] | list[int]) -> list[float]:
    return [round(int(time) / 1e6, 3) for time in times_ns]


def figure(stretch: Stretch) -> dict[str, Any]:
    """Traces for plotly. Colours of text and of the heat maps are the page's; z is notional, x ms since 1970."""
    low, band, count = _band(stretch)
    tick = 10.0**-stretch.market.price_decimals
    decimals = stretch.market.price_decimals + 1
    column_ns = (stretch.end_ns - stretch.begin_ns) / COLUMNS
    middles = _milliseconds([int(stretch.begin_ns + (place + 0.5) * column_ns) for place in range(COLUMNS)])
    prices = [round((low + (row + 0.5) * band - 0.5) * tick, decimals) for row in range(count)]
    maps = [
        {"type": "heatmap", "name": name, "x": middles, "y": prices, "z": _heat(stretch, side), "side": side}
        for name, side in (("bids", 1), ("asks", -1))
    ]
    times, bids, asks = _touch_paths(stretch)
    lines = []
    for name, path, colour in (("best bid", bids, BUY), ("best ask", asks, SELL)):
        places = thinned(path, POINTS_MAX)
        shown = [round(ticks * tick, decimals) if ticks else None for ticks in path[places].tolist()]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": _milliseconds(times[places]),
                "y": shown,
                "line": {"color": colour, "width": 1.6, "shape": "hv"},
                "hovertemplate": f"{name} %{{y:,}}<extra></extra>",
            }
        )
    return {
        "data": [*maps, *lines, *_trade_traces(stretch, tick, decimals)],
        "range": _milliseconds([stretch.begin_ns, stretch.end_ns]),
    }


def _trade_traces(stretch: Stretch, tick: float, decimals: int) -> Iterator[dict[str, Any]]:
    largest = max((lots for _, _, _, lots in stretch.trades), default=1)
    for name, side, symbol, colour in (
        ("buys", int(Side.BUY), "triangle-up", BUY),
        ("sells", int(Side.SELL), "triangle-down", SELL),
    ):
        mine = [trade for trade in stretch.trades if trade[1] == side]
        shown = [
            mine[place] for place in np.unique(np.linspace(0, len(mine) - 1, min(len(mine), TRADES_MAX)).astype(int))
        ]
        part = f" ({len(shown)} of {len(mine)} shown)" if len(shown) < len(mine) else ""
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": name + part,
            "x": _milliseconds([when for when, _, _, _ in shown]),
            "y": [round(ticks * tick, decimals) for _, _, ticks, _ in shown],
            "text": [stretch.market.size_text(lots) for _, _, _, lots in shown],
            "marker": {
                "symbol": symbol,
                "color": colour,
                "size": [round(6 + 14 * (lots / largest) ** 0.5, 1) for _, _, _, lots in shown],
                "line": {"width": 1, "color": INK},
                "opacity": 0.9,
            },
            "hovertemplate": f"{name[:-1]} %{{text}}<br>at %{{y:,}}<extra></extra>",
        }


def page(stretch: Stretch, source_name: str) -> str:
    """One HTML file that opens offline. Raises FileNotFoundError when the plotly package lacks its script."""
    drawn = figure(stretch)
    span = duration(stretch.end_ns - stretch.begin_ns)
    title = f"{stretch.market.name}, {moment(stretch.begin_ns)} UTC, {span}"
    scale = 10.0 ** -(stretch.market.price_decimals + stretch.market.size_decimals)
    notional = sum(ticks * lots for _, _, ticks, lots in stretch.trades) * scale
    said = (
        f"{counted(len(stretch.trades), 'trade')} worth {plain(notional, 0)}, "
        f"{counted(len(stretch.touches), 'change')} of the touch."
    )
    body = "\n".join(
        [
            "<main>",
            f'<p class="kicker"><b>hlhft data</b> · {text_of(source_name)}</p>',
            f"<h1>{text_of(title)}</h1>",
            f'<p class="remarks">{text_of(f"{said} {EXPLANATION}")}</p>',
            '<section class="panel chart tall"><div class="plot" id="minute"></div></section>',
            "<footer>Times are UTC.</footer>",
            "</main>",
        ]
    )
    return document(
        title=title, description=said, body=body, drawn=drawn, styles=("page.css", "minute.css"), script="minute.js"
    )
