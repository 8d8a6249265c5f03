"""`hlhft resume`: a halted engine quotes again."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.operator import engine_options, tell


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="What was wrong, and why it is right now; it is kept.")
@engine_options
def command(*, reason: str, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """Clear halts and latched breakers; the engine quotes again once it agrees with the venue.

    Nothing else clears them, no restart either. Ends with exit code 6 when no engine did it.
    """
    tell("resume", config=config, socket=socket, as_json=as_json, reason=reason)
