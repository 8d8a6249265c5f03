"""`hlhft backtest`: what a strategy would have made on a recording under three fee scenarios, as table and report."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hlhft.cli.catalogues import CatalogueType, read_from
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.journals import is_journal, journal_source
from hlhft.cli.progress import progress, say_if_it_compiles

if TYPE_CHECKING:
    from hlhft.backtest.session import Settings
    from hlhft.config.settings import Config
    from hlhft.data.catalogue.reading import Catalogue
    from hlhft.data.sources import Source
    from hlhft.report.results import Results
    from hlhft.strategies import Strategy

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_NEGATIVE = re.compile(r"-[0-9.]+")
NAME_LENGTH_MAX = 80


class _Command(click.Command):
    """As click's, and a negative number among the arguments is a latency out of range, not an unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's. Raises UsageError for a negative number that is no option's value."""
        previous = ""
        for argument in args:
            if _NEGATIVE.fullmatch(argument) and not previous.startswith("-"):
                raise click.UsageError(f"latency {argument} ms is below 0: give milliseconds, as in 15", ctx)
            previous = argument
        return super().parse_args(ctx, args)


@click.command(cls=_Command)
@click.argument("arguments", nargs=-1, metavar="[DATA]... [LATENCY_MS]")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings in TOML (hlhft config); what is said here goes before them.",
)
@click.option("--strategy", default="glft", show_default=True, metavar="NAME|FILE", help="Built in, or a Python file.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy; repeatable.")
@click.option(
    "--latency",
    metavar="MODEL",
    help="15, constant:ENTRY[,REPLY], sampled:MEDIAN,P99, blocks[:MEDIAN,P99], history:FILE or "
    "measured:FILE, in ms. "
    "Default: blocks for Hyperliquid recordings, else constant:10.",
)
@click.option(
    "--queue",
    default="power:2",
    show_default=True,
    metavar="MODEL",
    help="risk-averse, power:N, power-total:N, power-complement:N, log, log-total or order-level.",
)
@click.option(
    "--fees", default="scenarios", show_default=True, metavar="FEES", help="tier:0 to tier:6, or MAKER,TAKER in bp."
)
@click.option(
    "--feed-profile",
    type=click.Choice(["recorded", "2026"]),
    help="Cadence and depth of the feed. Default: 2026 for Hyperliquid recordings, else recorded.",
)
@click.option("--market", metavar="NAME", help="Market the data are of, where they do not say so themselves.")
@click.option(
    "--markets",
    "specification",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Market specification: TOML, JSON, or the venue's meta answer. Default: the shipped table.",
)
@click.option(
    "--catalogue",
    type=CatalogueType(),
    metavar="FOLDER",
    help="Where DATE/COIN is looked up: a folder or s3://BUCKET/PREFIX. Default: data.catalogue of the settings, "
    "catalog.",
)
@click.option(
    "--signals",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What models said over this recording: a track that hlhft signals made.",
)
@click.option(
    "--params-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Strategy and parameters as hlhft sweep chose them (its chosen.toml); --config's other settings stay.",
)
@click.option(
    "--in-sample",
    is_flag=True,
    help="Run although models or parameters were made from this time, and stamp every figure IN-SAMPLE.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of all that is drawn.")
@click.option("--capital", default="10000", show_default=True, metavar="USDC", help="Equity at the start.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Where the run goes. Default: runs/NAME."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object, and nothing else.")
def command(arguments: tuple[str, ...], *, output: Path | None, as_json: bool, **options: Any) -> None:
    """Replay recordings against a strategy and report what it made after fees, latency and queue.

    DATA are files or a folder, or what a catalogue holds: 2026-04-01/BTC, 2026-04-01..2026-04-30/BTC,ETH or
    2026-04-01T07/BTC; or an engine's journal, whose newest session's market data are replayed without its orders.
    Without any, the recording that ships with hlhft. A plain number at the end is the latency in
    ms. Every run is made under three fee scenarios, and saved with its report.
    """
    from hlhft.backtest import runs
    from hlhft.backtest.signals import read_track
    from hlhft.compiled import cache_folder
    from hlhft.strategies import load

    paths, latency = split_arguments(arguments, options["latency"])
    config = config_of(options)
    name = options["strategy"] if is_given("strategy") else config.strategy.name
    strategy = load(name)
    source = open_recording(paths, options, config)
    say_what_is_missing(source)
    settings = settings_of(strategy, source, {**options, "latency": latency}, config)
    strategy.params_bytes(settings.params)
    if options["signals"] is not None:
        settings = replace(settings, signals=read_track(options["signals"]))
    folder = output if output is not None else Path("runs", name_of(source.name))
    runs.check_folder(folder)
    say_if_it_compiles(cache_folder(), hidden=as_json)
    threading.Thread(target=_import_parquet, daemon=True).start()
    strategy.address()  # a file that does not compile is refused before minutes of reading
    profile = profile_for(source, options, config)
    results = _run(settings, source, profile, in_sample=options["in_sample"], as_json=as_json)
    runs.write_run(folder, results)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(results.plain()).decode())
    else:
        _show(results, folder)
    _end(results, folder)


def config_of(options: Mapping[str, Any]) -> Config:
    """The configuration, with the strategy of --params-file in place of its own where that is given.

    Raises ConfigError, and UsageError for a file that chooses nothing, or not alone.
    """
    import msgspec

    config = loaded_settings(options["config"]).config
    file = options["params_file"]
    if file is None:
        return config
    if is_given("strategy"):
        raise click.UsageError(f"--params-file {file} names the strategy itself: leave --strategy out")
    chosen = loaded_settings(file).config.strategy
    if not chosen.params:
        raise click.UsageError(f"--params-file {file} holds no parameters: give the chosen.toml of a sweep")
    return msgspec.structs.replace(config, strategy=chosen)


def split_arguments(arguments: Sequence[str], latency: str | None) -> tuple[list[Path], str | None]:
    """The paths, and the latency: the last argument when it is a plain number and no such file is there.

    Raises UsageError when the latency is given twice.
    """
    paths = list(arguments)
    if paths and _NUMBER.fullmatch(paths[-1]) and not Path(paths[-1]).exists():
        number = paths.pop()
        if latency is not None:
            raise click.UsageError(f"the latency is given twice, as {number} and as --latency {latency}: give one")
        latency = number
    return [Path(path) for path in paths], latency


def settings_of(
    strategy: Strategy, source: Source, options: Mapping[str, Any], config: Config | None = None
) -> Settings:
    """The settings that the command's options stand for, and the configuration where the user gave none.

    Raises UsageError and ModelError.
    """
    from hlhft.backtest import session
    from hlhft.backtest.models import parse_fees, parse_latency, parse_queue
    from hlhft.config.settings import Config

    config = Config() if config is None else config
    changed: dict[str, Any] = {name: options[name] for name in ("queue", "fees", "seed") if is_given(name)}
    if options["latency"] is not None:
        changed["latency"] = options["latency"]
    if is_given("capital"):
        changed["capital_micro"] = _micro(options["capital"])
    own = {} if is_given("strategy") else config.strategy.params
    given = parameters(options["params"])
    settings = replace(
        session.settings_of(config, strategy, is_hyperliquid=is_hyperliquid(source)),
        params={**own, **given},
        # What the user says anew was not chosen there.
        origins=session.origins_of(config) if set(own) - set(given) else (),
        **changed,
    )
    # Refused here and not after minutes of reading.
    parse_latency(settings.latency, seed=settings.seed)
    parse_queue(settings.queue)
    parse_fees(settings.fees)
    return settings


def is_given(name: str) -> bool:
    """Whether the user said it on the command line; outside of a command everything counts as said."""
    context = click.get_current_context(silent=True)
    return context is None or context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def is_hyperliquid(source: Source) -> bool:
    """Whether the recording is that venue's: the only one whose books come as snapshots."""
    return any(source.snapshot_markets)


def profile_for(source: Source, options: Mapping[str, Any], config: Config) -> str:
    """The feed profile that the user gave, or the configuration; a journal's feed is today's already."""
    from hlhft.backtest.session import AUTO, PROFILE_ELSEWHERE, profile_of

    if options["feed_profile"] is None and is_journal(source) and config.backtest.feed_profile == AUTO:
        return PROFILE_ELSEWHERE
    return options["feed_profile"] or profile_of(config, is_hyperliquid=is_hyperliquid(source))


def parameters(texts: Sequence[str]) -> Mapping[str, str]:
    """NAME=VALUE texts as a mapping; the last of a name counts. Raises UsageError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise click.UsageError(f"--param {text} is not NAME=VALUE, as in --param gamma=0.1")
        found[name.strip()] = value.strip()
    return found


def name_of(recording: str) -> str:
    """A recording's name as a folder's name: of several files, the first or the folder they lie in."""
    first = recording.partition("+")[0]
    title = first.partition("/")[0] if "+" in recording else first.replace("/", "_")
    plain = re.sub(r"(\.(gz|lz4|npz|csv|jsonl|json|events|data))+$", "", title)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._")[:NAME_LENGTH_MAX] or "run"


def _micro(text: str) -> int:
    try:
        value = Decimal(text) * 1_000_000
        whole = int(value)
    except (InvalidOperation, ValueError, OverflowError):
        raise click.UsageError(f"--capital {text} is not a number of USDC, as in 10000") from None
    if whole != value or not 0 < whole <= 10**18:
        raise click.UsageError(f"--capital {text}: give more than 0 and at most 10^12 USDC, with six decimals at most")
    return whole


def open_recording(
    paths: list[Path], options: Mapping[str, Any], config: Config, catalogue: Catalogue | None = None
) -> Source:
    """The recording that the command's arguments name, the bundled one without any; `catalogue` in place of the named.

    Raises CommandError and DataError.
    """
    from hlhft.data.markets import find, load
    from hlhft.data.samples import bundled
    from hlhft.data.sources import open_source

    specification, market = options["specification"], options["market"]
    table = load(specification) if specification is not None else None
    try:
        chosen = find(market, table) if market is not None else None
    except LookupError as error:
        raise CommandError(str(error.args[0]), ExitCode.USAGE) from None
    journal = journal_source(paths)
    if journal is not None:
        return journal
    held = catalogue or read_from(options["catalogue"], config)
    return open_source(paths or [bundled()], market=chosen, specification=table, catalogue=held)


def say_what_is_missing(source: Source) -> None:
    """Tells on standard error, before anything is run, of which markets there are no trades, and what a catalogue lacks
    between what it has."""
    from hlhft.data.catalogue.source import CatalogueSource
    from hlhft.data.holdings import GAP_NS_MIN, missing
    from hlhft.report.assumptions import without_trades_words
    from hlhft.report.numbers import duration

    if source.without_trades:
        click.echo(f"hlhft: {source.name}: {without_trades_words(source.without_trades)}", err=True)
    if not isinstance(source, CatalogueSource):
        return
    lacking: Counter[str] = Counter()
    for one in missing(source.manifests, least_ns=GAP_NS_MIN):
        lacking[f"{one.kind} of {one.coin}"] += one.to_ns - one.from_ns
    if lacking:
        words = ", ".join(f"{what} for {duration(length_ns)}" for what, length_ns in lacking.items())
        click.echo(f"hlhft: {source.name}: missing in between: {words}; see hlhft data gaps {source.name}", err=True)


def _import_parquet() -> None:
    """Loads while the replay runs, which does not hold the interpreter, what only writing the run needs."""
    import pyarrow.parquet

    assert pyarrow.parquet


def _run(settings: Settings, source: Source, profile: str, *, in_sample: bool, as_json: bool) -> Results:
    from hlhft.backtest import session
    from hlhft.backtest.recordings import compile_recording
    from hlhft.backtest.runs import results_of
    from hlhft.report.numbers import recording_title
    from hlhft.report.origins import refuse
    from hlhft.strategies import failures

    with progress(f"Reading {recording_title(source.name)}", hidden=as_json) as reading:
        recording = compile_recording(source, profile=profile, progress=reading)
    if settings.signals is not None:
        settings.signals.check(recording)
    if not in_sample:
        refuse(session.in_sample(settings, recording))
    with failures() as raised, progress(f"Replaying {recording_title(source.name)}", hidden=as_json) as replaying:
        backtest = session.run_backtest(settings, recording, replaying)
    return results_of(backtest, snapshots=is_hyperliquid(source), without_trades=source.without_trades, failures=raised)


def _show(results: Results, folder: Path) -> None:
    from rich.console import Console

    from hlhft.cli.summary import summary

    console = Console(highlight=False)
    for part in summary(results):
        console.print(part)
    console.print(f"Report: [bold]{folder / 'report.html'}[/]   [dim]figures, fills and settings beside it[/]")


def _end(results: Results, folder: Path) -> None:
    """Ends with the exit code of a run that did not come to its end."""
    if results.interrupted:
        raise CommandError(f"interrupted: what was replayed is in {folder}", ExitCode.INTERRUPTED)
    halted = [one for one in results.scenarios if one.is_halted]
    if halted:
        names = ", ".join(one.name.partition(",")[0] for one in halted)
        raise CommandError(f"ended halted under {names} ({halted[0].halt_words}); see {folder}", ExitCode.HALTED)
