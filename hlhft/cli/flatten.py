"""`hlhft flatten`: a running engine cancels all and closes its positions at market."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.operator import engine_options, tell


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why, for the log and for whoever resumes.")
@engine_options
def command(*, reason: str, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """Cancel every order of the engine, close its positions at market, and stay halted.

    Returns when the engine has begun; `hlhft status` shows when it is flat. Ends with exit code 6 when no engine did
    it.
    """
    tell("flatten", config=config, socket=socket, as_json=as_json, reason=reason)
