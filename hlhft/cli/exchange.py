"""`hlhft exchange`: a Hyperliquid on this machine, for demos, tests and paper trading."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import COMPILING
from hlhft.exchange.known_account import SEED

if TYPE_CHECKING:
    from hlhft.exchange.machine import Machine, Outcome
    from hlhft.exchange.node_files import NodeFiles
    from hlhft.exchange.server import Clock, Server

COINS = "BTC,ETH,SOL,WLFI"
LINE_EVERY_S = 10.0
STATUS_EVERY_S = 0.5
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last one comes when the terminal is closed
COMPILED_PARTS = ("handle.run_block_at", "handle.flow_legs_at")  # what takes longest to compile


@click.command()
@click.option(
    "--coins", metavar="A,B", help=f"Perpetuals to list.  [default: {COINS}, or all of a recording]",
)  # fmt: skip
@click.option(
    "--flow",
    default="synthetic",
    show_default=True,
    metavar="synthetic|live|none|PATH",
    help="Who else trades: agents fitted to recordings, the real venue's public streams, nobody, or a recording.",
)
@click.option("--once", is_flag=True, help="End a recording instead of beginning it again.")
@click.option("--venue", default=None, metavar="URL", help="Where --flow live listens.  [default: the venue's mainnet]")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=SEED, show_default=True, help="Of all that is drawn."
)
@click.option(
    "--speed", type=click.FloatRange(0.01, 1000.0), default=1.0, show_default=True, help="Exchange seconds a second."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0: the system chooses.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Go on from here.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write there as JSON where to connect and as whom, once it answers.",
)
@click.option(
    "--node-files",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write there what a node of one's own writes: fills, order statuses, book diffs.",
)
@click.option(
    "--node-layout",
    type=click.Choice(["hourly", "by-block", "stream"]),
    default="by-block",
    show_default=True,
    help="One event a line, one block a line, or one event a line with its block.",
)
@click.option("--no-limits", is_flag=True, help="Do not enforce rate limits.")
@click.option("--no-delay", is_flag=True, help="Execute each action at once.")
def command(
    coins: str | None,
    flow: str,
    once: bool,
    venue: str | None,
    seed: int,
    speed: float,
    host: str,
    port: int,
    state: Path | None,
    ready_file: Path | None,
    node_files: Path | None,
    node_layout: str,
    no_limits: bool,
    no_delay: bool,
) -> None:
    """Serve an exchange that speaks Hyperliquid's wire protocol, on this machine only unless told otherwise.

    Clients connect by their base URL alone. The venue's rules are enforced: signatures, nonces, precision, margin,
    limits, block order. With --state, the exchange goes on where it ended, stopped or killed. With --node-files it also
    writes the files of a node, and /info takes `fileSnapshot` with an outPath below that folder. Ends with Ctrl-C.
    """
    from hlhft.compiled import cache_folder
    from hlhft.exchange.opening import warm

    names = None if coins is None else [name.strip() for name in coins.split(",") if name.strip()]
    if flow == "live" and speed != 1.0:
        raise CommandError("the real venue's streams run at their own speed: leave --speed at 1", ExitCode.USAGE)
    if state is not None:
        _check_state(state)
    options = {"seed": seed, "with_limits": not no_limits, "with_delays": not no_delay}
    opened = _opener(flow, names, venue=venue, repeat=not once, **options)
    parts = COMPILED_PARTS if flow == "synthetic" else COMPILED_PARTS[:1]
    if any(not any(cache_folder().glob(f"*/{part}-*.nbi")) for part in parts):
        click.echo(COMPILING, err=True)
    blocks = 1 if flow == "none" else 2  # the first block only brings an order flow its money
    # Compiles and loads what it needs on an exchange that nobody sees, so that the time of the other one is now.
    unseen = opened(time.time_ns())
    _run_first(unseen, blocks)
    warm(unseen)
    clock, machine = _at_present(state, opened, speed)
    _run_first(machine, blocks)
    files = None if node_files is None else _node_files(node_files, node_layout, machine, clock)
    with _kept(machine, state):
        interrupted = _serve(machine, clock=clock, host=host, port=port, ready_file=ready_file, files=files)
    if interrupted:
        kept = f"; the state is in {state}" if state is not None else ""
        raise CommandError(f"interrupted{kept}", ExitCode.INTERRUPTED)


def _at_present(state: Path | None, opened: Callable[[int], Machine], speed: float) -> tuple[Clock, Machine]:
    """The exchange as it was when it ended, or a new one, and its clock, which is ahead of a state that ran faster
    than time does."""
    from hlhft.exchange.input_log import recover
    from hlhft.exchange.server import Clock

    try:
        told = recover(state, opened) if state is not None and state.exists() else None
        now_ns = time.time_ns()
        clock, machine = Clock(now_ns, speed=speed), opened(now_ns)
        if told is not None:
            machine.restore(told, now_ns)
    except ValueError as error:
        raise CommandError(f"{error}" if str(state) in str(error) else f"{state}: {error}", ExitCode.DATA) from None
    clock.start_ns += machine.time_ns - now_ns
    return clock, machine


def _node_files(folder: Path, layout: str, machine: Machine, clock: Clock) -> NodeFiles:
    from hlhft.exchange.node_files import NodeFiles
    from hlhft.exchange.node_text import Layout

    try:
        return NodeFiles(folder, machine, Layout(layout), local_ns=clock.now_ns)
    except OSError as error:
        raise CommandError(f"{folder}: no node's files can be written there: {error.strerror}", ExitCode.DATA) from None


@contextmanager
def _kept(machine: Machine, state: Path | None) -> Iterator[None]:
    """Keeps an exchange while it is served: its state is written before and after, and all that it hears between.

    What a broken exchange heard is set aside: to hear it again would break it again.
    """
    from hlhft.exchange.flow.live import LiveFlow
    from hlhft.exchange.input_log import InputLog, log_of

    if state is None:
        yield
        return
    _save(machine, state)
    if isinstance(machine.flow, LiveFlow):
        yield
        _save(machine, state)
        return
    log = InputLog(log_of(state), machine)
    try:
        yield
        _save(machine, state)
        log_of(state).unlink()
    except CommandError:
        log_of(state).replace(log_of(state).with_suffix(".broken"))
        raise
    finally:
        log.close()


def _check_state(state: Path) -> None:
    from hlhft.exchange.state_file import check_writable

    try:
        check_writable(state)
    except OSError as error:
        raise CommandError(f"{state}: no state can be saved there: {error.strerror}", ExitCode.DATA) from None


def _save(machine: Machine, state: Path) -> None:
    from hlhft.exchange.state_file import write_state

    try:
        write_state(state, machine.state())
    except OSError as error:
        raise CommandError(f"{state}: the state is not saved: {error.strerror}", ExitCode.FAILURE) from None


def _run_first(machine: Machine, blocks: int) -> None:
    for _ in range(blocks):
        machine.advance(machine.next_deadline_ns())


def _opener(
    flow: str, names: list[str] | None, *, venue: str | None, repeat: bool, **options: Any
) -> Callable[[int], Machine]:
    """Opens an exchange at a time in ns, with the order flow of that name, or of the recording at that path."""
    import asyncio
    from dataclasses import replace

    from hlhft.data.sources import open_source
    from hlhft.exchange import opening
    from hlhft.exchange.flow.live import MAINNET_URL, first_prices, websocket_url

    options["start_ns"] = time.time_ns()
    if flow in ("synthetic", "none"):
        settings = opening.open_settings(COINS.split(",") if names is None else names, **options)
        return lambda now_ns: opening.open_machine(replace(settings, start_ns=now_ns), synthetic=flow == "synthetic")
    if flow == "live":
        url = MAINNET_URL if venue is None else venue
        try:
            websocket_url(url)
        except ValueError as error:
            raise CommandError(f"--venue {error}", ExitCode.USAGE) from None
        markets = opening.named(COINS.split(",") if names is None else names)
        prices = asyncio.run(first_prices(markets, base_url=url, seed=options["seed"]))
        live = opening.settings_of(markets, prices, **options)
        return lambda now_ns: opening.open_machine(replace(live, start_ns=now_ns), flow=opening.live_flow(live, url))
    if not Path(flow).exists():
        raise CommandError(
            f"--flow {flow} is none of synthetic, live and none, and there is no recording of that name", ExitCode.USAGE
        )
    source = open_source(flow)
    replayed = opening.settings_of(*opening.of_recording(source, names or ()), **options)
    return lambda now_ns: opening.open_machine(
        replace(replayed, start_ns=now_ns), flow=opening.replayed_flow(replayed, source, repeat=repeat)
    )


def _serve(
    machine: Machine,
    *,
    clock: Clock,
    host: str,
    port: int,
    ready_file: Path | None = None,
    files: NodeFiles | None = None,
) -> bool:
    """Serves until a signal comes; returns whether it came from the keyboard."""
    import asyncio

    import uvloop

    from hlhft.exchange.flow.live import LiveFlow
    from hlhft.exchange.server import Server
    from hlhft.live.notify import Notifier

    notifier = Notifier(os.environ)

    async def run() -> bool:
        status = Status(machine, files)
        server = Server(machine, clock, on_outcome=status.count, snapshots=None if files is None else files.snapshot)
        stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def stop(is_keyboard: bool) -> None:
            if not stopped.done():
                stopped.set_result(is_keyboard)

        for number in STOPPING:
            asyncio.get_running_loop().add_signal_handler(number, stop, number == signal.SIGINT)
        await server.start(host, port)
        feed = asyncio.create_task(machine.flow.run()) if isinstance(machine.flow, LiveFlow) else None
        watched: list[asyncio.Future[Any]] = [stopped] if feed is None else [stopped, feed]
        try:
            introduce(server, host)
            if ready_file is not None:
                _write_ready(ready_file, server, host)
            notifier.ready()
            with status_line() as show:
                while not stopped.done():
                    show(status.line())
                    notifier.alive(f"block {machine.height}")
                    await asyncio.wait(watched, timeout=STATUS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                    if feed is not None and feed.done():
                        feed.result()
                    if server.broken.is_set():
                        raise CommandError(
                            "the exchange broke and was stopped; kept is the state that it began with", ExitCode.FAILURE
                        )
        finally:
            notifier.stopping()
            if feed is not None:
                feed.cancel()
                await asyncio.wait([feed])
            await server.stop()
            if files is not None:
                files.close()
        return stopped.result()

    # What is there now stays: looking through it again and again would only make answers late.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        interrupted = runner.run(run())
    gc.unfreeze()
    return interrupted


def introduce(server: Server, host: str) -> None:
    """Prints where to connect, as whom, and what is enforced."""
    from hlhft.exchange.known_account import test_key, test_signer

    settings, url = server.machine.settings, base_url(server, host)
    click.echo(f"Exchange      {url}   (WebSocket {url.replace('http', 'ws', 1)}/ws)")
    click.echo(f"Coins         {', '.join(settings.listing.names)}")
    click.echo(f"Test account  {test_signer(settings.seed).address}   holds 100000 USDC on a new exchange")
    click.echo(f"TEST KEY      0x{test_key(settings.seed).hex()}")
    click.echo("              Everybody knows this key. NEVER send real money to it and never use it elsewhere.")
    click.echo(f"More USDC     POST {url}/admin " + '{"address":"0x…","usdc":1000}')
    click.echo(
        f"Enforced      signatures, nonces, precision, margin; limits {'on' if settings.with_limits else 'OFF'},"
        f" delays {'on' if settings.with_delays else 'OFF'}; seed {settings.seed}, speed {server.clock.speed:g}x"
    )


def base_url(server: Server, host: str) -> str:
    """Where a client connects."""
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def _write_ready(path: Path, server: Server, host: str) -> None:
    """Writes what a program needs that started this one; the file is there with all of it, or not at all."""
    import json

    from hlhft.exchange.known_account import test_key, test_signer

    settings = server.machine.settings
    told = {
        "url": base_url(server, host),
        "coins": list(settings.listing.names),
        "test_account": test_signer(settings.seed).address,
        "test_key": f"0x{test_key(settings.seed).hex()}",
    }
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(told, indent=2) + "\n")
    beside.replace(path)


class Status:
    """Counts what happens, for the status line, and hands it to the files of a node."""

    def __init__(self, machine: Machine, files: NodeFiles | None = None) -> None:
        self.machine = machine
        self.files = files
        self.fills = 0

    def count(self, outcome: Outcome) -> None:
        """Takes in what one advance brought."""
        from hlhft.events import EventKind

        for block in outcome.blocks:
            self.fills += int((block.events["kind"] == EventKind.ORDER_FILLED).sum())
        if self.files is not None:
            self.files.count(outcome)

    def line(self) -> str:
        """One line: block, time, touch of each market, clients, what was done."""
        machine = self.machine
        when = datetime.fromtimestamp(machine.time_ns / 1e9, UTC).strftime("%H:%M:%S")
        touches = []
        for listed, (bid, ask) in zip(machine.settings.listing.markets, machine.kernel.touch().tolist()):
            market = listed.market
            touches.append(
                f"{market.name} {market.price_text(bid) if bid else '-'}/{market.price_text(ask) if ask else '-'}"
            )
        taken = machine.counters["actions taken"]
        return (
            f"block {machine.height}  {when} UTC  {'  '.join(touches)}  {len(machine.sockets)} sockets"
            f"  {taken} actions  {self.fills // 2} trades{self._feed()}{self._node()}"
        )

    def _node(self) -> str:
        """That the files of a node have ended."""
        return "  NO NODE FILES" if self.files is not None and self.files.fault else ""

    def _feed(self) -> str:
        """What a recording or a live feed says of itself."""
        from hlhft.exchange.flow.feeding import FeedFlow

        flow = self.machine.flow
        return f"  {flow.status()}" if isinstance(flow, FeedFlow) else ""


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yields what shows a line: in place on a terminal, else one now and then on standard error."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            yield lambda line: live.update(line, refresh=True)
        return
    last = -LINE_EVERY_S

    def show(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            click.echo(line, err=True)

    yield show
