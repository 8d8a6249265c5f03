"""`hlhft halt`: a running engine stops quoting and cancels all."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.operator import engine_options, tell


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why, for the log and for whoever resumes.")
@engine_options
def command(*, reason: str, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """Stop quoting and cancel every order of the engine; its positions stay.

    It stays halted over restarts until `hlhft resume`. Ends with exit code 6 when no engine did it.
    """
    tell("halt", config=config, socket=socket, as_json=as_json, reason=reason)
