"""What independent samples say of their mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A mean, and the ends of its interval."""

    mean: float
    low: float
    high: float


def interval(samples: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's interval of the mean; of a single sample there is none, so that its ends are the sample."""
    mean = float(np.mean(samples))
    if len(samples) < 2:
        return Interval(mean, mean, mean)
    reach = float(stats.sem(samples) * stats.t.ppf(0.5 + confidence / 2.0, len(samples) - 1))
    return Interval(mean, mean - reach, mean + reach)
