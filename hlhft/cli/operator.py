"""What the operator's commands share: which engine is meant, how it is asked, and what its answer looks like."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.live.control import Command

Function = TypeVar("Function", bound=Callable[..., Any])


def engine_options(function: Function) -> Function:
    """Adds the options that say which engine is meant, and --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the engine's answer as one JSON object."),
        click.option(
            "--socket",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="The engine's control socket.  [default: that of the settings]",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings that the engine runs with."
        ),
    ):
        function = option(function)
    return function


def socket_of(config: Path | None, socket: Path | None) -> Path:
    """Where the meant engine listens: as said, else by the settings. Raises ConfigError."""
    from hlhft.config.folders import folders_of

    if socket is not None:
        return socket.absolute()
    return folders_of(loaded_settings(config).config, os.environ).control_socket


def tell(command: Command, *, config: Path | None, socket: Path | None, as_json: bool, reason: str = "") -> None:
    """Sends one command and prints the sentence that comes back.

    Raises ControlError when no engine answers, and CommandError when it did not do it.
    """
    import msgspec

    from hlhft.live.control import ControlClient, Outcome

    with ControlClient(socket_of(config, socket)) as client:
        answer = client.ask(command, reason)
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
    outcome = msgspec.convert(answer, Outcome)
    if not outcome.is_done:
        raise CommandError(f"the engine did not: {outcome.sentence}", ExitCode.ABSENT)
    if not as_json:
        click.echo(outcome.sentence)
