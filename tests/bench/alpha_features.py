"""The features section of `make bench-alpha`: what a row of model features costs the engine's process, and a recording
offline.

An engine computes its rows in its own process, after the order bytes have left, so what is measured is the call that it
makes: from Python, frame by frame, over a stream in which every frame changes the book. Recorded books are used where
there are any, and books made up here in any case.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

import numpy as np

from hlhft.alpha.features import Features
from hlhft.alpha.labels import LabelSpec, label
from hlhft.alpha.rows import feature_rows
from hlhft.alpha.schema import FeatureSchema
from hlhft.core.brain import Brain
from hlhft.core.state import LIMITS_DTYPE, BookKind
from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import Market
from tests.bench.figures import Figure, median

SECTION = "features"
LEVELS = 20
MAXIMUM_US = 20.0  # an event
GATE_US = 40.0
START_NS = 1_756_944_000_000_000_000
RECORDED = "hyperliquid/l2_trades_bbo_20250904"
COIN = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def frames_of(count: int, seed: int = 1) -> list[np.ndarray]:
    """Full books of LEVELS a side that move by ticks and sizes, every third followed by a trade."""
    draw = np.random.default_rng(seed)
    ticks, found = 1_000_000, []
    for place in range(count):
        now_ns = START_NS + place * 50_000_000
        if place % 3 == 2:
            rows = np.zeros(1, EVENT_DTYPE)
            rows["kind"], rows["side"] = int(EventKind.TRADE), 1 - 2 * (place % 2)
            rows["price_ticks"], rows["size_lots"] = ticks, draw.integers(1, 1000)
        else:
            ticks += int(draw.integers(-3, 4))
            rows = np.zeros(2 * LEVELS + 2, EVENT_DTYPE)
            rows["kind"] = int(EventKind.DEPTH_LEVEL)
            rows["kind"][0], rows["kind"][-1] = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
            rows["aux0"][[0, -1]] = LEVELS
            rows["side"][1 : LEVELS + 1], rows["side"][LEVELS + 1 : -1] = 1, -1
            rows["price_ticks"][1 : LEVELS + 1] = ticks - np.arange(LEVELS)
            rows["price_ticks"][LEVELS + 1 : -1] = ticks + 1 + np.arange(LEVELS)
            rows["size_lots"][1:-1] = draw.integers(1, 100_000, 2 * LEVELS)
        rows["ts_exch_ns"] = rows["ts_local_ns"] = now_ns
        rows["flags"][-1] = int(EventFlag.FRAME_END)
        found.append(rows)
    return found


def call_us(frames: list[np.ndarray], schema: FeatureSchema) -> np.ndarray:
    """Microseconds of each call that made a row, garbage collection off as in an engine."""
    limits = np.zeros(1, LIMITS_DTYPE)
    brain = Brain(COIN.record(), limits)
    brain.data.books["kind"] = int(BookKind.SNAPSHOT)
    features = Features(schema, brain)
    taken = []
    gc.disable()
    try:
        for rows in frames:
            brain.step(rows, len(rows))
            began = time.perf_counter_ns()
            made = features.update(rows, len(rows))
            ended = time.perf_counter_ns()
            if made:
                taken.append((ended - began) / 1e3)
    finally:
        gc.enable()
    return np.array(taken[len(taken) // 10 :])


def offline_rows_per_s(folder: Path, *, short: bool) -> float:
    """Rows a second from a recording on disk, reading included."""
    source = open_source(folder)
    end_ns = None
    if short:
        end_ns = int(next(source.chunks(1))["ts_local_ns"][0]) + 120_000_000_000
    rows, began = 0, time.perf_counter()
    for heads, _ in feature_rows(source, FeatureSchema(), profile="2026", end_ns=end_ns):
        rows += len(heads)
    return rows / (time.perf_counter() - began)


def labels_per_s(count: int) -> float:
    """Triple-barrier labels a second of one long segment, horizon 30 s of rows each 50 ms."""
    draw = np.random.default_rng(2)
    ts_ns = START_NS + np.cumsum(draw.integers(1, 100_000_000, count))
    price = 1e6 + np.cumsum(draw.normal(0.0, 3.0, count))
    ones = np.ones(count)
    spec = LabelSpec(name="x", horizon_ms=30_000, width=1.0, cost_bp=1.0)
    label(spec, ts_ns[:100], price[:100], ones[:100], ones[:100])
    began = time.perf_counter()
    label(spec, ts_ns, price, ones, ones)
    return count / (time.perf_counter() - began)


def features(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The figures of this section."""
    frames = frames_of(3_000 if short else 30_000)
    found = []
    for levels in (5, LEVELS):
        name = f"model features of a frame, {levels} levels"
        runs = [call_us(frames, FeatureSchema(levels=levels)) for _ in range(3)]
        middle, high = (
            median([float(np.median(run)) for run in runs]),
            median([float(np.quantile(run, 0.99)) for run in runs]),
        )
        found.append(Figure(SECTION, f"{name}, median", middle, "us", maximum=MAXIMUM_US, gate=GATE_US))
        found.append(Figure(SECTION, f"{name}, 99th percentile", high, "us"))
    found.append(Figure(SECTION, "triple-barrier labels", labels_per_s(20_000 if short else 1_000_000), "rows/s"))
    if recordings is not None:
        rate = offline_rows_per_s(recordings / RECORDED, short=short)
        found.append(Figure(SECTION, "rows of recorded books of four coins, feed of 2026, from disk", rate, "rows/s"))
    return found
