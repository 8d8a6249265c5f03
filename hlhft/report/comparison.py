"""Live against simulated: the same session's period, strategy and settings at the market and in a backtest, side by
side.

A world is what one of them did; the first is what happened. Figures are by market and side, by hour and by day, and
each difference is simulated less live. Both worlds are measured alike: a fill against the mid that the venue's recorded
book had at the fill and later, an order from the decision to place it. What differs is therefore how fills come about.
Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from hlhft.report.attribution import HOUR_NS, PART_NAMES, Attribution, Parts
from hlhft.report.bootstrap import student_quantile
from hlhft.report.grid import Grid
from hlhft.report.markouts import block_mean, block_ns_of
from hlhft.report.matching import WINDOW_NS, Kept, Matched, matched, shared_orders
from hlhft.report.metrics import LaneLog
from hlhft.report.numbers import DASH, count, counted, duration, moment, money, percent, plain, plus_minus, signed

MARKOUTS_NS = (1_000_000_000, 10_000_000_000)
DAY_NS = 24 * HOUR_NS
ALL, BOTH, BUY, SELL = "all", "both", "buy", "sell"
POINTS_MAX = 1200  # of a line of the figure
INK = "ink"  # the page's text colour
_CROSSED = 3  # hlhft.venue.recorded.FillReason
_COLOURS = ("#6a6fc1", "#e08e45", "#1f8a70", "#d1495b", "#7d8597")
WORLDS_MAX = 1 + len(_COLOURS)
SPANS_MAX = 48  # of a table; of more hours, days are shown, the newest
_NORMAL = NormalDist().inv_cdf(0.975)

# One order that was placed: when it was decided on, by our clock.
PLACED_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("order_id", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
    ]
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What happened in one of the worlds. Entries of the log with the order id 0 are no fills of an order of ours: a
    position that was there before, or a liquidation."""

    name: str  # "live", or the queue model
    lane: LaneLog
    split: Attribution
    placed: np.ndarray  # PLACED_DTYPE[n]
    mid_half_ticks: np.ndarray  # int64[F, 2]: twice the mid MARKOUTS_NS after each entry of the log, 0 unknown

    @property
    def is_ours(self) -> np.ndarray:
        """bool[F]: the entries of the log that are fills of our orders."""
        log = self.lane.log
        return np.asarray((log["kind"] == 18) & (log["order_id"] > 0))


@dataclass(frozen=True, kw_only=True)
class After:
    """The markout of a group's fills at one horizon, before fees; None for what cannot be said."""

    horizon_s: float
    fills: int
    mean_bp: float | None
    error_bp: float | None  # standard error over blocks of time
    band_bp: float | None  # how far the band, which holds the mean with 95 %, reaches to either side


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One market and side of one world, or all of it. None where there is nothing to divide by."""

    market: str  # ALL
    side: str  # BOTH, BUY, SELL
    orders: int
    fills: int
    volume_usdc: float
    fill_rate: float | None  # orders filled at least in part, of the orders
    maker_share: float | None  # of the volume
    # Of the fills: because the recorded book moved through the order's price. Whoever moved it did not know of the
    # order and might not have come; None where nobody says how orders filled, as at the market.
    crossed_share: float | None
    wait_ns: int | None  # from the decision to the fill, mean
    markouts: tuple[After, ...]  # by MARKOUTS_NS
    parts: dict[str, float]  # of the profit, USDC; funding belongs to no side

    @property
    def profit_usdc(self) -> float:
        """The sum of the parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, kw_only=True)
class Span:
    """An hour or a day of one world."""

    first_ns: int
    fills: int
    volume_usdc: float
    profit_usdc: float


@dataclass(frozen=True, kw_only=True)
class WorldFigures:
    """All figures of one world; `groups` begins with all of it, then each market, and its sides."""

    name: str
    groups: tuple[Figures, ...]
    hours: tuple[Span, ...]
    days: tuple[Span, ...]
    path_ns: np.ndarray  # int64[F]: when it filled
    path_usdc: np.ndarray  # float64[F]: volume until then

    @property
    def total(self) -> Figures:
        """All markets and sides."""
        return self.groups[0]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A session beside its simulations: one for each queue model."""

    live: WorldFigures
    simulated: tuple[WorldFigures, ...]
    matches: tuple[Matched, ...]  # one for each simulation
    orders_shared: tuple[float | None, ...]  # of each: how much of what was placed live it placed as well
    kept: tuple[Kept, ...]  # one for each simulation, or none: the session's own orders before its queue model
    window_ns: int
    remarks: tuple[str, ...] = ()  # how far the simulation is not the session, in sentences

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Sentences for each simulation: what its queue model makes of the session's orders, and what comes of it when
        it decides by itself."""
        anew = [_verdict(self.live, one, match) for one, match in zip(self.simulated, self.matches, strict=True)]
        if not self.kept:
            return tuple(anew)
        return tuple(f"{_kept_words(self.live, one)} {sentence}" for one, sentence in zip(self.kept, anew, strict=True))

    @property
    def sentence(self) -> str:
        """What came of it, in sentences."""
        return " ".join((*self.verdicts, *self.remarks))

    @property
    def columns(self) -> tuple[str, ...]:
        """Heads of the columns of `rows`."""
        return (self.live.name, *(head for one in self.simulated for head in (one.name, "difference")))

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values; money in USDC."""
        return {
            "live": _plain(self.live),
            "simulated": [
                {
                    **_plain(one),
                    "matched": asdict(match),
                    "orders_shared": shared,
                    "verdict": verdict,
                    "difference": _differences(self.live, one),
                }
                for one, match, shared, verdict in zip(
                    self.simulated, self.matches, self.orders_shared, self.verdicts, strict=True
                )
            ],
            "kept": [asdict(one) for one in self.kept],
            "window_s": self.window_ns / 1e9,
            "remarks": list(self.remarks),
        }

    def rows(self, market: str = ALL, side: str = BOTH) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The table of a group, (label, a text for each of `columns`). Raises KeyError for a group that is none."""
        found = [_group(one, market, side) for one in (self.live, *self.simulated)]
        rows = [
            _row("orders", found, [one.orders for one in found], count, lambda value: signed(value, 0)),
            _row("fills", found, [one.fills for one in found], count, lambda value: signed(value, 0)),
            _row("volume, USDC", found, [one.volume_usdc for one in found], _whole, lambda value: signed(value, 0)),
            _row("orders that filled", found, [one.fill_rate for one in found], percent, _points),
            _row("as maker", found, [one.maker_share for one in found], percent, _points),
            _row("by a book that moved through", found, [one.crossed_share for one in found], percent, _points),
            _row("decision to fill", found, [one.wait_ns for one in found], duration, _longer),
        ]
        for place, horizon_ns in enumerate(MARKOUTS_NS):
            rows.append(
                _markout_row(f"markout after {horizon_ns / 1e9:g} s, bp", [one.markouts[place] for one in found])
            )
        for name in PART_NAMES:
            values = [one.parts[name] for one in found]
            if any(values):
                rows.append(_row(f"{name}, USDC", found, values, money, money))
        rows.append(_row("profit, USDC", found, [one.profit_usdc for one in found], money, money))
        if (market, side) == (ALL, BOTH):
            rows += self._shared_rows()
        return tuple(rows)

    def grids(self) -> tuple[Grid, ...]:
        """Its tables: all of it, each market and side in short, and how it went by hour or by day."""
        names = (self.live.name, *(one.name for one in self.simulated))
        heads = ("fills", "volume", "profit")
        return (
            *self._kept_grids(),
            Grid(
                title="Live and simulated",
                note="The same strategy, settings, position and market data, without its own orders in the books; what"
                f" filled is the market's word or the queue model's. Shared: within {self.window_ns / 1e9:g} s and a"
                " step of price.",
                heads=("", *self.columns),
                rows=tuple((label, *texts) for label, texts in self.rows()),
            ),
            Grid(
                title="Live and simulated by market and side",
                note="Fills, volume and profit in USDC; funding belongs to no side.",
                heads=("market", "side", *(f"{name}: {head}" for head in heads for name in names)),
                rows=tuple((market, side, *self._short(market, side)) for market, side in self.groups[1:]),
            ),
            self._spans_grid(names),
        )

    def _kept_grids(self) -> tuple[Grid, ...]:
        if not self.kept:
            return ()
        ours = self.live.total
        rows = (
            ("fills", count(ours.fills), *(count(one.fills) for one in self.kept)),
            ("volume, USDC", plain(ours.volume_usdc, 0), *(plain(one.volume_usdc, 0) for one in self.kept)),
            ("orders that filled", count(self.kept[0].orders_live), *(count(one.orders_filled) for one in self.kept)),
            ("of these in both", DASH, *(count(one.orders_both) for one in self.kept)),
            ("live fills that it has", DASH, *(percent(one.matched.of_live) for one in self.kept)),
            ("its fills that were live", DASH, *(percent(one.matched.of_simulated) for one in self.kept)),
        )
        return (
            Grid(
                title="The session's own orders before a queue model",
                note="Each order rests from when it did until it was ended; nothing is decided anew, so what differs is"
                " the model.",
                heads=("", self.live.name, *(one.queue for one in self.kept)),
                rows=rows,
            ),
        )

    def _short(self, market: str, side: str) -> tuple[str, ...]:
        found = [_group(one, market, side) for one in (self.live, *self.simulated)]
        return (
            *(count(one.fills) for one in found),
            *(plain(one.volume_usdc, 0) for one in found),
            *(money(one.profit_usdc) for one in found),
        )

    def _spans_grid(self, names: tuple[str, ...]) -> Grid:
        worlds = (self.live, *self.simulated)
        hours = {span.first_ns for one in worlds for span in one.hours}
        is_short = len(hours) <= SPANS_MAX
        told = [{span.first_ns: span for span in (one.hours if is_short else one.days)} for one in worlds]
        times = sorted({first for one in told for first in one})[-SPANS_MAX:] or [0]
        rows = []
        for first_ns in times:
            spans = [one.get(first_ns) for one in told]
            rows.append(
                (
                    moment(first_ns)[: 16 if is_short else 10],
                    *(count(0 if span is None else span.fills) for span in spans),
                    *(money(0.0 if span is None else span.profit_usdc) for span in spans),
                )
            )
        return Grid(
            title=f"Live and simulated by {'hour' if is_short else 'day'}",
            note=f"Fills, and profit in USDC. {'Hours' if is_short else 'Days'} begin in UTC.",
            heads=("from", *(f"{name}: {head}" for head in ("fills", "profit") for name in names)),
            rows=tuple(rows),
        )

    def _shared_rows(self) -> list[tuple[str, tuple[str, ...]]]:
        live = tuple(text for match in self.matches for text in (percent(match.of_live), DASH))
        theirs = tuple(text for match in self.matches for text in (percent(match.of_simulated), DASH))
        orders = tuple(text for shared in self.orders_shared for text in (percent(shared), DASH))
        return [
            ("live orders that it placed", (DASH, *orders)),
            ("live fills that it has", (DASH, *live)),
            ("its fills that were live", (DASH, *theirs)),
        ]

    @property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """Market and side of every table that `rows` gives, all of it first."""
        return tuple((one.market, one.side) for one in self.live.groups)

    def figure(self) -> dict[str, Any] | None:
        """Filled volume since the beginning in every world, as a plotly figure of at most POINTS_MAX points a line;
        None where nothing filled in any."""
        if not any(one.total.fills for one in (self.live, *self.simulated)):
            return None
        traces = []
        for place, one in enumerate((self.live, *self.simulated)):
            chosen = np.unique(
                np.linspace(0, max(len(one.path_ns) - 1, 0), min(len(one.path_ns), POINTS_MAX)).astype(int)
            )
            colour, width = (INK, 2.6) if place == 0 else (_COLOURS[(place - 1) % len(_COLOURS)], 1.6)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": one.name,
                    "x": [int(ts) // 1_000_000 for ts in one.path_ns[chosen]],
                    "y": [round(float(value), 2) for value in one.path_usdc[chosen]],
                    "line": {"color": colour, "width": width, "shape": "hv"},
                    "hovertemplate": "%{y:,.0f}",
                }
            )
        axes = {"xaxis": {"type": "date"}, "yaxis": {"title": {"text": "volume filled, USDC"}, "zeroline": True}}
        return {"data": traces, "layout": axes}


def compare(
    live: World,
    simulated: Sequence[World],
    *,
    kept: Sequence[Kept] = (),
    remarks: Sequence[str] = (),
    window_ns: int = WINDOW_NS,
) -> Comparison:
    """Measures the worlds, at least one and at most WORLDS_MAX - 1 simulations, all of the same markets; `kept` is one
    for each simulation, or nothing."""
    assert 1 <= len(simulated) < WORLDS_MAX, "a comparison has two worlds at least, and a colour for each"
    assert all(list(one.lane.markets) == list(live.lane.markets) for one in simulated), "the markets are the session's"
    markets = live.lane.markets
    fills = live.lane.log[live.is_ours]
    return Comparison(
        live=figures_of(live),
        simulated=tuple(figures_of(one) for one in simulated),
        matches=tuple(matched(fills, one.lane.log[one.is_ours], markets, window_ns=window_ns) for one in simulated),
        orders_shared=tuple(shared_orders(live.placed, one.placed, markets, window_ns=window_ns) for one in simulated),
        kept=tuple(kept),
        window_ns=window_ns,
        remarks=tuple(remarks),
    )


def figures_of(world: World) -> WorldFigures:
    """Measures one world."""
    ours, log = world.is_ours, world.lane.log
    groups = [_figures(world, ALL, BOTH, ours, np.ones(len(world.placed), np.bool_), world.split.parts)]
    for place, market in enumerate(world.lane.markets):
        here, placed, split = log["market"] == place, world.placed["market"] == place, world.split.markets[place]
        groups.append(_figures(world, market.name, BOTH, ours & here, placed, split.parts))
        for side, sign in ((BUY, 1), (SELL, -1)):
            groups.append(
                _figures(
                    world, market.name, side, ours & here & (log["side"] == sign),
                    placed & (world.placed["side"] == sign), split.by_side[side],
                )
            )  # fmt: skip
    order = np.argsort(log["ts_exch_ns"][ours], kind="stable")
    return WorldFigures(
        name=world.name,
        groups=tuple(groups),
        hours=_spans(world, HOUR_NS),
        days=_spans(world, DAY_NS),
        path_ns=log["ts_exch_ns"][ours][order],
        path_usdc=np.cumsum(world.lane.value_usdc(log[ours])[order]),
    )


def _figures(world: World, market: str, side: str, chosen: np.ndarray, placed: np.ndarray, parts: Parts) -> Figures:
    """`chosen` bool[F] of the log, `placed` bool[n] of the orders."""
    log, orders = world.lane.log[chosen], int(placed.sum())
    value = world.lane.value_usdc(log)
    volume = float(value.sum())
    named = {(int(one["market"]), int(one["order_id"])): int(one["ts_ns"]) for one in world.placed[placed][::-1]}
    filled = {(int(one["market"]), int(one["order_id"])) for one in log}
    waits = [
        int(one["ts_exch_ns"]) - named[key]
        for one in log
        if (key := (int(one["market"]), int(one["order_id"]))) in named
    ]
    known = sum(key in named for key in filled)
    return Figures(
        market=market,
        side=side,
        orders=orders,
        fills=len(log),
        volume_usdc=volume,
        fill_rate=known / orders if orders else None,
        maker_share=float(value[log["maker"] == 1].sum()) / volume if volume > 0.0 else None,
        crossed_share=float((log["reason"] == _CROSSED).mean()) if len(log) and (log["reason"] > 0).all() else None,
        wait_ns=max(round(sum(waits) / len(waits)), 0) if waits else None,
        markouts=tuple(
            _after(log, world.mid_half_ticks[chosen, place], value, horizon_ns)
            for place, horizon_ns in enumerate(MARKOUTS_NS)
        ),
        parts={name: world.split.usdc(grains) for name, grains in zip(PART_NAMES, parts.values(), strict=True)},
    )


def _after(log: np.ndarray, mid_half_ticks: np.ndarray, value_usdc: np.ndarray, horizon_ns: int) -> After:
    known = mid_half_ticks > 0
    log, mid = log[known], mid_half_ticks[known]
    price = 2.0 * log["price_ticks"]
    moved_bp = log["side"] * (mid - price) / price * 1e4
    block_ns = block_ns_of(horizon_ns)
    mean, error = block_mean(moved_bp, value_usdc[known], log["ts_exch_ns"], block_ns)
    freedom = len(np.unique(log["ts_exch_ns"] // block_ns)) - 1
    band = None if error is None else error * student_quantile(_NORMAL, freedom)
    return After(horizon_s=horizon_ns / 1e9, fills=len(log), mean_bp=mean, error_bp=error, band_bp=band)


def _spans(world: World, length_ns: int) -> tuple[Span, ...]:
    """What it did in each stretch of `length_ns`, a multiple of an hour, in which anything was."""
    log = world.lane.log[world.is_ours]
    value, places = world.lane.value_usdc(log), log["ts_local_ns"] // length_ns
    profit: dict[int, int] = {}
    for hour_ns, parts in world.split.by_hour.items():
        place = hour_ns // length_ns
        profit[place] = profit.get(place, 0) + parts.total
    return tuple(
        Span(
            first_ns=place * length_ns,
            fills=int((places == place).sum()),
            volume_usdc=float(value[places == place].sum()),
            profit_usdc=world.split.usdc(profit.get(place, 0)),
        )
        for place in sorted({*profit, *map(int, places)})
    )


def _group(one: WorldFigures, market: str, side: str) -> Figures:
    return {(group.market, group.side): group for group in one.groups}[market, side]


def _plain(one: WorldFigures) -> dict[str, Any]:
    return {
        "name": one.name,
        "groups": [{**asdict(group), "profit_usdc": group.profit_usdc} for group in one.groups],
        "hours": [asdict(span) for span in one.hours],
        "days": [asdict(span) for span in one.days],
    }


def _differences(live: WorldFigures, simulated: WorldFigures) -> list[dict[str, Any]]:
    """Simulated less live of every group."""
    return [
        {
            "market": ours.market,
            "side": ours.side,
            **{
                name: _less(getattr(theirs, name), getattr(ours, name))
                for name in (
                    "orders",
                    "fills",
                    "volume_usdc",
                    "fill_rate",
                    "maker_share",
                    "crossed_share",
                    "wait_ns",
                    "profit_usdc",
                )
            },
            "markouts": [
                {
                    "horizon_s": one.horizon_s,
                    "mean_bp": _less(other.mean_bp, one.mean_bp),
                    "band_bp": _both_bands(one, other),
                }
                for one, other in zip(ours.markouts, theirs.markouts, strict=True)
            ],
            "parts": {name: theirs.parts[name] - ours.parts[name] for name in PART_NAMES},
        }
        for ours, theirs in zip(live.groups, simulated.groups, strict=True)
    ]


def _less(value: Any, other: Any) -> Any:
    return None if value is None or other is None else value - other


def _both_bands(one: After, other: After) -> float | None:
    """The band of the difference, as if the two were independent: they share the market, so it is at most too wide."""
    if one.band_bp is None or other.band_bp is None:
        return None
    return math.hypot(one.band_bp, other.band_bp)


def _row(
    label: str, found: list[Figures], values: list[Any], text: Any, difference: Any
) -> tuple[str, tuple[str, ...]]:
    texts = [text(values[0])]
    for value in values[1:]:
        less = _less(value, values[0])
        texts += [text(value), difference(less)]
    return label, tuple(texts)


def _markout_row(label: str, found: list[After]) -> tuple[str, tuple[str, ...]]:
    texts = [_after_words(found[0])]
    for other in found[1:]:
        band, less = _both_bands(found[0], other), _less(other.mean_bp, found[0].mean_bp)
        texts += [_after_words(other), _banded(less, band)]
    return label, tuple(texts)


def _after_words(one: After) -> str:
    return _banded(one.mean_bp, one.band_bp)


def _banded(value: float | None, band: float | None) -> str:
    return "too few" if value is not None and band is None else plus_minus(value, band)


def _whole(value: float | None) -> str:
    return plain(value, 0)


def _points(value: float | None) -> str:
    return signed(None if value is None else 100.0 * value, 1)


def _longer(value: int | None) -> str:
    return DASH if value is None else f"{signed(value / 1e9, 3)} s"


def _kept_words(live: WorldFigures, one: Kept) -> str:
    """What a queue model makes of the session's own orders."""
    what = f"Of the session's own orders the queue model {one.queue} fills"
    ours = live.total
    if not ours.fills or not one.fills:
        return f"{what} {counted(one.fills, 'part')}, the market filled {count(ours.fills)}."
    return (
        f"{what} {_amount(one.volume_usdc / ours.volume_usdc)} the market did, and {percent(one.matched.of_live, 0)} of"
        " the live fills are among its."
    )


def _amount(ratio: float) -> str:
    """How much one volume is of another: "12 % more than"."""
    if abs(ratio - 1.0) < 0.005:
        return "as much as"
    return f"{percent(abs(ratio - 1.0), 0)} {'more' if ratio > 1.0 else 'less'} than"


def _verdict(live: WorldFigures, simulated: WorldFigures, match: Matched) -> str:
    """How much more the simulation fills, how many fills the two share, and what a fill is worth there."""
    ours, theirs = live.total, simulated.total
    name = f"Deciding anew, a simulation with {simulated.name}"
    if not ours.fills and not theirs.fills:
        return f"{name} fills nothing, and neither did the market."
    if not ours.fills:
        return f"{name} has {counted(theirs.fills, 'fill')} where the market had none: it flatters."
    if not theirs.fills:
        return f"{name} has no fill where the market had {counted(ours.fills, 'fill')}: it is too strict."
    moved = f"; {percent(theirs.crossed_share, 0)} of its own came of a book that moved through their price"
    amount = _amount(theirs.volume_usdc / ours.volume_usdc)
    return (
        f"{name} fills {amount} the market did, and has {percent(match.of_live, 0)} of the live fills"
        f"{moved if theirs.crossed_share else ''}; {_worth(ours.markouts[-1], theirs.markouts[-1])}."
    )


def _worth(ours: After, theirs: After) -> str:
    """What a fill is worth at the last horizon, simulated less live, with the band of the difference."""
    less, band = _less(theirs.mean_bp, ours.mean_bp), _both_bands(ours, theirs)
    if less is None or band is None:
        return "there are too few fills to say whether they are worth the same"
    around = f"± {plain(band)} bp"
    if abs(less) <= band:
        return f"{ours.horizon_s:g} s later its fills are worth the same within {around}"
    more, how = ("more", "flatters") if less > 0.0 else ("less", "is too strict")
    return (
        f"{ours.horizon_s:g} s later a fill of it is worth {plain(abs(less))} bp {around} {more}: it {how} by as much"
    )
