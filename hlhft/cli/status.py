"""`hlhft status`: what a running engine does, once or as a screen that follows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.operator import engine_options, socket_of

if TYPE_CHECKING:
    from hlhft.live.control import ControlClient


@click.command()
@click.option("--watch", is_flag=True, help="Follow it on the terminal until Ctrl-C.")
@engine_options
def command(*, watch: bool, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Show what the engine quotes, holds and earned, how fast it is, and which breaker stands how.

    Ends with exit code 0 when it runs, 4 when it is halted, 6 when no engine answers.
    """
    import msgspec

    from hlhft.live.control import ControlClient

    if watch and as_json:
        raise click.UsageError("--watch and --json are two forms, choose one of them.")
    with ControlClient(socket_of(config, socket)) as client:
        if watch:
            return _watch(client)
        status = client.status()
    if as_json:
        click.echo(msgspec.json.encode(status).decode())
    else:
        from rich.console import Console

        from hlhft.live.screen import render

        Console(highlight=False).print(render(status))
    if status.halt:
        if not as_json:
            raise CommandError(f"it is halted: {status.halt}", ExitCode.HALTED)
        return ExitCode.HALTED
    return ExitCode.OK


def _watch(client: ControlClient) -> int:
    from hlhft.live.screen import follow

    try:
        follow(client.status)
    except KeyboardInterrupt:
        return ExitCode.OK  # how one leaves
    return ExitCode.OK
