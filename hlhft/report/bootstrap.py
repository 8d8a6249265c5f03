"""How far a mean may be off: a block bootstrap, and a band that holds for all markets looked at.

Fills that come together share their future, so whole blocks of time are drawn again and not fills. The draws come from
a fixed seed: the same data give the same band. Pure.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

DRAWS = 2_000
SEED = 20_250_904
BLOCKS_MIN = 6  # of fewer, nothing is said
BLOCKS_MAX = 512  # of more, neighbours are put together: blocks become longer, never fewer than half of this
_CONFIDENCE = 0.95

Floats = NDArray[np.float64]


def ratio_error(gains: Floats, weights: Floats) -> float | None:
    """The standard error of sum(gains) / sum(weights), both by block, float64[B] in order of time.

    None with fewer than BLOCKS_MIN blocks of any weight. Drawing B of B blocks shows B - 1 of B parts of the variance:
    that is made good.
    """
    used = weights > 0.0
    gains, weights = _joined(gains[used]), _joined(weights[used])
    blocks = len(weights)
    if blocks < BLOCKS_MIN:
        return None
    drawn = np.random.default_rng(SEED).integers(0, blocks, (DRAWS, blocks))
    ratios = gains[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    return float(ratios.std()) * math.sqrt(blocks / (blocks - 1))


def _joined(values: Floats) -> Floats:
    """The sums of so many neighbours each that at most BLOCKS_MAX are left."""
    size = -(-len(values) // BLOCKS_MAX)
    return values if size <= 1 else np.add.reduceat(values, np.arange(0, len(values), size))


def blocks_used(weights: Floats) -> int:
    """How many blocks `ratio_error` draws from."""
    return len(_joined(weights[weights > 0.0]))


def band_factor(blocks: int, claims: int) -> float:
    """How many standard errors a band reaches to either side, so that all of `claims` bands hold at once with 95 %.

    The best of many markets looks good by luck alone: the more are looked at, the wider each band (Bonferroni). From
    Student's distribution with blocks - 1 degrees of freedom, because the error itself is known from so many blocks
    only. `blocks` is at least BLOCKS_MIN, `claims` at least 1.
    """
    assert blocks >= BLOCKS_MIN, "fewer blocks have no error"
    assert claims >= 1, "a band is of at least one claim"
    tail = (1.0 - _CONFIDENCE) / (2 * claims)
    return student_quantile(-NormalDist().inv_cdf(tail), blocks - 1)


def student_quantile(normal: float, freedom: int) -> float:
    """The quantile of Student's distribution where the normal one's is `normal` >= 0: within 1 % below 3 from
    `freedom` 5 on, and larger than it always. Abramowitz and Stegun, 26.7.5."""
    x, n = normal, float(freedom)
    first = (x**3 + x) / 4
    second = (5 * x**5 + 16 * x**3 + 3 * x) / 96
    third = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
    fourth = (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160
    return x + first / n + second / n**2 + third / n**3 + fourth / n**4
