"""A model folder evaluated again: on its own test block, or on data that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from hlhft.alpha.bundle import Bundle, load_bundle, model_folder, predictor
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.evaluation.evaluating import Fold, Options, RivalsSaid, Subject
from hlhft.alpha.evaluation.logged import evaluate_trial, facts_of
from hlhft.alpha.evaluation.result import Evaluation
from hlhft.alpha.evaluation.subjects import BundleSubject
from hlhft.alpha.fi2010 import inputs_of
from hlhft.alpha.prepare import prepare
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import Split, split_once, split_within
from hlhft.alpha.trials import TrialLog
from hlhft.data.errors import DataError
from hlhft.data.profiles import LIVE_2026

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to evaluate on, and how."""

    data_dir: Path
    trials: Path
    profile: str | None = None  # of the feed; None: the model's own
    cache: Path | None = None
    coins: tuple[str, ...] = ()
    engine: str = "onnx"
    threads: int = 1
    options: Options = field(default_factory=Options)


class Elsewhere(Protocol):
    """Asks model and rivals in other processes, and gives the same answers."""

    def ask_rivals(
        self, dataset: Dataset, folds: Sequence[Fold], column: int, options: Options
    ) -> Sequence[RivalsSaid]:
        """As `hlhft.alpha.evaluation.evaluating.rivals_here`."""

    def asked(self, subject: Subject, dataset: Dataset, rows: np.ndarray) -> Subject:
        """A subject that answers for these rows, and for no others, as the given one does."""


def evaluate_folder(
    folder: Path, wish: Wish, *, progress: Progress | None = None, elsewhere: Elsewhere | None = None
) -> Evaluation:
    """Evaluates the model in `folder` as a new trial of the log `wish.trials`.

    Where the data hold the model's own blocks, its test block is what is judged; else the data are split anew and the
    rivals are fitted on their train block. `elsewhere` is who asks model and rivals instead of this process; the log
    and what it opens stay here. Raises BundleError for a folder that holds no sound model, DataError for
    data of no use, TrialLogError for a damaged log, MissingExtra without the packages.
    """
    folder = model_folder(folder)
    bundle = load_bundle(folder)
    loaded = predictor(bundle, folder, engine=wish.engine, threads=wish.threads)
    dataset = dataset_for(bundle, wish)
    split = split_for(bundle, dataset)
    subject = BundleSubject(bundle, loaded, progress)
    log = TrialLog(wish.trials)
    trial = log.begin(facts_of(subject, dataset, split, command="evaluate", model=f"{bundle.model_id:016x}"))
    return evaluate_trial(
        dataset, split, subject, log, trial=trial, fitted_on=bundle.ranges, options=wish.options,
        ask_rivals=None if elsewhere is None else elsewhere.ask_rivals,
        asked=None if elsewhere is None else elsewhere.asked,
    ).evaluation  # fmt: skip


def dataset_for(bundle: Bundle, wish: Wish) -> Dataset:
    """The data as the model reads them. Raises DataError when they have other columns or labels."""
    found = prepare(
        wish.data_dir,
        schema=bundle.features or FeatureSchema(),
        labels=bundle.horizons,
        profile=wish.profile or bundle.profile or LIVE_2026.name,  # of others' sets, none is used
        cache=wish.cache,
        coins=wish.coins or None,
        fi2010_inputs=inputs_of(bundle.foreign),
    )
    if found.schema.hash != bundle.schema_hash:
        raise DataError(
            wish.data_dir, None, "the data have other columns than the model was trained on, give data of its kind"
        )
    for spec in bundle.horizons:
        if spec not in found.labels:
            raise DataError(
                wish.data_dir, None, f"the data have no label {spec.name} as the model forecasts it, give recordings"
            )
    return found


def split_for(bundle: Bundle, dataset: Dataset) -> Split:
    """The model's own split where the data hold its train and its test block, else a new one of the same labels."""
    columns = [dataset.label_named(spec.name) for spec in bundle.horizons]
    horizon = None if len(columns) == len(dataset.labels) else columns[0]
    own = split_within(dataset, bundle.ranges, length=bundle.length, horizon=horizon, embargo_ns=bundle.embargo_ns)
    if own.train.size and own.test.size:
        return own
    return split_once(dataset, length=bundle.length, horizon=horizon)
