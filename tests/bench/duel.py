"""Same events, same decisions: equal at every record, and how long both event loops take, in interleaved pairs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.units import RATE_SCALE
from tests.bench import ours
from tests.bench.figures import Figure, median
from tests.bench.instruments import INSTRUMENTS, MAKER_RATE_E9, STRATEGIES, TAKER_RATE_E9, Instrument, Quoting
from tests.bench.library import Rival, convert

TOLERANCE = 1e-9
MS = 1e3
# A run of every second of feed-derived latencies, as the rival's own latency maker makes them.
HISTORY_STEP_NS = 1_000_000_000


def request_of(side: ours.Side, quoting: Quoting, **extra: Any) -> dict[str, Any]:
    """The rival's request for this strategy; its book spans the same prices as ours and more."""
    file = side.recording.files[0]
    return {
        "run": quoting.name,
        "repeat": 1,
        "interval_ns": quoting.interval_ns,
        "tick": side.instrument.tick,
        "lot": side.instrument.lot,
        "maker": MAKER_RATE_E9 / RATE_SCALE,
        "taker": TAKER_RATE_E9 / RATE_SCALE,
        "low": int(file.low_ticks * 0.9),
        "high": int(file.high_ticks * 1.1),
        "entry_ns": 10_000_000,
        "reply_ns": 10_000_000,
        **quoting.parameters,
        **extra,
    }


def differences(side: ours.Side, records: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """The largest difference of each column over all records; a different number of records is infinite."""
    if len(records) != len(theirs):
        return {"records": float("inf")}
    instrument = side.instrument
    unit = instrument.tick * instrument.lot
    # The product's ledger truncates each fee to micro-USDC as the venue does; the rival does not truncate. What both
    # charge a rate on, the value traded, is exact on our side, so the rates are applied to that.
    fee = (records["maker_quanta"] * MAKER_RATE_E9 + records["taker_quanta"] * TAKER_RATE_E9) * unit / RATE_SCALE
    empty_bid, empty_ask = theirs[:, 1] < 0, theirs[:, 2] > 2**31
    pairs = {
        "time": (records["ts_ns"].astype(np.float64), theirs[:, 0]),
        "best bid": (records["best_bid_ticks"], np.where(empty_bid, 0, theirs[:, 1])),
        "best ask": (records["best_ask_ticks"], np.where(empty_ask, 0, theirs[:, 2])),
        "position": (records["position_lots"], np.rint(theirs[:, 3] / instrument.lot)),
        "balance": (records["cash_quanta"] * unit, theirs[:, 4]),
        "fee": (fee, theirs[:, 5]),
        "trades": (records["fills"], theirs[:, 6]),
    }
    return {name: float(np.abs(mine - other).max()) for name, (mine, other) in pairs.items()}


def equality(side: ours.Side, quoting: Quoting, rival: Rival, folder: Path, history: Path | None) -> Figure:
    """Both run once; every column of every record is compared."""
    file = folder / "records.npz"
    extra = {} if history is None else {"history": str(history)}
    rival.ask(**request_of(side, quoting, records=str(file), **extra))
    # A replay's last record is its end, which the rival does not record.
    records = ours.run_once(ours.replay_of(side, quoting, history=history)).records[:-1]
    found = differences(side, records, np.load(file)["records"])
    worst = max(found.values())
    latency = "constant latency" if history is None else "interpolated latency"
    wrong = {name: value for name, value in found.items() if value > TOLERANCE}
    return Figure(
        section="same decisions",
        name=f"{side.instrument.name}, {quoting.name}, {latency}: largest difference over {len(records)} records",
        value=worst,
        unit=", ".join(wrong) if wrong else "absolute",
        maximum=TOLERANCE,
    )


def history_of(side: ours.Side, folder: Path) -> Path:
    """Order latencies made of the feed's: one a second, there and back as long as the feed takes."""
    events = side.events[side.events["flags"] & 3 == 3]
    picked = events[np.unique(events["ts_local_ns"] // HISTORY_STEP_NS, return_index=True)[1]]
    delay = np.maximum(picked["ts_local_ns"] - picked["ts_exch_ns"], 1)
    request = picked["ts_local_ns"]
    rows = np.stack([request, request + delay, request + 2 * delay], axis=1)
    rows = rows[np.append(True, np.diff(rows[:, 0]) > 0)]
    path = folder / "history.npz"
    np.savez_compressed(path, history=rows)
    return path


def race(side: ours.Side, quoting: Quoting, rival: Rival, pairs: int) -> list[Figure]:
    """Interleaved pairs of the event loops, and of ours with the columns made first."""
    theirs, loops, columns = [], [], []
    for _ in range(pairs):
        theirs += rival.ask(**request_of(side, quoting))["seconds"]
        replay = ours.replay_of(side, quoting)
        start = time.perf_counter()
        ours.run_once(replay)
        loops.append(time.perf_counter() - start)
        start = time.perf_counter()
        ours.columns(side)
        columns.append(time.perf_counter() - start)
    label = f"{side.instrument.name}, {quoting.name}"
    loop_ratio = median([other / mine for other, mine in zip(theirs, loops, strict=True)])
    both = [mine + column for mine, column in zip(loops, columns, strict=True)]
    both_ratio = median([other / mine for other, mine in zip(theirs, both, strict=True)])
    section = "event loop against hftbacktest"
    instrument = side.instrument
    return [
        Figure(section, f"{label}: hftbacktest", median(theirs) * MS, "ms"),
        Figure(section, f"{label}: hlhft", median(loops) * MS, "ms"),
        Figure(section, f"{label}: ratio", loop_ratio, "x", minimum=instrument.loop_ratio_min, gate=1.2),
        Figure(
            section,
            f"{label}: ratio with the one-off columns",
            both_ratio,
            "x",
            minimum=instrument.with_columns_ratio_min,
            gate=1.0,
        ),
    ]


def by_default(side: ours.Side, runs: int) -> Figure:
    """The product's own default on the same events, to set beside the comparison."""
    elapsed = []
    for _ in range(runs):
        replay = ours.default_replay(side)
        start = time.perf_counter()
        ours.run_once(replay)
        elapsed.append(time.perf_counter() - start)
    name = (
        f"{side.instrument.name}: hlhft's own default (GLFT at every message, all features, risk, Hyperliquid's rules)"
    )
    return Figure("event loop against hftbacktest", name, median(elapsed) * MS, "ms")


def duel(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    figures = []
    chosen: tuple[Instrument, ...] = INSTRUMENTS[:1] if short else INSTRUMENTS
    with tempfile.TemporaryDirectory() as name, Rival() as rival:
        folder = Path(name)
        for instrument in chosen:
            events = convert(instrument, recordings / "binance" / instrument.file, folder)
            side = ours.load_side(instrument, events)
            rival.ask(load=str(events))
            history = history_of(side, folder)
            for quoting in STRATEGIES:
                figures.append(equality(side, quoting, rival, folder, None))
                figures.append(equality(side, quoting, rival, folder, history))
                figures += race(side, quoting, rival, 5 if short else 15)
            figures.append(by_default(side, 3 if short else 7))
    return figures
