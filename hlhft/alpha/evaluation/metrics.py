"""The metrics: what each adds up by cell of time, and the figure that the sums give.

Every metric is two pure functions, so that the figure of all rows and that of any resample come from the same lines:
`sums(truth, calls) -> float64[cells, S]` and `value(sums) -> float64[...]` over the last axis, NaN where it is not
defined (the callers turn that into None and a sentence). Conventions where sums are degenerate: MCC is 0 when nothing
varies; macro-F1 is the mean over the classes that occur in the truth or are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hlhft.alpha.evaluation.rows import CLASSES, DOWN, FLAT, UP, Calls, Truth
from hlhft.alpha.evaluation.trips import round_trips
from hlhft.alpha.labels import passive_edge_bp

BINS = 15  # of the calibration error, of equal mass
AUC_BINS = 128  # scores are told apart so finely in resamples; the figure itself is exact
P_MIN = 1e-7  # a probability of zero for what came costs 16 nats: float32 knows no finer one beside 1

Sums = Callable[[Truth, Calls], np.ndarray]
Value = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `better` is 1 where more is better, -1 where less is, 0 where it only describes."""

    name: str
    title: str
    better: int
    decimals: int
    sums: Sums
    value: Value
    why_undefined: str = ""
    exact: Callable[[Truth, Calls], float] | None = None  # where `value` of all sums is only near


def by_cell(truth: Truth, *columns: np.ndarray) -> np.ndarray:
    """float64[cells, S] sums of S columns of n rows."""
    sums = [np.bincount(truth.cell, weights=column, minlength=truth.cells) for column in columns]
    return np.stack(sums, axis=1) if sums else np.zeros((truth.cells, 0))


def counts(truth: Truth, codes: np.ndarray, size: int, weights: np.ndarray | None = None) -> np.ndarray:
    """float64[cells, size]: how often each code 0..size-1 stands in each cell, or the weights' sum."""
    flat = np.bincount(truth.cell * size + codes, weights=weights, minlength=truth.cells * size)
    found: np.ndarray = flat.reshape(truth.cells, size).astype(np.float64)
    return found


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    found: np.ndarray = np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
    return found


# Classes named.


def _confusion(truth: Truth, calls: np.ndarray) -> np.ndarray:
    return counts(truth, truth.classes.astype(np.int64) * CLASSES + calls.astype(np.int64), CLASSES * CLASSES)


def _table(sums: np.ndarray) -> np.ndarray:
    """[..., truth, call]"""
    return sums.reshape(*sums.shape[:-1], CLASSES, CLASSES)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """From confusion counts [..., 9], truth before call."""
    table = _table(sums)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    either = table.sum(axis=-1) + table.sum(axis=-2)
    f1 = np.divide(2.0 * right, either, out=np.zeros_like(either), where=either > 0)
    return divided(f1.sum(axis=-1), (either > 0).sum(axis=-1))


def mcc(sums: np.ndarray) -> np.ndarray:
    """The correlation of Gorodkin (2004) for three classes, -1..1; from confusion counts [..., 9]."""
    table = _table(sums)
    total = table.sum(axis=(-2, -1))
    true, called = table.sum(axis=-1), table.sum(axis=-2)
    right = np.diagonal(table, axis1=-2, axis2=-1).sum(axis=-1)
    above = right * total - (true * called).sum(axis=-1)
    below = np.sqrt((total**2 - (true**2).sum(axis=-1)) * (total**2 - (called**2).sum(axis=-1)))
    # What is 0 / 0 says nothing in either direction.
    found: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return np.where(total > 0, found, np.nan)


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Share of rows whose class is the one called."""
    table = _table(sums)
    return divided(np.diagonal(table, axis1=-2, axis2=-1).sum(axis=-1), table.sum(axis=(-2, -1)))


def directional(sums: np.ndarray) -> np.ndarray:
    """Share of the calls of a direction that are right; a flat label makes them wrong."""
    table = _table(sums)
    right = table[..., DOWN, DOWN] + table[..., UP, UP]
    return divided(right, table[..., DOWN].sum(axis=-1) + table[..., UP].sum(axis=-1))


# Probabilities.


def chosen(truth: Truth, calls: Calls) -> np.ndarray:
    """float64[n]: the probability that was given to what came, not below P_MIN."""
    given = np.take_along_axis(calls.p, truth.classes.astype(np.int64)[:, None], axis=1)[:, 0]
    found: np.ndarray = np.maximum(given, P_MIN)
    return found


def nll_rows(truth: Truth, calls: Calls) -> np.ndarray:
    """float64[n]: the negative log-likelihood of each row, nats."""
    found: np.ndarray = -np.log(chosen(truth, calls))
    return found


def _nll(truth: Truth, calls: Calls) -> np.ndarray:
    return by_cell(truth, nll_rows(truth, calls), np.ones(len(truth.classes)))


def _brier(truth: Truth, calls: Calls) -> np.ndarray:
    came = np.eye(CLASSES)[truth.classes]
    return by_cell(truth, ((calls.p - came) ** 2).sum(axis=1), np.ones(len(came)))


def mean(sums: np.ndarray) -> np.ndarray:
    """A sum over how many."""
    return divided(sums[..., 0], sums[..., 1])


def equal_mass(values: np.ndarray, bins: int) -> np.ndarray:
    """int64[n] in 0..bins-1: as equally filled as ties allow; equal values never part."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="lower"))
    return np.searchsorted(edges, values, side="left")


def _ece(truth: Truth, calls: Calls) -> np.ndarray:
    surest = calls.p.max(axis=1)
    right = calls.p.argmax(axis=1) == truth.classes
    bins = equal_mass(surest, BINS)
    ones = np.ones(len(bins))
    return np.concatenate(
        [counts(truth, bins, BINS, weights) for weights in (surest, right.astype(np.float64), ones)], axis=1
    )


def ece(sums: np.ndarray) -> np.ndarray:
    """Mean distance between how sure the model is of its likeliest class and how often it came; [..., 3 x BINS]."""
    said, came, rows = (sums[..., i * BINS : (i + 1) * BINS] for i in range(3))
    return divided(np.abs(said - came).sum(axis=-1), rows.sum(axis=-1))


def _auc(label: int) -> Sums:
    def sums(truth: Truth, calls: Calls) -> np.ndarray:
        bins = equal_mass(calls.p[:, label], AUC_BINS)
        came = (truth.classes == label).astype(np.int64)
        return counts(truth, came * AUC_BINS + bins, 2 * AUC_BINS)

    return sums


def auc(sums: np.ndarray) -> np.ndarray:
    """Probability that a row of the class scores above one that is not of it, ties half; from [..., others, own]."""
    others, own = sums[..., :AUC_BINS], sums[..., AUC_BINS:]
    below = np.cumsum(others, axis=-1) - others
    above = (own * (below + 0.5 * others)).sum(axis=-1)
    return divided(above, own.sum(axis=-1) * others.sum(axis=-1))


def auc_exact(label: int) -> Callable[[Truth, Calls], float]:
    """As `auc` with no two scores thrown together (Mann and Whitney)."""

    def value(truth: Truth, calls: Calls) -> float:
        scores = calls.p[:, label]
        came = truth.classes == label
        own, others = int(came.sum()), int((~came).sum())
        if not own or not others:
            return float("nan")
        _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
        rank = np.cumsum(sizes) - (sizes - 1) / 2.0
        return float((rank[place][came].sum() - own * (own + 1) / 2.0) / (own * others))

    return value


# Money. What a price does is counted from the row's own micro-price, what a deal pays is its fee and half the spread.


def acted(truth: Truth, calls: Calls) -> tuple[np.ndarray, np.ndarray]:
    """int64[n] direction -1, 0, 1 of a deal at once, and float64[n] what it makes after costs, bp of its value.

    A deal is made where the expected move exceeds its cost; its gain is the move to the end of the label less the fee
    and half the spread that it crosses. What leaving the position costs is not in it: this is the most that there is.
    """
    cost = truth.cost_bp + truth.half_spread_bp
    side = np.where(np.abs(calls.mu_bp) > cost, np.sign(calls.mu_bp), 0.0).astype(np.int64)
    return side, np.where(side != 0, side * truth.move_bp - cost, 0.0)


def _gain(truth: Truth, calls: Calls) -> np.ndarray:
    _, gain = acted(truth, calls)
    return by_cell(truth, gain, np.ones(len(gain)))


def _edge(truth: Truth, calls: Calls) -> np.ndarray:
    side, gain = acted(truth, calls)
    return by_cell(truth, gain, (side != 0).astype(np.float64))


def _acted(truth: Truth, calls: Calls) -> np.ndarray:
    side, _ = acted(truth, calls)
    return by_cell(truth, (side != 0).astype(np.float64), np.ones(len(side)))


def passive(truth: Truth, calls: Calls, move_bp: np.ndarray) -> np.ndarray:
    """float64[n]: what a fill at the touch makes on the side that the model leans to, after the fee; NaN without one.

    Bought at the bid it is half the spread and the move less the fee. That it is filled is taken for granted: real
    fills choose the worse moments, so a backtest has the last word.
    """
    side = np.sign(calls.mu_bp)
    bought, sold = passive_edge_bp(move_bp, truth.half_spread_bp, truth.cost_bp)
    made = np.where(side > 0, bought, sold)
    return np.where((side != 0) & np.isfinite(move_bp), made, np.nan)


def _passive(name: str | None) -> Sums:
    def sums(truth: Truth, calls: Calls) -> np.ndarray:
        made = passive(truth, calls, truth.move_bp if name is None else truth.markouts_bp[name])
        is_filled = np.isfinite(made)
        return by_cell(truth, np.where(is_filled, made, 0.0), is_filled.astype(np.float64))

    return sums


def _trips(truth: Truth, calls: Calls) -> np.ndarray:
    opened, right = round_trips(truth.classes, calls.calls, truth.segment)
    ones = np.zeros(len(truth.classes))
    ones[opened] = 1.0
    good = np.zeros(len(truth.classes))
    good[opened] = right
    return by_cell(truth, good, ones)


_AUC = "rows of that class and others are both needed"
_NO_FILL = "it leans to no side, or the recording ends before"
_NEVER = "the expected move never exceeds the cost"


def _named(truth: Truth, calls: Calls) -> np.ndarray:
    return _confusion(truth, calls.calls)


def _balanced(truth: Truth, calls: Calls) -> np.ndarray:
    return _confusion(truth, calls.balanced)


METRICS: tuple[Metric, ...] = (
    Metric("nll", "NLL", -1, 4, _nll, mean),
    Metric("brier", "Brier score", -1, 4, _brier, mean),
    Metric("ece", "ECE", -1, 4, _ece, ece),
    Metric("macro_f1", "macro-F1", 1, 3, _named, macro_f1),
    Metric("macro_f1_balanced", "macro-F1 balanced", 1, 3, _balanced, macro_f1),
    Metric("mcc", "MCC", 1, 3, _named, mcc),
    Metric("mcc_balanced", "MCC balanced", 1, 3, _balanced, mcc),
    Metric("accuracy", "accuracy", 1, 3, _named, accuracy),
    Metric("directional", "calls right", 1, 3, _balanced, directional, "no direction was called"),
    Metric("auc_down", "AUC down", 1, 3, _auc(DOWN), auc, _AUC, auc_exact(DOWN)),
    Metric("auc_flat", "AUC flat", 1, 3, _auc(FLAT), auc, _AUC, auc_exact(FLAT)),
    Metric("auc_up", "AUC up", 1, 3, _auc(UP), auc, _AUC, auc_exact(UP)),
    Metric("round_trip", "trips right", 1, 3, _trips, mean, "no round trip was finished"),
    Metric("acted", "acted on", 0, 4, _acted, mean),
    Metric("edge_bp", "bp a deal", 1, 3, _edge, mean, _NEVER),
    Metric("gain_bp", "bp a row", 1, 4, _gain, mean),
    Metric("passive_bp", "passive fill, bp", 1, 3, _passive(None), mean, _NO_FILL),
)


def metrics_for(truth: Truth) -> tuple[Metric, ...]:
    """METRICS, and one more a markout that the rows carry."""
    return METRICS + tuple(
        Metric(f"passive_{name}_bp", f"passive fill, {name}, bp", 1, 3, _passive(name), mean, _NO_FILL)
        for name in truth.markouts_bp
    )
