"""The command line: one file per command, each thin over the modules that do the work."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import click

from hlhft import __version__
from hlhft.cli.errors import ExitCode, handled_errors, report_internal_failure
from hlhft.cli.errors import report as report_error  # `report` here is the module of that command
from hlhft.cli.group import LazyGroup
from hlhft.log import Logs

COMMANDS = {
    "demo": "Rehearse live trading on this machine, and report what it made.",
    "backtest": "Replay recordings against a strategy and report what it made.",
    "sweep": "Run many parameter sets over one replay and select honestly.",
    "train": "Train a model on recorded data and say what it is worth.",
    "evaluate": "Judge a model beside simple rules, after costs, and say how much is luck.",
    "policy": "Train and judge a policy that steers a closed form.",
    "signals": "Ask a model about a recording, for a backtest that hears it.",
    "alpha": "Serve a model and a policy to a running engine.",
    "exchange": "Serve a Hyperliquid on this machine, for demos, tests and paper trading.",
    "approve": "Approve API wallets at an exchange of one's own, for a rehearsal.",
    "run": "Trade, on the venue or on paper, until told to stop.",
    "status": "Show what a running engine does.",
    "halt": "Stop an engine's quoting and cancel its orders.",
    "resume": "Clear an engine's halt.",
    "flatten": "Cancel an engine's orders and close its positions.",
    "reload": "Let an engine take changed settings.",
    "watchdog": "Cancel for an engine that is gone, and prove that nothing of it is left.",
    "simulate": "Run years of bad days in virtual time, and prove that the promises hold.",
    "exporter": "Show Prometheus the numbers of all processes of this host.",
    "report": "Say what a session made, and of what, as one page.",
    "replay": "Decide a journal once more and compare.",
    "mine": "Fetch the venue's archives into the catalogue, after asking.",
    "dask": "Serve a scheduler, or work for one, for commands that take --on.",
    "record": "Record the live venue's public streams into the catalogue.",
    "data": "See what a catalogue holds; check, convert, import and plot recordings.",
    "scan": "Rank markets by what a two-sided quoter would have kept.",
    "alerts": "Print the alerts, and what Prometheus and Alertmanager need for them.",
    "config": "Show the settings, check a file, print the schema.",
    "deploy": "Make a server's keys, install it, change it, take a change back.",
    "dashboards": "Print the Grafana dashboard, made of the list of metrics.",
    "doctor": "Print versions, processor, and where compiled code lives.",
    "completion": "Print the completion script for a shell.",
}


@dataclass(slots=True)
class Options:
    """What was said before the command's name."""

    debug: bool = False
    logs: Logs | None = None  # the running command's


@click.group(
    cls=LazyGroup,
    package=__name__,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="hlhft")
@click.option("--debug", is_flag=True, help="Show the traceback of an error before its sentence.")
@click.pass_obj
def main(options: Options | None, *, debug: bool) -> None:
    """Market making on Hyperliquid: one deterministic core for backtests, paper and live trading.

    Exit codes: 0 done, 1 failure, 2 wrong use, 3 bad data, 4 halted, 5 own orders may be left, 6 no engine,
    7 a replay differs, 130 interrupted.
    """
    if options is not None:
        options.debug = debug


def invoke(arguments: Sequence[str] | None = None, *, options: Options | None = None) -> int:
    """Runs one command line, by default the process's own; returns its exit code after reporting a handled error.

    Unexpected exceptions pass through.
    """
    options = Options() if options is None else options
    try:
        with Logs(sys.stderr, os.environ) as options.logs:
            result = main.main(arguments, prog_name="hlhft", standalone_mode=False, obj=options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away; without this, the interpreter would complain once more as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except handled_errors() as error:
        return report_error(error, debug=options.debug)
    return int(result) if isinstance(result, int) else ExitCode.OK


def console() -> NoReturn:
    """The console script: never returns, never shows a traceback unless asked with --debug."""
    options = Options()
    sys.excepthook = report_internal_failure(lambda: options.debug)
    sys.exit(invoke(options=options))
