"""`hlhft report`: where each dollar of a session, or of an account's past, came from, as a page and as figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.report_venue import PastOptions, report_past, with_venue

if TYPE_CHECKING:
    from hlhft.report.results import Results

RUN_FILES = ("run.json", "results.json")  # of a folder that a backtest or a demo wrote its report into


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--session", type=click.IntRange(min=1), help="Session of the journal.  [default: the newest]")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Where it goes.  [default: runs/NAME-session-N]"
)
@click.option(
    "--compare", is_flag=True, help="Simulate the same time by two queue models, and set what filled beside it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object, and nothing else.")
@with_venue
def command(
    path: Path | None, *, session: int | None, output: Path | None, compare: bool, as_json: bool, **past: Any
) -> None:
    """Say what a session made and of what, from its journal: PATH is an engine's state folder, its journal, one of the
    journal's files, or a demo's folder.

    The session is stepped over once more, so it can be of an engine that still runs. The report is one HTML file that
    opens offline, with the same figures beside it as JSON and Parquet. Of the folder of a backtest, which has its
    report already, the verdict is told.

    Without PATH, --venue asks the venue for all that an account did, whoever placed its orders, and says where each
    dollar of it came from and what does not fit; --history makes that report again from what was saved. Asked again
    into the same folder, what is new is added. Ctrl-C ends it early and reports what was told.
    """
    asked = PastOptions(**past)
    if asked.is_wanted:
        if path is not None or session is not None or compare:
            raise click.UsageError("--venue and --history are of an account: leave PATH, --session and --compare out.")
        show(*report_past(asked, output, as_json=as_json), as_json=as_json)
        return
    if path is None:
        raise click.UsageError("Missing argument 'PATH', or --venue with an account's address.")
    if asked != PastOptions():
        raise click.UsageError("--address, --from and the like go with --venue or --history: give one of them.")
    if not path.exists():
        raise CommandError(
            f"{path}: there is no such folder or file, give one of an engine, a demo or a run", ExitCode.DATA
        )
    if path.is_dir() and all((path / name).is_file() for name in RUN_FILES):
        _tell_run(path, session=session, output=output, compare=compare, as_json=as_json)
        return
    journal = journal_of(path)
    folder = output if output is not None else Path("runs", f"{name_of(path)}-session-{_session_of(journal, session)}")
    _write(journal, session, folder, compare=compare, as_json=as_json)


def journal_of(path: Path) -> Path:
    """The journal that a path means: itself, or what lies below a state folder or a demo's folder."""
    return next((path / below for below in ("journal", "state/journal") if (path / below).is_dir()), path)


def name_of(path: Path) -> str:
    """What a report of the path is called: the first folder that says more than that it is a journal."""
    path = path.resolve()
    plain = path if path.is_dir() else path.parent
    named = next((one for one in (plain, *plain.parents) if one.name not in ("journal", "state")), plain)
    return named.name or "session"


def _session_of(journal: Path, session: int | None) -> int:
    """The number of the session, 0 where there is none: whoever reads it says so."""
    from hlhft.live.journal.reader import newest_session
    from hlhft.live.journal.segments import parse_name

    if session is not None:
        return session
    if journal.is_dir():
        return newest_session(journal)
    named = parse_name(journal.name)
    return named[0].session if named is not None else 0


def _write(journal: Path, session: int | None, folder: Path, *, compare: bool, as_json: bool) -> None:
    from hlhft.backtest.runs import check_folder, write_run
    from hlhft.cli.progress import say_if_it_compiles
    from hlhft.compiled import cache_folder
    from hlhft.live.session_report import session_results

    check_folder(folder)
    say_if_it_compiles(cache_folder(), hidden=as_json)
    results = session_results(journal, session, title=f"session of {name_of(journal)}")
    if compare:
        results = _compared(results, journal, session, as_json=as_json)
    write_run(folder, results)
    show(results, folder, as_json=as_json)
    if compare and not as_json and results.comparison is not None:
        click.echo(results.comparison.sentence)


def _compared(results: Results, journal: Path, session: int | None, *, as_json: bool) -> Results:
    """The results beside simulations of the same time."""
    from dataclasses import replace

    from hlhft.cli.progress import progress
    from hlhft.live.session_comparison import compare_session

    with progress("Simulating the same time", hidden=as_json) as simulating:
        return replace(
            results,
            comparison=compare_session(journal, session, live=results.scenarios[0], progress=simulating),
        )


def show(results: Results, folder: Path, *, as_json: bool) -> None:
    """Prints what was written to `folder`: the figures as JSON, or the verdict and the table."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(results.plain()).decode())
        return
    from rich.console import Console

    from hlhft.cli.summary import summary

    console = Console(highlight=False)
    for part in summary(results):
        console.print(part)
    console.print(f"Report: [bold]{folder / 'report.html'}[/]   [dim]figures and fills beside it[/]")


def _tell_run(path: Path, *, session: int | None, output: Path | None, compare: bool, as_json: bool) -> None:
    """What the folder of a finished run says already."""
    import msgspec

    if session is not None or output is not None or compare:
        raise CommandError(
            f"{path} is a finished run with its own report: leave --session, --output and --compare out, or give a"
            " journal",
            ExitCode.USAGE,
        )
    try:
        text = (path / "results.json").read_bytes()
        told = msgspec.json.decode(text)["verdict"]
        words = [told["sentence"], *told["remarks"]]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise CommandError(f"{path / 'results.json'} holds no results of a run ({error})", ExitCode.DATA) from None
    if as_json:
        click.echo(text.decode().rstrip())
        return
    click.echo(" ".join(words))
    click.echo(f"Report: {path / 'report.html'}")
