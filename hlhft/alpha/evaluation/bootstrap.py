"""Intervals by a moving-block bootstrap of time: what else could have come, had the same stretches come in other order.

Blocks are as long as `rows.cut` says, begin anywhere and go round (Politis and Romano 1992), so that every cell counts
alike. All models and metrics see the same resamples: a difference of two models is one of pairs.
"""

from __future__ import annotations

import numpy as np

from hlhft.alpha.evaluation.result import Measured
from hlhft.alpha.evaluation.rows import BLOCKS_MIN, Cells

RESAMPLES = 1000
RESAMPLES_MAX = 10_000
CONFIDENCE = 0.95
UNDEFINED_MAX = 0.05  # of the resamples; where a metric is undefined more often, its interval is unknown
_TOO_FEW = f"an interval takes {BLOCKS_MIN} blocks of time, and there are fewer"
_OFTEN_UNDEFINED = "too many resamples leave it undefined for an interval"


def weights(cells: Cells, *, resamples: int = RESAMPLES, seed: int) -> np.ndarray:
    """float64[resamples, cells]: how often each cell stands in each resample; no row when the blocks are too few.

    Raises ValueError for more than RESAMPLES_MAX resamples.
    """
    if not 1 <= resamples <= RESAMPLES_MAX:
        raise ValueError(f"{resamples} resamples: give 1 to {RESAMPLES_MAX}")
    if not cells.blocks:
        return np.zeros((0, cells.cells))
    generator = np.random.default_rng(seed)
    drawn = -(-cells.cells // cells.a_block)
    found = np.zeros((resamples, cells.cells))
    for row in found:
        starts = np.bincount(generator.integers(0, cells.cells, drawn), minlength=cells.cells)
        # A block that begins at s covers s .. s + a_block - 1, beyond the end from the beginning.
        around = np.concatenate([starts[cells.cells - cells.a_block + 1 :], starts])
        running = np.concatenate([[0], np.cumsum(around)])
        row[:] = running[cells.a_block :] - running[: -cells.a_block]
    return found


def measured(value: float, resampled: np.ndarray, *, confidence: float = CONFIDENCE, why: str = "") -> Measured:
    """The figure with the percentile interval of its resamples, float64[B]; `why` is said when it is NaN."""
    if not np.isfinite(value):
        return Measured(value=None, why=why or "it is not defined here")
    if not len(resampled):
        return Measured(value=float(value), why=_TOO_FEW)
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < (1.0 - UNDEFINED_MAX) * len(resampled):
        return Measured(value=float(value), why=_OFTEN_UNDEFINED)
    low, high = np.quantile(defined, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Measured(value=float(value), low=float(low), high=float(high))
