"""Runs on disk: a folder with what was run, what came of it, every fill, and a report.

    run.json         the run's identity: settings, data, code key, seed, versions
    results.json     all figures
    blotter.parquet  fills and funding payments of every scenario
    records.parquet  the sampled state of every scenario
    report.html      the same for people

No file holds a clock, so the same command gives the same bytes. A folder appears when it is complete and replaces
nothing but an earlier run.
"""

from __future__ import annotations

import importlib.metadata
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.backtest.loop import RECORD_DTYPE
from hlhft.backtest.mids import mids_at
from hlhft.backtest.session import Backtest, in_sample
from hlhft.backtest.signals import valid_ns
from hlhft.events import EventKind
from hlhft.report.blotter import blotter, records, write_columns
from hlhft.report.markouts import horizons_of
from hlhft.report.metrics import LaneLog
from hlhft.report.numbers import recording_title
from hlhft.report.origins import STAMP
from hlhft.report.page import render
from hlhft.report.results import Heard, Results, scenario_result
from hlhft.venue.recorded import REPLY_DTYPE

FILES = ("run.json", "results.json", "blotter.parquet", "records.parquet", "report.html")
LIBRARIES = ("numpy", "numba", "llvmlite", "plotly", "pyarrow")


class RunError(ValueError):
    """A folder that cannot take a run."""


def results_of(
    backtest: Backtest, *, snapshots: bool = False, without_trades: Sequence[str] = (), failures: Sequence[str] = ()
) -> Results:
    """Measures a finished backtest.

    `snapshots`: the books were recorded so; `without_trades`: markets of which no trade was; `failures`: what the
    strategy raised.
    """
    recording = backtest.recording
    lanes = [
        LaneLog(
            markets=recording.markets,
            log=output.fills,
            records=output.records,
            lane=output.lanes.lane[0],
            positions=output.lanes.positions[0],
            first_ns=output.first_ns,
            last_ns=output.last_ns,
            capital_micro=backtest.settings.capital_micro,
            placed=output.placed,
        )
        for output in backtest.outputs
    ]
    scenarios = [
        scenario_result(
            name=scenario.name,
            rates_e9=(scenario.maker_rate_e9, scenario.taker_rate_e9),
            lane=lane,
            mid_half_ticks=mids,
            failures=failures if int(lane.lane[0]["strategy_failures"]) else (),
            strategy=backtest.settings.strategy.name,
        )
        for scenario, lane, mids in zip(backtest.scenarios, lanes, _mids(backtest, lanes), strict=True)
    ]
    settings = backtest.settings
    met = in_sample(settings, recording)
    return Results(
        title=recording_title(recording.name),
        scenarios=tuple(scenarios),
        identity={
            **backtest.metadata(),
            **({"stamp": STAMP, "in_sample": list(met)} if met else {}),
            "libraries": library_versions(),
        },
        models={"latency": settings.latency, "queue": settings.queue, "profile": recording.profile},
        snapshots=snapshots,
        without_trades=tuple(without_trades),
        interrupted=backtest.interrupted,
        events=recording.events,
        levels_outside=backtest.outputs[0].levels_outside,
        counts=recording.counts,
        heard=_heard(backtest),
        in_sample=met,
    )


def _heard(backtest: Backtest) -> Heard | None:
    """What models said while the first scenario ran."""
    track, output = backtest.settings.signals, backtest.outputs[0]
    if track is None:
        return None
    span_ns = max(output.last_ns - output.first_ns, 1)
    shares = {
        kind: tuple(
            valid_ns(track.events, kind, market, output.first_ns, output.last_ns) / span_ns
            for market in range(len(backtest.recording.markets))
        )
        for kind in (EventKind.SIGNAL, EventKind.POLICY)
    }
    lane = output.lanes.lane[0, 0]
    return Heard(
        record=track.record(),
        signal_shares=shares[EventKind.SIGNAL],
        policy_shares=shares[EventKind.POLICY],
        counters={name: int(lane[name]) for name in ("signals_ignored", "policies_ignored", "policies_clamped")},
    )


def empty_log(entries: int) -> np.ndarray:
    """Room for so many fills and funding payments, REPLY_DTYPE, all zero: what `LaneLog.log` is made of."""
    return np.zeros(entries, REPLY_DTYPE)


def empty_records(count: int) -> np.ndarray:
    """Room for so many samples of the state, RECORD_DTYPE, all zero: what `LaneLog.records` is made of."""
    return np.zeros(count, RECORD_DTYPE)


def library_versions() -> dict[str, str]:
    """Versions of what decides a run's bytes, by name."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def _mids(backtest: Backtest, lanes: Sequence[LaneLog]) -> list[np.ndarray]:
    """The mids that the lanes' markouts need, int64[F, H] a lane, from one pass over the recording."""
    wanted = [horizons_of(lane.log) for lane in lanes]
    count = len(backtest.recording.markets)
    times = [
        np.unique(np.concatenate([at[lane.log["market"] == market].ravel() for lane, at in zip(lanes, wanted)]))
        for market in range(count)
    ]
    if not any(len(one) for one in times):
        return [np.zeros(at.shape, np.int64) for at in wanted]
    known = mids_at(backtest.recording.markets, backtest.recording.streams(), times)
    found = []
    for lane, at in zip(lanes, wanted):
        mids = np.zeros(at.shape, np.int64)
        for market in range(count):
            here = lane.log["market"] == market
            mids[here] = known[market][np.searchsorted(times[market], at[here])]
        found.append(mids)
    return found


def check_folder(folder: Path, names: Sequence[str] = FILES) -> None:
    """Raises RunError when the folder could not take files of these names.

    That is a file, a folder with anything else, and one whose place cannot be written, which trying alone tells.
    """
    beside = next(path for path in folder.resolve().parents if path.exists())
    try:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".hlhft-"):
            pass
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written, {beside} takes no folder ({error.strerror}): name another with --output"
        ) from error
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file, name a folder for the run")
    others = sorted(path.name for path in folder.iterdir() if path.name not in names)
    if others:
        raise RunError(
            f"{folder} holds {others[0]!r}, which is no part of a run: name a new folder, or that of an earlier run"
        )


def write_run(folder: Path, results: Results) -> None:
    """Writes a run to `folder`; an earlier run there is replaced when the new one is complete and stays until then.

    Raises RunError as `check_folder` does, and OSError when it cannot be written.
    """
    replace_folder(folder, FILES, lambda fresh: _write_files(fresh, results))


def replace_folder(folder: Path, names: Sequence[str], write: Callable[[Path], None]) -> None:
    """Makes `folder` hold what `write` puts into the empty folder it is given: all of it, or what was there before.

    Raises what `write` and `check_folder` raise, and OSError.
    """
    folder = folder.resolve()
    check_folder(folder, names)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as writing:
        fresh, earlier = Path(writing, "fresh"), Path(writing, "earlier")
        fresh.mkdir()
        write(fresh)
        try:
            if folder.exists():
                folder.rename(earlier)
            fresh.rename(folder)
        finally:
            if earlier.exists() and not folder.exists():
                earlier.rename(folder)


def _write_files(folder: Path, results: Results) -> None:
    (folder / "run.json").write_bytes(json_text(results.identity))
    (folder / "results.json").write_bytes(json_text(results.plain()))
    write_columns(folder / "blotter.parquet", blotter(results.scenarios), results.stamp)
    write_columns(folder / "records.parquet", records(results.scenarios), results.stamp)
    (folder / "report.html").write_text(render(results), encoding="utf-8")


def json_text(value: Any) -> bytes:
    """JSON for people: indented, with a line's end at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
