"""`hlhft data check`: recordings examined and mended, catalogues audited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.data.shared import AS_JSON, CATALOGUE, MARKET, NAMES, SPECIFICATION, json_of, opened, progress
from hlhft.cli.data.writing import ARRAY_SUFFIX, EVENTS_SUFFIX, refuse_name, sentence, write, written
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.data.audit import Audit
    from hlhft.data.sources import Source
    from hlhft.data.validate import Report


@click.command()
@NAMES
@MARKET
@SPECIFICATION
@CATALOGUE
@click.option("--together", is_flag=True, help="Check all NAMEs as one recording instead of each by itself.")
@AS_JSON
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
    catalogue: Path | str | None,
    together: bool,
    as_json: bool,
    repair: Path | None,
) -> None:
    """Report order, gaps, crossed books, repeated trades, clock and latency of recordings; hold a catalogue's folder
    against its manifests.

    Ends with exit code 3 when a recording or part is unfit as it is; with --repair, when it cannot be mended: then
    nothing is written, and an earlier OUT stays.
    """
    from hlhft.data.holdings import is_catalogue
    from hlhft.data.validate import examine

    if repair is not None and len(paths) > 1 and not together:
        raise CommandError("--repair writes one recording, give one NAME or --together", ExitCode.USAGE)
    if repair is not None:
        refuse_name(repair)
    folders = [path for path in paths if is_catalogue(path)]
    if folders and (repair is not None or together):
        raise CommandError(f"{folders[0]} is a catalogue: check it without --repair and --together", ExitCode.USAGE)
    groups = [list(paths)] if together else [[path] for path in paths]
    reports: list[Report | Audit] = []
    mended: dict[str, object] | None = None
    for group in groups:
        if group[0] in folders:
            reports.append(_audited(group[0], hidden=as_json))
            continue
        source = opened(group, market, specification, catalogue)
        with progress(f"checking {source.name}", hidden=as_json) as shown:
            report = examine(source, progress=shown)
        reports.append(report)
        if repair is not None:
            mended = _mend(source, report, repair, quiet=as_json)
    _print(reports, mended, as_json)
    if repair is None and not all(report.ok for report in reports):
        unfit = ", ".join(_name(report) for report in reports if not report.ok)
        mend = "" if folders else ", or mend with --repair OUT"
        raise CommandError(f"unfit as it is: {unfit}; see the errors above{mend}", ExitCode.DATA)


def _audited(folder: Path, *, hidden: bool) -> Audit:
    from hlhft.data.audit import audit
    from hlhft.data.holdings import catalogue_at

    with progress(f"checking {folder}", hidden=hidden) as shown:
        return audit(catalogue_at(folder), progress=shown)


def _name(report: Report | Audit) -> str:
    return report.name if hasattr(report, "name") else report.folder


def _print(reports: list[Report | Audit], mended: dict[str, object] | None, as_json: bool) -> None:
    if as_json:
        # With --repair there is one recording, so one object says both.
        extra = f',"repaired":{json_of(mended)}' if mended is not None else ""
        click.echo("[" + ",".join(f"{_json(report)[:-1]}{extra}}}" for report in reports) + "]")
        return
    for report in reports:
        click.echo(report.text() if hasattr(report, "text") else _text(report))
    if mended is not None:
        click.echo(sentence(mended))


def _json(report: Report | Audit) -> str:
    from dataclasses import asdict

    return report.json().decode() if hasattr(report, "json") else json_of(asdict(report) | {"ok": report.ok})


def _text(report: Audit) -> str:
    lines = [f"{report.folder}: {report.rows} rows in {report.parts} parts, {report.bytes} bytes"]
    lines.extend(f"  {fault.severity.value}: {fault.message}" for fault in report.faults)
    return "\n".join(lines if report.faults else [*lines, "  nothing found"])


def _mend(source: Source, report: Report, out: Path, *, quiet: bool) -> dict[str, object]:
    """Writes a mended form to `out` once it was read back and found fit; returns what `written` does."""
    from hlhft.data.repair import repaired
    from hlhft.data.sources import open_source
    from hlhft.data.tally import Tally
    from hlhft.data.validate import examine

    counts = Tally()
    suffix = EVENTS_SUFFIX if out.name.endswith(EVENTS_SUFFIX) else ARRAY_SUFFIX
    trial = out.with_name(out.name.removesuffix(suffix) + ".mending" + suffix)
    try:
        with progress(f"mending {source.name}", hidden=quiet) as shown:
            rows = write(source, repaired(source, report, counts, progress=shown), trial, counts, None)
        if rows == 0:
            raise CommandError(f"{source.name}: nothing of it can be read, so nothing was written", ExitCode.DATA)
        market = None if suffix == EVENTS_SUFFIX else source.markets[0]
        with progress(f"checking {out.name}", hidden=quiet) as shown:
            again = examine(open_source(trial, market=market), progress=shown)
        if not again.ok:
            raise CommandError(f"{source.name} cannot be mended, nothing was written; {again.text()}", ExitCode.DATA)
        trial.replace(out)
    finally:
        trial.unlink(missing_ok=True)
    return written(out, rows, counts)
