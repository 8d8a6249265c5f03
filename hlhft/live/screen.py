"""The terminal view of a running engine: `render` makes a picture of a status, `follow` shows one after the other.

The picture fits the width it is given, 80 columns and more, and a height where one is known: what matters most stands
first, and what finds no room is left out. Colour says nothing that a sign or word does not say, too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hlhft.live.screen_parts import (
    CURVE_CELLS,
    Signs,
    age,
    bar,
    clock,
    curve,
    duration,
    latency,
    leaning,
    money,
    money_style,
    short_address,
    stage_style,
)
from hlhft.live.view import MarketView, PolicyView, Quote, Status

WIDE, MIDDLE = 165, 108  # columns from which three and two parts stand side by side
MARKETS_MAX = 24  # rows; the rest is counted
COUNTERS_MAX = 12
HAPPENINGS_MAX = 12
EVERY_S = 0.5
CURVE_EVERY = 5  # statuses between two points of the curve
LOW = 32  # lines below which breakers that did not trip are counted only
LINE_EVERY_S = 10.0  # where there is no terminal

Read = Callable[[], Status]


def render(status: Status, *, height: int | None = None, profits: Sequence[float] = ()) -> RenderableType:
    """The picture of a status, drawn for whatever width it is printed at; `height` in lines, None: as tall as it is.

    `profits`: what the profit was before, oldest first, for a small curve.
    """
    return _Picture(status, height, profits)


@dataclass(frozen=True, slots=True)
class _Picture:
    status: Status
    height: int | None
    profits: Sequence[float]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        signs = Signs(is_ascii=options.ascii_only)
        is_low = self.height is not None and self.height < LOW
        parts = list(_parts(self.status, console, options, signs, profits=self.profits, is_low=is_low))
        yield from _fitting(self.status, parts, self.height, console, options)


def _fitting(
    status: Status, parts: list[RenderableType], height: int | None, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType | Segment]:
    """The parts in their order as far as they fit, and what happened lately in the rest; the first is always shown."""
    if height is None:
        yield Group(*parts, *_lately(status, HAPPENINGS_MAX))
        return
    left, options = height, options.update(height=None)
    for index, part in enumerate(parts):
        lines = console.render_lines(part, options, pad=False)
        if index and len(lines) > left:
            continue
        left -= len(lines)
        yield from _drawn(lines)
    for part in _lately(status, min(left - 2, HAPPENINGS_MAX)):
        yield from _drawn(console.render_lines(part, options, pad=False)[:left])


def _drawn(lines: list[list[Segment]]) -> Iterator[Segment]:
    for line in lines:
        yield from line
        yield Segment.line()


def _parts(
    status: Status,
    console: Console,
    options: ConsoleOptions,
    signs: Signs,
    *,
    profits: Sequence[float],
    is_low: bool,
) -> Iterator[RenderableType]:
    """What is shown, the most important first."""
    width = options.max_width
    yield _head(status, width, signs)
    yield Padding(_money(status, width, curve(profits, signs)), (1, 0, 0, 0))
    yield Padding(_markets(status, console, options, signs), (1, 0, 0, 0))
    blocks = [
        _breakers(status, signs, is_low=is_low),
        _latencies(status),
        _budgets(status, signs),
        _connections(status, signs),
        _models(status),
        _counters(status),
        _covers(status, signs),
    ]
    columns = 3 if width >= WIDE else 2 if width >= MIDDLE else 1
    shown = [block for block in blocks if block.row_count]
    for start in range(0, len(shown), columns):
        yield Padding(_side_by_side(shown[start : start + columns], columns), (1, 0, 0, 0))


def _lately(status: Status, rows: int) -> list[RenderableType]:
    """What happened, newest first, in so many rows; nothing where there is no room."""
    if rows < 1 or not status.happenings:
        return []
    return [Padding(_happenings(status, rows), (1, 0, 0, 0))]


def _side_by_side(blocks: list[Table], columns: int) -> RenderableType:
    if columns == 1:
        return blocks[0]
    row = Table.grid(expand=True, padding=(0, 3, 0, 0))
    for _ in range(columns):
        row.add_column(ratio=1)
    row.add_row(*blocks, *[Text()] * (columns - len(blocks)))
    return row


def _head(status: Status, width: int, signs: Signs) -> RenderableType:
    word = f" {status.stage.upper()} "
    where = "paper" if status.is_paper else status.network
    left = Text.assemble(
        (word, stage_style(status.stage, is_halted=bool(status.halt))), "  ", ("hlhft", "bold"), f" {status.strategy}",
        (f" on {where}", "bold yellow" if status.network == "mainnet" and not status.is_paper else ""),
    )  # fmt: skip
    right = Text.assemble(
        (f"session {status.session}  ", "dim"),
        *([(f"{short_address(status.account, signs)}  ", "dim")] if width >= 100 else []),
        (f"up {duration(status.now_ns - status.started_ns)}  {clock(status.now_ns)} UTC", "dim"),
    )
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    if not status.halt:
        return line
    return Group(line, Text(f"{signs.bad} halted: {status.halt}", style="bold red"))


def _money(status: Status, width: int, drawn: Text) -> RenderableType:
    """Equity, the profit and where it came from."""
    facts: list[tuple[str, Text]] = []
    equity, profit = status.equity, status.profit
    if equity is not None:
        facts.append(("equity", Text(f"{equity.usdc:,.2f}", style="bold")))
        if equity.drawdown_share is not None:
            fallen = f"{equity.drawdown_share:.2%}"
            if equity.drawdown_share_max is not None and width >= MIDDLE:
                fallen += f" of {equity.drawdown_share_max:.2%}"
            facts.append(("drawdown", Text(fallen)))
    if profit is not None:
        facts.append(("profit", Text(money(profit.total), style=f"bold {money_style(profit.total)}")))
        for name in ("spread", "inventory", "basis", "fees", "funding"):
            value = getattr(profit, name)
            facts.append((name, Text(money(value), style=money_style(value))))
        if abs(profit.residual) >= 1e-6:
            facts.append(("UNEXPLAINED", Text(money(profit.residual), style="bold red")))
    if drawn and width >= MIDDLE:
        facts.append(("profit so far", drawn))
    table = Table.grid(padding=(0, 2 if width < MIDDLE else 4, 0, 0))
    if not facts:
        table.add_row(Text("no account yet", style="dim"))
        return table
    for _ in facts:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(name, style="dim") for name, _ in facts))
    table.add_row(*(value for _, value in facts))
    return table


# What is left out of the table of markets where it finds no room, the least important first.
_OPTIONAL = ("note", "value", "sizes", "fills", "own sizes", "inventory", "age")


def _markets(status: Status, console: Console, options: ConsoleOptions, signs: Signs) -> RenderableType:
    if not status.markets:
        return Text("no market yet", style="dim")
    more = len(status.markets) - MARKETS_MAX
    table = Table()
    for left_out in range(len(_OPTIONAL) + 1):
        table = _market_table(status, frozenset(_OPTIONAL[left_out:]), signs)
        if Measurement.get(console, options.update(width=10_000), table).maximum <= options.max_width:
            break
    return Group(table, Text(f"and {more} more", style="dim")) if more > 0 else table


def _market_table(status: Status, shown: frozenset[str], signs: Signs) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1))
    rows = [_market_cells(market, shown, signs) for market in status.markets[:MARKETS_MAX]]
    for name in rows[0]:
        justify: JustifyMethod = "left" if name in ("market", " ") else "center" if name == "inventory" else "right"
        table.add_column(name.strip().removesuffix("'"), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table


def _market_cells(market: MarketView, shown: frozenset[str], signs: Signs) -> dict[str, Text]:
    """The cells of a row by their column; the two sizes are told apart by an apostrophe."""
    style = "" if market.is_fresh else "dim"
    mark = (signs.good, "green") if market.is_fresh else (signs.old, "yellow")
    profit = market.profit_usdc
    cells = {
        "market": Text.assemble(mark, " ", (market.name, f"bold {style}".strip())),
        "size": Text(market.bid_size or "-", style="dim"),
        "bid": Text(market.bid or "-", style=style or "green"),
        "ask": Text(market.ask or "-", style=style or "red"),
        "size'": Text(market.ask_size or "-", style="dim"),
        "our bid": _own(market, 1, "own sizes" in shown, signs),
        "our ask": _own(market, -1, "own sizes" in shown, signs),
        "inventory": leaning(_signed_usdc(market), market.notional_usdc_max, signs),
        "position": Text(market.position, style="bold" if market.position.strip("-0.") else "dim"),
        "value": Text("-" if market.notional_usdc is None else f"{market.notional_usdc:,.0f}"),
        "profit": Text("-") if profit is None else Text(money(profit), style=money_style(profit)),
        "fills": Text(str(market.fills)),
        "age": Text(age(market.age_ms), style="" if market.is_fresh else "bold yellow"),
        " ": Text(market.note, style="yellow"),
    }
    belongs = {"size": "sizes", "size'": "sizes", " ": "note"}
    return {
        name: cell for name, cell in cells.items() if belongs.get(name, name) in shown or belongs.get(name, name) not in
        _OPTIONAL
    }  # fmt: skip


def _signed_usdc(market: MarketView) -> float | None:
    if market.notional_usdc is None:
        return None
    return -market.notional_usdc if market.position.startswith("-") else market.notional_usdc


def _own(market: MarketView, side: int, with_size: bool, signs: Signs) -> Text:
    """Our best quote of a side, how many stand behind it, and a sign when its fate is not settled."""
    quotes = [quote for quote in market.quotes if quote.side == side]
    if not quotes:
        return Text(signs.none, style="dim")
    best = max(quotes, key=lambda quote: side * float(quote.price))
    is_at_touch = best.price == (market.bid if side > 0 else market.ask)
    size = f"{best.size} @ " if with_size else ""
    behind = f" +{len(quotes) - 1}" if len(quotes) > 1 else ""
    return Text.assemble(
        (size, "dim"), (best.price, "bold cyan" if is_at_touch else "cyan"), (behind, "dim"), _pending(best, signs)
    )


def _pending(quote: Quote, signs: Signs) -> tuple[str, str]:
    if quote.state in ("open", "partial"):
        return "  ", ""  # as wide as a sign, so that nothing jumps
    if quote.state == "unknown":
        return " ?", "bold red"
    return f" {signs.waiting}", "yellow"


def _block(title: str) -> Table:
    return Table(
        box=None, pad_edge=False, show_edge=False, title=Text(title, style="bold"), title_justify="left",
        show_header=False, padding=(0, 2, 0, 0),
    )  # fmt: skip


def _breakers(status: Status, signs: Signs, *, is_low: bool) -> Table:
    """Those that tripped, then those that measure something unless there is no room; the others are counted."""
    table = _block("Breakers")
    quiet = 0
    for one in sorted(status.breakers, key=lambda breaker: not breaker.is_tripped):
        if not one.is_tripped and (is_low or not one.value):
            quiet += 1
            continue
        state = "LATCHED" if one.is_latched else "TRIPPED" if one.is_tripped else ""
        mark = Text(signs.bad if one.is_tripped else signs.good, style="bold red" if one.is_tripped else "green")
        limit = f"of {one.limit}" if one.limit else ""
        style = "bold red" if one.is_tripped else ""
        table.add_row(mark, Text(one.name, style=style), Text(one.value), Text(limit, style="dim"), Text(state, style))
    if quiet:
        table.add_row(
            Text(signs.good, style="green"), Text(f"{quiet} {'more' if table.row_count else 'of them'} quiet")
        )
    return table


def _latencies(status: Status) -> Table:
    table = Table(
        box=None, pad_edge=False, show_edge=False, title=Text("Latency", style="bold"), title_justify="left",
        header_style="dim", padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column("")
    for name in ("median", "p90", "p99", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in status.latencies:
        values = (one.p50_us, one.p90_us, one.p99_us, one.max_us)
        table.add_row(one.name, *(Text(latency(value), style="" if value is not None else "dim") for value in values))
    return table


def _budgets(status: Status, signs: Signs) -> Table:
    table = _block("Budgets used")
    for one in status.budgets:
        share = one.used / one.limit if one.limit > 0 else 1.0
        table.add_row(one.name, bar(share, signs), Text(f"{one.used:,.0f} of {one.limit:,.0f}", style="dim"))
    return table


def _connections(status: Status, signs: Signs) -> Table:
    table = _block("Connections")
    for one in status.connections:
        is_live = one.state == "live"
        mark = Text(signs.good if is_live else signs.old, style="green" if is_live else "yellow")
        again = f"connected again {one.reconnects} x" if one.reconnects else ""
        table.add_row(mark, one.name, one.state.replace("_", " "), age(one.age_ms), Text(again, style="dim"))
    return table


def _models(status: Status) -> Table:
    """What models say that still stands, a row for a market's signal and one for its policy."""
    table = _block("Models")
    for one in status.markets[:MARKETS_MAX]:
        if one.signal_bp is not None:
            table.add_row(one.name, f"signal {one.signal_bp:+.2f} bp, deviation {one.signal_deviation_bp or 0.0:.2f}")
        if one.policy is not None:
            table.add_row(one.name, _policy_words(one.policy))
    return table


def _policy_words(policy: PolicyView) -> str:
    turned = f"risk x{policy.gamma:.2f} signal x{policy.signal:.2f} spread x{policy.spread:.2f}"
    return f"{turned} lean {policy.asymmetry:+.0%}"


def _covers(status: Status, signs: Signs) -> Table:
    table = _block("Losses covered")
    for one in status.covers:
        mark = Text(signs.good, style="green") if one.is_covered else Text(signs.bad, style="bold yellow")
        table.add_row(mark, one.loss, Text(f"{'by' if one.is_covered else 'not: needs'} {one.by}", style="dim"))
    return table


def _counters(status: Status) -> Table:
    table = _block("Counters")
    for name, value in list(status.counters.items())[:COUNTERS_MAX]:
        table.add_row(name, Text(f"{value:,}", justify="right"))
    return table


def _happenings(status: Status, rows: int) -> Table:
    styles = {"warning": "yellow", "error": "bold red", "debug": "dim"}
    table = _block("Lately")
    for one in reversed(status.happenings[-rows:]):
        word = "" if one.level in ("info", "debug") else f"{one.level}: "
        table.add_row(Text(clock(one.at_ns), style="dim"), Text(f"{word}{one.text}", style=styles.get(one.level, "")))
    return table


def one_line(status: Status) -> str:
    """A status in one plain line, for where there is no terminal."""
    quoted = sum(1 for market in status.markets if market.quotes)
    orders = sum(len(market.quotes) for market in status.markets)
    fills = sum(market.fills for market in status.markets)
    profit = "-" if status.profit is None else money(status.profit.total)
    tripped = ", ".join(one.name for one in status.breakers if one.is_tripped)
    line = f"{clock(status.now_ns)} {status.stage}, {quoted} of {len(status.markets)} markets quoted, {orders} orders"
    line += f", {fills} fills, profit {profit} USDC"
    if status.halt:
        return f"{line}, halted: {status.halt}"
    return f"{line}, tripped: {tripped}" if tripped else line


def follow(
    read: Read,
    *,
    console: Console | None = None,
    is_over: Callable[[], bool] = lambda: False,
    every_s: float = EVERY_S,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Shows what `read` gives, again and again, until `is_over`; on no terminal a line now and then.

    Raises what `read` raises, with the terminal as it was before.
    """
    console = Console(highlight=False) if console is None else console
    live = Live(console=console, screen=True, auto_refresh=False) if console.is_terminal else None
    lines_every = max(round(LINE_EVERY_S / every_s), 1)
    count = 0
    profits: deque[float] = deque(maxlen=CURVE_CELLS * CURVE_EVERY)
    with live if live is not None else nullcontext():
        while not is_over():
            status = read()
            if live is not None:
                profits.append(status.profit.total if status.profit is not None else 0.0)
                before = list(profits)[::-CURVE_EVERY][::-1]
                live.update(render(status, height=console.size.height, profits=before), refresh=True)
            elif count % lines_every == 0:
                console.print(one_line(status), soft_wrap=True)
            count += 1
            wait(every_s)
