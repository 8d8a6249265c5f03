"""`hlhft sweep` cut into tasks: which sets and which days, on which back-end, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from hlhft.cli import backtest, cluster
from hlhft.cli.catalogues import read_from
from hlhft.cli.progress import progress
from hlhft.cli.spreading import Spread

if TYPE_CHECKING:
    from hlhft.backtest.parameter_sets import Axis, ParameterSets
    from hlhft.backtest.recordings import Recording
    from hlhft.backtest.session import Settings
    from hlhft.backtest.sweep import SweepResult
    from hlhft.config.settings import Config
    from hlhft.data.addresses import RemotePath
    from hlhft.data.catalogue.reading import Catalogue
    from hlhft.data.catalogue.source import CatalogueSource
    from hlhft.data.sources import Source
    from hlhft.scale.compiling import Shard
    from hlhft.scale.running import Where
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


def refuse(options: Mapping[str, Any]) -> None:
    """Raises UsageError for what means nothing in one pass, before any work."""
    if options["shared_catalogue"] and not is_cut(options):
        raise click.UsageError("--shared-catalogue is for workers: give it with --on, --store or --by-day")


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
        if path.exists():
            found.append(backtest.open_recording([path], options, config))
            continue
        catalogue, names = _days(str(path), read_from(options["catalogue"], config))
        found += [backtest.open_recording([one], options, config, catalogue) for one in names]
    return found or [backtest.open_recording(list(paths), options, config)]


def _days(name: str, root: Path | RemotePath) -> tuple[Catalogue | None, list[Path]]:
    """The days of the name of which there is something, and the catalogue as it is now, of these.

    Where there is nothing, or it is no such name, the name itself: whoever opens it says what is wrong with it.
    """
    from hlhft.data.catalogue.names import days, wanted
    from hlhft.data.catalogue.reading import Catalogue

    try:
        asked, named = wanted(name), days(name)
    except ValueError:
        return None, [Path(name)]
    assert asked is not None
    catalogue = Catalogue(root)
    # Read once for all days.
    held = catalogue.within(_as_written(catalogue, asked.coins), begin_ns=asked.begin_ns, end_ns=asked.end_ns)
    kept = []
    for day in named:
        part = wanted(day)
        assert part is not None
        if held.manifests(begin_ns=part.begin_ns, end_ns=part.end_ns):
            kept.append(Path(day))
    if not kept:
        return None, [Path(name)]
    if len(kept) < len(named):
        left_out = [day for day in named if Path(day) not in kept]
        click.echo(f"hlhft: nothing of {', '.join(left_out)} is in the catalogue: left out", err=True)
    return held, kept


def _as_written(catalogue: Catalogue, coins: Sequence[str]) -> list[str]:
    """The coins as the catalogue writes them, whatever the case they are said in."""
    from hlhft.data.catalogue.layout import KINDS

    known = {coin.lower(): coin for kind in KINDS for coin in catalogue.coins(kind)}
    return [known.get(coin.lower(), coin) for coin in coins]


def read(source: Source, profile: str, *, as_json: bool) -> Recording:
    """The recording as rows of this machine, told of meanwhile. Raises as `compile_recording`."""
    from hlhft.backtest.recordings import compile_recording
    from hlhft.report.numbers import recording_title

    with progress(f"Reading {recording_title(source.name)}", hidden=as_json) as reading:
        return compile_recording(source, profile=profile, progress=reading)


def shards_of(
    sources: Sequence[Source], profile: str, where: Where, options: Mapping[str, Any], *, as_json: bool
) -> list[Shard]:
    """The rows of every source in the storage: by tasks where workers reach its catalogue, else put there from here."""
    from hlhft.scale.compiling import compile_on, put_here

    reached, here = [], []
    for source in sources:
        if _is_reached(source, options):
            reached.append(source)
        else:
            here.append(put_here(read(source, profile, as_json=as_json), where.storage))
    return here + (compile_on(where, reached, profile=profile) if reached else [])


def _is_reached(source: Source, options: Mapping[str, Any]) -> TypeGuard[CatalogueSource]:
    """Whether workers can read the source themselves: in S3, or in a folder that they have too."""
    from hlhft.data.addresses import RemotePath
    from hlhft.data.catalogue.source import CatalogueSource

    if not isinstance(source, CatalogueSource):
        return False
    return bool(options["shared_catalogue"]) or isinstance(source.catalogue.root, RemotePath)


def run(
    settings: Settings,
    sources: Sequence[Source],
    profile: str,
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
        spread = Spread(backend, storage, hidden=as_json)
        shards = shards_of(sources, profile, spread, options, as_json=as_json)
        sweeper = Sweeper(settings, shards, backend, storage)
        title = recording_title(sources[0].name)
        title = title if len(sources) == 1 else f"{len(sources)} stretches from {title} on"
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
