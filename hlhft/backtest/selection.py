"""Which set to believe, honestly: chosen on the earlier part, judged on the later, and deflated by how many were tried.

The best of many sets looks good by luck alone. So there are three looks at it, all from the kept library purgedcv:

- walk-forward: at each of several points in time the set with the highest profit so far is chosen, and what it made
  from there to the next point counts; an embargo before each point keeps what straddles it out of the choice;
- the deflated Sharpe ratio (Bailey and Lopez de Prado 2014): the probability that the chosen set's true ratio exceeds
  what the best of as many sets without any skill is expected to reach;
- the probability of backtest overfitting (Bailey, Borwein, Lopez de Prado and Zhu 2017): how often the set that is best
  on one half of the time is below the median on the other.

Sets are compared by profit. The deflation assumes a choice by Sharpe ratio, which no choice by profit beats, so it is
strict. Each set ran once over the whole recording: a later part begins with the position that the set then had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from hlhft.report.metrics import CLAIM_NS_MIN
from hlhft.report.numbers import count, duration, money, percent
from hlhft.units import MICRO

FOLDS = 3
EMBARGO_SHARE = 50  # without another word, a fiftieth of the recording is left out before each point
BLOCKS = 8  # of the probability of overfitting: 70 ways to halve the time
CONFIDENCE = 0.95
RETURNS_MIN = 10  # a part with fewer samples is not looked at


class Verdict(StrEnum):
    """What the selection comes to."""

    CANNOT_TELL = "cannot tell"
    LUCK = "luck explains it"
    HOLDS = "holds so far"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One step forward: a set chosen before `from_ns`, judged on what it made until `until_ns`."""

    row: int  # the set's place among the profits
    from_ns: int
    until_ns: int
    earlier_profit_micro: int  # what it was chosen for
    profit_micro: int  # what it then made
    median_profit_micro: int  # what the sets made in the median
    rank: int  # of its later profit among all sets, 1 the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflated:
    """The best set's Sharpe ratio against luck; all per sample."""

    probability: float  # that the true ratio exceeds `luck`
    sharpe: float
    luck: float  # what the best of the trials is expected to reach without skill
    skew: float
    kurtosis: float
    samples_needed: float | None  # for CONFIDENCE, were it to go on like this; None: no number is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choice among K sets in one fee scenario. None is what the data do not allow to say."""

    verdict: Verdict
    sentence: str
    remarks: tuple[str, ...]
    best: int  # row with the highest profit over all of it
    best_profit_micro: int
    profitable: int  # sets that made money
    sets: int
    trials: int  # sets, and those tried before
    complete: bool  # every set is among them
    span_ns: int
    interval_ns: int
    embargo_ns: int
    folds: tuple[Fold, ...]
    deflated: Deflated | None
    overfitting: float | None  # probability

    def plain(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @property
    def later_profit_micro(self) -> int:
        """What the choices made on the parts they were not chosen on."""
        return sum(fold.profit_micro for fold in self.folds)


def select(
    profit_micro: np.ndarray,
    *,
    start_ns: int,
    interval_ns: int,
    capital_micro: int,
    times_ns: np.ndarray | None = None,
    earlier_trials: int = 0,
    folds: int = FOLDS,
    embargo_ns: int | None = None,
    complete: bool = True,
) -> Selection:
    """Selects among int64[K, T] sampled profits, K >= 1, T >= 1, each `interval_ns` after the one before.

    The first is one interval after `start_ns`, when nothing had been made; `times_ns`, int64[T] ascending, says when
    each is, where there are gaps. `earlier_trials` counts sets that were tried on the same data before; `embargo_ns`
    None is an EMBARGO_SHARE-th of the whole; `complete` says whether every set is among them. Raises
    ModuleNotFoundError when purgedcv is not installed.
    """
    assert profit_micro.ndim == 2 and min(profit_micro.shape) >= 1 and interval_ns > 0 and capital_micro > 0
    if times_ns is None:
        times_ns = start_ns + interval_ns * np.arange(1, profit_micro.shape[1] + 1)
    span_ns = interval_ns * len(times_ns)
    embargo_ns = span_ns // EMBARGO_SHARE if embargo_ns is None else embargo_ns
    changes = np.diff(profit_micro, axis=1, prepend=0)
    best = int(np.argmax(profit_micro[:, -1]))
    trials = len(profit_micro) + earlier_trials
    returns = changes / capital_micro
    found = _walk_forward(changes, times_ns, interval_ns, folds, embargo_ns)
    deflated = _deflated(returns, best, trials)
    best_micro = int(profit_micro[best, -1])
    selection = Selection(
        verdict=_verdict(span_ns, complete, found, deflated),
        sentence="",
        remarks=(),
        best=best,
        best_profit_micro=best_micro,
        profitable=int((profit_micro[:, -1] > 0).sum()),
        sets=len(profit_micro),
        trials=trials,
        complete=complete,
        span_ns=span_ns,
        interval_ns=interval_ns,
        embargo_ns=embargo_ns,
        folds=found,
        deflated=deflated,
        overfitting=_overfitting(returns),
    )
    return replace(selection, sentence=_sentence(selection), remarks=tuple(_remarks(selection)))


def _walk_forward(
    changes: np.ndarray, times_ns: np.ndarray, interval_ns: int, folds: int, embargo_ns: int
) -> tuple[Fold, ...]:
    """Equal parts, one more than `folds`: each but the first is judged by what was chosen before it."""
    size = len(times_ns) // (folds + 1)
    if size < RETURNS_MIN:
        return ()
    from purgedcv import WalkForwardSplit

    # A sample is known at its end; its change in equity began one interval before.
    splitter = WalkForwardSplit(
        n_splits=folds,
        test_size=size,
        prediction_times=(times_ns - interval_ns).astype("datetime64[ns]"),
        evaluation_times=times_ns.astype("datetime64[ns]"),
        purge_horizon=np.timedelta64(embargo_ns, "ns"),
    )
    found = []
    for earlier, later in splitter.split(np.zeros((len(times_ns), 1))):
        if len(earlier) < RETURNS_MIN:
            continue
        before, after = changes[:, earlier].sum(axis=1), changes[:, later].sum(axis=1)
        row = int(np.argmax(before))
        found.append(
            Fold(
                row=row,
                from_ns=int(times_ns[later[0]]) - interval_ns,
                until_ns=int(times_ns[later[-1]]),
                earlier_profit_micro=int(before[row]),
                profit_micro=int(after[row]),
                median_profit_micro=int(np.median(after)),
                rank=1 + int((after > after[row]).sum()),
            )
        )
    return tuple(found)


def _sharpe(returns: np.ndarray) -> np.ndarray:
    """Each row's mean over its standard deviation, 0 where nothing varies: not to trade is a trial too."""
    deviation = returns.std(axis=1)
    ratios: np.ndarray = np.divide(returns.mean(axis=1), deviation, out=np.zeros(len(returns)), where=deviation > 0)
    return ratios


def _deflated(returns: np.ndarray, best: int, trials: int) -> Deflated | None:
    """None when the best set's returns are too few, do not vary, or are too wild for the ratio's distribution."""
    own = returns[best]
    if len(own) < RETURNS_MIN or not np.ptp(own):
        return None
    from purgedcv import deflated_sharpe_ratio_full, min_track_record_length

    ratios = _sharpe(returns)
    spread = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    try:
        full = deflated_sharpe_ratio_full(own, trials, spread)
        needed = min_track_record_length(
            full.observed_sr, full.sr_star, alpha=1.0 - CONFIDENCE, skew=full.skew, kurtosis=full.kurt
        )
    except ValueError:
        return None  # purgedcv: the moments leave the ratio's distribution no variance
    return Deflated(
        probability=full.dsr,
        sharpe=full.observed_sr,
        luck=full.sr_star,
        skew=full.skew,
        kurtosis=full.kurt,
        samples_needed=float(needed) if math.isfinite(needed) else None,
    )


def _overfitting(returns: np.ndarray) -> float | None:
    """None for one set, or for too few samples to halve."""
    if len(returns) < 2 or returns.shape[1] < BLOCKS * RETURNS_MIN:
        return None
    from purgedcv import probability_of_backtest_overfitting

    return float(probability_of_backtest_overfitting(returns, BLOCKS, metric=np.mean).pbo)


def _verdict(span_ns: int, complete: bool, folds: Sequence[Fold], deflated: Deflated | None) -> Verdict:
    if span_ns < CLAIM_NS_MIN or not complete or not folds or deflated is None:
        return Verdict.CANNOT_TELL
    if sum(fold.profit_micro for fold in folds) > 0 and deflated.probability >= CONFIDENCE:
        return Verdict.HOLDS
    return Verdict.LUCK


def _sentence(found: Selection) -> str:
    if found.verdict is Verdict.HOLDS:
        return "It holds so far: the choice made money on data it was not chosen on, and luck alone hardly explains it."
    if found.verdict is Verdict.LUCK:
        return f"Do not believe it: luck explains what the best of {count(found.trials)} tries made."
    if found.span_ns < CLAIM_NS_MIN:
        given, least = duration(found.span_ns), duration(CLAIM_NS_MIN)
        return f"Cannot tell: {given} of data are far too little to choose a set by; it takes {least} at least."
    if not found.complete:
        return "Cannot tell: the sweep was interrupted, and a set that is missing may be better."
    return "Cannot tell: the best set's profit hardly varies, so there is nothing to judge."


def _remarks(found: Selection) -> list[str]:
    made = f"{money(found.best_profit_micro / MICRO)} USDC"
    if found.sets == 1:
        remarks = [f"The one set made {made} here."]
    elif found.profitable:
        remarks = [f"The best of {count(found.sets)} sets made {made} here, and {count(found.profitable)} made money."]
    else:
        remarks = [f"None of the {count(found.sets)} sets made money here, the best {made}."]
    if found.folds:
        later, median = found.later_profit_micro / MICRO, sum(one.median_profit_micro for one in found.folds) / MICRO
        times = count(len(found.folds))
        remarks.append(
            f"Chosen on what came before and judged on what came next, {times} times over, the choice made "
            f"{money(later)} USDC and the median set {money(median)} USDC."
        )
    if found.deflated is not None:
        remarks += _deflated_remarks(found, found.deflated)
    if found.overfitting is not None:
        remarks.append(
            f"In {percent(found.overfitting, 0)} of the ways to halve the time, the best set of one half was below "
            "the median in the other."
        )
    return remarks


def _deflated_remarks(found: Selection, deflated: Deflated) -> list[str]:
    probability, tries = percent(deflated.probability), count(found.trials)
    said = f"With {probability} probability the best set's true Sharpe ratio exceeds what the best of {tries} tries"
    remarks = [f"{said} without skill would show."]
    if deflated.samples_needed is None:
        remarks.append("Its ratio is below what luck alone gives, so more of the same would show no skill.")
    elif deflated.probability < CONFIDENCE:
        needed = duration(math.ceil(deflated.samples_needed) * found.interval_ns)
        remarks.append(f"Were it to go on like this, {needed} would be needed for {percent(CONFIDENCE, 0)}.")
    return remarks
