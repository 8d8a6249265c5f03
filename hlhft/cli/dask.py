"""`hlhft dask`: a scheduler and workers for the commands that take --on; Dask's, closed unless they are opened."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.config import ports

PROCESSES_MAX = ports.WORKER_LAST - ports.WORKER_FIRST + 1
# A scheduler and its workers answer health questions over HTTP too; nobody outside the host needs that.
_HEALTH = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")

_TLS = (
    click.option("--tls-ca", type=click.Path(path_type=Path), metavar="FILE", help="Who signs certificates (PEM)."),
    click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="This host's certificate (PEM)."),
    click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key (PEM, 0600)."),
    click.option(
        "--plain", is_flag=True,
        help="Listen beyond this host without TLS: whoever reaches the port runs code here.",
    ),
)  # fmt: skip


def _secured(command: Any) -> Any:
    for option in reversed(_TLS):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Serve a scheduler, or work for one: what --on tls://HOST:8786 of other commands is about.

    Both are Dask's own, with its dashboards off. Whoever reaches either runs code as its user, so beyond this host they
    want certificates of one authority on both sides (--tls-ca, --tls-cert, --tls-key) or the word --plain.
    """


@command.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this one alone.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=ports.SCHEDULER, show_default=True, help="0: a free one."
)
@_secured
def scheduler(*, host: str, port: int, plain: bool, **tls: Path | None) -> None:
    """Serve a scheduler until it is told to stop.

    It holds which tasks wait and who works, nothing else: results are in the store, so when it is lost, the client says
    so, and the same command over again goes on with what is not done yet.
    """
    arguments = ["--host", f"{_protocol(host, tls, plain=plain)}://{host}", "--port", str(port), *_HEALTH]
    _run("dask_scheduler", [*arguments, *_tls_arguments(tls)])


@command.command()
@click.argument("scheduler", metavar="SCHEDULER")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen on this one alone.")
@click.option(
    "--processes", type=click.IntRange(1, PROCESSES_MAX), metavar="N", help="Tasks at a time. Default: processors."
)
@click.option(
    "--memory", default="auto", show_default=True, metavar="SIZE",
    help="Of each process, as 4GiB; one that takes more is ended and begun anew. auto: its share.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="For what Dask keeps on disk. Default: the system's folder for that.",
)  # fmt: skip
@click.option("--any-port", is_flag=True, help="Free ports, where no firewall stands between the hosts.")
@_secured
def worker(
    scheduler: str, *, host: str, processes: int | None, memory: str, folder: Path | None, any_port: bool,
    plain: bool, **tls: Path | None,
) -> None:  # fmt: skip
    """Work for SCHEDULER, tls://HOST:8786 or tcp://HOST:8786, until it is told to stop or the scheduler is lost.

    Every task has a process and one thread; a process that dies is begun anew, and its task is run again elsewhere.
    """
    protocol = _protocol(host, tls, plain=plain)
    if not scheduler.startswith(f"{protocol}://"):
        raise click.UsageError(
            f"SCHEDULER {scheduler} is not {protocol}://HOST:PORT, as is said by the TLS files given"
        )
    count = processes or _processors()
    arguments = [
        scheduler, "--host", f"{protocol}://{host}", "--nworkers", str(count), "--nthreads", "1", "--memory-limit",
        memory, *_HEALTH,
    ]  # fmt: skip
    if not any_port:
        arguments += ["--worker-port", f"{ports.WORKER_FIRST}:{ports.WORKER_LAST}"]
        arguments += ["--nanny-port", f"{ports.NANNY_FIRST}:{ports.NANNY_LAST}"]
    if folder is not None:
        arguments += ["--local-directory", str(folder)]
    _run("dask_worker", [*arguments, *_tls_arguments(tls)])


def _processors() -> int:
    import os

    return min(len(os.sched_getaffinity(0)), PROCESSES_MAX)


def _protocol(host: str, tls: dict[str, Path | None], *, plain: bool) -> str:
    """tls or tcp. Raises UsageError for a host that is no address, half of the files, and a port open to everybody."""
    given = [path for path in tls.values() if path is not None]
    if given and (len(given) < len(tls) or plain):
        raise click.UsageError("give --tls-ca, --tls-cert and --tls-key together and without --plain, or none of them")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise click.UsageError(f"--host {host} is no address of this host, as in 10.100.0.3") from None
    if not given and not is_loopback and not plain:
        raise click.UsageError(
            f"--host {host} without certificates lets whoever reaches the port run code: give --tls-ca, --tls-cert and "
            "--tls-key, or --plain where nobody but you reaches it"
        )
    return "tls" if given else "tcp"


def _tls_arguments(tls: dict[str, Path | None]) -> list[str]:
    """As Dask's commands have them. Raises PrivateFileError for a key that others may read."""
    authority, certificate, key = tls["tls_ca"], tls["tls_cert"], tls["tls_key"]
    if authority is None or certificate is None or key is None:
        return []
    from hlhft.live.private_files import read_private

    read_private(key)
    return ["--tls-ca-file", str(authority), "--tls-cert", str(certificate), "--tls-key", str(key)]


def _run(program: str, arguments: list[str]) -> None:
    """Dask's command of that name in this process. Raises CommandError when the packages are missing or it fails."""
    import importlib

    try:
        module = importlib.import_module(f"distributed.cli.{program}")
    except ModuleNotFoundError as error:
        raise CommandError(
            f"a cluster needs the Python package {error.name}, which is not installed: run make install",
            ExitCode.FAILURE,
        ) from None
    try:
        module.main.main(args=arguments, prog_name="hlhft dask", standalone_mode=False)
    except ValueError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    except RuntimeError as error:  # what Dask makes of anything that kept a server from starting, the cause below it
        raise CommandError(f"{error} ({error.__cause__ or 'for the reason above'})", ExitCode.FAILURE) from None
    except SystemExit as error:
        if error.code:
            raise CommandError("no worker could start, for the reason above", ExitCode.FAILURE) from None
