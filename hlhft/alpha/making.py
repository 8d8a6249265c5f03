"""`hlhft train` without its terminal: data to dataset, split, seeds, model folder, evaluation, card.

A training is a trial: it is logged before it begins, and the test block is opened once for it, at the end. A run that
is gone on from stays the trial that it was, unless it has seen the test block.

A walk is one training of several folds, a day each: all are trained before any of their test blocks is opened. The
newest fold is trained first and its run is the folder's, so that a walk that was interrupted is found again; those of
the others are in days/DATE/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from hlhft.alpha.bundle import CARD, CARD_PAGE, Bundle, predictor
from hlhft.alpha.card import Card, DayModel, card_of, render, to_json
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.devices import chosen_device
from hlhft.alpha.evaluation.evaluating import Options, Subject
from hlhft.alpha.evaluation.logged import evaluate_trial
from hlhft.alpha.evaluation.result import Evaluation
from hlhft.alpha.evaluation.subjects import BundleSubject, Progress, WalkedSubject
from hlhft.alpha.exporting import add_files
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.calibrated import Calibrated
from hlhft.alpha.models.config import preset
from hlhft.alpha.prepare import prepare
from hlhft.alpha.ranks import ALONE, Ranks, first_alone
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import DAY_NS, Split, split_once, walk_forward
from hlhft.alpha.training import Task, logits_of, make_task
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_report import SeedFigures
from hlhft.alpha.training_run import MODEL, Trained, calibrate, export, read_facts, record_of, train
from hlhft.alpha.trials import TrialLog
from hlhft.report.numbers import moment

Bar = Callable[[str], AbstractContextManager[Progress | None]]

OTHER_SEEDS_MAX = 9  # that are evaluated beside the chosen one
DAYS = "days"  # folder of the runs of a walk's earlier days


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to make of what."""

    data_dir: Path
    schema: FeatureSchema
    labels: tuple[LabelSpec, ...]
    profile: str
    preset: str
    length: int
    training: TrainingOptions
    evaluation: Options
    seeds: int
    folder: Path  # of the run; the model goes into it
    trials: Path
    coins: tuple[str, ...] = ()
    cache: Path | None = None
    fi2010_inputs: int = 144
    walk: int | None = None  # newest days that are a test each; None: one split by shares


class Fold(NamedTuple):
    """What was to be learnt before a test block, and what was; seed `n` is the n-th fitted."""

    task: Task
    trained: Trained


@dataclass(frozen=True, slots=True)
class SeedSubject:
    """Another seed of the run, in a calibration of its own, beside the chosen one."""

    seed: int
    network: Calibrated
    labels: Sequence[LabelSpec]

    @property
    def name(self) -> str:
        """One word."""
        return f"seed-{self.seed}"

    @property
    def title(self) -> str:
        """For people."""
        return f"seed {self.seed}"

    def predict(self, dataset: Dataset, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p float64[k, H, 3] and mu_bp float64[k, H] of the windows that end with these rows."""
        logits = torch.from_numpy(logits_of(self.network.network, dataset, ends, self.network.network.config.length))
        p = torch.softmax((logits * self.network.scale + self.network.shift).double(), dim=-1)
        return p.numpy(), (p * self.network.moves).sum(dim=-1).numpy()


def make_model(
    wish: Wish, bar: Bar, *, on_seed: Callable[[SeedFigures], None] | None = None, ranks: Ranks = ALONE
) -> Card | None:
    """Makes the model and returns its card; both are in `wish.folder`/model, the card with its evaluation last.

    Among several `ranks`, which are joined, all call it alike; the first makes all of it, the others only train, and
    None is what they return.

    Raises DeviceError for a GPU that is not there, DataError for too little data or one class only, TrainingError,
    ModelConfigError, CheckpointError, BundleError and TrialLogError as their modules say, and KeyboardInterrupt when
    interrupted: whole epochs are kept.
    """
    chosen_device(wish.training.device)  # refused here and not after an hour of preparing
    dataset = first_alone(ranks, lambda: _prepared(wish, bar))
    tasks = [task_of(dataset, split, wish) for split in splits_of(dataset, wish)]
    log = TrialLog(wish.trials)
    trial = _trial(log, tasks, wish) if ranks.is_first else 0
    folds: list[Fold] = []
    for task in reversed(tasks):
        what, run = ("Training", wish.folder) if not folds else _earlier(task.split, wish)
        with bar(f"{what} {wish.seeds} x {wish.training.epochs} epochs") as progress:
            trained = train(
                task, wish.training, seeds=wish.seeds, folder=run, progress=progress, on_seed=on_seed, trial=trial,
                ranks=ranks,
            )  # fmt: skip
        folds.insert(0, Fold(task, trained))
    if not ranks.is_first:
        return None
    folder = wish.folder / MODEL
    task, trained = folds[-1]
    days = tuple(map(_day_model, folds)) if wish.walk else ()
    record = record_of(task, trained.report)
    bundle = export(task, trained, folder, card_files(card_of(dataset, record, trained.report, None, days)))
    with bar("Evaluating on the test block") as progress:
        evaluation = evaluated(folds, bundle, folder, log, trial, wish.evaluation, progress)
    card = card_of(dataset, bundle, trained.report, evaluation, days)
    add_files(folder, card_files(card))
    return card


def _prepared(wish: Wish, bar: Bar) -> Dataset:
    with bar("Preparing the data") as progress:
        return prepare(
            wish.data_dir,
            schema=wish.schema,
            labels=wish.labels,
            profile=wish.profile,
            cache=wish.cache,
            coins=wish.coins or None,
            fi2010_inputs=wish.fi2010_inputs,
            progress=progress,
        )


def splits_of(dataset: Dataset, wish: Wish) -> list[Split]:
    """One split by time, or one for each day that is walked; of all the dataset's labels, in order of time."""
    horizon = 0 if len(dataset.labels) == 1 else None
    if wish.walk is None:
        return [split_once(dataset, length=wish.length, horizon=horizon)]
    return walk_forward(dataset, length=wish.length, horizon=horizon, newest=wish.walk)


def task_of(dataset: Dataset, split: Split, wish: Wish) -> Task:
    """The task that the wish makes of a split of the dataset."""
    config = preset(wish.preset, dataset.schema, length=wish.length, horizons=len(dataset.labels))
    return make_task(dataset, split, config)


def day_begin_ns(split: Split) -> int:
    """When the UTC day begins that the split's test block lies in."""
    return min(one.from_ns for one in split.test.ranges) // DAY_NS * DAY_NS


def card_files(card: Card) -> Mapping[str, bytes]:
    """The card as files of a model folder."""
    return {CARD: to_json(card), CARD_PAGE: render(card).encode()}


def evaluated(
    folds: Sequence[Fold],
    bundle: Bundle,
    folder: Path,
    log: TrialLog,
    trial: int,
    options: Options,
    progress: Progress | None = None,
) -> Evaluation:
    """The model as it is served, beside the run's other seeds and all rivals, on the test block.

    Of a walk, the newest fold's as it is served and those of the others before it, on all days together.
    """
    labels = bundle.horizons
    served = BundleSubject(bundle, predictor(bundle, folder), progress)
    before = [SeedSubject(one.trained.report.chosen_seed, one.trained.network, labels) for one in folds[:-1]]
    chosen = {one.trained.report.chosen_seed for one in folds}
    # A seed that was chosen in all folds is the model itself.
    seeds = [seed for seed in range(len(folds[-1].trained.fitted)) if chosen != {seed}]
    others = [
        _in_time(folds, [SeedSubject(seed, calibrate(task, of.fitted[seed])[0], labels) for task, of in folds])
        for seed in seeds[:OTHER_SEEDS_MAX]
    ]
    *earlier, newest = (fold.task.split for fold in folds)
    return evaluate_trial(
        folds[-1].task.dataset,
        newest,
        _in_time(folds, [*before, served]),
        log,
        trial=trial,
        earlier=earlier,
        others=others,
        options=options,
    ).evaluation


def _in_time(folds: Sequence[Fold], models: Sequence[Subject]) -> WalkedSubject:
    """A model of each fold as one subject that has the newest one's name."""
    firsts_ns = [day_begin_ns(fold.task.split) for fold in folds]
    return WalkedSubject(
        models[-1].name, models[-1].title, models[-1].labels, tuple(zip(firsts_ns, models, strict=True))
    )


def _earlier(split: Split, wish: Wish) -> tuple[str, Path]:
    """What is said while an earlier day of a walk is trained, and the folder of its run."""
    date = moment(day_begin_ns(split))[:10]
    return f"Training for {date},", wish.folder / DAYS / date


def _day_model(fold: Fold) -> DayModel:
    task, trained = fold
    report = trained.report
    learned = task.split.train.ranges
    chosen = next(one for one in report.seeds if one.seed == report.chosen_seed)
    return DayModel(
        begin_ns=day_begin_ns(task.split),
        from_ns=min(one.from_ns for one in learned),
        to_ns=max(one.to_ns for one in learned),
        rows=task.split.train.size,
        seed=chosen.seed,
        stop_nll=chosen.stop_nll,
    )


def _trial(log: TrialLog, tasks: Sequence[Task], wish: Wish) -> int:
    """The run's number in the log: that of the run that is gone on from, else a new one."""
    test = ",".join(task.split.key for task in tasks)
    facts = read_facts(wish.folder)
    begun = None if facts is None else log.trials.get(facts.trial)
    is_same = begun is not None and begun.facts.get("test") == test
    if begun is not None and is_same and all(begun.trial not in log.openings(task.split) for task in tasks):
        return begun.trial
    task = tasks[-1]
    labels = ", ".join(label.name for label in task.dataset.labels)
    return log.begin(
        {
            "command": "train",
            "subject": wish.preset,
            "data": task.dataset.name,
            "test": test,
            "folds": len(tasks),
            "labels": labels,
            "seeds": wish.seeds,
            "config": msgspec.json.encode(task.config).decode(),
            "options": msgspec.json.encode(wish.training).decode(),
        }
    )
