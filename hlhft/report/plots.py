"""The charts of a report as plain plotly figures: what is drawn, with a bounded number of points; the page adds colours
of text and grid, which follow the reader's light or dark mode.

A trace whose line colour is INK takes the page's text colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from hlhft.report.attribution import PART_NAMES
from hlhft.report.details import HOURS_MAX, by_day
from hlhft.report.fill_rates import FillBand
from hlhft.report.markouts import REASONS, UNSAID, of_group
from hlhft.report.metrics import equity_path
from hlhft.report.results import ScenarioResult
from hlhft.report.verdict import PART_WORDS
from hlhft.units import MICRO

POINTS_MAX = 1200  # of a line
MARKERS_MAX = 800  # fills a side
ORDERS_MIN = 10  # of a band of fill rates: of fewer, the bar would draw the eye and say nothing
MARKETS_MAX = 8  # with charts of their own, the most traded first
INK, FAINT = "ink", "faint"
BUY, SELL = "#1f8a70", "#d1495b"
COLOURS = {
    "spread": "#1f8a70",
    "inventory": "#e08e45",
    "basis": "#7d8597",
    "fees": "#d1495b",
    "rebates": "#4c9f70",
    "funding": "#6a6fc1",
}
MARKOUT_COLOURS = {"all": INK, "buys": BUY, "sells": SELL}
REASON_COLOURS = ("#6a6fc1", "#e08e45", "#7d8597", "#b08968", "#9c6ade")

Figure = dict[str, Any]


def thinned(values: np.ndarray, points: int = POINTS_MAX) -> np.ndarray:
    """Ascending places of at most `points` values that keep the shape: of each stretch the lowest and the highest,
    and the first and last of all."""
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(0, count, max((points - 2) // 2, 1) + 1).astype(np.int64)
    places = [0, count - 1]
    for start, end in pairwise(edges):
        stretch = values[start:end]
        places += [int(start + np.argmin(stretch)), int(start + np.argmax(stretch))]
    return np.unique(places)


def _dates(ts_ns: np.ndarray) -> list[int]:
    """Milliseconds since 1970, which plotly takes for UTC."""
    return [int(ts) // 1_000_000 for ts in ts_ns]


def _rounded(values: np.ndarray, decimals: int = 4) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), decimals) for value in values]


def equity_figure(one: ScenarioResult) -> Figure:
    """Profit since the start and its parts, over all markets."""
    ts_ns, equity = equity_path(one.lane, one.split)
    places = thinned(equity)
    grains = one.split.grains_per_micro * MICRO
    traces = []
    for index, name in enumerate(PART_NAMES):
        path = sum((market.path.parts[index].astype(np.float64) for market in one.split.markets), np.zeros(len(ts_ns)))
        if np.any(path):
            traces.append(_line(PART_WORDS[name], ts_ns[places], (path / grains)[places], COLOURS[name], 1.4))
    traces.append(_line("profit", ts_ns[places], equity[places], INK, 2.6))
    return {"data": traces, "layout": {"yaxis": {"title": {"text": "USDC"}, "zeroline": True}}}


def _line(name: str, ts_ns: np.ndarray, values: np.ndarray, colour: str, width: float, **more: Any) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _dates(ts_ns),
        "y": _rounded(values),
        "line": {"color": colour, "width": width, **more},
        "hovertemplate": "%{y:,.2f}",
    }


def price_figure(one: ScenarioResult, index: int) -> Figure:
    """One market's mid as we saw it, with our buys and sells."""
    market = one.lane.markets[index]
    tick = float(market.record()["tick_size"][0])
    path = one.split.markets[index].path
    mid = np.where(path.mid_half_ticks > 0, path.mid_half_ticks * tick / 2.0, np.nan)
    known = np.flatnonzero(path.mid_half_ticks > 0)
    places = known[thinned(mid[known])]
    decimals = max(market.price_decimals + 1, 1)
    line = _line("mid", path.ts_ns[places], np.zeros(0), FAINT, 1.2)
    line["y"], line["hovertemplate"] = _rounded(mid[places], decimals), "%{y:,}"
    fills = one.lane.fills()
    fills = fills[fills["market"] == index]
    traces = [line]
    for name, side, symbol, colour in (("buys", 1, "triangle-up", BUY), ("sells", -1, "triangle-down", SELL)):
        chosen = fills[fills["side"] == side]
        shown = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MARKERS_MAX)).astype(np.int64)]
        part = f" ({len(shown)} of {len(chosen)} shown)" if len(shown) < len(chosen) else ""
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name + part,
                "x": _dates(shown["ts_exch_ns"]),
                "y": _rounded(shown["price_ticks"] * tick, decimals),
                "text": [
                    f"{market.size_text(int(lots))}, {REASONS.get(int(why), UNSAID)}"
                    for lots, why in shown[["size_lots", "reason"]]
                ],
                "marker": {"symbol": symbol, "size": 8, "color": colour, "line": {"width": 0}, "opacity": 0.85},
                "hovertemplate": f"{name[:-1]} %{{text}}<br>at %{{y:,}}<extra></extra>",
            }
        )
    return {"data": traces, "layout": {"yaxis": {"tickformat": ","}}}


def inventory_figure(one: ScenarioResult) -> Figure:
    """The value of each market's position over time; of at most MARKETS_MAX."""
    traces = []
    several = len(one.lane.markets) > 1
    for number, index in enumerate(charted_markets(one)):
        market = one.lane.markets[index]
        spec = market.record()[0]
        records = one.lane.records[one.lane.records["market"] == index]
        mid = one.split.markets[index].path.mid_half_ticks / 2.0
        held = records["position_lots"] * mid * float(spec["tick_size"] * spec["lot_size"])
        places = thinned(held)
        colour = list(COLOURS.values())[number % len(COLOURS)] if several else "#6a6fc1"
        line = _line(market.name, records["ts_ns"][places], held[places], colour, 1.4, shape="hv")
        traces.append(line if several else {**line, "fill": "tozeroy", "fillcolor": "rgba(106,111,193,0.18)"})
    return {"data": traces, "layout": {"yaxis": {"title": {"text": "USDC"}, "zeroline": True}}}


def charted_markets(one: ScenarioResult, *, most_traded_first: bool = False) -> list[int]:
    """Places of the markets that get charts: all, or the most traded MARKETS_MAX; in their order, or by that."""
    fills = one.lane.fills()
    value = np.bincount(fills["market"], one.lane.value_usdc(fills), minlength=len(one.lane.markets))
    order = np.argsort(-value, kind="stable")[:MARKETS_MAX]
    return order.tolist() if most_traded_first else sorted(order.tolist())


def markout_figure(one: ScenarioResult) -> Figure:
    """Mean markouts by horizon, with their bands; reasons are there, and hidden at first."""
    colours = {**MARKOUT_COLOURS, **dict(zip(REASONS.values(), REASON_COLOURS, strict=True))}
    traces = []
    for group, colour in colours.items():
        # A mean without a band would draw the eye and say nothing.
        found = [point for point in of_group(one.markouts, group) if point.band_bp is not None]
        if not found:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": group,
                "x": [f"{point.horizon_s:g} s" if point.horizon_s else "fill" for point in found],
                "y": [round(point.mean_bp or 0.0, 4) for point in found],
                "error_y": {
                    "type": "data",
                    "array": [round(point.band_bp or 0.0, 4) for point in found],
                    "thickness": 1,
                    "width": 3,
                    "color": colour,
                },
                "line": {"color": colour, "width": 2.6 if group == "all" else 1.4},
                "marker": {"size": 6, "color": colour},
                "visible": True if group in MARKOUT_COLOURS else "legendonly",
                "text": [f"{point.fills:,} fills" for point in found],
                "hovertemplate": "%{y:+.2f} bp, %{text}",
            }
        )
    axes = {"yaxis": {"title": {"text": "bp"}, "zeroline": True}, "xaxis": {"type": "category"}}
    return {"data": traces, "layout": axes}


def drawdown_figure(one: ScenarioResult) -> Figure:
    """How far equity was below its highest so far, which begins with the capital."""
    ts_ns, equity = equity_path(one.lane, one.split)
    below = equity - np.maximum.accumulate(np.maximum(equity, 0.0)) if len(equity) else equity
    places = thinned(below)
    line = _line("below the peak", ts_ns[places], below[places], SELL, 1.4)
    filled = {**line, "fill": "tozeroy", "fillcolor": "rgba(209,73,91,0.16)"}
    return {"data": [filled], "layout": {"yaxis": {"title": {"text": "USDC"}, "zeroline": True}}}


def spans_figure(one: ScenarioResult) -> Figure:
    """What each hour made and of what, each day where there are many; nothing where a single one made all."""
    spans = one.split.by_hour if len(one.split.by_hour) <= HOURS_MAX else by_day(one.split.by_hour)
    if sum(any(parts.values()) for parts in spans.values()) < 2:
        return {"data": [], "layout": {}}
    starts = _dates(np.array(list(spans), np.int64))
    bars: Figure = {"type": "bar", "x": starts, "hovertemplate": "%{y:,.2f}"}
    traces: list[Figure] = []
    for name in PART_NAMES:
        values = [round(one.split.usdc(getattr(parts, name)), 4) for parts in spans.values()]
        if any(values):
            traces.append({**bars, "name": PART_WORDS[name], "y": values, "marker": {"color": COLOURS[name]}})
    profit = [round(one.split.usdc(parts.total), 4) for parts in spans.values()]
    marks = {"mode": "markers", "marker": {"color": INK, "size": 8, "symbol": "diamond"}}
    traces.append({**bars, "type": "scatter", "name": "profit", "y": profit, **marks})
    axes = {"yaxis": {"title": {"text": "USDC"}, "zeroline": True}, "barmode": "relative"}
    return {"data": traces, "layout": axes}


def fill_rate_figure(bands: Sequence[FillBand]) -> Figure:
    """Which share of the orders of each band filled, with Wilson's band; of those that held ORDERS_MIN or more."""
    drawn = [one for one in bands if one.orders >= ORDERS_MIN]
    share = [100.0 * one.share for one in drawn]
    above = [100.0 * one.high - mid for one, mid in zip(drawn, share, strict=True)]
    below = [mid - 100.0 * one.low for one, mid in zip(drawn, share, strict=True)]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "filled",
        "x": _rounded(np.array(share), 3),
        "y": [one.label for one in drawn],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": _rounded(np.array(above), 3),
            "arrayminus": _rounded(np.array(below), 3),
            "thickness": 1.4,
            "width": 4,
            "color": "#6a6fc1",
        },
        "marker": {"size": 9, "color": "#6a6fc1"},
        "cliponaxis": False,
        "text": [f"{one.filled:,} of {one.orders:,} orders" for one in drawn],
        "hovertemplate": "%{y}: %{x:.2f} %, %{text}<extra></extra>",
    }
    axes = {
        "xaxis": {"title": {"text": "% filled"}, "type": "linear", "rangemode": "tozero"},
        "yaxis": {"type": "category", "autorange": "reversed"},
    }
    return {"data": [trace], "layout": axes}


def figures(
    scenarios: Sequence[ScenarioResult], stamp: str = "", comparison: Figure | None = None
) -> list[dict[str, Any]]:
    """Every chart of every scenario, by name, None where it has nothing to draw; `prices` holds one a charted market,
    and `comparison` belongs to all. Each bears the stamp, if any, across what it draws, so that a picture of it does
    as well."""
    return [
        {
            "name": one.name,
            **{name: _finished(figure, stamp) for name, figure in _charts(one).items()},
            "comparison": _finished(comparison, stamp) if comparison is not None else None,
            "prices": [
                {"market": one.lane.markets[index].name, **_stamped(price_figure(one, index), stamp)}
                for index in charted_markets(scenarios[0], most_traded_first=True)
            ],
        }
        for one in scenarios
    ]


def _charts(one: ScenarioResult) -> dict[str, Figure]:
    rates = one.fill_rates
    return {
        "equity": equity_figure(one),
        "inventory": inventory_figure(one),
        "drawdown": drawdown_figure(one),
        "spans": spans_figure(one),
        "markouts": markout_figure(one),
        "distance": fill_rate_figure(rates.by_distance if rates is not None else ()),
        "queue": fill_rate_figure(rates.by_queue if rates is not None else ()),
    }


def _finished(figure: Figure, stamp: str) -> Figure | None:
    return _stamped(figure, stamp) if any(trace["x"] for trace in figure["data"]) else None


def _stamped(figure: Figure, stamp: str) -> Figure:
    if not stamp:
        return figure
    across = {
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "showarrow": False,
        "opacity": 0.35,
        "textangle": -15,
    }
    note = {**across, "text": stamp, "font": {"size": 44, "color": SELL}}
    return {**figure, "layout": {**figure["layout"], "annotations": [note]}}
