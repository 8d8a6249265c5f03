"""A finished backtest on the terminal: the verdict, and the fee scenarios side by side."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hlhft.report.numbers import duration, period
from hlhft.report.results import Results
from hlhft.report.table import Row, heard_facts, sections
from hlhft.report.verdict import scenario_title, verdict

_STYLES = {1: "green", -1: "red", 0: ""}


def summary(results: Results) -> Iterator[RenderableType]:
    """What to print, in order: what was replayed, the table, the verdict."""
    when = period(results.first_ns, results.first_ns + results.span_ns)
    yield Text()
    stamp = f"{results.stamp}  " if results.stamp else ""
    yield Text.assemble((stamp, "bold red"), (results.title, "bold"), f"\n{when}, {duration(results.span_ns)}")
    yield Padding(_table(results), (1, 0))
    if results.heard is not None:
        words = "; ".join(f"{name}: {text}" for name, text in heard_facts(results))
        yield Text.assemble((stamp, "bold red"), (words, "dim"))
    spoken = verdict(results)
    yield Text(spoken.sentence, style="bold")
    if spoken.remarks:
        yield Text(" ".join(spoken.remarks), style="dim")
    yield Text()


def _table(results: Results) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="", title_justify="left")
    if results.stamp:
        table.title = Text(results.stamp, style="bold red")
    table.add_column("")
    for one in results.scenarios:
        who, what = scenario_title(one)
        table.add_column(Text.assemble((who, "bold"), "\n", (what, "dim")), justify="right", no_wrap=True)
    shown = [section for section in sections(results) if section.is_short]
    for section in shown:
        table.add_row(Text(section.title, style="bold cyan"))
        rows = [row for row in section.rows if row.is_short]
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            table.add_row(*_cells(row), end_section=False)
            if last and section is not shown[-1]:
                table.add_row()
    return table


def _cells(row: Row) -> list[Text]:
    signs = row.signs or (0,) * len(row.values)
    weight = "bold " if row.is_total else ""
    values = [
        Text(value, style=(weight + _STYLES[sign]).strip()) for value, sign in zip(row.values, signs, strict=True)
    ]
    return [Text(row.label, style="bold" if row.is_total else "dim"), *values]
