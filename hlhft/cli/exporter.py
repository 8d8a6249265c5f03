"""`hlhft exporter`: shows Prometheus the numbers of all processes of this host."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.config.settings import Config
    from hlhft.monitor.collecting import Collector
    from hlhft.monitor.exporter import Server

STOPPING = (signal.SIGINT, signal.SIGTERM)
PULSE_S = 2.0  # between two signs of life to the service manager, at most


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings that the engine runs with."
)
@click.option(
    "--ready-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write there as JSON where to ask, once it answers.",
)  # fmt: skip
def command(*, config: Path | None, ready_file: Path | None) -> int:
    """Show Prometheus the numbers that the processes of this host write, and what the host says of itself.

    Answers at /metrics of metrics.address and metrics.port until SIGTERM or Ctrl-C. It holds nothing, asks no process
    anything and may be killed at any time. Processes need not run yet, and may come and go.

    Ends with exit code 0 when told to stop, 2 for settings that do not fit, 1 when the address or port is taken.
    """
    from hlhft.live.private_files import read_private
    from hlhft.monitor.exporter import Server, application_of, tls_of

    settings = loaded_settings(config).config
    context = tls_of(settings.metrics)
    if context is not None:
        read_private(Path(settings.metrics.key_file))  # refuses what others may read
    collector = _collector(settings)
    try:
        server = Server(settings.metrics.address, settings.metrics.port, application_of(collector), context)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    stopped = threading.Event()
    for number in STOPPING:
        signal.signal(number, lambda *_: stopped.set())
    _answer(server, stopped, ready_file)
    return ExitCode.OK


def _collector(settings: Config) -> Collector:
    """What is shown with these settings. Raises ConfigError."""
    from hlhft.config.folders import folders_of, metrics_folder_of
    from hlhft.data.addresses import is_address
    from hlhft.monitor.collecting import Collector
    from hlhft.monitor.host import Host, Places

    folders = folders_of(settings, os.environ)
    disks = {"state": folders.state, "journal": folders.journal}
    if not is_address(settings.data.catalogue):
        disks["catalogue"] = Path(settings.data.catalogue).absolute()
    folder = metrics_folder_of(settings, os.environ)
    click.echo(f"Numbers of    {', '.join(settings.metrics.processes) or 'nobody in particular'}, in {folder}")
    return Collector(folder, expected=settings.metrics.processes, host=Host(Places(folders=disks)), now_ns=time.time_ns)


def _answer(server: Server, stopped: threading.Event, ready_file: Path | None) -> None:
    """Answers until it is to stop; raises what broke the server."""
    import msgspec

    from hlhft.data.writing import write_file
    from hlhft.live.notify import Notifier

    notifier = Notifier(os.environ)
    pulse_s = min(PULSE_S, (notifier.pulse_ns or 10**12) / 1e9)
    with ThreadPoolExecutor(1, "answers") as threads:
        answering = threads.submit(server.serve)
        try:
            click.echo(f"Metrics       {server.url}")
            if ready_file is not None:
                write_file(ready_file, msgspec.json.encode({"url": server.url}) + b"\n")
            notifier.ready()
            while not stopped.wait(pulse_s) and not answering.done():
                notifier.alive(f"answers at {server.url}")
            notifier.stopping()
        finally:
            server.stop()
        answering.result()
