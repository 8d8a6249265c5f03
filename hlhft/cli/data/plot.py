"""`hlhft data plot`: a chosen minute as a picture."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, MARKET, NAMES, SPECIFICATION, json_of, opened
from hlhft.cli.errors import CommandError, ExitCode

_MINUTE_NS = 60_000_000_000
_MINUTES_MAX = 24 * 60


@click.command()
@NAMES
@click.option("--at", metavar="TIME", help="Where it begins, UTC, as 2026-04-01T12:00. Default: where the data begin.")
@click.option("--minutes", type=click.FloatRange(0.001, _MINUTES_MAX), default=1.0, show_default=True)
@click.option("--coin", metavar="NAME", help="Which market, where there are several.")
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Ends in .html.")
@MARKET
@SPECIFICATION
@CATALOGUE
@AS_JSON
def plot(
    paths: tuple[Path, ...],
    at: str | None,
    minutes: float,
    coin: str | None,
    output: Path,
    market: str | None,
    specification: Path | None,
    catalogue: Path | str | None,
    as_json: bool,
) -> None:
    """Draw the book as a heat map with touch and trades: one HTML file that opens without a network.

    FILE appears when it is complete; an earlier one of that name stays until then.
    """
    from hlhft.data.errors import DataError
    from hlhft.report.minute import page, stretch_of

    if output.suffix != ".html" or not output.parent.is_dir():
        raise CommandError(f"{output}: give a name that ends in .html in a folder that is there", ExitCode.USAGE)
    begin_ns = None if at is None else _time_ns(at)
    source = opened(paths, market, specification, catalogue)
    names = [one.name for one in source.markets]
    if coin is None and len(names) > 1:
        raise CommandError(f"there are {', '.join(names)}: name one with --coin", ExitCode.USAGE)
    if begin_ns is None:
        first = next(source.chunks(1), None)
        begin_ns = 0 if first is None else int(first["ts_exch_ns"][0]) // _MINUTE_NS * _MINUTE_NS
    stretch = stretch_of(source, coin or names[0], begin_ns, begin_ns + round(minutes * _MINUTE_NS))
    text = page(stretch, source.name)
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, output)
    except OSError as error:
        raise DataError(
            output, None, f"the page cannot be written ({error.strerror}), give a name in a folder with room"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    said = {"path": str(output), "coin": stretch.market.name, "trades": len(stretch.trades),
            "touches": len(stretch.touches)}  # fmt: skip
    click.echo(json_of(said) if as_json else f"{output}: {said['coin']}, {said['trades']} trades, "
               f"{said['touches']} changes of the touch")  # fmt: skip


def _time_ns(text: str) -> int:
    from hlhft.data.times import utc_ns

    for shape in (text, f"{text}:00", f"{text}:00:00", f"{text}T00:00:00"):
        try:
            return utc_ns(shape)
        except ValueError:
            continue
    raise CommandError(f"{text} is no time, give one in UTC as 2026-04-01T12:00", ExitCode.USAGE)
