"""A subject on the test block of a dataset, beside every rival fitted on the train block, horizon by horizon."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from hlhft.alpha import baselines
from hlhft.alpha.baselines import Absent, Rival, gather, shares_of, thinned
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation import bootstrap
from hlhft.alpha.evaluation.judging import Judge, judge, sharpe_of
from hlhft.alpha.evaluation.result import Evaluation, Horizon, Trials
from hlhft.alpha.evaluation.rows import CLASSES, Calls, Cells, Truth, calls_of, cut, days_of
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.splits import HALF_LIVES, Block, Range, Split
from hlhft.data.errors import DataError

FEE_BP = 1.5  # a new account's maker fee on perpetuals, https://hyperliquid.gitbook.io/hyperliquid-docs/trading/fees
CHUNK_ROWS = 32_768
SECOND_NS = 1_000_000_000
MARKOUTS_S = (1, 5, 30)
SHARPE = "sharpe"  # name in the log of trials of what `sharpe_of` gives


class Subject(Protocol):
    """What is evaluated."""

    @property
    def name(self) -> str:
        """One word; no baseline has it."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def labels(self) -> Sequence[LabelSpec]:
        """What it forecasts, in order; the dataset has labels of these names."""

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p float[k, labels, 3] and mu_bp float[k, labels] of the windows that end with these rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is evaluated."""

    resamples: int = bootstrap.RESAMPLES
    seed: int = 1
    fee_bp: float = FEE_BP
    rivals: tuple[str, ...] = tuple(baselines.BASELINES)
    fitting: baselines.Settings = field(default_factory=baselines.Settings)


class Fold(NamedTuple):
    """A split, and the rows of its test block, int64[k], sorted, as the log of trials gave them."""

    split: Split
    rows: np.ndarray


class RivalsSaid(NamedTuple):
    """What the rivals of a fold, fitted on its own blocks, said of its rows for one label."""

    calls: dict[str, tuple[str, Calls]]  # title and calls by name, those that could be fitted; none where no row
    prior: np.ndarray  # class shares of the train block, float64[3]
    missing: dict[str, str]  # who could not be fitted, and why


# What they said of each of the folds, for one label column.
AskRivals = Callable[[Dataset, "Sequence[Fold]", int, "Options"], "Sequence[RivalsSaid]"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The evaluation, and what the log of trials is to keep of it."""

    evaluation: Evaluation
    sharpe: float


def evaluate(
    dataset: Dataset,
    split: Split,
    rows: np.ndarray,
    subject: Subject,
    *,
    earlier: Sequence[Fold] = (),
    others: Sequence[Subject] = (),
    options: Options | None = None,
    in_sample: bool = False,
    trial_sharpes: Sequence[float] | None = None,
    ask_rivals: AskRivals | None = None,
) -> Outcome:
    """The subject, beside the rivals and `others` (which forecast the same labels), on `rows` int64[k].

    The rows are the test block's, as the log of trials gave them. With `earlier` folds of a walk, whose rows are other
    ones, all rows are judged as one, and the rivals of each were fitted on its own blocks. `trial_sharpes` is what the
    log holds of all other trials, NaN for one without a ratio; `ask_rivals` fits and asks rivals elsewhere than here.
    Raises DataError when there is no row, ValueError for what is no forecast.
    """
    options = options or Options()
    folds = (*earlier, Fold(split, rows))
    rows = np.sort(np.concatenate([fold.rows for fold in folds]))
    if not len(rows):
        raise DataError(dataset.name, None, "the test block is empty, give a longer recording")
    columns = [dataset.label_named(spec.name) for spec in subject.labels]
    forecasts = {one.name: (one.title, one.predict(dataset, rows)) for one in (subject, *others)}
    assert len(forecasts) == 1 + len(others), "each has a name of its own"
    horizons: list[Horizon] = []
    headline: tuple[Trials | None, float] = (None, 0.0)
    absent: dict[str, str] = {}
    for place, column in enumerate(columns):
        labelled = np.asarray(dataset.classes[rows, column]) >= 0
        given = {name: (title, p[labelled, place], mu[labelled, place]) for name, (title, (p, mu)) in forecasts.items()}
        horizon, trials, ratio, missing = _horizon(
            dataset, folds, column, given, options, in_sample, None if place else trial_sharpes,
            ask_rivals or rivals_here,
        )  # fmt: skip
        horizons.append(horizon)
        absent |= missing
        if not place:
            headline = trials, ratio
    ts_ns = dataset.ts_ns[rows]
    evaluation = Evaluation(
        subject=subject.name,
        title=subject.title,
        data=dataset.name,
        in_sample=in_sample,
        test_days=days_of(ts_ns),
        first_ns=int(ts_ns.min()),
        last_ns=int(ts_ns.max()),
        confidence=bootstrap.CONFIDENCE,
        resamples=options.resamples,
        seed=options.seed,
        horizons=tuple(horizons),
        trials=headline[0],
        absent=absent,
        folds=len(folds),
    )
    return Outcome(evaluation, headline[1])


def _horizon(
    dataset: Dataset,
    folds: Sequence[Fold],
    column: int,
    given: Mapping[str, tuple[str, np.ndarray, np.ndarray]],
    options: Options,
    in_sample: bool,
    trial_sharpes: Sequence[float] | None,
    ask_rivals: AskRivals,
) -> tuple[Horizon, Trials | None, float, dict[str, str]]:
    """The horizon, the look at luck, the subject's ratio, and which rivals are missing and why."""
    spec = dataset.labels[column]
    folds = labelled(dataset, folds, column)
    rows = np.sort(np.concatenate([fold.rows for fold in folds]))
    if not len(rows):
        raise DataError(dataset.name, None, f"no test row has a label {spec.name}, give a longer recording")
    rivals, prior, missing = _joined(folds, ask_rivals(dataset, folds, column, options))
    truth, cells = truth_of(dataset, rows, column, prior=prior, cost_bp=max(options.fee_bp, spec.cost_bp))
    models = {name: (title, calls_of(p, mu, prior)) for name, (title, p, mu) in given.items()} | rivals
    by = Judge(
        label=spec.name,
        horizon_ms=spec.horizon_ms,
        ts_ns=dataset.ts_ns[rows],
        truth=truth,
        cells=cells,
        resamples=options.resamples,
        seed=options.seed,
        in_sample=in_sample,
    )
    horizon, trials = judge(by, models, trial_sharpes=trial_sharpes)
    return horizon, trials, sharpe_of(truth, next(iter(models.values()))[1]), missing


def labelled(dataset: Dataset, folds: Sequence[Fold], column: int) -> list[Fold]:
    """The folds with those of their rows that have a label in the column."""
    return [Fold(split, rows[np.asarray(dataset.classes[rows, column]) >= 0]) for split, rows in folds]


def rivals_here(dataset: Dataset, folds: Sequence[Fold], column: int, options: Options) -> list[RivalsSaid]:
    """What the rivals of each fold say, fitted in this process, one after the other."""
    return [rivals_of(dataset, fold, column, options) for fold in folds]


def rivals_of(dataset: Dataset, fold: Fold, column: int, options: Options) -> RivalsSaid:
    """The fold's rivals, fitted on its own blocks, on its rows, all of which have a label in the column."""
    fitted, prior = fit_rivals(dataset, fold.split, column, options)
    missing = {name: rival.why for name, rival in fitted.items() if isinstance(rival, Absent)}
    rivals = {name: rival for name, rival in fitted.items() if isinstance(rival, Rival)}
    calls = rivals_on(dataset, fold.rows, column, rivals, prior, options) if len(fold.rows) else {}
    return RivalsSaid(calls, prior, missing)


def _joined(
    folds: Sequence[Fold], found: Sequence[RivalsSaid]
) -> tuple[dict[str, tuple[str, Calls]], np.ndarray, dict[str, str]]:
    """Title and calls on the sorted rows of all folds, class shares float64[n, 3], and who is missing, why."""
    missing = {name: why for one in found for name, why in one.missing.items()}
    priors = [np.tile(one.prior, (len(fold.rows), 1)) for fold, one in zip(folds, found, strict=True)]
    said = [one.calls for one in found if one.calls]
    order = np.argsort(np.concatenate([fold.rows for fold in folds]))
    joined = {
        name: (title, Calls(*(np.concatenate(parts)[order] for parts in zip(*(one[name][1] for one in said)))))
        for name, (title, _) in (said[0] if said else {}).items()
        if name not in missing
    }
    return joined, np.concatenate(priors)[order], missing


def fit_rivals(
    dataset: Dataset, split: Split, column: int, options: Options
) -> tuple[dict[str, Rival | Absent], np.ndarray]:
    """The rivals fitted on the split's blocks for that label column, and the train block's class shares."""

    def seen(block: Block) -> baselines.Rows:
        labelled = block.rows[np.asarray(dataset.classes[block.rows, column]) >= 0]
        return gather(dataset, thinned(labelled), column, lags=options.fitting.lags)

    train = seen(split.train)
    stop, calibrate = seen(split.stop), seen(split.calibrate)
    fitted = baselines.fit_all(train, stop, calibrate, options.fitting, names=options.rivals)
    return fitted, shares_of(train.classes)


def rivals_on(
    dataset: Dataset,
    rows: np.ndarray,
    column: int,
    rivals: Mapping[str, Rival],
    prior: np.ndarray,
    options: Options,
) -> dict[str, tuple[str, Calls]]:
    """Title and calls of each rival on these rows, read in chunks."""
    parts: dict[str, list[baselines.Given]] = {name: [] for name in rivals}
    for first in range(0, len(rows), CHUNK_ROWS):
        seen = gather(dataset, rows[first : first + CHUNK_ROWS], column, lags=options.fitting.lags)
        for name, rival in rivals.items():
            parts[name].append(rival.predict(seen))
    found = {}
    for name, said in parts.items():
        calls = [one.calls for one in said if one.calls is not None]
        found[name] = (
            rivals[name].title,
            calls_of(
                np.concatenate([one.p for one in said]),
                np.concatenate([one.mu_bp for one in said]),
                prior,
                np.concatenate(calls) if calls else None,
            ),
        )
    return found


def truth_of(
    dataset: Dataset, rows: np.ndarray, column: int, *, prior: np.ndarray, cost_bp: float
) -> tuple[Truth, Cells]:
    """What happened after these rows, all of which have a label in the column, and how their time is cut."""
    heads = dataset.heads[rows]
    mid = heads["mid_ticks"]
    cells = cut(dataset.ts_ns[rows], dataset.labels[column].horizon_ns)
    truth = Truth(
        classes=np.asarray(dataset.classes[rows, column]),
        move_bp=dataset.move_bp[rows, column].astype(np.float64),
        # Data of others may have no price of their own: then there is no spread to pay.
        half_spread_bp=np.divide(heads["half_spread_ticks"] * 1e4, mid, out=np.zeros(len(rows)), where=mid > 0),
        segment=dataset.segment_of(rows),
        cell=cells.cell,
        cells=cells.cells,
        prior=prior,
        cost_bp=cost_bp,
        markouts_bp={f"{seconds} s": markout_bp(dataset, rows, seconds * SECOND_NS) for seconds in MARKOUTS_S},
    )
    assert truth.classes.max() < CLASSES and truth.classes.min() >= 0, "rows have labels"
    return truth, cells


def markout_bp(dataset: Dataset, rows: np.ndarray, after_ns: int) -> np.ndarray:
    """float64[k]: how far the mid had moved that long after each row, bp; NaN where the segment ends before."""
    found = np.full(len(rows), np.nan)
    segments = dataset.segment_of(rows)
    for segment in np.unique(segments):
        own = np.flatnonzero(segments == segment)
        first, end = (int(dataset.segments[name][segment]) for name in ("first", "end"))
        ts_ns, mid = dataset.ts_ns[first:end], dataset.heads["mid_ticks"][first:end]
        then_ns = dataset.ts_ns[rows[own]] + after_ns
        now = mid[rows[own] - first]
        # Data of others may have no price of their own.
        known = (then_ns <= ts_ns[-1]) & (now > 0)
        last = np.searchsorted(ts_ns, then_ns[known], side="right") - 1
        found[own[known]] = (mid[last] / now[known] - 1.0) * 1e4
    return found


def is_in_sample(
    dataset: Dataset,
    rows: np.ndarray,
    length: int,
    fitted_on: Mapping[str, Sequence[Range]],
    *,
    horizon: int | None = None,
) -> bool:
    """Whether one of the windows of `length` rows that end with `rows`, or its label, meets what a model was fitted on.

    `fitted_on` are its ranges by block; the test block's do not count. Between the two have to lie the longest label's
    life and what features remember, HALF_LIVES of their longest half-life. `horizon`: the label's column, None all.
    """
    if not len(rows):
        return False
    ts_ns = dataset.ts_ns
    columns = slice(None) if horizon is None else slice(horizon, horizon + 1)
    begin, end = ts_ns[rows - (length - 1)], dataset.end_ns[rows, columns].max(axis=1)
    apart_ns = int((end - ts_ns[rows]).max()) + round(HALF_LIVES * dataset.schema.half_life_ms * 1e6)
    coins = dataset.segments["coin"][dataset.segment_of(rows)]
    for name, ranges in fitted_on.items():
        if name == "test":
            continue
        for one in ranges:
            if one.coin in dataset.coins:
                own = coins == dataset.coins.index(one.coin)
                if (own & (begin < one.to_ns + apart_ns) & (end > one.from_ns - apart_ns)).any():
                    return True
    return False
