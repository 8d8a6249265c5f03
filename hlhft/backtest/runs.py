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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.backtest.loop import FUNDING_KIND, RECORD_DTYPE
from hlhft.backtest.mids import mids_at
from hlhft.backtest.session import Backtest
from hlhft.report.markouts import HORIZONS_NS, REASONS, horizons_of
from hlhft.report.metrics import LaneLog
from hlhft.report.page import render
from hlhft.report.results import Results, ScenarioResult, scenario_result

FILES = ("run.json", "results.json", "blotter.parquet", "records.parquet", "report.html")
LIBRARIES = ("numpy", "numba", "llvmlite", "plotly", "pyarrow")


class RunError(ValueError):
    """A folder that cannot take a run."""


def results_of(backtest: Backtest, *, snapshots: bool = False, failures: Sequence[str] = ()) -> Results:
    """Measures a finished backtest. `failures`: what the strategy raised; `snapshots`: the book was recorded as such."""
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
        )
        for scenario, lane, mids in zip(backtest.scenarios, lanes, _mids(backtest, lanes), strict=True)
    ]
    settings = backtest.settings
    return Results(
        title=recording.name,
        scenarios=tuple(scenarios),
        identity={**backtest.metadata(), "libraries": _libraries()},
        models={"latency": settings.latency, "queue": settings.queue, "profile": recording.profile},
        snapshots=snapshots,
        interrupted=backtest.interrupted,
        events=recording.events,
        levels_outside=backtest.outputs[0].levels_outside,
        counts=recording.counts,
    )


def _libraries() -> dict[str, str]:
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


def check_folder(folder: Path) -> None:
    """Raises RunError when the folder could not take a run: a file, or a folder that holds anything but a run."""
    if folder.is_symlink() or not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file, name a folder for the run")
    others = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if others:
        raise RunError(
            f"{folder} holds {others[0]!r}, which is no part of a run: name a new folder, or that of an earlier run"
        )


def write_run(folder: Path, results: Results) -> None:
    """Writes a run to `folder`; an earlier run there is replaced when the new one is complete and stays until then.

    Raises RunError as `check_folder` does, and OSError when it cannot be written.
    """
    folder = folder.resolve()
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as writing:
        fresh, earlier = Path(writing, "fresh"), Path(writing, "earlier")
        fresh.mkdir()
        _write_files(fresh, results)
        try:
            if folder.exists():
                folder.rename(earlier)
            fresh.rename(folder)
        finally:
            if earlier.exists() and not folder.exists():
                earlier.rename(folder)


def _write_files(folder: Path, results: Results) -> None:
    import pyarrow
    from pyarrow import parquet

    (folder / "run.json").write_bytes(_json(results.identity))
    (folder / "results.json").write_bytes(_json(results.plain()))
    for name, tables in (("blotter", blotter), ("records", records)):
        columns = tables(results.scenarios)
        parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet", compression="zstd")
    (folder / "report.html").write_text(render(results), encoding="utf-8")


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def blotter(scenarios: Sequence[ScenarioResult]) -> dict[str, Any]:
    """Fills and funding payments of all scenarios as columns for Parquet. Null is what is unknown or does not apply.

    Integers are exact (ticks, lots, nanoseconds, micro-USDC); `price`, `size`, `mid` are the same in units of the
    market. `queue_ahead_*_lots` are the queue model's estimates when the order joined and when the fill came, `mid` the
    venue's at the fill, `mid_after_*` later.
    """
    from pyarrow import array

    log = _joined([one.lane.log for one in scenarios])
    markets = scenarios[0].lane.markets
    tick = np.array([market.record()["tick_size"][0] for market in markets])[log["market"]]
    lot = np.array([market.record()["lot_size"][0] for market in markets])[log["market"]]
    funding = log["kind"] == FUNDING_KIND
    resting = ~funding & (log["maker"] == 1)
    columns: dict[str, Any] = {
        **_identity(scenarios, [len(one.lane.log) for one in scenarios], log["market"]),
        "kind": _words(funding.astype(np.int64), {0: "fill", 1: "funding"}),
        "side": _words(log["side"], {1: "buy", -1: "sell", 0: "none"}),
        "reason": _words(np.where(funding, 0, log["reason"]), {0: "none", **REASONS}),
        "maker": array(log["maker"] == 1, mask=funding),
    }
    for name in ("ts_exch_ns", "ts_local_ns", "order_id", "price_ticks", "size_lots"):
        columns[name] = np.ascontiguousarray(log[name])
    columns["placed_ns"] = array(np.ascontiguousarray(log["placed_ns"]), mask=~resting)
    columns["price"], columns["size"] = log["price_ticks"] * tick, log["size_lots"] * lot
    columns["fee_micro"] = array(np.ascontiguousarray(log["aux1"]), mask=funding)
    columns["funding_micro"] = array(np.ascontiguousarray(log["aux0"]), mask=~funding)
    columns["queue_ahead_at_entry_lots"] = array(np.ascontiguousarray(log["front_at_entry"]), mask=~resting)
    columns["queue_ahead_at_fill_lots"] = array(np.maximum(log["front"], 0.0), mask=~resting)
    columns["mid"] = array(log["mid_half_ticks"] * tick / 2.0, mask=funding | (log["mid_half_ticks"] == 0))
    later = _joined([one.mid_half_ticks for one in scenarios])
    for place, horizon_ns in enumerate(HORIZONS_NS):
        mid = np.ascontiguousarray(later[:, place])
        columns[f"mid_after_{horizon_ns // 1_000_000}_ms"] = array(mid * tick / 2.0, mask=funding | (mid == 0))
    return columns


def records(scenarios: Sequence[ScenarioResult]) -> dict[str, Any]:
    """The sampled state of all scenarios as columns for Parquet, integers as in RECORD_DTYPE."""
    log = _joined([one.lane.records for one in scenarios])
    columns = _identity(scenarios, [len(one.lane.records) for one in scenarios], log["market"])
    for name in RECORD_DTYPE.names or ():
        if name not in ("lane", "market"):
            columns[name] = np.ascontiguousarray(log[name])
    return columns


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(arrays))


def _identity(scenarios: Sequence[ScenarioResult], counts: Sequence[int], market: np.ndarray) -> dict[str, Any]:
    """Which scenario and market each row belongs to, by name."""
    numbers = np.repeat(np.arange(len(scenarios)), counts)
    return {
        "scenario": _words(numbers, {index: one.name for index, one in enumerate(scenarios)}),
        "market": _words(market, {index: one.name for index, one in enumerate(scenarios[0].lane.markets)}),
    }


def _words(codes: np.ndarray, words: dict[int, str]) -> Any:
    """Codes as a dictionary-encoded column of words."""
    from pyarrow import DictionaryArray, array

    known = sorted(words)
    return DictionaryArray.from_arrays(
        array(np.searchsorted(known, codes).astype(np.int32)), [words[code] for code in known]
    )
