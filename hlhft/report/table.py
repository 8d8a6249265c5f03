"""The figures of every scenario side by side, as text: the same rows in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hlhft.report.attribution import PART_NAMES
from hlhft.report.markouts import Markout, of_group
from hlhft.report.numbers import DASH, basis_points, count, duration, money, percent, plain, plus_minus
from hlhft.report.results import Results, ScenarioResult
from hlhft.report.verdict import PART_WORDS

SHORT_HORIZONS_S = (0.0, 0.1, 1.0, 10.0, 60.0, 300.0)  # of the markouts in the terminal


@dataclass(frozen=True)
class Row:
    """One figure, a text a scenario; `signs` (-1, 0, 1) where gain and loss are worth a colour."""

    label: str
    values: tuple[str, ...]
    signs: tuple[int, ...] = ()
    is_total: bool = False
    is_short: bool = True  # part of the terminal's table, where its section is


@dataclass(frozen=True)
class Section:
    """Rows that belong together. `is_short`: part of the terminal's table."""

    title: str
    rows: tuple[Row, ...]
    is_short: bool = False


def sections(results: Results) -> tuple[Section, ...]:
    """Every section, in the order in which they answer a reader's questions."""
    scenarios = results.scenarios
    return (
        Section("Where the money came from, USDC", tuple(_profit(scenarios)), is_short=True),
        Section("Trading", tuple(_trading(scenarios)), is_short=True),
        Section("Markout in bp, before fees", tuple(_markouts(scenarios)), is_short=True),
        Section("Risk", tuple(_risk(scenarios)), is_short=True),
        Section("Quoting", tuple(_quoting(scenarios)), is_short=True),
        Section("Place in the queue, medians", tuple(_queue(scenarios))),
        *(
            Section(f"Inventory in {name}, USDC", tuple(_inventory(scenarios, index)))
            for index, name in enumerate(results.markets)
        ),
    )


def heard_facts(results: Results) -> list[tuple[str, str]]:
    """What models said in a backtest, as (label, text); none without models."""
    if results.heard is None:
        return []
    heard, record = results.heard, results.heard.record
    facts = [
        ("models", ", ".join(record["model_ids"])),
        ("track", f"{record['name']}, {record['digest'][:8]}, {count(record['events'])} events"),
        ("delay", _delay_words(record)),
    ]
    for name, signal, policy in zip(results.markets, heard.signal_shares, heard.policy_shares, strict=True):
        facts.append((f"a signal stood in {name}", percent(signal)))
        facts.append((f"a policy stood in {name}", percent(policy)))
    return [*facts, *((name.replace("_", " "), count(value)) for name, value in heard.counters.items())]


def _delay_words(record: Mapping[str, Any]) -> str:
    compute, transport = (plain(record[name] / 1e6, 3) for name in ("compute_ns", "transport_ns"))
    return f"{compute} ms to compute and {transport} ms on the way, in the median ({record['latency']})"


Scenarios = tuple[ScenarioResult, ...]


def _row(label: str, scenarios: Scenarios, text: Callable[[ScenarioResult], str]) -> Row:
    return Row(label, tuple(text(one) for one in scenarios))


def _signed_row(label: str, values: list[float | None], text: Callable[[float | None], str], *, total: bool) -> Row:
    signs = tuple(0 if value is None else (value > 0) - (value < 0) for value in values)
    return Row(label, tuple(text(value) for value in values), signs, total)


def _profit(scenarios: Scenarios) -> list[Row]:
    rows = [_signed_row("profit", [one.profit_usdc for one in scenarios], money, total=True)]
    for name in PART_NAMES:
        values: list[float | None] = [one.part_usdc[name] for one in scenarios]
        if any(values):
            rows.append(_signed_row(PART_WORDS[name], values, money, total=False))
    rows.append(
        _row(
            "parts sum to it",
            scenarios,
            lambda one: (
                f"off by {one.split.usdc_text(one.split.residual_largest)}" if one.split.residual_largest else "exactly"
            ),
        )
    )
    by_volume = [one.metrics.trading.profit_bp for one in scenarios]
    rows.append(_signed_row("profit of the volume", by_volume, basis_points, total=False))
    return rows


def _trading(scenarios: Scenarios) -> list[Row]:
    return [
        _row("fills", scenarios, lambda one: count(one.metrics.trading.fills)),
        _row("volume, USDC", scenarios, lambda one: plain(one.metrics.trading.volume_usdc, 0)),
        _row("as maker", scenarios, lambda one: percent(one.metrics.trading.maker_share)),
        _row("fees less rebates", scenarios, lambda one: basis_points(one.metrics.trading.fee_bp)),
        _row("orders that filled", scenarios, lambda one: percent(one.metrics.trading.fill_rate)),
        _row("orders per fill", scenarios, lambda one: plain(one.metrics.trading.orders_per_fill, 1)),
    ]


def _markouts(scenarios: Scenarios) -> list[Row]:
    found = [of_group(one.markouts, "all") for one in scenarios]
    places = range(max((len(one) for one in found), default=0))
    rows = []
    for place in places:
        horizon_s = next(one for one in found if one)[place].horizon_s
        label = horizon_words(horizon_s)
        texts = [_markout(one[place]) if one else DASH for one in found]
        rows.append(Row(label, tuple(texts), is_short=horizon_s in SHORT_HORIZONS_S))
    return rows or [Row("at the fill", (DASH,) * len(scenarios))]


def _markout(point: Markout) -> str:
    if point.error_bp is None and point.mean_bp is not None:
        return "too few"
    return plus_minus(point.mean_bp, point.error_bp)


def horizon_words(horizon_s: float) -> str:
    """A horizon as a label: "at the fill", "after 0.1 s"."""
    return f"after {horizon_s:g} s" if horizon_s else "at the fill"


def _risk(scenarios: Scenarios) -> list[Row]:
    return [
        _row("drawdown, USDC", scenarios, lambda one: plain(getattr(one.metrics.drawdown, "usdc", None))),
        _row("of the peak", scenarios, lambda one: percent(getattr(one.metrics.drawdown, "share", None), 2)),
        _row(_sharpe_label(scenarios), scenarios, _sharpe),
        _row("the same a year", scenarios, _sharpe_annual),
        _row("ended", scenarios, _ending),
    ]


def _sharpe_label(scenarios: Scenarios) -> str:
    known = [one.metrics.sharpe for one in scenarios if one.metrics.sharpe is not None]
    return f"Sharpe ratio of {known[0].interval_s:g} s" if known else "Sharpe ratio"


def _sharpe(one: ScenarioResult) -> str:
    ratio = one.metrics.sharpe
    return DASH if ratio is None else plus_minus(ratio.value, ratio.error)


def _sharpe_annual(one: ScenarioResult) -> str:
    ratio = one.metrics.sharpe
    return DASH if ratio is None else plus_minus(ratio.annual, ratio.annual_error, 0)


def _ending(one: ScenarioResult) -> str:
    return f"halted: {one.metrics.breaker}" if one.is_halted else one.metrics.mode or DASH


def _quoting(scenarios: Scenarios) -> list[Row]:
    refused = [one.metrics.quoting.refused for one in scenarios]
    reasons = sorted({reason for one in refused if one is not None for reason in one})
    return [
        _row("both sides quoted", scenarios, lambda one: percent(one.metrics.quoting.uptime)),
        _row("orders placed", scenarios, lambda one: count(one.metrics.trading.orders_placed)),
        _row("orders cancelled", scenarios, lambda one: count(one.metrics.trading.orders_cancelled)),
        Row("quotes refused", tuple(count(None if one is None else sum(one.values())) for one in refused)),
        *(
            Row(f"for {reason}", tuple(count(None if one is None else one.get(reason, 0)) for one in refused))
            for reason in reasons
        ),
        _row("address actions used", scenarios, lambda one: percent(one.metrics.address.share)),
    ]


def _queue(scenarios: Scenarios) -> list[Row]:
    return [
        _row("ahead on joining, USDC", scenarios, lambda one: plain(one.metrics.queue.entry_usdc_median, 0)),
        _row("ahead at the fill, USDC", scenarios, lambda one: plain(one.metrics.queue.ahead_usdc_median, 0)),
        _row("joined an empty level", scenarios, lambda one: percent(one.metrics.queue.entry_front_share)),
        _row("joining to fill", scenarios, lambda one: duration(one.metrics.queue.wait_ns_median)),
    ]


def _inventory(scenarios: Scenarios, index: int) -> list[Row]:
    held = [one.metrics.inventory[index] for one in scenarios]
    return [
        Row("largest", tuple(plain(one.largest_usdc, 0) for one in held)),
        Row("mean", tuple(plain(one.mean_usdc, 0) for one in held)),
        Row("mean of its size", tuple(plain(one.mean_absolute_usdc, 0) for one in held)),
        Row("flat", tuple(percent(one.flat_share) for one in held)),
        Row("at the end", tuple(plain(one.final_usdc, 0) for one in held)),
    ]
