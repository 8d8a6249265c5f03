"""`hlhft config`: settings shown, checked and described."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli import Options
from hlhft.cli.errors import ExitCode

if TYPE_CHECKING:
    from hlhft.config.load import Loaded
    from hlhft.config.settings import Config

_FILE = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Show the settings, check a file, print the schema.

    A file in TOML overrides defaults, and HLHFT__SECTION__KEY in the environment overrides the file.
    """


@command.command()
@click.argument("file", required=False, type=_FILE, metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: each setting by its path.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the defaults as the tables of the documentation.")
def show(*, file: Path | None, as_json: bool, as_markdown: bool) -> None:
    """Print the settings in force with their meaning, as TOML that loads back to the same.

    The defaults; with FILE, what it and the environment make of them, and where each value comes from.
    """
    from hlhft.config import show as forms

    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown are two forms, choose one of them.")
    if as_markdown:
        click.echo(forms.as_markdown(), nl=False)
        return
    loaded = loaded_settings(file)
    if as_json:
        click.echo(forms.as_json(loaded))
    else:
        click.echo(forms.as_toml(loaded), nl=False)


@command.command()
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the faults as a JSON list.")
def check(*, file: Path, as_json: bool) -> int:
    """Validate FILE: settings, and the strategy, parameters and models that they name; one sentence a fault.

    Ends with exit code 2 when there is a fault.
    """
    import json

    from hlhft.backtest.session import faults_of
    from hlhft.config.load import ConfigError

    try:
        loaded = loaded_settings(file)
        faults = [f"{loaded.origins.get(path, file)}: {path}: {fault}" for path, fault in faults_of(loaded.config)]
    except ConfigError as error:
        faults = list(error.faults)
    if as_json:
        click.echo(json.dumps(faults))
    else:
        for fault in faults:
            click.echo(f"hlhft: {fault}", err=True)
        if not faults:
            click.echo(f"{file}: in order")
    return ExitCode.USAGE if faults else ExitCode.OK


@command.command()
def schema() -> None:
    """Print the JSON Schema of a settings file, for an editor that checks while one writes."""
    from hlhft.config.show import as_schema

    click.echo(as_schema())


def loaded_settings(file: Path | None) -> Loaded:
    """The settings in force for a command: defaults, `file` and environment; its logs have their levels from here on.

    Raises ConfigError.
    """
    from hlhft.config.load import load

    loaded = load(file, os.environ)
    set_levels(loaded.config)
    return loaded


def set_levels(config: Config) -> None:
    """Gives the running command's logs the levels of these settings; HLHFT_LOG, where it is set, goes before them."""
    options = click.get_current_context().find_object(Options)
    if options is not None and options.logs is not None:
        options.logs.configure(config.log.level, config.log.modules)
