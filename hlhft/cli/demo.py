"""`hlhft demo`: live trading rehearsed on this machine, watched in the terminal, with a report at the end."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.backtest import parameters
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.alpha.schema import FeatureSchema
    from hlhft.live.demo import Demo, Ending, Plan
    from hlhft.report.results import Results

SECONDS_MAX = 86_400
QUOTES_WITHIN_S = 60.0  # an engine that does not quote by then is not waited for
STOPPING = (signal.SIGTERM, signal.SIGHUP)  # the last one comes when the terminal is closed


@click.command()
@click.option(
    "--seconds",
    type=click.IntRange(0, SECONDS_MAX),
    default=60,
    show_default=True,
    help="How long it quotes; 0 until Ctrl-C.",
)
@click.option("--coins", metavar="A,B", help="Perpetuals to trade.  [default: BTC,ETH,SOL,WLFI]")
@click.option("--strategy", default="glft", show_default=True, metavar="NAME|FILE", help="Built in, or a Python file.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy; repeatable.")
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="DIR",
    help="Tell rows for this model and listen to its hlhft alpha, whose command line is shown.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of the exchange.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Where it goes.  [default: runs/demo-TIME]"
)
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), default=0, show_default=True, metavar="PORT",
    help="Where Prometheus may ask for metrics, on this machine; 0: any free port, which is shown.",
)  # fmt: skip
@click.option("--no-screen", is_flag=True, help="Show a line now and then in place of the screen.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object, and nothing else.")
def command(
    *,
    seconds: int,
    coins: str | None,
    strategy: str,
    params: tuple[str, ...],
    model: Path | None,
    seed: int,
    output: Path | None,
    metrics_port: int,
    no_screen: bool,
    as_json: bool,
) -> int:
    """Start an exchange, a watchdog and an engine on this machine, quote for a minute, and report what it made.

    They are the processes of `hlhft exchange`, `watchdog`, `run` and `exporter`, with settings, keys and logs in a
    folder of their own; no real money and no network is touched. Ctrl-C ends it in order, too.

    Ends with exit code 0 when the exchange says that no order is left, else 5; with 4 when the engine halted.
    """
    from hlhft.exchange.opening import named
    from hlhft.live.demo import COINS, Plan, held

    names = COINS if coins is None else tuple(name.strip() for name in coins.split(",") if name.strip())
    named(names)  # refuses a wrong coin before there is a folder, a key or a process
    folder = output if output is not None else Path("runs", f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    _check(folder)
    plan = Plan(
        folder=folder.absolute(), coins=names, seed=seed, strategy=strategy, params=_numbers(params),
        features=None if model is None else _features(model), metrics_port=metrics_port,
    )  # fmt: skip
    with stops_as_ctrl_c(), held(plan, lambda line: click.echo(line, err=True)) as demo:
        if model is not None:
            click.echo(f"Beside it, whenever: hlhft alpha --model {model} --config {demo.settings}", err=True)
        _watch(demo, seconds, is_quiet=as_json, on_screen=not no_screen and not as_json)
        ending = demo.end()
    results = _report(plan, demo)
    if as_json:
        _print_json(results, ending)
    else:
        _show(results, plan, ending)
    return _code(ending)


@contextmanager
def stops_as_ctrl_c() -> Iterator[None]:
    """Within the block, a request to end and a terminal that is closed do what Ctrl-C does: end in order."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} is there already and not empty: name another with --output", ExitCode.USAGE)


def _features(model: Path) -> FeatureSchema:
    """What rows the model is asked about. Raises BundleError, and CommandError for a model that no feed serves."""
    from hlhft.alpha.bundle import load_bundle, model_folder

    features = load_bundle(model_folder(model)).features
    if features is None:
        raise CommandError(f"{model}: this model's columns come with another data set, no feed has them", ExitCode.DATA)
    return features


def _numbers(params: tuple[str, ...]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in parameters(params).items()}
    except ValueError:
        raise click.UsageError("--param takes numbers, as in --param gamma=0.1") from None


def _watch(demo: Demo, seconds: int, *, is_quiet: bool, on_screen: bool) -> None:
    """Follows the engine until Ctrl-C or the time is over, which counts from its first quotes where they come."""
    from rich.console import Console

    from hlhft.live.control import ControlClient
    from hlhft.live.screen import follow
    from hlhft.live.view import Status

    ends: list[float] = [time.monotonic() + QUOTES_WITHIN_S + seconds]

    def read() -> Status:
        status = demo.status(client)
        if len(ends) == 1 and any(market.quotes for market in status.markets):
            ends.append(time.monotonic() + seconds)
        return status

    def is_over() -> bool:
        return bool(seconds) and time.monotonic() >= min(ends)

    console = Console(
        highlight=False, file=sys.stderr if is_quiet else None, force_terminal=None if on_screen else False
    )
    try:
        with ControlClient(demo.control) as client:
            follow(read, console=console, is_over=is_over)
    except KeyboardInterrupt:
        click.echo("Interrupted; ending in order", err=True)


def _report(plan: Plan, demo: Demo) -> Results:
    from hlhft.backtest.runs import write_run
    from hlhft.live.session_report import session_results

    click.echo("Reading the journal", err=True)
    results = session_results(demo.journal, title=plan.folder.name)
    write_run(plan.folder / "report", results)
    return results


def _print_json(results: Results, ending: Ending) -> None:
    from dataclasses import asdict

    import msgspec

    click.echo(msgspec.json.encode({**results.plain(), "ending": asdict(ending)}).decode())


def _show(results: Results, plan: Plan, ending: Ending) -> None:
    from rich.console import Console

    from hlhft.cli.summary import summary

    console = Console(highlight=False)
    for part in summary(results):
        console.print(part)
    left = "the exchange lists none of its orders" if ending.is_empty else "ORDERS MAY BE LEFT"
    codes = f"engine {ending.engine}, watchdog {ending.watchdog}, exporter {ending.exporter}"
    console.print(f"Ended: {left}; {codes}")
    console.print(
        f"Report: [bold]{plan.folder / 'report' / 'report.html'}[/]   [dim]settings, logs, journal in {plan.folder}[/]"
    )


def _code(ending: Ending) -> int:
    if not ending.is_empty:
        return ExitCode.ORDERS_LEFT
    return ending.engine if ending.engine > 0 else ExitCode.OK if ending.engine == 0 else ExitCode.FAILURE
