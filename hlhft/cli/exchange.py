"""`hlhft exchange`: a Hyperliquid on this machine, for demos, tests and paper trading."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.progress import COMPILING

if TYPE_CHECKING:
    from hlhft.exchange.machine import Machine, Outcome
    from hlhft.exchange.server import Server

FLOWS = ("synthetic", "none")
LINE_EVERY_S = 10.0
STATUS_EVERY_S = 0.5


@click.command()
@click.option("--coins", default="BTC,ETH,SOL,WLFI", show_default=True, metavar="A,B", help="Perpetuals to list.")
@click.option(
    "--flow",
    type=click.Choice(FLOWS),
    default="synthetic",
    show_default=True,
    help="Who else trades: agents fitted to recordings, or nobody.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Of all that is drawn.")
@click.option(
    "--speed", type=click.FloatRange(0.01, 1000.0), default=1.0, show_default=True, help="Exchange seconds a second."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0: the system chooses.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Go on from here.")
@click.option("--no-limits", is_flag=True, help="Do not enforce rate limits.")
@click.option("--no-delay", is_flag=True, help="Execute each action at once.")
def command(
    coins: str,
    flow: str,
    seed: int,
    speed: float,
    host: str,
    port: int,
    state: Path | None,
    no_limits: bool,
    no_delay: bool,
) -> None:
    """Serve an exchange that speaks Hyperliquid's wire protocol, on this machine only unless told otherwise.

    Clients connect by their base URL alone. The venue's rules are enforced: signatures, nonces, precision, margin,
    limits, block order. With --state, the exchange goes on where it was stopped. Ends with Ctrl-C.
    """
    from hlhft.compiled import cache_folder
    from hlhft.exchange.opening import open_machine, open_settings
    from hlhft.exchange.state_file import StateFileError, read_state

    now_ns = time.time_ns()
    names = [name.strip() for name in coins.split(",") if name.strip()]
    settings = open_settings(names, seed=seed, start_ns=now_ns, with_limits=not no_limits, with_delays=not no_delay)
    if not any(cache_folder().glob("*/chain.run_block-*.nbi")):
        click.echo(COMPILING, err=True)
    machine = open_machine(settings, synthetic=flow == "synthetic")
    if state is not None and state.exists():
        try:
            machine.restore(read_state(state), now_ns)
        except StateFileError:
            raise
        except ValueError as error:
            raise CommandError(f"{state}: {error}", ExitCode.DATA) from None
    machine.advance(machine.next_deadline_ns())  # compiles what it needs before anybody waits for it
    interrupted = _serve(machine, host=host, port=port, speed=speed, state=state)
    if interrupted:
        kept = f"; the state is in {state}" if state is not None else ""
        raise CommandError(f"interrupted{kept}", ExitCode.INTERRUPTED)


def _serve(machine: Machine, *, host: str, port: int, speed: float, state: Path | None) -> bool:
    """Serves until a signal comes, then saves; returns whether it came from the keyboard."""
    import asyncio

    import uvloop

    from hlhft.exchange.server import Clock, Server
    from hlhft.exchange.state_file import write_state

    async def run() -> bool:
        status = Status(machine)
        server = Server(machine, Clock(machine.time_ns, speed=speed), on_outcome=status.count)
        stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def stop(is_keyboard: bool) -> None:
            if not stopped.done():
                stopped.set_result(is_keyboard)

        for number, is_keyboard in ((signal.SIGINT, True), (signal.SIGTERM, False)):
            asyncio.get_running_loop().add_signal_handler(number, stop, is_keyboard)
        await server.start(host, port)
        try:
            introduce(server, host, speed)
            with status_line() as show:
                while not stopped.done():
                    show(status.line())
                    await asyncio.wait([stopped], timeout=STATUS_EVERY_S)
                    if server.broken.is_set():
                        raise CommandError(
                            "the exchange broke and was stopped; its state is not saved", ExitCode.FAILURE
                        )
        finally:
            await server.stop()
        return stopped.result()

    # What is there now stays: looking through it again and again would only make answers late.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        interrupted = runner.run(run())
    gc.unfreeze()
    if state is not None:
        write_state(state, machine.state())
    return interrupted


def introduce(server: Server, host: str, speed: float) -> None:
    """Prints where to connect, as whom, and what is enforced."""
    from hlhft.exchange.opening import test_key, test_signer

    settings = server.machine.settings
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Exchange      http://{shown}:{server.port}   (WebSocket ws://{shown}:{server.port}/ws)")
    click.echo(f"Coins         {', '.join(settings.listing.names)}")
    click.echo(f"Test account  {test_signer(settings.seed).address}   holds 100000 USDC on a new exchange")
    click.echo(f"TEST KEY      0x{test_key(settings.seed).hex()}")
    click.echo("              Everybody knows this key. NEVER send real money to it and never use it elsewhere.")
    click.echo(f"More USDC     POST http://{shown}:{server.port}/admin " + '{"address":"0x…","usdc":1000}')
    click.echo(
        f"Enforced      signatures, nonces, precision, margin; limits {'on' if settings.with_limits else 'OFF'},"
        f" delays {'on' if settings.with_delays else 'OFF'}; seed {settings.seed}, speed {speed:g}x"
    )


class Status:
    """Counts what happens, for the status line."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.fills = 0

    def count(self, outcome: Outcome) -> None:
        """Takes in what one advance brought."""
        from hlhft.events import EventKind

        for block in outcome.blocks:
            self.fills += int((block.events["kind"] == EventKind.ORDER_FILLED).sum())

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
            f"  {taken} actions  {self.fills // 2} trades"
        )


class status_line:  # noqa: N801 - a context manager that reads as a function
    """Yields what shows a line: in place on a terminal, else one now and then on standard error."""

    def __enter__(self) -> Callable[[str], None]:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live: Live | None = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.__enter__()
            live = self._live
            return lambda line: live.update(line, refresh=True)
        self._live = None
        last = [-LINE_EVERY_S]

        def show(line: str) -> None:
            if time.monotonic() - last[0] >= LINE_EVERY_S:
                last[0] = time.monotonic()
                click.echo(line, err=True)

        return show

    def __exit__(self, *details: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
