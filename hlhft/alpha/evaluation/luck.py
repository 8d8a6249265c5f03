"""How much of a result is luck, given how many were tried: all three looks are from the kept library purgedcv.

- the deflated Sharpe ratio (Bailey and Lopez de Prado 2014) of what the signal made after costs, against the best that
  as many trials without skill are expected to reach;
- the probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado
  and Zhu 2017) over everything that was tried;
- the least length of a record that would carry such a ratio.

Returns are what a signal made by stretch of time, in bp; stretches where nothing was done count with 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hlhft.alpha.evaluation.result import Measured, Trials

CONFIDENCE = 0.95
RETURNS_MIN = 10
HALVES = 8  # parts of the time: 70 ways to halve it
_NO_RETURNS = "the signal was never acted on, or always made the same"
_WILD = "what it made is too wild for the distribution of the ratio"


def luck(returns: np.ndarray, rivals: np.ndarray, trial_sharpes: Sequence[float]) -> Trials:
    """The looks at the subject's float64[T] returns.

    `rivals` are float64[K, T] returns of everything else that was evaluated on the same time; `trial_sharpes` the ratio
    of every trial in the log, in their order, this one's included, NaN for one that has none. Raises
    ModuleNotFoundError when purgedcv is missing.
    """
    sharpes = np.asarray([one for one in trial_sharpes if math.isfinite(one)], dtype=np.float64)
    logged = max(1, len(trial_sharpes))
    # A trial that was never scored may have been anything: it counts as one of its own.
    effective = max(1, (effective_trials(sharpes) if len(sharpes) else 0) + len(trial_sharpes) - len(sharpes))
    spread = float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0
    deflated, needed = _deflated(returns, effective, spread)
    return Trials(
        logged=logged,
        effective=effective,
        deflated=deflated,
        overfitting=overfitting(np.concatenate([returns[None, :], rivals]) if len(rivals) else returns[None, :]),
        samples_needed=needed,
    )


def effective_trials(sharpes: np.ndarray) -> int:
    """As many independent trials as these float64[k] ratios, k > 0, in the order of the search, are worth: 1 to k."""
    from purgedcv import effective_n_trials

    return int(effective_n_trials(sharpes))


def sharpe(returns: np.ndarray) -> float:
    """Mean over standard deviation of float64[T], per stretch; 0 where nothing varies: not to act is a trial too."""
    deviation = float(returns.std()) if len(returns) else 0.0
    return float(returns.mean()) / deviation if deviation > 0.0 else 0.0


def _deflated(returns: np.ndarray, trials: int, spread: float) -> tuple[Measured, Measured]:
    if len(returns) < RETURNS_MIN:
        why = f"it takes {RETURNS_MIN} stretches of time, and there are {len(returns)}"
        return Measured(value=None, why=why), Measured(value=None, why=why)
    if not np.ptp(returns):
        return Measured(value=None, why=_NO_RETURNS), Measured(value=None, why=_NO_RETURNS)
    from purgedcv import deflated_sharpe_ratio_full, min_track_record_length

    try:
        full = deflated_sharpe_ratio_full(returns, trials, spread)
        needed = min_track_record_length(
            full.observed_sr, full.sr_star, alpha=1.0 - CONFIDENCE, skew=full.skew, kurtosis=full.kurt
        )
    except ValueError:
        # purgedcv: the moments leave the ratio's distribution no variance.
        return Measured(value=None, why=_WILD), Measured(value=None, why=_WILD)
    if not math.isfinite(needed):
        never = "its ratio is below what luck gives, so no length is enough"
        return Measured(value=float(full.dsr)), Measured(value=None, why=never)
    return Measured(value=float(full.dsr)), Measured(value=float(needed))


def overfitting(returns: np.ndarray) -> Measured:
    """The probability over float64[K, T] returns of K candidates."""
    if len(returns) < 2:
        return Measured(value=None, why="there is one candidate only")
    if returns.shape[1] < HALVES * RETURNS_MIN:
        why = f"it takes {HALVES * RETURNS_MIN} stretches of time, and there are {returns.shape[1]}"
        return Measured(value=None, why=why)
    if not np.ptp(returns, axis=1).any():
        return Measured(value=None, why=_NO_RETURNS)
    from purgedcv import probability_of_backtest_overfitting

    return Measured(value=float(probability_of_backtest_overfitting(returns, HALVES, metric=np.mean).pbo))
