"""What the commands of `hlhft data` share: their options, how names are opened, and how results are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.catalogues import CatalogueType, read_from, written_to
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.journals import journal_source

if TYPE_CHECKING:
    from hlhft.data.addresses import RemotePath
    from hlhft.data.files import Progress
    from hlhft.data.sources import Source
    from hlhft.units import Market

NAMES = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="NAME...")
MARKET = click.option("--market", metavar="NAME", help="Market the data are of, where they do not say so themselves.")
SPECIFICATION = click.option(
    "--markets",
    "specification",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Market specification: TOML, JSON, or the venue's meta answer. Default: the shipped table.",
)
CATALOGUE = click.option(
    "--catalogue",
    type=CatalogueType(),
    metavar="FOLDER",
    help="The catalogue, a folder or s3://BUCKET/PREFIX. Default: the setting data.catalogue.",
)
FOLDER = click.option(
    "--catalogue",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The catalogue. Default: the setting data.catalogue.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
_TEXT_COLUMNS_MAX = 4096


def opened(
    paths: Sequence[Path],
    market: str | None,
    specification: Path | None,
    catalogue: Path | str | None,
    options: Mapping[str, Any] | None = None,
) -> Source:
    """What the names stand for as one source. Raises CommandError for an unknown market, DataError for the rest."""
    from hlhft.data.markets import find, load
    from hlhft.data.sources import open_source

    table: Mapping[str, Market] | None = load(specification) if specification is not None else None
    try:
        chosen = find(market, table) if market is not None else None
    except LookupError as error:
        raise CommandError(str(error.args[0]), ExitCode.USAGE) from None
    journal = journal_source(paths)
    if journal is not None:
        return journal
    return open_source(
        list(paths), market=chosen, specification=table, catalogue=place_of(catalogue), **(options or {})
    )


def place_of(catalogue: Path | str | None) -> Path | RemotePath:
    """Where the catalogue is: said here, or by the settings in the environment, or by default. Raises DataError."""
    from hlhft.config.load import load

    return read_from(catalogue, load(None, os.environ).config)


def folder_of(catalogue: Path | None) -> Path:
    """The catalogue's folder, to write in: said as `place_of`. Raises UsageError where that is no folder."""
    from hlhft.config.load import load

    return written_to(catalogue, load(None, os.environ).config)


def json_of(content: object) -> str:
    """`content` (also dataclasses) as JSON on one line."""
    import msgspec

    return msgspec.json.encode(content).decode()


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Iterator[str]:
    """The rows as lines of columns, two spaces apart; columns whose places are in `right` are flush right."""
    widths = [min(max(len(row[place]) for row in rows), _TEXT_COLUMNS_MAX) for place in range(len(rows[0]))]
    for row in rows:
        cells = (
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


@contextmanager
def progress(what: str, *, hidden: bool) -> Iterator[Progress | None]:
    """A progress bar with the time left on standard error, on a terminal only."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
