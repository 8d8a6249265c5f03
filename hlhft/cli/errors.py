"""How a command ends: one sentence on standard error and a documented exit code, whatever went wrong.

Errors that hlhft's modules declare are looked up by name, so that nothing is imported only to be compared with. What
is neither declared nor expected is an internal failure: the hook of `report_internal_failure` says so, no handler hides
it.
"""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import TracebackType

import click


class ExitCode(IntEnum):
    """The exit codes of every command; values are part of the interface."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    DATA = 3
    HALTED = 4
    ORDERS_LEFT = 5
    ABSENT = 6
    DIFFERS = 7
    INTERRUPTED = 130


MEANING: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILURE: "the environment or hlhft itself failed, or the reader of the output went away",
    ExitCode.USAGE: "wrong use: an unknown command, option, parameter or setting, or a strategy that is none",
    ExitCode.DATA: "data that is missing, damaged or of another kind than stated",
    ExitCode.HALTED: "the run ended halted: a breaker or a misbehaving strategy stopped it",
    ExitCode.ORDERS_LEFT: "own orders may be left at the venue: it was not proven that there are none",
    ExitCode.ABSENT: "no engine answered the command: none runs here, it is another user's, or it refused",
    ExitCode.DIFFERS: "a replay decided otherwise than its journal",
    ExitCode.INTERRUPTED: "interrupted from the keyboard; what was finished is kept",
}

# Every exception type that hlhft declares, by its full name; tests/cli/test_errors.py holds the table complete.
DECLARED: Mapping[str, ExitCode] = {
    "hlhft.alpha.bundle.BundleError": ExitCode.DATA,
    "hlhft.alpha.checkpoints.CheckpointError": ExitCode.DATA,
    "hlhft.alpha.devices.DeviceError": ExitCode.FAILURE,
    "hlhft.extra.MissingExtra": ExitCode.FAILURE,
    "hlhft.alpha.models.config.ModelConfigError": ExitCode.USAGE,
    "hlhft.alpha.paths.PathError": ExitCode.USAGE,
    "hlhft.alpha.policy.PolicyError": ExitCode.DATA,
    "hlhft.alpha.ranks.RanksError": ExitCode.USAGE,
    "hlhft.alpha.serving.loading.ServingError": ExitCode.USAGE,
    "hlhft.alpha.serving.table.ImpossibleEvent": ExitCode.FAILURE,
    "hlhft.alpha.sockets.EndpointError": ExitCode.USAGE,
    "hlhft.alpha.tracks.LatencyError": ExitCode.DATA,
    "hlhft.alpha.training_options.TrainingError": ExitCode.DATA,
    "hlhft.alpha.trials.OpenedTwice": ExitCode.USAGE,
    "hlhft.alpha.trials.TrialLogError": ExitCode.DATA,
    "hlhft.backtest.models.ModelError": ExitCode.USAGE,
    "hlhft.backtest.parameter_sets.SweepError": ExitCode.USAGE,
    "hlhft.backtest.replay.ReplayError": ExitCode.DATA,
    "hlhft.backtest.runs.RunError": ExitCode.USAGE,
    "hlhft.compiled.CacheError": ExitCode.FAILURE,
    "hlhft.config.load.ConfigError": ExitCode.USAGE,
    "hlhft.data.addresses.AddressError": ExitCode.USAGE,
    "hlhft.data.decimals.DecimalError": ExitCode.DATA,
    "hlhft.data.errors.DataError": ExitCode.DATA,
    "hlhft.data.mining.errors.MiningError": ExitCode.FAILURE,
    "hlhft.data.mining.errors.ObjectError": ExitCode.DATA,
    "hlhft.data.mining.errors.WishError": ExitCode.USAGE,
    "hlhft.data.mining.store.Changed": ExitCode.DATA,
    "hlhft.data.mining.store.Stopped": ExitCode.INTERRUPTED,
    "hlhft.data.node.formats.LineError": ExitCode.DATA,
    "hlhft.data.recorder.settings.ShareError": ExitCode.USAGE,
    "hlhft.data.recorder.venue.VenueError": ExitCode.FAILURE,
    "hlhft.deploy.errors.Refused": ExitCode.USAGE,
    "hlhft.deploy.errors.StepError": ExitCode.FAILURE,
    "hlhft.deploy.errors.VaultError": ExitCode.DATA,
    "hlhft.exchange.info._Absent": ExitCode.DATA,
    "hlhft.exchange.flow.live.FeedError": ExitCode.FAILURE,
    "hlhft.exchange.opening.OpeningError": ExitCode.USAGE,
    "hlhft.exchange.state_file.StateFileError": ExitCode.DATA,
    "hlhft.hyperliquid.account._Broken": ExitCode.DATA,
    "hlhft.hyperliquid.cloids.CloidError": ExitCode.DATA,
    "hlhft.hyperliquid.connection_table.ImpossibleEvent": ExitCode.FAILURE,
    "hlhft.hyperliquid.encode.EncodeError": ExitCode.FAILURE,
    "hlhft.hyperliquid.fates_records.FatesError": ExitCode.FAILURE,
    "hlhft.hyperliquid.gateway_table.ImpossibleEvent": ExitCode.FAILURE,
    "hlhft.hyperliquid.markets.MarketError": ExitCode.USAGE,
    "hlhft.hyperliquid.nonces.NonceError": ExitCode.FAILURE,
    "hlhft.hyperliquid.signing.SigningError": ExitCode.DATA,
    "hlhft.hyperliquid.supervisor_table.ImpossibleEvent": ExitCode.FAILURE,
    "hlhft.hyperliquid.watchdog_beats.BeatError": ExitCode.DATA,
    "hlhft.hyperliquid.watchdog_table.ImpossibleStep": ExitCode.FAILURE,
    "hlhft.hyperliquid.wire.WireError": ExitCode.DATA,
    "hlhft.live.heartbeat.HeartbeatError": ExitCode.USAGE,
    "hlhft.live.private_files.PrivateFileError": ExitCode.USAGE,
    "hlhft.live.control.ControlError": ExitCode.ABSENT,
    "hlhft.live.history.Stopped": ExitCode.INTERRUPTED,
    "hlhft.live.journal.records.RecordError": ExitCode.DATA,
    "hlhft.live.journal.segments.JournalError": ExitCode.DATA,
    "hlhft.live.journal.segments.JournalFull": ExitCode.FAILURE,
    "hlhft.live.preflight.StartError": ExitCode.USAGE,
    "hlhft.live.preflight.VenueError": ExitCode.FAILURE,
    "hlhft.live.replay._Differs": ExitCode.DIFFERS,
    "hlhft.live.replay.VersionError": ExitCode.DATA,
    "hlhft.live.store.StoreError": ExitCode.FAILURE,
    "hlhft.live.demo.DemoError": ExitCode.FAILURE,
    "hlhft.live.wallets.WalletError": ExitCode.FAILURE,
    "hlhft.log.LogError": ExitCode.USAGE,
    "hlhft.monitor.block.BlockError": ExitCode.FAILURE,
    "hlhft.monitor.exporter.ListenError": ExitCode.FAILURE,
    "hlhft.monitor.exporter.TlsError": ExitCode.USAGE,
    "hlhft.monitor.selectors.ExpressionError": ExitCode.DATA,
    "hlhft.report.origins.InSampleError": ExitCode.USAGE,
    "hlhft.scale.learning.LearningError": ExitCode.USAGE,
    "hlhft.scale.dask_backend.ClusterError": ExitCode.FAILURE,
    "hlhft.scale.running.TasksFailed": ExitCode.FAILURE,
    "hlhft.scale.searching.SearchError": ExitCode.FAILURE,
    "hlhft.scale.storage.StorageError": ExitCode.FAILURE,
    "hlhft.scale.task.TaskError": ExitCode.USAGE,
    "hlhft.scale.worker.Stopped": ExitCode.INTERRUPTED,
    "hlhft.simulation.faults.FaultError": ExitCode.USAGE,
    "hlhft.simulation.framing.FrameError": ExitCode.FAILURE,
    "hlhft.simulation.judge.Violation": ExitCode.FAILURE,
    "hlhft.simulation.past.PastError": ExitCode.USAGE,
    "hlhft.simulation.tally.TallyError": ExitCode.DATA,
    "hlhft.report.venue_records.HistoryError": ExitCode.DATA,
    "hlhft.strategies.StrategyError": ExitCode.USAGE,
    "hlhft.units.UnitsError": ExitCode.DATA,
}

# A file that is not there, not a file, or not ours to read is the user's data; a full disk is not.
_FILE_FAULTS = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class CommandError(Exception):
    """A command's own refusal: `message` is one sentence for standard error, `exit_code` what the process returns."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def handled_errors() -> tuple[type[BaseException], ...]:
    """The exception types that `describe` understands; of the declared ones, those whose modules are loaded."""
    declared = []
    for name in DECLARED:
        module, _, attribute = name.rpartition(".")
        if module in sys.modules:
            declared.append(getattr(sys.modules[module], attribute))
    return (CommandError, click.ClickException, click.Abort, ModuleNotFoundError, OSError, *declared)


def describe(error: BaseException) -> tuple[str, ExitCode]:
    """The one sentence and the exit code of a handled error. Raises TypeError for any other."""
    if isinstance(error, CommandError):
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else "hlhft"
        return f"{error.format_message()} (see {path} --help)", ExitCode.USAGE
    if isinstance(error, click.FileError):
        return error.format_message(), ExitCode.DATA
    if isinstance(error, click.ClickException):
        return error.format_message(), ExitCode.FAILURE
    if isinstance(error, click.Abort):
        return "interrupted", ExitCode.INTERRUPTED
    code = next((DECLARED[name] for name in map(_full_name, type(error).__mro__) if name in DECLARED), None)
    if code is not None:
        return str(error), code
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {error.name} is needed here and is not installed", ExitCode.FAILURE
    if isinstance(error, OSError):
        return _describe_os_error(error)
    raise TypeError(f"{_full_name(type(error))} is not an error that commands end with")


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _describe_os_error(error: OSError) -> tuple[str, ExitCode]:
    text = error.strerror or str(error) or _full_name(type(error))
    if error.errno in _FULL:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}nothing more can be written ({text}), make room or name a place with room", ExitCode.FAILURE
    if error.filename is None:
        return text, ExitCode.FAILURE
    return f"{error.filename}: {text}", ExitCode.DATA if error.errno in _FILE_FAULTS else ExitCode.FAILURE


def report(error: BaseException, *, debug: bool) -> ExitCode:
    """Writes the error to standard error, one line, after its traceback when `debug`; returns the exit code.

    A group called without a command shows its help instead, as somebody who does not know the commands needs it.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    sentence, code = describe(error)
    if debug:
        traceback.print_exception(error)
    click.echo("hlhft: " + " ".join(sentence.split()), err=True)
    return code


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], None]


def report_internal_failure(debug: Callable[[], bool]) -> Hook:
    """A `sys.excepthook` that says in one sentence what nobody expected; the interpreter then exits with 1.

    `debug` is asked when it happens: true adds the traceback.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if debug():
            sys.__excepthook__(kind, error, trace)
        if issubclass(kind, KeyboardInterrupt):
            click.echo("hlhft: interrupted", err=True)
            return
        what = " ".join(f"{kind.__name__}: {error}".split())
        click.echo(f"hlhft: internal failure, {what} (run hlhft --debug … for the traceback)", err=True)

    return hook
