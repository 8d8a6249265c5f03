"""`hlhft data convert`: recordings, or what of a catalogue is named, in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, MARKET, NAMES, SPECIFICATION, json_of, opened, progress
from hlhft.cli.data.writing import refuse_name, sentence, write, written
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.data.sources import Source


@click.command()
@NAMES
@click.argument("out", type=click.Path(path_type=Path))
@MARKET
@SPECIFICATION
@CATALOGUE
@click.option("--no-book-ticker", is_flag=True, help="Leave out bookTicker messages of Binance recordings.")
@AS_JSON
def convert(
    paths: tuple[Path, ...],
    out: Path,
    market: str | None,
    specification: Path | None,
    catalogue: Path | str | None,
    no_book_ticker: bool,
    as_json: bool,
) -> None:
    """Convert recordings to OUT: hftbacktest's array (.npz, one market) or our own container (.events.npz).

    The array is sorted for both sides, and snapshots are made into level changes; the container holds the events as
    they arrived. OUT appears when it is complete; an earlier file of that name stays until then. The way into a
    catalogue is `hlhft data import`.
    """
    from hlhft.data.tally import Tally

    refuse_name(out)
    source = opened(paths, market, specification, catalogue)
    if no_book_ticker:
        _refuse_others_than_binance(source)
        source = opened(paths, market, specification, catalogue, {"book_ticker": False})
    counts = Tally()
    with progress(f"converting {source.name}", hidden=as_json) as shown:
        rows = write(source, None, out, counts, shown)
    content = written(out, rows, counts)
    click.echo(json_of(content) if as_json else sentence(content))


def _refuse_others_than_binance(source: Source) -> None:
    from hlhft.data.readers.binance import BinanceSource
    from hlhft.data.sources import MergedSource

    for part in source.parts if isinstance(source, MergedSource) else (source,):
        if not isinstance(part, BinanceSource):
            raise CommandError(
                f"--no-book-ticker is for recordings of Binance and {part.name} is none, leave it out", ExitCode.USAGE
            )
