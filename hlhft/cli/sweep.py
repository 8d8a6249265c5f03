"""`hlhft sweep`: many parameter sets over one recording, ranked, mapped, and selected among honestly."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli import backtest, cluster, sweep_cut
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress, say_if_it_compiles

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hlhft.backtest.parameter_sets import ParameterSets
    from hlhft.backtest.recordings import Recording
    from hlhft.backtest.selection import Selection
    from hlhft.backtest.session import Settings
    from hlhft.backtest.sweep import SweepResult
    from hlhft.report.sweep_page import SweepView

SHOWN = 5  # best and worst sets on the terminal
JOBS_MAX = 256
# What these mean is said once, by `hlhft backtest`.
_SHARED = frozenset(
    {
        "arguments",
        "config",
        "strategy",
        "latency",
        "queue",
        "fees",
        "feed_profile",
        "market",
        "specification",
        "catalogue",
        "seed",
        "capital",
    }
)


@click.command(cls=type(backtest.command))
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUES",
    help="A parameter's values: 0.05,0.1,0.2, or with --random a range, 0.01:1 or 0.01:1:log; repeatable.",
)
@click.option("--random", type=int, metavar="N", help="Draw N sets instead of every combination; --seed repeats them.")
@click.option(
    "--sets",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The sets of a CSV file with names in its first line.",
)
@click.option("--optuna", type=int, metavar="N", help="Search among the --param values: N sets that Optuna asks for.")
@click.option(
    "--study",
    metavar="WHERE",
    help="What a search has learned: a journal file, or postgresql://USER@HOST/DATABASE. Default: OUTPUT.study.",
)
@click.option(
    "--by-day",
    is_flag=True,
    help="Run every day of a catalogue's name, and every file, by itself, from no position, and add up.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, JOBS_MAX),
    metavar="N",
    help="Cores to use of this machine. Default: all that this process may use.",
)
@cluster.cluster_options
@click.option(
    "--shared-catalogue",
    is_flag=True,
    help="The catalogue's folder is on every host under the same path: workers read it, as they do one in S3.",
)
@click.option(
    "--folds", type=click.IntRange(1, 100), default=3, show_default=True, help="Steps forward of the selection."
)
@click.option(
    "--embargo",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    help="Left out of the choice before each step. Default: a fiftieth of the recording.",
)
@click.option(
    "--tried",
    type=click.IntRange(0, 10**9),
    default=0,
    metavar="N",
    help="Sets that you tried on these data before: the selection counts them.",
)
@click.option("--no-selection", is_flag=True, help="Rank the sets and do not select among them.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Where it goes. Default: runs/NAME-sweep."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the selection and the best sets as JSON, and nothing else."
)
def command(arguments: tuple[str, ...], *, output: Path | None, as_json: bool, **options: Any) -> None:
    """Run many parameter sets over one recording, under three fee scenarios, on every core.

    Every combination of the --param values is run, or a random sample, or the sets of a file. The best set of many
    looks good by luck alone: so it is chosen on earlier data and judged on later, and its Sharpe ratio is deflated by
    how many were tried. Interrupted, it keeps what was finished.

    It runs in threads of this process, which is quickest on one machine: compiled code uses every core, and they share
    the data. With --on, --by-day, --optuna or --store it is cut into tasks whose results are kept, so that the same
    command goes on where it was, here or elsewhere; the tables are the same to the byte.
    """
    from hlhft.backtest.runs import check_folder
    from hlhft.backtest.sweep_files import FILES, view_of, write_sweep
    from hlhft.compiled import cache_folder
    from hlhft.strategies import load

    paths, latency = backtest.split_arguments(arguments, options["latency"])
    if not options["no_selection"]:
        _need_research()
    cluster.check(options)
    sweep_cut.refuse(options)
    config = loaded_settings(options["config"]).config
    strategy = load(options["strategy"] if backtest.is_given("strategy") else config.strategy.name)
    usual = {} if backtest.is_given("strategy") else config.strategy.params
    asked = sweep_cut.asked_sets(strategy, options, usual)
    sources = sweep_cut.sources_of(paths, options, config)
    for source in sources:
        backtest.say_what_is_missing(source)
    settings = backtest.settings_of(strategy, sources[0], {**options, "latency": latency, "params": ()}, config)
    name = backtest.name_of("+".join(source.name for source in sources))
    folder = output if output is not None else Path("runs", f"{name}-sweep")
    check_folder(folder, FILES)
    say_if_it_compiles(cache_folder(), hidden=as_json)
    strategy.address()  # a file that does not compile is refused before minutes of reading
    profile = backtest.profile_for(sources[0], options, config)
    jobs = options["jobs"] or cores()
    if sweep_cut.is_cut(options):
        study = options["study"] or folder.with_name(f"{folder.name}.study")
        result = sweep_cut.run(settings, sources, profile, asked, options, jobs=jobs, study=study, as_json=as_json)
    else:
        assert not isinstance(asked, sweep_cut.Search)
        recording = sweep_cut.read(sources[0], profile, as_json=as_json)
        result = _run(settings, recording, asked, jobs=jobs, as_json=as_json)
    if not len(result.finished):
        raise CommandError("interrupted before any set was finished, so nothing was written", ExitCode.INTERRUPTED)
    selections, note = _selected(result, options)
    view = view_of(result, selections, note)
    write_sweep(folder, result, view, selections)
    _show(view, selections, result.parameters, folder, as_json=as_json)
    _end(result, folder)


command.params[:0] = [option for option in backtest.command.params if option.name in _SHARED]


def _need_research() -> None:
    """Refused here and not after an hour of replays."""
    if importlib.util.find_spec("purgedcv") is None:
        raise CommandError(
            "honest selection needs the Python package purgedcv, which is not installed: install hlhft[research], or "
            "give --no-selection to rank only",
            ExitCode.FAILURE,
        )


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(settings: Settings, recording: Recording, sets: ParameterSets, *, jobs: int, as_json: bool) -> SweepResult:
    from hlhft.backtest.sweep import run_sweep
    from hlhft.report.numbers import counted, recording_title
    from hlhft.strategies import failures

    what = f"Running {counted(len(sets.sets), 'set')} over {recording_title(recording.name)}"
    with failures(), progress(what, hidden=as_json) as running:
        return run_sweep(settings, recording, sets, jobs=jobs, progress=running)


def _selected(result: SweepResult, options: dict[str, Any]) -> tuple[list[Selection], str]:
    """The selections, or none and why."""
    from hlhft.backtest.sweep_files import select_all

    if options["no_selection"]:
        return [], "Ranked only: the best of many sets looks good by luck alone."
    embargo_ns = None if options["embargo"] is None else round(options["embargo"] * 1e9)
    return select_all(result, earlier_trials=options["tried"], folds=options["folds"], embargo_ns=embargo_ns), ""


def _show(
    view: SweepView, selections: Sequence[Selection], sets: ParameterSets, folder: Path, *, as_json: bool
) -> None:
    if as_json:
        import msgspec

        from hlhft.backtest.sweep_files import summary_record

        click.echo(msgspec.json.encode(summary_record(view, selections)).decode())
        return
    from rich.console import Console

    console = Console(highlight=False)
    if sets.repeated:
        console.print(f"[dim]{sets.repeated} sets were the same as others and were run once.[/]")
    for part in _summary(view):
        console.print(part)
    console.print(f"Report: [bold]{folder / 'report.html'}[/]   [dim]every set in results.parquet beside it[/]")


def _summary(view: SweepView) -> Iterator[RenderableType]:
    """What to print, in order: what was run, the best and worst sets of every scenario, the verdict."""
    from rich.padding import Padding
    from rich.text import Text

    yield Text()
    yield Text.assemble((view.title, "bold"), f"  {', '.join(view.facts)}")
    for scenario in range(len(view.scenarios)):
        yield Padding(_table(view, scenario), (1, 0, 0, 0))
    yield Text()
    if view.judgements:
        first = view.judgements[0]
        yield Text(first.sentence, style="bold")
        yield Text(" ".join(first.remarks), style="dim")
    else:
        yield Text(view.note, style="bold")
    yield Text()


def _table(view: SweepView, scenario: int) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from hlhft.report.sweep_page import ranking

    shown = ranking(view, scenario, SHOWN, is_short=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", title_justify="left")
    table.title = Text.assemble((view.scenarios[scenario], "bold cyan"), ("  profit and drawdown in USDC", "dim"))
    for place, name in enumerate(shown.heading):
        # Figures are never cut; a long name is folded.
        table.add_column(name, justify="right", overflow="fold", min_width=max(len(row[place]) for row in shown.rows))
    for number, (cells, sign) in enumerate(zip(shown.rows, shown.signs)):
        tones = {shown.profit_column: {1: "green", -1: "red"}.get(sign, "")}
        last_of_best = number == shown.best - 1 and number < len(shown.rows) - 1
        table.add_row(
            *(Text(cell, style=tones.get(place, "")) for place, cell in enumerate(cells)), end_section=last_of_best
        )
    return table


def _end(result: SweepResult, folder: Path) -> None:
    """Ends with the exit code of a sweep that did not come to its end, or in which nothing did."""
    if result.interrupted:
        done, asked = len(result.finished), len(result.parameters.sets)
        raise CommandError(
            f"interrupted: {done} of {asked} sets were finished and are in {folder}", ExitCode.INTERRUPTED
        )
    if result.figures["halt_code"].all():
        raise CommandError(f"every set ended halted under every fee scenario; see {folder}", ExitCode.HALTED)
