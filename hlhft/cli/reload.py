"""`hlhft reload`: a running engine reads its settings again."""

from __future__ import annotations

from pathlib import Path

import click

from hlhft.cli.errors import CommandError, ExitCode
from hlhft.cli.operator import engine_options, socket_of


@click.command()
@engine_options
def command(*, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """Let the engine read its settings again and take what may change while it runs.

    That is the strategy's parameters, tighter limits of risk and log levels. Everything else is named and waits for a
    restart: then this ends with exit code 2, and with 6 when no engine did it.
    """
    import msgspec

    from hlhft.live.control import ControlClient, Reloaded

    with ControlClient(socket_of(config, socket)) as client:
        answer = client.ask("reload")
    done = msgspec.convert(answer, Reloaded)
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
    else:
        for path in done.applied:
            click.echo(f"in force: {path}")
        for refusal in done.refused:
            click.echo(f"left: {refusal}")
    if not done.is_done:
        raise CommandError(f"nothing was taken: {done.sentence}", ExitCode.USAGE)
    if done.refused:
        raise CommandError(f"{done.sentence}; restart the engine for what it left", ExitCode.USAGE)
    if not as_json:
        click.echo(done.sentence)
