"""The simple rivals that a model has to beat, in one harness: fitted on the train block, they give probabilities.

| name | knows |
| --- | --- |
| majority | the shares of the classes |
| persistence | the last label that had ended by then: what was just known is said again |
| imbalance | the sign of the touch imbalance, with a dead zone |
| logistic | all features of the row, linearly |
| lightgbm | all features of the row, by trees; stops early on the stop block |

The first three have a table of class shares by state; their own call is the state. The last two are calibrated on the
calibrate block by the scaling that a network gets. What moves are expected are the train block's means by class. A
rival that the rows do not allow is an `Absent` with a sentence, not an error: the others still stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hlhft.alpha.calibration import Scaling, apply, fit_scaling
from hlhft.alpha.evaluation.metrics import macro_f1
from hlhft.alpha.evaluation.rows import CLASSES, DOWN, FLAT, UP

if TYPE_CHECKING:
    from hlhft.alpha.dataset import Dataset

NONE = 3  # state of persistence: no label had ended
ROWS_MAX = 200_000  # of a block that a rival learns from; evenly thinned beyond, so that memory and time are bounded
ROWS_MIN = 50
LAGS_MAX = 16
DEAD_ZONES = 20  # candidates
TREES_MAX = 400
PATIENCE = 30  # trees without gain on the stop block
STRENGTHS = (0.01, 0.1, 1.0)  # of the logistic regression's fit, chosen on the stop block
STANDARD_MAX = 10.0  # standardised features are clipped there
SMOOTHING = 1e-3  # share of the class shares mixed into what is learnt: no class is impossible

Int64 = np.ndarray


class Rows(NamedTuple):
    """What a rival sees of n rows, and what came."""

    values: np.ndarray  # float32[n, F (1 + lags)]
    imbalance: np.ndarray  # float32[n], -1..1
    known: np.ndarray  # int8[n]: class of the last label that had ended, NONE where none had
    classes: np.ndarray  # int8[n]
    move_bp: np.ndarray  # float64[n]
    weights: np.ndarray  # float32[n] uniqueness: what overlapping labels are worth as evidence when scaling is fitted


class Given(NamedTuple):
    """What a rival says of n rows."""

    p: np.ndarray  # float64[n, 3]
    mu_bp: np.ndarray  # float64[n]
    calls: np.ndarray | None  # int8[n] of a rule; None: the likeliest class is named


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a rival could not be fitted, in a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Rival:
    """A fitted rival."""

    name: str
    title: str
    probabilities: Callable[[Rows], tuple[np.ndarray, np.ndarray | None]]
    means_bp: np.ndarray  # float64[3] mean move by class

    def predict(self, rows: Rows) -> Given:
        """What it says of rows whose labels it does not look at."""
        p, calls = self.probabilities(rows)
        return Given(p, p @ self.means_bp, calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How rivals are fitted. `lags` are how many rows back a learnt rival also sees, each 1 or more."""

    lags: tuple[int, ...] = ()
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if len(self.lags) > LAGS_MAX or any(lag < 1 for lag in self.lags):
            raise ValueError(f"lags {self.lags}: give at most {LAGS_MAX}, each 1 or more")


# Rows.


def gather(dataset: Dataset, rows: Int64, horizon: int, *, lags: Sequence[int] = ()) -> Rows:
    """What rivals see of these rows, int64[n], in label column `horizon`.

    A lag that reaches before its segment sees the segment's first row.
    """
    rows = np.asarray(rows, dtype=np.int64)
    firsts = dataset.segments["first"][dataset.segment_of(rows)]
    seen = [dataset.values[np.maximum(rows - lag, firsts)] for lag in (0, *lags)]
    return Rows(
        values=np.concatenate(seen, axis=1),
        imbalance=np.asarray(dataset.values[rows, dataset.schema.imbalance_column]),
        known=known_classes(dataset, rows, horizon),
        classes=np.asarray(dataset.classes[rows, horizon]),
        move_bp=dataset.move_bp[rows, horizon].astype(np.float64),
        weights=np.asarray(dataset.weights[rows, horizon]),
    )


def known_classes(dataset: Dataset, rows: Int64, horizon: int) -> np.ndarray:
    """int8[n]: for each row the class of the label that ended last by its time in its segment, NONE where none had.

    A label is known when it ends, not when its row is: the row before has none yet. Of labels that end at one time the
    newest row's counts.
    """
    found = np.full(len(rows), NONE, dtype=np.int8)
    segments = dataset.segment_of(rows)
    for segment in np.unique(segments):
        own = segments == segment
        first, end = (int(dataset.segments[name][segment]) for name in ("first", "end"))
        classes = np.asarray(dataset.classes[first:end, horizon])
        labelled = np.flatnonzero(classes >= 0)
        ends = np.asarray(dataset.end_ns[first:end, horizon])[labelled]
        order = np.argsort(ends, kind="stable")
        place = np.searchsorted(ends[order], dataset.ts_ns[rows[own]], side="right") - 1
        last = classes[labelled[order]]
        found[own] = np.where(place >= 0, last[np.maximum(place, 0)] if len(last) else NONE, NONE)
    return found


def thinned(rows: Int64, most: int = ROWS_MAX) -> Int64:
    """At most that many of the rows, evenly spaced."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


# Fitting.

Fit = Callable[[Rows, Rows, Rows, Settings], "Rival | Absent"]


def fit_all(
    train: Rows, stop: Rows, calibrate: Rows, settings: Settings | None = None, *, names: Sequence[str] | None = None
) -> dict[str, Rival | Absent]:
    """Every rival of BASELINES, or those of `names`, by name. Raises ValueError for an unknown name."""
    wanted = tuple(BASELINES) if names is None else tuple(names)
    unknown = [name for name in wanted if name not in BASELINES]
    if unknown:
        raise ValueError(f"there is no baseline {unknown[0]}: choose from {', '.join(BASELINES)}")
    return {name: fit(name, train, stop, calibrate, settings) for name in wanted}


def fit(name: str, train: Rows, stop: Rows, calibrate: Rows, settings: Settings | None = None) -> Rival | Absent:
    """The rival of that name; the stop and the calibrate block may be empty."""
    if not len(train.classes):
        return Absent("the train block is empty")
    return BASELINES[name](train, stop, calibrate, settings or Settings())


def shares_of(classes: np.ndarray) -> np.ndarray:
    """float64[3] shares of the classes, one row added to each: no class is impossible."""
    counts = np.bincount(classes, minlength=CLASSES).astype(np.float64) + 1.0
    found: np.ndarray = counts / counts.sum()
    return found


def means_of(train: Rows) -> np.ndarray:
    """float64[3] mean move of each class, bp; 0 for a class that does not occur."""
    counts = np.bincount(train.classes, minlength=CLASSES)
    sums = np.bincount(train.classes, weights=train.move_bp, minlength=CLASSES)
    found: np.ndarray = np.divide(sums, counts, out=np.zeros(CLASSES), where=counts > 0)
    return found


def _majority(train: Rows, _stop: Rows, _calibrate: Rows, _settings: Settings) -> Rival:
    shares = shares_of(train.classes)

    def probabilities(rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        n = len(rows.classes)
        return np.tile(shares, (n, 1)), np.full(n, shares.argmax(), dtype=np.int8)

    return Rival("majority", "class shares", probabilities, means_of(train))


def _table(states: np.ndarray, classes: np.ndarray, size: int) -> np.ndarray:
    """float64[size, 3]: shares of the classes by state, each state with one more row of the shares of all."""
    counts = np.bincount(states.astype(np.int64) * CLASSES + classes, minlength=size * CLASSES)
    table = counts.reshape(size, CLASSES) + shares_of(classes)
    found: np.ndarray = table / table.sum(axis=1, keepdims=True)
    return found


def _persistence(train: Rows, _stop: Rows, _calibrate: Rows, _settings: Settings) -> Rival:
    table = _table(train.known, train.classes, CLASSES + 1)

    def probabilities(rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        return table[rows.known], np.where(rows.known == NONE, FLAT, rows.known).astype(np.int8)

    return Rival("persistence", "persistence", probabilities, means_of(train))


def _imbalance(train: Rows, _stop: Rows, _calibrate: Rows, _settings: Settings) -> Rival:
    zone = dead_zone(train.imbalance, train.classes)
    table = _table(called(train.imbalance, zone), train.classes, CLASSES)

    def probabilities(rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        calls = called(rows.imbalance, zone)
        return table[calls], calls

    return Rival("imbalance", "imbalance rule", probabilities, means_of(train))


def called(imbalance: np.ndarray, zone: float) -> np.ndarray:
    """int8[n]: up where the imbalance is above the zone, down where it is below its negative, else flat."""
    return np.where(imbalance > zone, UP, np.where(imbalance < -zone, DOWN, FLAT)).astype(np.int8)


def dead_zone(imbalance: np.ndarray, classes: np.ndarray) -> float:
    """The zone of the highest macro-F1: none, or one of DEAD_ZONES quantiles of the size; the narrowest of equals."""
    candidates = np.unique(np.concatenate([[0.0], np.quantile(np.abs(imbalance), np.arange(DEAD_ZONES) / DEAD_ZONES)]))
    scores = []
    for zone in candidates:
        codes = classes.astype(np.int64) * CLASSES + called(imbalance, zone)
        scores.append(float(macro_f1(np.bincount(codes, minlength=CLASSES * CLASSES).astype(np.float64))))
    return float(candidates[int(np.argmax(scores))])


# What is learnt.


class _Scaler(NamedTuple):
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Scaler:
        """Of float[n, F] values; a column that stands still is left as it is but for its mean."""
        deviation = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(deviation > 1e-9, deviation, 1.0))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.clip((values - self.mean) / self.deviation, -STANDARD_MAX, STANDARD_MAX)
        return found


def _refused(train: Rows) -> Absent | None:
    if len(train.classes) < ROWS_MIN:
        return Absent(f"the train block has {len(train.classes)} rows, and it takes {ROWS_MIN}")
    if len(np.unique(train.classes)) < 2:
        return Absent("all rows of the train block are of one class")
    return None


def _logistic(train: Rows, stop: Rows, calibrate: Rows, settings: Settings) -> Rival | Absent:
    refused = _refused(train)
    if refused is not None:
        return refused
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    scale, shares = _Scaler.of(train.values), shares_of(train.classes)
    best: tuple[float, Callable[[Rows], np.ndarray]] | None = None
    for strength in STRENGTHS if len(stop.classes) else STRENGTHS[1:2]:
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        # Left alone, the algebra library takes every core, and on busy ones it waits far longer than it counts.
        with threadpool_limits(limits=settings.threads):
            model.fit(scale(train.values), train.classes)

        def raw(rows: Rows, model: LogisticRegression = model) -> np.ndarray:
            return _spread(model.predict_proba(scale(rows.values)), model.classes_, shares)

        loss = _nll(raw(stop), stop.classes) if len(stop.classes) else 0.0
        if best is None or loss < best[0]:
            best = loss, raw
    assert best is not None
    return Rival("logistic", "logistic regression", _calibrated(best[1], calibrate, shares), means_of(train))


def _lightgbm(train: Rows, stop: Rows, calibrate: Rows, settings: Settings) -> Rival | Absent:
    refused = _refused(train)
    if refused is not None:
        return refused
    import lightgbm

    present, codes = np.unique(train.classes, return_inverse=True)
    shares = shares_of(train.classes)
    options = {
        "objective": "multiclass",
        "num_class": len(present),
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": max(1, min(200, len(codes) // 20)),
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "verbosity": -1,
    }
    stopping = np.isin(stop.classes, present)
    data = lightgbm.Dataset(train.values.astype(np.float64), codes, free_raw_data=False)
    if stopping.any():
        held = lightgbm.Dataset(
            stop.values[stopping].astype(np.float64), np.searchsorted(present, stop.classes[stopping]), reference=data
        )
        model = lightgbm.train(
            options, data, TREES_MAX, valid_sets=[held], callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)]
        )
    else:
        model = lightgbm.train(options, data, TREES_MAX // 4)

    def raw(rows: Rows) -> np.ndarray:
        given = model.predict(rows.values.astype(np.float64), num_iteration=model.best_iteration or None)
        return _spread(np.asarray(given), present, shares)

    return Rival("lightgbm", "LightGBM", _calibrated(raw, calibrate, shares), means_of(train))


def _spread(given: np.ndarray, present: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Probabilities of the classes that were learnt as those of all, with SMOOTHING of the shares mixed in."""
    p = np.zeros((len(given), CLASSES))
    p[:, present.astype(np.int64)] = given
    found: np.ndarray = (1.0 - SMOOTHING) * p + SMOOTHING * shares
    return found


def _nll(p: np.ndarray, classes: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(classes)), classes.astype(np.int64)]).mean())


def _calibrated(
    raw: Callable[[Rows], np.ndarray], calibrate: Rows, shares: np.ndarray
) -> Callable[[Rows], tuple[np.ndarray, np.ndarray | None]]:
    """The probabilities scaled as a network's are; as they are when there are no rows to calibrate on."""
    scaling: Scaling | None = None
    if len(calibrate.classes):
        scaling = fit_scaling(np.log(raw(calibrate)), calibrate.classes, calibrate.weights, shares)

    def probabilities(rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        if not len(rows.classes):
            return np.zeros((0, CLASSES)), None
        p = raw(rows)
        return (p if scaling is None else apply(np.log(p), scaling)), None

    return probabilities


BASELINES: Mapping[str, Fit] = {
    "majority": _majority,
    "persistence": _persistence,
    "imbalance": _imbalance,
    "logistic": _logistic,
    "lightgbm": _lightgbm,
}
