"""Small datasets for tests: a random walk with features that know a little of what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hlhft.alpha.dataset import Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.schema import FLAG_VALID, ROW_DTYPE, FeatureSchema

SECOND_NS = 1_000_000_000
START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01T00:00:00Z
SCHEMA = FeatureSchema(levels=1, half_life_ms=640)
LABELS = (
    LabelSpec(name="short", kind="window", horizon_ms=1_000),
    LabelSpec(name="long", kind="barrier", horizon_ms=4_000),
)


def heads_at(ts_ns: NDArray[np.int64]) -> np.ndarray:
    """Valid rows at these times."""
    heads = np.zeros(len(ts_ns), ROW_DTYPE)
    heads["ts_exch_ns"], heads["ts_local_ns"] = ts_ns - 10_000_000, ts_ns
    heads["sequence"], heads["flags"] = np.arange(1, len(ts_ns) + 1), FLAG_VALID
    heads["mid_ticks"] = heads["micro_ticks"] = 1_000.0
    heads["half_spread_ticks"], heads["sigma_bp"] = 0.5, 1.0
    return heads


def labels_of(
    rng: np.random.Generator, ts_ns: NDArray[np.int64], horizons_ms: Sequence[int], *, missing: float = 0.0
) -> LabelColumns:
    """Random classes that end within their horizon; those that would pass the segment's end, and some more, are
    none."""
    count, width = len(ts_ns), len(horizons_ms)
    lives = np.array([rng.integers(1, horizon_ms + 1, count) for horizon_ms in horizons_ms]).T * 1_000_000
    end_ns = ts_ns[:, None] + lives
    classes = rng.integers(0, 3, (count, width)).astype(np.int8)
    classes[(end_ns > ts_ns[-1]) | (rng.random((count, width)) < missing)] = -1
    end_ns[classes < 0] = -1
    return LabelColumns(classes, end_ns, (classes - 1).astype(np.float32), np.ones((count, width), np.float32))


def write(
    folder: Path,
    segments: Sequence[tuple[str, NDArray[np.int64]]],
    *,
    seed: int = 1,
    missing: float = 0.0,
    schema: FeatureSchema = SCHEMA,
    test_from_ns: int | None = None,
) -> Dataset:
    """A dataset of segments, each a coin and the times of its rows."""
    rng = np.random.default_rng(seed)
    coins = list(dict.fromkeys(coin for coin, _ in segments))
    with DatasetWriter(
        folder, name="made", key="k" * 32, schema=schema, labels=LABELS, coins=coins, sources=["made"],
        test_from_ns=test_from_ns,
    ) as writer:  # fmt: skip
        for coin, ts_ns in sorted(segments, key=lambda segment: coins.index(segment[0])):
            values = rng.standard_normal((len(ts_ns), schema.columns)).astype(np.float32)
            horizons_ms = [label.horizon_ms for label in LABELS]
            writer.append(coin, heads_at(ts_ns), values, labels_of(rng, ts_ns, horizons_ms, missing=missing))
        return writer.finish()


def every(step_ns: int, count: int, start_ns: int = START_NS) -> NDArray[np.int64]:
    """Times, each `step_ns` after the one before."""
    return start_ns + step_ns * np.arange(count, dtype=np.int64)
