"""`hlhft data ls`: what a catalogue holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, aligned, json_of, place_of

if TYPE_CHECKING:
    from hlhft.data.holdings import Holding

_HEADINGS = ("coin", "kind", "from", "to", "days", "parts", "rows", "MB", "bytes a row", "gaps", "source")
_NUMBERS = (4, 5, 6, 7, 8, 9)


@click.command()
@click.argument("names", nargs=-1, metavar="[COIN|DATE/COIN]...")
@CATALOGUE
@click.option("--calendar/--no-calendar", default=True, help="Show a letter a day: # whole, + part, . nothing.")
@AS_JSON
def ls(names: tuple[str, ...], catalogue: Path | str | None, calendar: bool, as_json: bool) -> None:
    """List what a catalogue holds, by coin and kind: dates, rows, bytes, sources, gaps."""
    from hlhft.data.holdings import catalogue_at, chosen, holdings

    found = holdings(manifest for _, parts in chosen(catalogue_at(place_of(catalogue)), names) for manifest in parts)
    if as_json:
        click.echo(json_of(found))
        return
    for line in aligned([_HEADINGS, *(_row(one) for one in found)], right=_NUMBERS):
        click.echo(line)
    if calendar and found:
        click.echo("")
        for line in _calendar(found):
            click.echo(line)


def _row(one: Holding) -> tuple[str, ...]:
    from hlhft.report.numbers import count, moment, plain

    dates = list(one.days)
    return (
        one.coin,
        one.kind,
        moment(one.first_ns)[:16] if dates else "",
        moment(one.last_ns)[:16] if dates else "",
        str(len(dates)),
        str(one.parts),
        count(one.rows),
        plain(one.bytes / 1e6, 1),
        plain(one.bytes / one.rows, 1) if one.rows else "",
        str(one.missing),
        ", ".join(one.sources) + (" (clock modelled)" if "modelled" in one.clocks else ""),
    )


def _calendar(found: list[Holding]) -> list[str]:
    from hlhft.data.holdings import calendar

    lines = [(one.coin, one.kind, month, line) for one in found for month, line in calendar(one.days)]
    ruler = "".join(str(day % 10) for day in range(1, 32))
    return list(aligned([("coin", "kind", "month", ruler), *lines]))
