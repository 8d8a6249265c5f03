"""`hlhft run`: trades, on the venue or on paper, until it is told to stop."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hlhft.cli.config import loaded_settings, set_levels
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.hyperliquid.supervisor_events import Exit
    from hlhft.live.engine import Engine


@click.command()
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings to run with.")
@click.option("--paper", is_flag=True, help="Trade paper money on an exchange of our own that follows the live market.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as one JSON object.")
def command(*, config: Path | None, paper: bool, as_json: bool) -> int:
    """Quote the markets of the settings until SIGTERM or Ctrl-C; then cancel all, and prove that nothing is left.

    Needs the file of an API wallet's key, the account's address, and a strategy. `hlhft status` shows what it does,
    `hlhft halt`, `resume`, `flatten` and `reload` tell it what to do. With --paper it starts an exchange of its own,
    with live prices, and an account there.

    Ends with exit code 0 when nothing of ours is left, 4 when it was halted, 5 when orders may be left at the venue.
    """
    loaded = loaded_settings(config)  # before what takes seconds to load: a typing error is told at once
    from hlhft.live.running import run_engine

    ended = run_engine(
        loaded, os.environ, config, is_paper=paper, on_ready=None if as_json else introduce, set_levels=set_levels
    )
    return _told(ended, as_json=as_json)


def introduce(engine: Engine) -> None:
    """Prints what trades where, and how to look at it."""
    status = engine.status()
    click.echo(f"Trading       {', '.join(market.name for market in status.markets)} with {status.strategy}")
    where = "paper money" if status.is_paper else status.network
    click.echo(f"On            {where}, {status.base_url}, account {status.account}, session {status.session}")
    click.echo("Watch it      hlhft status --watch, with the same --config; Ctrl-C stops it")


def _told(ended: Exit, *, as_json: bool) -> int:
    """Says how it ended; the exit code. Raises CommandError for an end that was none."""
    from hlhft.hyperliquid.supervisor_events import HALT_MEANING, Verdict

    halt = "" if ended.halt is None else f"{HALT_MEANING[ended.halt.cause]}: {ended.halt.reason}"
    if as_json:
        click.echo(json.dumps({"verdict": ended.verdict.name.lower(), "halt": halt, "failure": ended.failure}))
    else:
        click.echo(f"Ended         {ended.verdict}")
    if ended.verdict is Verdict.NOT_EMPTY:
        more = f" ({ended.failure})" if ended.failure else ""
        raise CommandError(
            f"orders of ours may be left at the venue{more}; run hlhft watchdog --sweep", ExitCode.ORDERS_LEFT
        )
    if ended.failure:
        raise CommandError(f"the engine failed: {ended.failure}", ExitCode.FAILURE)
    if ended.halt is not None:
        raise CommandError(f"it is halted, {halt}; hlhft resume --reason … once it runs again", ExitCode.HALTED)
    return ExitCode.OK
