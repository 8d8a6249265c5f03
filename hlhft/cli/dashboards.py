"""`hlhft dashboards`: the Grafana dashboards as JSON."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click

from hlhft.cli.errors import CommandError, ExitCode

SDK = "grafana_foundation_sdk"
_ADDRESS = re.compile(r"https?://[^\s/]+(/[^\s]*)?")


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and not _ADDRESS.fullmatch(value):
        raise click.BadParameter("it is no address, as in https://host/docs")
    return value.rstrip("/")


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write one file for each dashboard into FOLDER, in place of printing.",
)
@click.option(
    "--documents",
    metavar="ADDRESS",
    default="",
    callback=_address,
    help="Where the folder docs is served: the dashboards then link to the runbook and the list of metrics.",
)
def command(*, output: Path | None, documents: str) -> None:
    """Print the Grafana dashboard as JSON, to be imported or provisioned.

    Made of the list of metrics; the same for the same version. Needs the packages of the extra `dashboards`; what it
    prints by default is kept in nixos/files/grafana, so a server needs neither.
    """
    if importlib.util.find_spec(SDK) is None:
        raise CommandError(
            f"writing dashboards needs the Python package {SDK}, which is not installed: run make install, or "
            "pip install 'hlhft[dashboards]'",
            ExitCode.FAILURE,
        )
    from hlhft.data.writing import sync_folder, write_file
    from hlhft.monitor.board import BOARDS
    from hlhft.monitor.dashboards import as_json

    if output is None:
        for board in BOARDS:
            click.echo(as_json(board, documents), nl=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = output / f"{board.uid}.json"
        write_file(path, as_json(board, documents).encode())
        click.echo(path)
    sync_folder(output)
