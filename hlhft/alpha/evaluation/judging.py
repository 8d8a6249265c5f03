"""One horizon judged: the subject and its rivals on the same rows, with the same resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hlhft.alpha.evaluation import bootstrap
from hlhft.alpha.evaluation.comparison import diebold_mariano
from hlhft.alpha.evaluation.luck import luck, sharpe
from hlhft.alpha.evaluation.metrics import Metric, acted, equal_mass, metrics_for, nll_rows
from hlhft.alpha.evaluation.result import (
    DAYS_MAX,
    CalibrationBin,
    Comparison,
    CurvePoint,
    Day,
    Horizon,
    Measured,
    ModelFigures,
    Trials,
)
from hlhft.alpha.evaluation.rows import CLASSES, DAY_NS, DOWN, UP, Calls, Cells, Truth, days_of
from hlhft.alpha.evaluation.verdict import Findings, verdict

COVERAGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What all models at a horizon are judged by."""

    label: str
    horizon_ms: int
    ts_ns: np.ndarray  # int64[n]
    truth: Truth
    cells: Cells
    resamples: int
    seed: int
    confidence: float = bootstrap.CONFIDENCE
    in_sample: bool = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """A model's figures and their resamples, by metric."""

    value: dict[str, float]
    resampled: dict[str, np.ndarray]


def judge(
    by: Judge,
    models: Mapping[str, tuple[str, Calls]],
    *,
    trial_sharpes: Sequence[float] | None = None,
) -> tuple[Horizon, Trials | None]:
    """The horizon's result; `models` are title and calls by name, the subject first. The rows are at least one.

    `trial_sharpes` are those of the log, this one's left out; without a log nothing is said of luck.
    """
    assert models and len(by.truth.classes), "a model and a row are needed"
    metrics = metrics_for(by.truth)
    weights = bootstrap.weights(by.cells, resamples=by.resamples, seed=by.seed)
    seen = {name: _see(metrics, by.truth, calls, weights) for name, (_, calls) in models.items()}
    subject, *rivals = models
    figures = tuple(_figures(metrics, by, name, title, calls, seen[name]) for name, (title, calls) in models.items())
    comparisons = tuple(_compare(metrics, by, models, seen, subject, rival) for rival in rivals)
    shares = np.bincount(by.truth.classes, minlength=CLASSES) / len(by.truth.classes)
    trials = None if trial_sharpes is None else _trials(by, models, trial_sharpes)
    findings = Findings(
        rows=len(by.truth.classes),
        days=days_of(by.ts_ns),
        classes=int((shares > 0).sum()),
        in_sample=by.in_sample,
        subject=figures[0],
        comparisons={one.rival: one for one in comparisons},
        trials=trials,
        cost_bp=by.truth.cost_bp,
    )
    horizon = Horizon(
        label=by.label,
        horizon_ms=by.horizon_ms,
        rows=findings.rows,
        days=findings.days,
        shares=(float(shares[0]), float(shares[1]), float(shares[2])),
        cost_bp=by.truth.cost_bp,
        blocks=by.cells.blocks,
        models=figures,
        comparisons=comparisons,
        verdict=verdict(findings),
        by_day=by_day(by.ts_ns, by.truth, {name: calls for name, (_, calls) in models.items()}),
    )
    return horizon, trials


def by_day(ts_ns: np.ndarray, truth: Truth, models: Mapping[str, Calls]) -> tuple[Day, ...]:
    """Each UTC day with rows at the times int64[n], in order, the newest DAYS_MAX of them."""
    days, place = np.unique(ts_ns // DAY_NS, return_inverse=True)
    rows = np.bincount(place)
    nll = {name: np.bincount(place, weights=nll_rows(truth, calls)) / rows for name, calls in models.items()}
    gain_bp = {name: np.bincount(place, weights=acted(truth, calls)[1]) / rows for name, calls in models.items()}
    return tuple(
        Day(
            begin_ns=int(day) * DAY_NS,
            rows=int(rows[at]),
            nll={name: float(means[at]) for name, means in nll.items()},
            gain_bp={name: float(means[at]) for name, means in gain_bp.items()},
        )
        for at, day in enumerate(days)
    )[-DAYS_MAX:]


def returns_by_cell(truth: Truth, calls: Calls) -> np.ndarray:
    """float64[cells]: what acting on the calls made after costs, bp."""
    return np.bincount(truth.cell, weights=acted(truth, calls)[1], minlength=truth.cells)


def sharpe_of(truth: Truth, calls: Calls) -> float:
    """The ratio that a log of trials keeps of a model: of what it made after costs, by cell of time."""
    return sharpe(returns_by_cell(truth, calls))


def _see(metrics: Sequence[Metric], truth: Truth, calls: Calls, weights: np.ndarray) -> _Seen:
    sums = [metric.sums(truth, calls) for metric in metrics]
    whole = np.concatenate(sums, axis=1)
    resampled = weights @ whole
    total = whole.sum(axis=0)
    value, again, at = {}, {}, 0
    for metric, own in zip(metrics, sums):
        part = slice(at, at + own.shape[1])
        at = part.stop
        near = float(metric.value(total[part]))
        exact = near if metric.exact is None else metric.exact(truth, calls)
        value[metric.name] = exact
        # What resamples miss because scores are told apart less finely, they miss by as much as the whole does.
        again[metric.name] = metric.value(resampled[:, part]) + (exact - near)
    return _Seen(value, again)


def _figures(metrics: Sequence[Metric], by: Judge, name: str, title: str, calls: Calls, seen: _Seen) -> ModelFigures:
    figures = {
        metric.name: bootstrap.measured(
            seen.value[metric.name],
            seen.resampled[metric.name],
            confidence=by.confidence,
            why=metric.why_undefined,
        )
        for metric in metrics
    }
    return ModelFigures(
        name=name,
        title=title,
        figures=figures,
        curve=tuple(coverage_curve(by.truth, calls)),
        calibration=tuple(calibration(by.truth, calls)),
    )


def _compare(
    metrics: Sequence[Metric],
    by: Judge,
    models: Mapping[str, tuple[str, Calls]],
    seen: Mapping[str, _Seen],
    subject: str,
    rival: str,
) -> Comparison:
    gains: dict[str, Measured] = {}
    for metric in metrics:
        if metric.better:
            name = metric.name
            difference = metric.better * (seen[subject].value[name] - seen[rival].value[name])
            resampled = metric.better * (seen[subject].resampled[name] - seen[rival].resampled[name])
            gains[name] = bootstrap.measured(
                difference, resampled, confidence=by.confidence, why="it is not defined for both"
            )
    losses = nll_rows(by.truth, models[subject][1]) - nll_rows(by.truth, models[rival][1])
    return Comparison(rival=rival, gains=gains, diebold_mariano=diebold_mariano(losses, by.cells))


def _trials(by: Judge, models: Mapping[str, tuple[str, Calls]], trial_sharpes: Sequence[float]) -> Trials:
    own, *others = (returns_by_cell(by.truth, calls) for _, calls in models.values())
    rivals = np.stack(others) if others else np.zeros((0, len(own)))
    return luck(own, rivals, (*trial_sharpes, sharpe(own)))


def coverage_curve(truth: Truth, calls: Calls) -> list[CurvePoint]:
    """How right the model is where it is surest of a direction, for each of COVERAGES.

    It is as sure as the larger probability of the two directions. Rows that it is equally sure of come in together, so
    a point may cover more than it asks for; points of the same rows are given once.
    """
    sure = np.maximum(calls.p[:, DOWN], calls.p[:, UP])
    side = np.where(calls.p[:, UP] >= calls.p[:, DOWN], UP, DOWN)
    right = side == truth.classes
    move = np.where(side == UP, truth.move_bp, -truth.move_bp)
    n = len(sure)
    order = np.sort(sure)[::-1]
    points: list[CurvePoint] = []
    for coverage in COVERAGES:
        least = order[max(1, int(np.ceil(coverage * n))) - 1]
        taken = sure >= least
        rows = int(taken.sum())
        if points and points[-1].rows == rows:
            continue
        points.append(
            CurvePoint(
                coverage=rows / n,
                rows=rows,
                precision=float(right[taken].mean()),
                move_bp=float(move[taken].mean()),
            )
        )
    return points


def calibration(truth: Truth, calls: Calls) -> list[CalibrationBin]:
    """For each class, rows in bins of equal mass by its probability: what was said and what came."""
    found = []
    for label in range(CLASSES):
        bins = equal_mass(calls.p[:, label], CALIBRATION_BINS)
        rows = np.bincount(bins, minlength=CALIBRATION_BINS)
        said = np.bincount(bins, weights=calls.p[:, label], minlength=CALIBRATION_BINS)
        came = np.bincount(bins, weights=truth.classes == label, minlength=CALIBRATION_BINS)
        found += [
            CalibrationBin(label=label, rows=int(k), said=float(s / k), came=float(c / k))
            for k, s, c in zip(rows, said, came)
            if k
        ]
    return found
