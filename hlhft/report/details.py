"""The tables of one scenario: what fills were worth, which orders filled, and where the money came from, by hour,
market, side and strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hlhft.report.attribution import HOUR_NS, PART_NAMES, Parts
from hlhft.report.fill_rates import HORIZON_NS, FillBand, FillRates
from hlhft.report.grid import Grid
from hlhft.report.latencies import Latency
from hlhft.report.markouts import Markout, of_group
from hlhft.report.numbers import count, duration, moment, money, percent, plus_minus
from hlhft.report.results import ScenarioResult
from hlhft.report.verdict import PART_WORDS

HOURS_MAX = 72  # with more, a row is a day
DAYS_MAX = 400  # the newest ones
DAY_NS = 24 * HOUR_NS
SHORT_S, LONG_S = 1.0, 10.0  # horizons of the adverse selection
TOO_FEW = "too few"


def details(one: ScenarioResult, latencies: Sequence[Latency] = ()) -> tuple[Grid, ...]:
    """Every table that there is something to say in; none for a scenario that neither traded nor placed anything."""
    found = [*_selection(one), *_fill_rates(one.fill_rates), *_split(one)]
    if latencies:
        found.append(_latencies(latencies))
    return tuple(found)


# What fills were worth.


def _selection(one: ScenarioResult) -> Iterable[Grid]:
    groups = list(dict.fromkeys(point.group for point in one.markouts))
    if groups:
        yield Grid(
            title="Adverse selection, bp of the value",
            note="What a fill gained against the mid, and what was left of it when the market had moved on: before "
            "fees. Taken back is the share of the spread captured that was gone by then; above 100 % the fill lost.",
            heads=("fills", "of them", "captured", f"after {SHORT_S:g} s", f"after {LONG_S:g} s", "taken back"),
            rows=tuple(_selection_row(group, of_group(one.markouts, group)) for group in groups),
        )


def _selection_row(group: str, points: Sequence[Markout]) -> tuple[str, ...]:
    by_horizon = {point.horizon_s: point for point in points}
    captured, long = by_horizon[0.0], by_horizon[LONG_S]
    return (
        group,
        count(captured.fills),
        *(_bp(point.mean_bp, point.error_bp) for point in (captured, by_horizon[SHORT_S], long)),
        percent(_taken_back(captured, long), 0),
    )


def _bp(mean_bp: float | None, error_bp: float | None) -> str:
    """A mean with its error; without one, from too few blocks of time, it would draw the eye and say nothing."""
    return TOO_FEW if mean_bp is not None and error_bp is None else plus_minus(mean_bp, error_bp)


def _taken_back(captured: Markout, later: Markout) -> float | None:
    """The share of what was captured that the market took; None where nothing was, or where too few tell of it."""
    if captured.error_bp is None or later.error_bp is None:
        return None
    if captured.mean_bp is None or later.mean_bp is None or captured.mean_bp <= 0.0:
        return None
    return 1.0 - later.mean_bp / captured.mean_bp


# Which orders filled.


def _fill_rates(found: FillRates | None) -> Iterable[Grid]:
    if found is None:
        return
    cut = f" These are the first {count(found.orders)} orders." if found.is_cut else ""
    heads = ("orders", "filled", "share", "band", "waited", f"after {HORIZON_NS // 1_000_000_000} s, bp")
    if found.by_distance:
        yield Grid(
            title="Which orders filled, by distance from the touch",
            note="From the best price of the order's own side when it came to rest. The band is Wilson's, of two "
            f"standard errors; the last column what their fills were worth later, before fees.{cut}",
            heads=("joined", *heads),
            rows=tuple(map(_fill_row, found.by_distance)),
        )
    if found.by_queue:
        yield Grid(
            title="Which orders filled, by the queue that they joined",
            note="USDC shown at the price when the order joined. Whoever stands far away finds short queues, so read "
            f"it together with the distance.{cut}",
            heads=("ahead, USDC", *heads),
            rows=tuple(map(_fill_row, found.by_queue)),
        )


def _fill_row(band: FillBand) -> tuple[str, ...]:
    return (
        band.label,
        count(band.orders),
        count(band.filled),
        percent(band.share),
        f"{percent(band.low)} to {percent(band.high)}",
        duration(band.wait_ns_median),
        _bp(band.markout_bp, band.markout_error_bp),
    )


# Where the money came from.


def _split(one: ScenarioResult) -> Iterable[Grid]:
    split = one.split
    if not (one.metrics.trading.fills or any(split.parts.values())):
        return
    yield _parts_grid(
        one,
        "By side and market, USDC",
        "What buys and sells made, each with what it left valued at the mark; funding belongs to neither.",
        "fills",
        {
            **{f"{name}s": parts for name, parts in split.by_side.items()},
            **{market.market: market.parts for market in split.markets},
        },
    )
    if one.by_strategy:
        note = "By who placed the orders."
        yield _parts_grid(one, "By strategy, USDC", note, "strategy", one.by_strategy)
    hours = split.by_hour
    if len(hours) <= HOURS_MAX:
        named = {f"{moment(hour)[:16]}": parts for hour, parts in hours.items()}
        yield _parts_grid(one, "By hour, USDC", "Hours begin at the time that is given, UTC.", "hour", named)
    else:
        days = by_day(hours)
        left_out = f" The newest {DAYS_MAX} days." if len(days) > DAYS_MAX else ""
        named = {moment(day)[:10]: parts for day, parts in list(days.items())[-DAYS_MAX:]}
        yield _parts_grid(one, "By day, USDC", f"Days are UTC.{left_out}", "day", named)


def by_day(hours: Mapping[int, Parts]) -> dict[int, Parts]:
    """Parts by the first ns of their day, from those by hour."""
    found: dict[int, Parts] = {}
    for hour, parts in hours.items():
        day = hour // DAY_NS * DAY_NS
        found[day] = found.get(day, Parts()) + parts
    return found


def _parts_grid(one: ScenarioResult, title: str, note: str, first: str, rows: Mapping[str, Parts]) -> Grid:
    """A row for each; parts that are nothing everywhere get no column."""
    shown = [name for name in PART_NAMES if any(getattr(parts, name) for parts in rows.values())]
    return Grid(
        title=title,
        note=note,
        heads=(first, "profit", *(PART_WORDS[name] for name in shown)),
        rows=tuple(
            (
                name,
                *(money(one.split.usdc(value)) for value in (parts.total, *(getattr(parts, part) for part in shown))),
            )
            for name, parts in rows.items()
        ),
    )


# How long things took.


def _latencies(found: Sequence[Latency]) -> Grid:
    return Grid(
        title="How long things took",
        note="By this machine's clock; the feed's age also by the venue's, so it holds what the two clocks differ by.",
        heads=("from", "times", "median", "90 %", "99 %", "longest"),
        rows=tuple(
            (one.name, count(one.count), *map(duration, (one.p50_ns, one.p90_ns, one.p99_ns, one.max_ns)))
            for one in found
        ),
    )
