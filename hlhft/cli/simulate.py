"""`hlhft simulate`: years of bad days, from a seed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from hlhft.simulation.faults import Fault
    from hlhft.simulation.run import Outcome
    from hlhft.simulation.settings import RunSettings

SEEDS_MAX = 1_000_000
HOURS_MAX = 24.0 * 365
NOT_SIMULATED = frozenset({"backtest", "cli", "deploy", "scale"})  # packages that no run is made of


@click.command()
@click.option("--seeds", type=click.IntRange(1, SEEDS_MAX), default=100, show_default=True, help="How many runs.")
@click.option("--first", type=click.IntRange(0, 2**62), default=1, show_default=True, help="Seed of the first.")
@click.option(
    "--hours", type=click.FloatRange(0.001, HOURS_MAX), default=1.0, show_default=True,
    help="Virtual time with faults of each.",
)  # fmt: skip
@click.option(
    "--faults", "told", metavar="LIST",
    help="Instead of the seed's own plan these, as a violation prints them; none: no fault at all.",
)  # fmt: skip
@click.option(
    "--settings", "told_settings", metavar="LIST",
    help="Instead of the settings that each seed draws these, as a violation prints them; default: none is drawn.",
)  # fmt: skip
@click.option(
    "--scenario", metavar="NAME",
    help="Instead of seeds play a bad day with a name; all: every one of them; list: print their names.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processors to use.  [default: all]")
@click.option(
    "--tally", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Add a line of what ran to it."
)
@click.option("--no-shrink", is_flag=True, help="Print a violation with its whole plan.")
@click.option("--json", "as_json", is_flag=True, help="Print what ran as one JSON object, and nothing else.")
def command(
    *, seeds: int, first: int, hours: float, told: str | None, told_settings: str | None, scenario: str | None,
    jobs: int | None, tally: Path | None, no_shrink: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Run engine, watchdog and exchange in virtual time under faults drawn from a seed; prove that promises hold.

    After every event the promises are held against the exchange's own books. Once the time is over all faults stop, and
    it must trade again. A seed is a run: the same seed makes the same journal, byte for byte.

    Ends with exit code 0, or with 1 when a promise broke: then with the command that repeats it, faults that are not
    needed left out.
    """
    if scenario is not None:
        return _play(scenario)
    import msgspec

    from hlhft.cli.sweep import cores
    from hlhft.simulation import running
    from hlhft.simulation import tally as tallies
    from hlhft.simulation.faults import plan, read_plan
    from hlhft.simulation.past import read_settings
    from hlhft.simulation.settings import drawn

    span_ns = round(hours * tallies.HOUR_NS)
    numbers = range(first, first + seeds)
    found: list[Outcome] = []
    is_interrupted = False
    began = datetime.now(UTC)
    revision = _revision()  # before anybody edits what runs
    given = None if told is None else read_plan(told)
    settings = None if told_settings is None else read_settings(told_settings)
    with progress("Simulating", hidden=as_json) as show:
        ran = (
            running.outcomes(numbers, span_ns, processes=min(jobs or cores(), seeds), settings=settings)
            if given is None
            else (running.run_quietly(seed, span_ns, given, settings=settings) for seed in numbers)
        )
        try:
            for outcome in ran:
                found.append(outcome)
                if show is not None:
                    show(len(found), seeds)
                if outcome.violation is not None:
                    break
        except KeyboardInterrupt:
            is_interrupted = True
            click.echo("Interrupted; what is finished counts", err=True)
    if not found:
        raise CommandError("interrupted before one run was finished", ExitCode.INTERRUPTED)
    entry = tallies.entry_of(found, at=f"{began:%Y-%m-%dT%H:%M:%SZ}", revision=revision)
    if tally is not None:
        tallies.add(tally, entry)
    if as_json:
        click.echo(msgspec.json.encode(entry).decode())
    else:
        seconds = (datetime.now(UTC) - began).total_seconds()
        click.echo(_words(entry, seconds))
        if tally is not None:
            held = tallies.hours_without_violation(tallies.read(tally)).get(entry.revision, 0.0)
            click.echo(f"{tally}: {held:.2f} virtual hours of this revision without a violation")
    broken = next((outcome for outcome in found if outcome.violation is not None), None)
    if broken is None:
        return ExitCode.INTERRUPTED if is_interrupted else ExitCode.OK
    faults = plan(broken.seed, span_ns) if given is None else given
    if not no_shrink:
        click.echo(f"Seed {broken.seed} breaks a promise; leaving out faults that are not needed", err=True)
        faults = running.smallest(broken, faults, span_ns, settings)
    raise CommandError(_sentence(broken, hours, settings or drawn(broken.seed), faults), ExitCode.FAILURE)


def _play(name: str) -> int:
    """Plays one scenario or all, or lists them."""
    from hlhft.simulation.running import quiet
    from hlhft.simulation.scenarios import SCENARIOS, play

    if name == "list":
        width = max(map(len, SCENARIOS))
        for one in SCENARIOS.values():
            click.echo(f"{one.name:{width}}  {one.about}")
        return ExitCode.OK
    if name != "all" and name not in SCENARIOS:
        raise CommandError(
            f"there is no scenario {name!r}: `hlhft simulate --scenario list` prints those there are", ExitCode.USAGE
        )
    missed = []
    for one in SCENARIOS.values() if name == "all" else (SCENARIOS[name],):
        with quiet():
            verdict = play(one)
        told = "as it must be" if verdict.is_well else "NOT as it must be"
        click.echo(f"{one.name}: {told}")
        if verdict.violation is not None:
            missed.append(f"{one.name} breaks a promise, {verdict.violation}")
        missed += [f"{one.name}: not seen: {unseen}" for unseen in verdict.unseen]
    if missed:
        raise CommandError("; ".join(missed), ExitCode.FAILURE)
    return ExitCode.OK


def _words(entry: object, seconds: float) -> str:
    from hlhft.simulation.tally import Entry

    assert isinstance(entry, Entry)
    return (
        f"{entry.seeds} runs from seed {entry.first_seed}, {entry.hours:.2f} virtual hours in {seconds:.0f} s "
        f"({entry.hours * 3600 / max(seconds, 1e-9):.0f} times real time); {entry.events:,} events, "
        f"{entry.actions:,} actions, {entry.sessions} sessions, {sum(entry.faults.values()):,} faults; "
        f"promises broken: {len(entry.violations)}"
    )


def _sentence(outcome: Outcome, hours: float, settings: RunSettings, faults: tuple[Fault, ...]) -> str:
    from hlhft.simulation.past import settings_text

    told = ",".join(map(str, faults)) or "none"
    return (
        f"seed {outcome.seed} breaks a promise, {outcome.violation}; repeat it with: hlhft simulate --seeds 1 "
        f"--first {outcome.seed} --hours {hours:g} --settings {settings_text(settings)} --faults {told}"
    )


def _revision() -> str:
    """The version, and a hash of every source that a run reaches."""
    from hlhft import __version__
    from hlhft.scale.revision import sources_key

    return f"{__version__} {sources_key(Path(__file__).resolve().parents[1], NOT_SIMULATED)}"
