"""`hlhft replay`: a journal decided once more, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.live.replay import Replayed


@click.command()
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--session", type=click.IntRange(min=1), help="Session of the folder. Default: the newest.")
@click.option("--ignore-versions", is_flag=True, help="Replay although code, libraries or processor are others.")
@click.option(
    "--export",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Write the market data as a recording for hlhft backtest, instead of replaying.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write there what the session made, as a backtest's run, instead of replaying.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def command(
    journal: Path,
    session: int | None,
    target: Path | None,
    report: Path | None,
    *,
    ignore_versions: bool,
    as_json: bool,
) -> None:
    """Let the core decide once more on what JOURNAL, a folder or one of its files, says it was told.

    Its commands are compared byte by byte with those in the journal, and its state with the checkpoints. Ends with 0
    when all are equal, 7 at the first difference, 3 when a part of the journal is damaged and the rest is equal.
    """
    import msgspec

    if not journal.exists():
        raise CommandError(f"{journal}: there is no such journal, give a folder or a file of one", ExitCode.DATA)
    if target is not None and report is not None:
        raise click.UsageError("--export and --report are two works, choose one of them.")
    if target is not None:
        _export(journal, target, session, as_json=as_json)
        return
    if report is not None:
        _report(journal, report, session, as_json=as_json)
        return
    from hlhft.live.replay import replay

    result = replay(journal, session, ignore_versions=ignore_versions)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        click.echo(_summary(result))
    if result.difference is not None:
        found = result.difference
        raise CommandError(f"{found.file}, record {found.sequence}, step {found.step}: {found.what}", ExitCode.DIFFERS)
    if result.faults:
        raise CommandError(result.faults[0], ExitCode.DATA)


def _export(journal: Path, target: Path, session: int | None, *, as_json: bool) -> None:
    import msgspec

    from hlhft.live.journal.recording import export

    if target.suffix != ".npz":
        raise CommandError(f"--export writes .npz files, {target} is none, give another name", ExitCode.USAGE)
    events = export(journal, target, session)
    written = {"file": str(target), "events": events}
    click.echo(msgspec.json.encode(written).decode() if as_json else f"{target}: {events} events")


def _report(journal: Path, folder: Path, session: int | None, *, as_json: bool) -> None:
    from hlhft.backtest.runs import check_folder, write_run
    from hlhft.cli.report import show
    from hlhft.live.session_report import session_results

    check_folder(folder)
    results = session_results(journal, session)
    write_run(folder, results)
    show(results, folder, as_json=as_json)


def _summary(result: Replayed) -> str:
    verdict = "equal" if result.is_equal else "DIFFERENT"
    end = "" if result.ended else "; the session did not write that it ended"
    return (
        f"session {result.session}: {result.steps} steps over {result.events} events in {result.segments} segments,"
        f" {result.commands} commands and {result.checkpoints} states compared: {verdict}{end}"
    )
