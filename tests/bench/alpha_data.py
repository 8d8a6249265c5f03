"""Datasets: how fast recorded books become labelled rows, and windows are gathered for training."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.prepare import prepare
from hlhft.alpha.schema import FeatureSchema
from tests.bench.figures import Figure, median

SECTION = "datasets"
RECORDING = "hyperliquid/l2_trades_bbo_20250904"  # 35 minutes of four coins
LABELS = (
    LabelSpec(name="barrier", kind="barrier", horizon_ms=10_000, cost_bp=1.5),
    LabelSpec(name="window", kind="window", from_ms=300, horizon_ms=500),
    LabelSpec(name="markout", kind="markout", horizon_ms=5_000),
)
BATCH, LENGTH = 256, 100
REPEATS, REPEATS_SHORT = 5, 2


def data(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section's figures; none without recordings."""
    if recordings is None:
        print("NOT MEASURED: datasets are built from recordings, and HLHFT_RECORDINGS names none")
        return []
    schema = FeatureSchema()
    rates = []
    with tempfile.TemporaryDirectory() as scratch:
        for repeat in range(REPEATS_SHORT if short else REPEATS):
            began = time.perf_counter()
            found = prepare(
                recordings / RECORDING,
                schema=schema,
                labels=LABELS,
                profile="recorded",
                cache=Path(scratch, str(repeat)),
            )
            rates.append(len(found) / (time.perf_counter() - began))
        ends = np.random.default_rng(1).permutation(found.ends(slice(None), LENGTH))
        began = time.perf_counter()
        batches = [ends[first : first + BATCH] for first in range(0, len(ends) - BATCH, BATCH)][: 40 if short else 200]
        for batch in batches:
            found.windows(batch, LENGTH)
        gathered = len(batches) * BATCH / (time.perf_counter() - began)
    return [
        Figure(
            SECTION, "rows from a recording to disk, three labels", max(rates), "rows/s", minimum=10_000, gate=3_000
        ),
        Figure(SECTION, "the same, median of all", median(rates), "rows/s"),
        Figure(
            SECTION,
            f"windows of {LENGTH} rows gathered, {schema.columns} features",
            gathered,
            "1/s",
            minimum=20_000,
            gate=5_000,
        ),
    ]
