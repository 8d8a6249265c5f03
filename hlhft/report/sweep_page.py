"""A sweep's report as one HTML file, made as `hlhft.report.page` makes a backtest's.

The verdict stands first, then the best and worst sets under every fee scenario, what the choice rests on, profit over
two parameters, and the best sets over time. The same rows go to the terminal: page and command never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from hlhft.report.markup import button, document, terms, text_of
from hlhft.report.numbers import count, money, percent, plain
from hlhft.report.plots import thinned
from hlhft.units import MICRO

SHOWN = 10  # best and worst sets of a table
LINES = 5  # best sets drawn over time
PARAMETERS_MAX = 5  # that maps are drawn of: ten pairs
CELLS_MAX = 40  # a side of a map; beyond, and for sets that are no grid, sets are drawn as points
LINE_POINTS = 400
_LONG = frozenset({"fees", "volume", "as maker"})


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the selection said about one fee scenario, in words; `facts` are (label, text), `folds` rows of text."""

    sentence: str
    remarks: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    fold_heading: tuple[str, ...] = ()
    folds: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """A sweep as it is shown: K sets that were finished, C fee scenarios, P parameters that differ, T times."""

    title: str
    facts: tuple[str, ...]
    scenarios: tuple[str, ...]
    parameters: tuple[str, ...]
    numbers: np.ndarray  # int64[K]: the sets' numbers
    values: np.ndarray  # float64[K, P]
    figures: np.ndarray  # FIGURE_DTYPE[K, C] of hlhft.backtest.sweep
    halted: tuple[tuple[str | None, ...], ...]  # [K][C]: the breaker that stopped the set, None when none did
    span_ns: int
    markets: int
    times_ns: np.ndarray  # int64[T]
    profit_micro: np.ndarray  # int64[K, C, T]
    judgements: tuple[Judgement, ...]  # one a scenario, or none
    note: str = ""  # why there are no judgements
    identity: Mapping[str, Any]

    def order(self, scenario: int) -> np.ndarray:
        """Rows from the highest profit to the lowest, equal ones by number."""
        return np.argsort(-self.figures[:, scenario]["profit_micro"], kind="stable")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """A table of sets as text; `signs` of the profits (-1, 0, 1), `best` how many of the rows are the best ones."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    signs: tuple[int, ...]
    best: int

    @property
    def profit_column(self) -> int:
        """Where the profit stands."""
        return self.heading.index("profit")


def ranking(view: SweepView, scenario: int, shown: int = SHOWN, *, is_short: bool = False) -> Ranking:
    """The best and the worst sets of a scenario; all of them, when they are not more than both together.

    `is_short` leaves out what a terminal has no room for. The last column is there when any set was halted.
    """
    order = view.order(scenario)
    best = order if len(order) <= 2 * shown else order[:shown]
    worst = order[len(best) :][-shown:]
    rows = np.concatenate([best, worst])
    cells = [_cells_of(view, int(row), scenario) for row in rows]
    stopped = any(view.halted[row][scenario] for row in rows)
    left_out = (_LONG if is_short else frozenset()) | (frozenset() if stopped else {"ended"})
    heading = [name for name in cells[0] if name not in left_out]
    return Ranking(
        heading=tuple(heading),
        rows=tuple(tuple(one[name] for name in heading) for one in cells),
        signs=tuple(int(sign) for sign in np.sign(view.figures[rows, scenario]["profit_micro"])),
        best=len(best),
    )


def _cells_of(view: SweepView, row: int, scenario: int) -> dict[str, str]:
    """A row of the ranking by its headings. A parameter that is named like a figure stands in quotation marks."""
    one = view.figures[row, scenario]
    volume = int(one["volume_micro"])
    stopped = view.halted[row][scenario]
    figures = {
        "profit": money(int(one["profit_micro"]) / MICRO),
        "fees": money(-int(one["fee_micro"]) / MICRO),
        "drawdown": plain(int(one["drawdown_micro"]) / MICRO),
        "fills": count(int(one["fills"])),
        "volume": plain(volume / MICRO, 0),
        "as maker": percent(int(one["maker_volume_micro"]) / volume if volume else None, 0),
        "quoted": percent(int(one["quoted_ns"]) / (view.span_ns * view.markets), 0),
        "ended": f"halted: {stopped.replace('_', ' ')}" if stopped else "active",
    }
    named = zip(view.parameters, view.values[row])
    values = {f'"{name}"' if name in figures or name == "set" else name: value_text(value) for name, value in named}
    return {"set": count(int(view.numbers[row])), **values, **figures}


def value_text(value: float) -> str:
    """A parameter's value, as short as it can be said."""
    return f"{value:.15g}"


def set_words(view: SweepView, row: int) -> str:
    """A set in words: its number, and the parameters that differ."""
    values = ", ".join(f"{name} {value_text(value)}" for name, value in zip(view.parameters, view.values[row]))
    return f"set {view.numbers[row]}" + (f": {values}" if values else "")


def maps(view: SweepView) -> list[dict[str, Any]]:
    """For every two parameters (or the only one) profit by scenario: `kind` is "map", "points" or "line"."""
    names = range(min(len(view.parameters), PARAMETERS_MAX))
    if len(names) == 1:
        return [_line_map(view)]
    return [_pair_map(view, first, second) for first, second in combinations(names, 2)]


def _line_map(view: SweepView) -> dict[str, Any]:
    order = np.argsort(view.values[:, 0], kind="stable")
    return {
        "kind": "line",
        "x_type": _axis_type(view.values[:, 0]),
        "name": view.parameters[0],
        "x": [float(value) for value in view.values[order, 0]],
        "profit": [_usdc(view.figures[order, scenario]["profit_micro"]) for scenario in range(len(view.scenarios))],
        "text": [set_words(view, int(row)) for row in order],
    }


def _axis_type(values: np.ndarray) -> str:
    """Logarithmic where values span two decades and most of them lie low: that is how they were chosen."""
    low, middle, high = values.min(), np.median(values), values.max()
    return "log" if low > 0 and high >= 100 * low and middle <= high / 4 else "linear"


def _usdc(micro: np.ndarray) -> list[float]:
    return [round(float(value) / MICRO, 4) for value in micro]


def _pair_map(view: SweepView, first: int, second: int) -> dict[str, Any]:
    x, y = view.values[:, first], view.values[:, second]
    columns, x_place = np.unique(x, return_inverse=True)
    lines, y_place = np.unique(y, return_inverse=True)
    profits = [view.figures[:, scenario]["profit_micro"] for scenario in range(len(view.scenarios))]
    common = {"name": f"{view.parameters[first]} and {view.parameters[second]}"}
    common |= {"x_name": view.parameters[first], "y_name": view.parameters[second]}
    if max(len(columns), len(lines)) > CELLS_MAX or len(columns) * len(lines) > len(view.values):
        return {
            **common,
            "kind": "points",
            "x_type": _axis_type(x),
            "y_type": _axis_type(y),
            "x": [float(value) for value in x],
            "y": [float(value) for value in y],
            "profit": [_usdc(profit) for profit in profits],
            "text": [set_words(view, row) for row in range(len(view.values))],
        }
    return {
        **common,
        "kind": "map",
        # Categories: values that a user lists are rarely evenly spaced.
        "x": [value_text(value) for value in columns],
        "y": [value_text(value) for value in lines],
        "profit": [_cells(profit, y_place, x_place, (len(lines), len(columns))) for profit in profits],
    }


def _cells(profit: np.ndarray, y: np.ndarray, x: np.ndarray, shape: tuple[int, int]) -> list[list[float | None]]:
    """The median profit of the sets in each cell, USDC; None where there is no set."""
    places = y.ravel() * shape[1] + x.ravel()
    cells: list[float | None] = [None] * (shape[0] * shape[1])
    for place in np.unique(places):
        cells[place] = round(float(np.median(profit[places == place])) / MICRO, 4)
    return [cells[start : start + shape[1]] for start in range(0, len(cells), shape[1])]


def lines(view: SweepView, scenario: int) -> dict[str, Any]:
    """Profit over time of the best sets, and of the median set at each time."""
    paths = view.profit_micro[:, scenario]
    places = thinned(np.arange(paths.shape[1]), LINE_POINTS)
    at = [int(time) // 1_000_000 for time in view.times_ns[places]]
    best = view.order(scenario)[:LINES]
    drawn = [{"name": set_words(view, int(row)), "y": _usdc(paths[row, places])} for row in best]
    if len(paths) > 2:
        drawn.append({"name": "median of all sets", "y": _usdc(np.median(paths[:, places], axis=0))})
    return {"x": at, "lines": drawn}


def render(view: SweepView) -> str:
    """The whole page. Raises FileNotFoundError when the plotly package lacks its script."""
    drawn = {"maps": maps(view), "lines": [lines(view, scenario) for scenario in range(len(view.scenarios))]}
    chosen = "".join(button("scenario", index, name) for index, name in enumerate(view.scenarios))
    body = "\n".join(
        [
            "<main>",
            _header(view),
            _cards(view),
            f'<div class="bar">{chosen}</div>',
            *(_scenario(view, scenario) for scenario in range(len(view.scenarios))),
            _charts(drawn["maps"]),
            "<h2>What was run</h2>",
            '<p class="note">The same command gives the same bytes again. Every set is in results.parquet.</p>',
            f'<div class="panel">{terms(view.identity)}</div>',
            "<footer>A backtest is a model and no promise, and the best of many backtests less than one.</footer>",
            "</main>",
        ]
    )
    return document(
        title=f"{view.title}: hlhft sweep",
        description=view.judgements[0].sentence if view.judgements else view.note,
        body=body,
        drawn=drawn,
        styles=("page.css", "sweep.css"),
        script="sweep.js",
    )


def _header(view: SweepView) -> str:
    first = view.judgements[0] if view.judgements else Judgement(sentence=view.note)
    remarks = f'<p class="remarks">{text_of(" ".join(first.remarks))}</p>' if first.remarks else ""
    facts = " · ".join(text_of(fact) for fact in (view.title, *view.facts))
    return f'<p class="kicker"><b>hlhft sweep</b> · {facts}</p>\n<h1>{text_of(first.sentence)}</h1>\n{remarks}'


def _cards(view: SweepView) -> str:
    cards = []
    for scenario, name in enumerate(view.scenarios):
        profits = view.figures[:, scenario]["profit_micro"]
        best = int(view.order(scenario)[0])
        made = int(profits[best])
        tone = "gain" if made > 0 else "loss" if made < 0 else ""
        cards.append(
            f'<div class="card"><div class="name">{text_of(name)}</div>'
            f'<div class="figure {tone}">{text_of(money(made / MICRO))} <small>USDC, the best</small></div>'
            f'<div class="under">{count(int((profits > 0).sum()))} of {count(len(profits))} sets made money</div></div>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _scenario(view: SweepView, scenario: int) -> str:
    table = ranking(view, scenario)
    is_all = table.best == len(table.rows)
    title = "All sets" if is_all else f"The best {table.best} sets and the worst {len(table.rows) - table.best}"
    head = "".join(f"<th>{text_of(name)}</th>" for name in table.heading)
    column = table.profit_column
    body = []
    for index, (cells, sign) in enumerate(zip(table.rows, table.signs)):
        tones = {column: {1: "gain", -1: "loss"}.get(sign, "")}
        line = "".join(f'<td class="{tones.get(place, "")}">{text_of(cell)}</td>' for place, cell in enumerate(cells))
        gap = ' class="gap"' if index == table.best else ""
        body.append(f"<tr{gap}>{line}</tr>")
    judged = _judgement(view.judgements[scenario]) if view.judgements else f'<p class="note">{text_of(view.note)}</p>'
    hidden = "" if scenario == 0 else " hidden"
    return (
        f'<section data-scenario="{scenario}"{hidden}>'
        f'<h2>{title}</h2><p class="note">By profit in USDC, {text_of(view.scenarios[scenario])}.</p>'
        f'<div class="panel scroll"><table class="sets"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
        f"</table></div><h2>Which set to believe</h2>{judged}</section>"
    )


def _judgement(judged: Judgement) -> str:
    facts = "".join(f"<dt>{text_of(label)}</dt><dd>{text_of(text)}</dd>" for label, text in judged.facts)
    parts = [f'<p class="note">{text_of(" ".join((judged.sentence, *judged.remarks)))}</p>']
    if judged.folds:
        head = "".join(f"<th>{text_of(name)}</th>" for name in judged.fold_heading)
        rows = "".join("<tr>" + "".join(f"<td>{text_of(cell)}</td>" for cell in row) + "</tr>" for row in judged.folds)
        parts.append(
            f'<div class="panel scroll"><table class="sets"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
            "</table></div>"
        )
    return "".join(parts) + (f'<div class="panel"><dl>{facts}</dl></div>' if facts else "")


def _charts(drawn: Sequence[Mapping[str, Any]]) -> str:
    parts = ["<h2>Where the profit lies</h2>"]
    if drawn:
        pairs = "".join(button("pair", index, one["name"]) for index, one in enumerate(drawn))
        bar = f'<div class="bar">{pairs}</div>' if len(drawn) > 1 else ""
        is_map = any(one["kind"] == "map" for one in drawn)
        cells = "; a cell is the median of its sets where other parameters differ too" if is_map else ""
        parts.append(
            f'<p class="note">Profit in USDC{cells}. A good choice has good neighbours.</p>'
            f'{bar}<div class="panel chart"><div class="plot" id="map"></div></div>'
        )
    parts.append(
        '<div class="panel chart"><h3>The best sets over time</h3><p>Profit in USDC since the start, as sampled.</p>'
        '<div class="plot" id="lines"></div></div>'
    )
    return "".join(parts)
