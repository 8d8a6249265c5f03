"""`hlhft data gaps`: what is missing, how long, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.data.shared import (
    AS_JSON,
    CATALOGUE,
    MARKET,
    SPECIFICATION,
    aligned,
    json_of,
    opened,
    place_of,
    progress,
)

if TYPE_CHECKING:
    from hlhft.data.holdings import Missing

_NANOSECONDS = 1_000_000_000


@click.command()
@click.argument("names", nargs=-1, metavar="[COIN|NAME]...")
@CATALOGUE
@MARKET
@SPECIFICATION
@click.option(
    "--longer-than",
    "least_s",
    type=click.FloatRange(min=0.0, max=1e9),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave out what is shorter.",
)
@AS_JSON
def gaps(
    names: tuple[str, ...],
    catalogue: Path | str | None,
    market: str | None,
    specification: Path | None,
    least_s: float,
    as_json: bool,
) -> None:
    """List the stretches of exchange time that are missing, with their lengths and reasons.

    Of the whole catalogue, of a COIN, of what a NAME takes of it (2026-04-01/BTC: then its ends count too), or the
    silences of recorded files. Ends with exit code 0 whatever it finds.
    """
    from hlhft.data.holdings import catalogue_at, chosen, held_kinds, missing, silences

    least_ns = round(least_s * _NANOSECONDS)
    files = [Path(name) for name in names if Path(name).exists()]
    asked = [name for name in names if not Path(name).exists()]
    found: list[Missing] = []
    if asked or not files:
        held = catalogue_at(place_of(catalogue))
        for wanted, parts in chosen(held, asked):
            bounds = None if wanted is None else (wanted.begin_ns, wanted.end_ns)
            kinds = [] if wanted is None else held_kinds(held, wanted.coins)
            found.extend(missing(parts, least_ns=least_ns, within=bounds, expected=kinds))
    for file in files:
        source = opened([file], market, specification, None)
        with progress(f"reading {source.name}", hidden=as_json) as shown:
            found.extend(silences(source, least_ns=least_ns, progress=shown))
    if as_json:
        click.echo(json_of(found))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: list[Missing]) -> list[str]:
    from hlhft.report.numbers import duration, moment

    if not found:
        return ["nothing is missing"]
    rows = [
        (
            one.coin,
            one.kind,
            moment(one.from_ns, milliseconds=True),
            moment(one.to_ns, milliseconds=True),
            duration(one.to_ns - one.from_ns),
            ", ".join(one.reasons),
        )
        for one in found
    ]
    return list(aligned([("coin", "kind", "from", "to", "length", "why"), *rows], right=(4,)))
