"""`hlhft data`: recordings checked, mended and converted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.data.files import Progress
    from hlhft.data.merge import Events
    from hlhft.data.sources import Source
    from hlhft.data.tally import Tally
    from hlhft.data.validate import Report
    from hlhft.units import Market

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
_MARKET = click.option("--market", metavar="NAME", help="Market the data are of, where they do not say so themselves.")
_SPECIFICATION = click.option(
    "--markets",
    "specification",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Market specification: TOML, JSON, or the venue's meta answer. Default: the shipped table.",
)
_EVENTS_SUFFIX, _ARRAY_SUFFIX = ".events.npz", ".npz"


@click.group()
def command() -> None:
    """Check, mend and convert recordings."""


@command.command()
@_PATHS
@_MARKET
@_SPECIFICATION
@click.option("--together", is_flag=True, help="Check all PATHs as one recording instead of each by itself.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as a JSON list.")
@click.option(
    "--repair",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write a mended form to OUT (.events.npz, or .npz as hftbacktest reads it).",
)
def check(
    paths: tuple[Path, ...],
    market: str | None,
    specification: Path | None,
    together: bool,
    as_json: bool,
    repair: Path | None,
) -> None:
    """Report order, gaps, crossed books, repeated trades, clock and latency of recordings.

    Ends with exit code 3 when a recording is unfit as it is; with --repair, when it cannot be mended: then nothing is
    written, and an earlier OUT stays.
    """
    from hlhft.data.validate import examine

    if repair is not None and len(paths) > 1 and not together:
        raise CommandError("--repair writes one recording, give one PATH or --together", ExitCode.USAGE)
    if repair is not None:
        _refuse_name(repair)
    groups = [list(paths)] if together else [[path] for path in paths]
    reports = []
    written: dict[str, object] | None = None
    for group in groups:
        source = _open(group, market, specification)
        with _progress(f"checking {source.name}", hidden=as_json) as progress:
            reports.append(examine(source, progress=progress))
        if repair is not None:
            written = _mend(source, reports[-1], repair, quiet=as_json)
    if as_json:
        # With --repair there is one recording, so one object says both.
        mended = f',"repaired":{_json(written)}' if written is not None else ""
        click.echo("[" + ",".join(f"{report.json().decode()[:-1]}{mended}}}" for report in reports) + "]")
    else:
        for report in reports:
            click.echo(report.text())
        if written is not None:
            click.echo(_sentence(written))
    if repair is None and not all(report.ok for report in reports):
        unfit = ", ".join(report.name for report in reports if not report.ok)
        raise CommandError(f"unfit as it is: {unfit}; see the errors above, or mend with --repair OUT", ExitCode.DATA)


@command.command()
@_PATHS
@click.argument("out", type=click.Path(path_type=Path))
@_MARKET
@_SPECIFICATION
@click.option("--no-book-ticker", is_flag=True, help="Leave out bookTicker messages of Binance recordings.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def convert(
    paths: tuple[Path, ...],
    out: Path,
    market: str | None,
    specification: Path | None,
    no_book_ticker: bool,
    as_json: bool,
) -> None:
    """Convert recordings to OUT: hftbacktest's array (.npz, one market) or our own container (.events.npz).

    The array is sorted for both sides, and snapshots are made into level changes; the container holds the events as
    they arrived. OUT appears when it is complete; an earlier file of that name stays until then.
    """
    _refuse_name(out)
    source = _open(list(paths), market, specification)
    if no_book_ticker:
        _refuse_others_than_binance(source)
        source = _open(list(paths), market, specification, {"book_ticker": False})
    counts = _new_tally()
    with _progress(f"converting {source.name}", hidden=as_json) as progress:
        rows = _write(source, None, out, counts, progress)
    written = _written(out, rows, counts)
    click.echo(_json(written) if as_json else _sentence(written))


def _open(
    paths: list[Path], market: str | None, specification: Path | None, options: Mapping[str, Any] | None = None
) -> Source:
    from hlhft.data.markets import find, load
    from hlhft.data.sources import open_source

    table: Mapping[str, Market] | None = load(specification) if specification is not None else None
    try:
        chosen = find(market, table) if market is not None else None
    except LookupError as error:
        raise CommandError(str(error.args[0]), ExitCode.USAGE) from None
    return open_source(paths, market=chosen, specification=table, **(options or {}))


def _refuse_others_than_binance(source: Source) -> None:
    from hlhft.data.readers.binance import BinanceSource
    from hlhft.data.sources import MergedSource

    for part in source.parts if isinstance(source, MergedSource) else (source,):
        if not isinstance(part, BinanceSource):
            raise CommandError(
                f"--no-book-ticker is for recordings of Binance and {part.name} is none, leave it out", ExitCode.USAGE
            )


def _refuse_name(out: Path) -> None:
    if not out.name.endswith(_ARRAY_SUFFIX):
        raise CommandError(
            f"{out}: the name must end in {_EVENTS_SUFFIX} or {_ARRAY_SUFFIX}, it says which form to write",
            ExitCode.USAGE,
        )
    if not out.parent.is_dir():
        raise CommandError(f"{out.parent}: there is no such folder, make it first", ExitCode.USAGE)


def _mend(source: Source, report: Report, out: Path, *, quiet: bool) -> dict[str, object]:
    """Writes a mended form to `out` once it was read back and found fit; returns what `_written` does."""
    from hlhft.data.repair import repaired
    from hlhft.data.sources import open_source
    from hlhft.data.validate import examine

    counts = _new_tally()
    suffix = _EVENTS_SUFFIX if out.name.endswith(_EVENTS_SUFFIX) else _ARRAY_SUFFIX
    trial = out.with_name(out.name.removesuffix(suffix) + ".mending" + suffix)
    try:
        with _progress(f"mending {source.name}", hidden=quiet) as progress:
            rows = _write(source, repaired(source, report, counts, progress=progress), trial, counts, None)
        if rows == 0:
            raise CommandError(f"{source.name}: nothing of it can be read, so nothing was written", ExitCode.DATA)
        market = None if suffix == _EVENTS_SUFFIX else source.markets[0]
        with _progress(f"checking {out.name}", hidden=quiet) as progress:
            again = examine(open_source(trial, market=market), progress=progress)
        if not again.ok:
            raise CommandError(f"{source.name} cannot be mended, nothing was written; {again.text()}", ExitCode.DATA)
        trial.replace(out)
    finally:
        trial.unlink(missing_ok=True)
    return _written(out, rows, counts)


def _write(source: Source, arrays: Iterator[Events] | None, out: Path, counts: Tally, progress: Progress | None) -> int:
    """Writes `arrays`, or the source's own, in the form that the name says; returns the rows written."""
    from hlhft.data.feed import replay_arrays, replay_events
    from hlhft.data.readers.events_npz import write_events
    from hlhft.data.readers.hftbacktest_npz import write_hftbacktest

    if out.name.endswith(_EVENTS_SUFFIX):
        return write_events(out, source.chunks(progress=progress) if arrays is None else arrays, source)
    if len(source.markets) != 1:
        names = ", ".join(market.name for market in source.markets)
        raise CommandError(f"an hftbacktest array holds one market, name one of {names} with --market", ExitCode.USAGE)
    ready = replay_events(source, progress=progress) if arrays is None else replay_arrays(arrays, source)
    return write_hftbacktest(out, ready, source.markets[0], counts)


def _new_tally() -> Tally:
    from hlhft.data.tally import Tally

    return Tally()


def _written(out: Path, rows: int, counts: Mapping[str, int]) -> dict[str, object]:
    return {"path": str(out), "rows": rows, "counts": {name: count for name, count in counts.items() if count}}


def _json(content: object) -> str:
    import msgspec

    return msgspec.json.encode(content).decode()


def _sentence(written: Mapping[str, object]) -> str:
    counts = written["counts"]
    assert isinstance(counts, dict)
    extra = "".join(f", {name.replace('_', ' ')} {count}" for name, count in counts.items())
    return f"{written['path']}: {written['rows']} rows written{extra}"


@contextmanager
def _progress(what: str, *, hidden: bool) -> Iterator[Progress | None]:
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
