"""`hlhft sweep` cut into tasks: which sets and which days, on which back-end, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli import backtest, cluster
from hlhft.cli.progress import progress

if TYPE_CHECKING:
    from hlhft.backtest.parameter_sets import Axis, ParameterSets
    from hlhft.backtest.recordings import Recording
    from hlhft.backtest.session import Settings
    from hlhft.backtest.sweep import SweepResult
    from hlhft.config.settings import Config
    from hlhft.data.sources import Source
    from hlhft.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search instead of sets that are known before."""

    axes: Sequence[Axis]
    sets: int
    seed: int
    usual: Mapping[str, float]


def is_cut(options: Mapping[str, Any]) -> bool:
    """Whether the sweep is run as tasks: in one pass in this process, it has none of these options."""
    return any(options[name] for name in ("on", "store", "optuna", "by_day"))


def asked_sets(strategy: Strategy, options: Mapping[str, Any], usual: Mapping[str, float]) -> ParameterSets | Search:
    """The sets, or the search for them. Raises UsageError, SweepError and StrategyError."""
    from hlhft.backtest.parameter_sets import choose_sets, parse_axis

    if options["optuna"] is None:
        if options["study"] is not None:
            raise click.UsageError("--study is what a search has learned: give it with --optuna N")
        return choose_sets(
            strategy,
            options["params"],
            random=options["random"],
            listed=options["sets"],
            seed=options["seed"],
            usual=usual,
        )
    if options["random"] is not None or options["sets"] is not None:
        raise click.UsageError("--optuna asks for the sets itself: leave --random and --sets out")
    from hlhft.extra import OF_CLUSTERS, need

    need("a search", "optuna", "fsspec", how=OF_CLUSTERS)
    from hlhft.scale.searching import refuse

    axes = [parse_axis(text) for text in options["params"]]
    refuse(strategy, axes, options["optuna"])
    return Search(axes=axes, sets=options["optuna"], seed=options["seed"], usual=usual)


def sources_of(paths: Sequence[Path], options: Mapping[str, Any], config: Config) -> list[Source]:
    """The recording, or with --by-day every day of a catalogue's name and every file by itself.

    Days of which the catalogue has nothing are told of and left out. Raises as `hlhft.cli.backtest.open_recording`.
    """
    if not options["by_day"]:
        return [backtest.open_recording(list(paths), options, config)]
    found: list[Source] = []
    for path in paths:
        names = [path] if path.exists() else _days(str(path), options["catalogue"] or Path(config.data.catalogue))
        found += [backtest.open_recording([one], options, config) for one in names]
    return found or [backtest.open_recording(list(paths), options, config)]


def _days(name: str, root: Path) -> list[Path]:
    """The days of the name that the catalogue has something of; the name itself where it has nothing, or is none."""
    from hlhft.data.catalogue.names import days, wanted
    from hlhft.data.catalogue.reading import Catalogue

    try:
        named = days(name)
    except ValueError:
        return [Path(name)]  # whoever opens it says what is wrong with it
    kept = []
    for day in named:
        asked = wanted(day)
        assert asked is not None
        coins = _as_written(root, asked.coins)
        if Catalogue(root).manifests(coins=coins, begin_ns=asked.begin_ns, end_ns=asked.end_ns):
            kept.append(Path(day))
    if not kept:
        return [Path(name)]
    if len(kept) < len(named):
        left_out = [day for day in named if Path(day) not in kept]
        click.echo(f"hlhft: nothing of {', '.join(left_out)} is in the catalogue: left out", err=True)
    return kept


def _as_written(root: Path, coins: Sequence[str]) -> list[str]:
    """The coins as the catalogue writes them, whatever the case they are said in."""
    from hlhft.data.catalogue.layout import KINDS, coins_in

    known = {coin.lower(): coin for kind in KINDS for coin in coins_in(root, kind)}
    return [known.get(coin.lower(), coin) for coin in coins]


def run(
    settings: Settings,
    recordings: Sequence[Recording],
    asked: ParameterSets | Search,
    options: Mapping[str, Any],
    *,
    jobs: int,
    study: str | Path,
    as_json: bool,
) -> SweepResult:
    """Runs the sets, or searches them, on what --on names. Raises what these raise."""
    from hlhft.report.numbers import counted, recording_title
    from hlhft.scale.sweeping import Sweeper
    from hlhft.strategies import failures

    with cluster.opened(options, jobs=jobs) as (backend, storage), failures():
        sweeper = Sweeper(settings, recordings, backend, storage)
        title = recording_title(recordings[0].name)
        title = title if len(recordings) == 1 else f"{len(recordings)} stretches from {title} on"
        run_sets = partial(sweeper.run, on_remark=cluster.say_remark, on_failure=cluster.say_failure)
        if not isinstance(asked, Search):
            what = f"Running {counted(len(asked.sets), 'set')} over {title}"
            with progress(what, hidden=as_json) as running:
                table, ran = run_sets(asked.sets, progress=running)
            return sweeper.result(asked, table, interrupted=ran.interrupted)
        from hlhft.scale.searching import search

        with progress(f"Searching {counted(asked.sets, 'set')} over {title}", hidden=as_json) as running:
            found = search(
                sweeper,
                asked.axes,
                study,
                sets=asked.sets,
                seed=asked.seed,
                usual=asked.usual,
                run=run_sets,
                progress=running,
            )
        return sweeper.result(found.parameters, found.table, interrupted=found.interrupted)
