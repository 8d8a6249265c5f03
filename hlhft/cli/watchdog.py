"""`hlhft watchdog`: cancels for an engine that is gone, and proves that nothing of it is left."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.config.settings import Config
    from hlhft.hyperliquid.watchdog_events import Report
    from hlhft.live.clock import Clock
    from hlhft.live.watchdog import WatchdogShell
    from hlhft.live.watchdog_metrics import WatchdogMetrics

STOPPING = (signal.SIGINT, signal.SIGTERM)
SWEEP_S = 60.0


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings that the engine runs with."
)
@click.option("--sweep", is_flag=True, help="Cancel the engine's orders now, prove that none is left, and end.")
@click.option(
    "--seconds", type=click.FloatRange(1.0, 3600.0), default=SWEEP_S, show_default=True,
    help="How long --sweep may take.",
)  # fmt: skip
def command(*, config: Path | None, sweep: bool, seconds: float) -> int:
    """Hear the engine's heartbeat; when it is lost, cancel the engine's orders until it is proven that none is left.

    Runs until SIGTERM or Ctrl-C. Needs an API wallet of its own (watchdog.key_file), the account's address and the
    engine's owner number; orders of others are never touched. With --sweep it hears nobody and does it at once: stop
    the engine first, or what it goes on sending is cancelled too.

    Ends with exit code 0, or 5 when orders of the engine may be left at the venue.
    """
    from hlhft.live.clock import Clock
    from hlhft.live.notify import Notifier
    from hlhft.live.watchdog import WatchdogShell
    from hlhft.live.watchdog_setup import key_refusal, place_of, settings_of, signer_of

    settings = loaded_settings(config).config
    try:
        numbers = settings_of(settings)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    signer = signer_of(settings, os.environ)
    refusal = asyncio.run(key_refusal(settings, signer))
    if refusal:
        raise CommandError(f"this watchdog could cancel nothing: {refusal}", ExitCode.USAGE)
    clock = Clock()
    shell = WatchdogShell(
        numbers,
        signer,
        place_of(settings, os.environ, hears=not sweep),
        clock=clock,
        notifier=Notifier(os.environ),
        on_report=_show if sweep else _pass,
        metrics=None if sweep else _metrics(settings, numbers.account, clock),
    )
    click.echo(f"Watching      orders of owner {numbers.owner} of {numbers.account} at {shell.place.url}")
    if not sweep:
        click.echo(f"Heartbeat     {shell.place.heartbeat}")
    is_clean = asyncio.run(_until_signal(shell, shell.sweep(seconds) if sweep else shell.watch()))
    if not is_clean:
        raise CommandError(
            "orders of the engine may be left at the venue: it was not proven that there are none", ExitCode.ORDERS_LEFT
        )
    return ExitCode.OK


def _metrics(settings: Config, account: str, clock: Clock) -> Callable[[], WatchdogMetrics]:
    """Opens where its numbers are written. A sweep beside a watchdog that runs leaves that one's alone."""
    from hlhft.config.folders import metrics_folder_of
    from hlhft.live.watchdog_metrics import WatchdogMetrics
    from hlhft.monitor.metrics import Source
    from hlhft.monitor.opening import opened

    folder = metrics_folder_of(settings, os.environ)
    warn = logging.getLogger(__name__).warning
    labels = {"account": account}
    return lambda: WatchdogMetrics(opened(folder, Source.WATCHDOG, labels=labels, clock_ns=clock.now_ns, say=warn))


async def _until_signal(shell: WatchdogShell, life: Coroutine[Any, Any, bool]) -> bool:
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, shell.stop)
    return await life


def _show(report: Report) -> None:
    click.echo(f"{report.code}: {report.detail}" if report.detail else str(report.code))


def _pass(report: Report) -> None:
    """What a service has to tell goes to its log."""
