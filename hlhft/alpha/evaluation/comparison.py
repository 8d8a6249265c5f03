"""The test of Diebold and Mariano (1995): whether two models' losses differ beyond chance.

Labels overlap and coins move together, so losses are no independent draws. The differences are added up by cell of
time, with all coins in it, and the variance of their mean is that of Newey and West (1987) over cells, as Driscoll and
Kraay (1998) do for panels; the statistic is held against Student's t with the correction of Harvey, Leybourne and
Newbold (1997).
"""

from __future__ import annotations

import math

import numpy as np

from hlhft.alpha.evaluation.result import DieboldMariano
from hlhft.alpha.evaluation.rows import Cells


def diebold_mariano(difference: np.ndarray, cells: Cells) -> DieboldMariano | None:
    """Of float64[n] loss differences, subject less rival; None where there are no two blocks of time to tell.

    Differences that are all the same have statistic 0 and p-value 1: nothing varies to hold their mean against.
    """
    lags = cells.a_block
    if cells.cells < 2 * lags or cells.cells < 3:
        return None
    from scipy.stats import t

    n = len(difference)
    mean = float(difference.mean())
    summed = np.bincount(cells.cell, weights=difference - mean, minlength=cells.cells)
    variance = newey_west(summed, lags) / n**2
    if variance <= 0.0:
        return DieboldMariano(statistic=0.0, p_value=1.0, cells=cells.cells, lags=lags)
    ahead = lags + 1
    size = cells.cells
    correction = max(0.0, (size + 1 - 2 * ahead + ahead * (ahead - 1) / size) / size)
    statistic = mean / math.sqrt(variance) * math.sqrt(correction)
    p_value = float(2.0 * t.sf(abs(statistic), size - 1))
    return DieboldMariano(statistic=statistic, p_value=p_value, cells=size, lags=lags)


def newey_west(values: np.ndarray, lags: int) -> float:
    """Long-run variance of the sum of float64[c] deviations: Bartlett's weights over `lags` neighbours; not below 0."""
    total = float(values @ values)
    for lag in range(1, min(lags, len(values) - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(values[lag:] @ values[:-lag])
    return max(0.0, total)
