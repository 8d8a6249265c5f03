"""The report as one HTML file: opens offline, reads on a phone, follows light and dark mode, the same bytes every time.

The verdict stands first, then the figures of every fee scenario, charts of one scenario at a time, what the models
assume, the first fills, and what identifies the run. plotly.js is inlined from the installed package without importing
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hlhft.report.assumptions import assumptions
from hlhft.report.details import details
from hlhft.report.grid import Grid
from hlhft.report.markouts import REASONS, UNSAID
from hlhft.report.markup import button, document, terms, text_of
from hlhft.report.numbers import DASH, count, moment, money, period, plain
from hlhft.report.plots import figures
from hlhft.report.results import Results, ScenarioResult
from hlhft.report.table import Row, Section, heard_facts, sections
from hlhft.report.verdict import Verdict, scenario_title, verdict
from hlhft.units import Market

_TIME = "ts_ns"  # what the facts of a past call a moment
FILLS_SHOWN = 200  # a scenario; the blotter has all
ERRORS_NOTE = (
    "± is one standard error: of markouts over blocks of time, because fills that come together share their future; of "
    "Sharpe ratios after Lo (2002), for independent returns. Minutes of data carry no claim about a Sharpe ratio."
)
_MODELS = {"latency": "latency", "queue": "queue", "feed": "profile"}  # their names here and in `Results.models`
_SIGN_CLASS = {1: "gain", -1: "loss", 0: ""}


def render(results: Results) -> str:
    """The whole page. Raises FileNotFoundError when the plotly package lacks its script."""
    spoken = verdict(results)
    chosen = [
        button("scenario", index, ", ".join(filter(None, scenario_title(one))))
        for index, one in enumerate(results.scenarios)
    ]
    compared = results.comparison
    drawn = figures(results.scenarios, results.stamp, None if compared is None else compared.figure())
    found = sections(results)
    markets = [button("market", index, price["market"]) for index, price in enumerate(drawn[0]["prices"])]
    body = "\n".join(
        [
            "<main>",
            _header(results, spoken),
            _cards(results.scenarios, results.stamp),
            *_table_heading(results),
            _table(results, found[:1]),
            "<h2>How it went</h2>",
            f'<div class="bar">{"".join(chosen)}</div>' if len(chosen) > 1 else "",
            _charts(drawn, markets, results.stamp),
            *_compared(results, drawn),
            "<h2>More figures</h2>",
            _table(results, found[1:]),
            f'<p class="note under">{text_of(ERRORS_NOTE)}</p>',
            *_details(results),
            *_past(results),
            *_heard(results),
            *_assumed(results),
            "<h2>Fills</h2>",
            _fills(results),
            "<h2>What was run</h2>",
            f'<p class="note">The same {_same(results)} give the same bytes again.</p>',
            _identity(results.identity),
            f"<footer>hlhft {text_of(results.identity['version'])}. {_last_words(results)}</footer>",
            "</main>",
        ]
    )
    return document(
        title=f"{results.stamp} {results.title}: hlhft {_kind(results)}".strip(),
        description=spoken.sentence,
        body=body,
        drawn=drawn,
        styles=("page.css",),
        script="page.js",
    )


def _stamped(stamp: str, tag: str = "span") -> str:
    """The stamp as an element of its own, nothing without one; what it stands in is never shown without it."""
    return f'<{tag} class="stamp">{text_of(stamp)}</{tag}>' if stamp else ""


def _kind(results: Results) -> str:
    return "live session" if results.is_live else "backtest"


def _table_heading(results: Results) -> tuple[str, ...]:
    if results.is_live:
        return ("<h2>The figures</h2>",)
    note = "Each is a run of its own, its decisions made again: other fees, other quotes."
    return ("<h2>Fee scenarios side by side</h2>", f'<p class="note">{note}</p>')


def _assumed(results: Results) -> tuple[str, ...]:
    """What the models of a backtest assume; what really happened rests on none."""
    if results.is_live:
        return ()
    note = "And whom each assumption favours, because a backtest is a model."
    return ("<h2>What the models assume</h2>", f'<p class="note">{note}</p>', _assumptions(results))


def _heard(results: Results) -> tuple[str, ...]:
    """What models said; nothing without any."""
    if results.heard is None:
        return ()
    note = "How much of the time a signal or a policy stood that had not expired, and what the core did with the rest."
    facts = heard_facts(results)
    lines = "".join(f"<dt>{text_of(name)}</dt><dd>{text_of(text)}</dd>" for name, text in facts)
    panel = f'<div class="panel">{_stamped(results.stamp)}<dl>{lines}</dl></div>'
    return ("<h2>What the models said</h2>", f'<p class="note">{note}</p>', panel)


def _past(results: Results) -> tuple[str, ...]:
    """What the venue's own history rests on, and what of it does not fit; nothing of any other results."""
    if not results.past:
        return ()
    note = "What the venue's own records were checked for, and what of them does not fit together."
    lines = "".join(f"<dt>{_fact(name)}</dt><dd>{_told(value)}</dd>" for name, value in results.past.items())
    return ("<h2>What it rests on</h2>", f'<p class="note">{note}</p>', f'<div class="panel"><dl>{lines}</dl></div>')


def _told(value: Any) -> str:
    """A fact as HTML: of several, each on a line of its own."""
    if isinstance(value, Mapping):
        return "<br>".join(f"{_fact(name)}: {_told(_spoken(name, one))}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "<br>".join(_told(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text_of(DASH if value is None else value)


def _fact(name: str) -> str:
    return text_of("at" if name == _TIME else name.replace("_", " "))


def _spoken(name: str, value: Any) -> Any:
    """A time as people read it, anything else as it is."""
    return f"{moment(value)} UTC" if name == _TIME and isinstance(value, int) else value


def _same(results: Results) -> str:
    return "journal and code key" if results.is_live else "settings, data and code key"


def _last_words(results: Results) -> str:
    return "What was earned is no promise." if results.is_live else "A backtest is a model and no promise."


def _header(results: Results, spoken: Verdict) -> str:
    settings = results.identity.get("settings", {})
    facts = [
        results.title,
        period(results.first_ns, results.first_ns + results.span_ns),
        f"strategy {settings.get('strategy', DASH)}",
        *(f"{name} {results.models[key]}" for name, key in _MODELS.items() if key in results.models),
    ]
    remarks = f'<p class="remarks">{text_of(" ".join(spoken.remarks))}</p>' if spoken.remarks else ""
    return (
        f'<p class="kicker"><b>hlhft {_kind(results)}</b> · {" · ".join(map(text_of, facts))}</p>\n'
        f"<h1>{text_of(spoken.sentence)}</h1>\n{remarks}"
    )


def _cards(scenarios: Iterable[ScenarioResult], stamp: str) -> str:
    cards = []
    for one in scenarios:
        profit, trading = one.profit_usdc, one.metrics.trading
        who, what = scenario_title(one)
        sign = _SIGN_CLASS[(profit > 0.0) - (profit < 0.0)]
        under = f"{count(trading.fills)} fills, {plain(trading.volume_usdc, 0)} USDC traded"
        cards.append(
            f'<div class="card">{_stamped(stamp)}<div class="name">{text_of(who)}<small>{text_of(what)}</small></div>'
            f'<div class="figure {sign}">{text_of(money(profit))} <small>USDC</small></div>'
            f'<div class="under">{text_of(under)}</div></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _table(results: Results, shown: Sequence[Section]) -> str:
    scenarios = results.scenarios
    titles = [scenario_title(one) for one in scenarios]
    heads = "".join(f"<th>{text_of(who)}<small>{text_of(what)}</small></th>" for who, what in titles)
    lines = []
    for section in shown:
        lines.append(f'<tr><th colspan="{len(scenarios) + 1}" scope="rowgroup">{text_of(section.title)}</th></tr>')
        lines += [_table_row(row) for row in section.rows]
    return (
        f'<div class="panel scroll"><table class="figures" style="--columns: {len(titles)}">'
        f"{_stamped(results.stamp, 'caption')}<thead><tr><th></th>{heads}</tr></thead>\n<tbody>"
        + "\n".join(lines)
        + "</tbody></table></div>"
    )


def _table_row(row: Row) -> str:
    signs = row.signs or (0,) * len(row.values)
    cells = "".join(
        f'<td class="{_SIGN_CLASS[sign]}">{text_of(value)}</td>' if sign else f"<td>{text_of(value)}</td>"
        for value, sign in zip(row.values, signs, strict=True)
    )
    return f"<tr{' class=total' if row.is_total else ''}><td>{text_of(row.label)}</td>{cells}</tr>"


# Charts by name: title and what it shows. The small ones stand two in a row.
_LARGE = {
    "equity": (
        "Profit and its parts",
        "Each part comes from its own records; together they are the change in equity.",
    ),
    "price": ("Price and our fills", "The mid as this machine saw it; triangles at the fills' prices."),
    "markouts": (
        "What the market did after our fills",
        "Mean markout from our side, before fees. Bars: 95 %, from blocks of time.",
    ),
    "spans": ("Profit by hour", "Of what each was made; by day where there are many hours."),
}
_SMALL = {
    "inventory": ("Inventory", "The position's value at the mid."),
    "drawdown": ("Drawdown", "How far equity was below its highest so far."),
    "distance": (
        "Which orders filled, by distance",
        "From the touch when the order came to rest. Bars: two standard errors.",
    ),
    "queue": ("Which orders filled, by queue", "USDC ahead when the order joined. Bars: two standard errors."),
}


def _charts(drawn: Sequence[Mapping[str, Any]], markets: list[str], stamp: str) -> str:
    """The places of the charts that any scenario draws; what is drawn there bears the stamp itself."""
    choice = f'<div class="bar inner">{"".join(markets)}</div>' if len(markets) > 1 else ""
    large = [
        _chart(name, title, note, stamp, choice if name == "price" else "")
        for name, (title, note) in _LARGE.items()
        if _is_drawn(drawn, name)
    ]
    small = [_chart(name, title, note, stamp) for name, (title, note) in _SMALL.items() if _is_drawn(drawn, name)]
    return "\n".join([*large, '<div class="two">', *small, "</div>"])


def _is_drawn(drawn: Sequence[Mapping[str, Any]], name: str) -> bool:
    if name == "price":  # a market without a price keeps its place, because the others are chosen there
        return any(trace["x"] for one in drawn for figure in one["prices"] for trace in figure["data"])
    return any(one[name] is not None for one in drawn)


def _compared(results: Results, drawn: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Live fills beside simulated ones; nothing where nobody compared."""
    compared = results.comparison
    if compared is None:
        return ()
    chart = (_chart("comparison", "Live and simulated", "", results.stamp),) if _is_drawn(drawn, "comparison") else ()
    return (
        "<h2>Beside a simulation of the same time</h2>",
        f'<p class="note">{text_of(compared.sentence)}</p>',
        *chart,
        *(_grid(one, results.stamp) for one in compared.grids()),
    )


def _details(results: Results) -> tuple[str, ...]:
    """The tables of the scenario that is chosen; nothing where there is nothing to tell."""
    tables = [details(one, results.latencies) for one in results.scenarios]
    if not any(tables):
        return ()
    parts = [
        f'<div data-scenario="{index}"{"" if index == 0 else " hidden"}>'
        + (f'<p class="note">Under {text_of(one.name)}.</p>' if len(results.scenarios) > 1 else "")
        + "\n".join(_grid(grid, results.stamp) for grid in grids)
        + "</div>"
        for index, (one, grids) in enumerate(zip(results.scenarios, tables, strict=True))
    ]
    return ("<h2>In detail</h2>", *parts)


def _grid(grid: Grid, stamp: str) -> str:
    heads = "".join(f"<th>{text_of(head)}</th>" for head in grid.heads)
    rows = "\n".join("<tr>" + "".join(f"<td>{text_of(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows)
    return (
        f'<section class="detail"><h3>{text_of(grid.title)}</h3><p>{text_of(grid.note)}</p>'
        f'<div class="panel scroll"><table class="detail">{_stamped(stamp, "caption")}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _chart(name: str, title: str, note: str, stamp: str, choice: str = "") -> str:
    return (
        f'<section class="panel chart">{_stamped(stamp)}<h3>{text_of(title)}</h3><p>{text_of(note)}</p>{choice}'
        f'<div class="plot" id="{name}"></div></section>'
    )


def _assumptions(results: Results) -> str:
    models = results.models
    stated = assumptions(
        latency=models["latency"],
        queue=models["queue"],
        profile=models["profile"],
        snapshots=results.snapshots,
        without_trades=results.without_trades,
    )
    lines = "".join(
        f'<dt>{text_of(one.subject)}</dt><dd>{text_of(one.text)}<span class="bias">{text_of(one.bias)}</span></dd>'
        for one in stated
    )
    return f'<div class="panel"><dl>{lines}</dl></div>'


def _fills(results: Results) -> str:
    parts = []
    for index, one in enumerate(results.scenarios):
        fills = one.lane.fills()
        shown = fills[:FILLS_SHOWN]
        # What really happened has no name of its own: there is nothing beside it.
        under = "" if results.is_live else f" under {one.name}"
        note = f"{count(len(fills)) if len(fills) else 'No'} fills{under}."
        if len(shown) < len(fills):
            note = f"The first {len(shown)} of {count(len(fills))} fills{under}; blotter.parquet has all."
        heads = (
            "time, UTC",
            "market",
            "side",
            "price",
            "size",
            "reason",
            "ahead on joining",
            "at the fill",
            "fee, USDC",
        )
        head = "".join(f"<th>{name}</th>" for name in heads)
        rows = "\n".join(_fill_row(one, fill) for fill in shown)
        table = (
            f'<div class="panel fills"><table>{_stamped(results.stamp, "caption")}<thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
        parts.append(
            f'<div data-scenario="{index}"{"" if index == 0 else " hidden"}><p class="note">{text_of(note)}</p>'
            f"{table if rows else ''}</div>"
        )
    return "\n".join(parts)


def _fill_row(one: ScenarioResult, fill: np.void) -> str:
    market = one.lane.markets[int(fill["market"])]
    side = "buy" if fill["side"] > 0 else "sell"
    cells = (
        moment(int(fill["ts_exch_ns"]), milliseconds=True),
        market.name,
        side,
        market.price_text(int(fill["price_ticks"])),
        market.size_text(int(fill["size_lots"])),
        REASONS.get(int(fill["reason"]), UNSAID),
        *(_lots(market, fill, name) for name in ("front_at_entry", "front")),
        plain(int(fill["aux1"]) / 1e6, 4),
    )
    tone = {2: f' class="{"gain" if side == "buy" else "loss"}"'}
    return (
        "<tr>" + "".join(f"<td{tone.get(index, '')}>{text_of(cell)}</td>" for index, cell in enumerate(cells)) + "</tr>"
    )


def _lots(market: Market, fill: np.void, name: str) -> str:
    """What stood ahead of the order, as a size; a taker stands in no queue, and a real venue does not say."""
    is_known = fill["maker"] and int(fill["reason"]) in REASONS
    return market.size_text(round(max(float(fill[name]), 0.0))) if is_known else DASH


def _identity(identity: Mapping[str, Any]) -> str:
    """What identifies the data and the code, then all settings and versions behind a click."""
    long = [name for name in ("settings", "libraries") if name in identity]
    short = {name: value for name, value in identity.items() if name not in long}
    parts = [f'<div class="panel">{terms(short)}</div>']
    parts += [
        f'<details class="panel"><summary>All {text_of(name)}</summary>{terms(identity[name])}</details>'
        for name in long
    ]
    return "\n".join(parts)
