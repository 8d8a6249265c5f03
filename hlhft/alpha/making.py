"""`hlhft train` without its terminal: data to dataset, split, seeds, model folder, evaluation, card.

A training is a trial: it is logged before it begins, and the test block is opened once for it, at the end. A run that
is gone on from stays the trial that it was, unless it has seen the test block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from hlhft.alpha.bundle import CARD, CARD_PAGE, Bundle, predictor
from hlhft.alpha.card import Card, card_of, render, to_json
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.devices import chosen_device
from hlhft.alpha.evaluation.evaluating import Options
from hlhft.alpha.evaluation.logged import evaluate_trial
from hlhft.alpha.evaluation.result import Evaluation
from hlhft.alpha.evaluation.subjects import BundleSubject, Progress
from hlhft.alpha.exporting import add_files
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.models.calibrated import Calibrated
from hlhft.alpha.models.config import preset
from hlhft.alpha.prepare import prepare
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import split_once
from hlhft.alpha.training import Task, logits_of, make_task
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_report import SeedFigures
from hlhft.alpha.training_run import MODEL, Trained, calibrate, export, read_facts, record_of, train
from hlhft.alpha.trials import TrialLog

Bar = Callable[[str], AbstractContextManager[Progress | None]]

OTHER_SEEDS_MAX = 9  # that are evaluated beside the chosen one


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


def make_model(wish: Wish, bar: Bar, *, on_seed: Callable[[SeedFigures], None] | None = None) -> Card:
    """Makes the model and returns its card; both are in `wish.folder`/model, the card with its evaluation last.

    Raises DeviceError for a GPU that is not there, DataError for too little data or one class only, TrainingError,
    ModelConfigError, CheckpointError, BundleError and TrialLogError as their modules say, and KeyboardInterrupt when
    interrupted: whole epochs are kept.
    """
    chosen_device(wish.training.device)  # refused here and not after an hour of preparing
    with bar("Preparing the data") as progress:
        dataset = prepare(
            wish.data_dir,
            schema=wish.schema,
            labels=wish.labels,
            profile=wish.profile,
            cache=wish.cache,
            coins=wish.coins or None,
            fi2010_inputs=wish.fi2010_inputs,
            progress=progress,
        )
    task = task_of(dataset, wish)
    log = TrialLog(wish.trials)
    trial = _trial(log, task, wish)
    with bar(f"Training {wish.seeds} x {wish.training.epochs} epochs") as progress:
        trained = train(
            task, wish.training, seeds=wish.seeds, folder=wish.folder, progress=progress, on_seed=on_seed, trial=trial
        )
    folder = wish.folder / MODEL
    bundle = export(
        task, trained, folder, card_files(card_of(dataset, record_of(task, trained.report), trained.report, None))
    )
    with bar("Evaluating on the test block") as progress:
        evaluation = evaluated(task, trained, bundle, folder, log, trial, wish.evaluation, progress)
    card = card_of(dataset, bundle, trained.report, evaluation)
    add_files(folder, card_files(card))
    return card


def task_of(dataset: Dataset, wish: Wish) -> Task:
    """The task that the wish makes of the dataset: all its labels, one split by time."""
    horizons = len(dataset.labels)
    config = preset(wish.preset, dataset.schema, length=wish.length, horizons=horizons)
    split = split_once(dataset, length=wish.length, horizon=0 if horizons == 1 else None)
    return make_task(dataset, split, config)


def card_files(card: Card) -> Mapping[str, bytes]:
    """The card as files of a model folder."""
    return {CARD: to_json(card), CARD_PAGE: render(card).encode()}


def evaluated(
    task: Task,
    trained: Trained,
    bundle: Bundle,
    folder: Path,
    log: TrialLog,
    trial: int,
    options: Options,
    progress: Progress | None = None,
) -> Evaluation:
    """The model as it is served, beside the run's other seeds and all rivals, on the test block."""
    others = [
        SeedSubject(fitted.state.seed, calibrate(task, fitted)[0], bundle.horizons)
        for fitted in trained.fitted
        if fitted.state.seed != bundle.seed
    ]
    subject = BundleSubject(bundle, predictor(bundle, folder), progress)
    outcome = evaluate_trial(
        task.dataset, task.split, subject, log, trial=trial, others=others[:OTHER_SEEDS_MAX], options=options
    )
    return outcome.evaluation


def _trial(log: TrialLog, task: Task, wish: Wish) -> int:
    """The run's number in the log: that of the run that is gone on from, else a new one."""
    facts = read_facts(wish.folder)
    if facts is not None and facts.trial in log.trials and facts.trial not in log.openings(task.split):
        return facts.trial
    labels = ", ".join(label.name for label in task.dataset.labels)
    return log.begin(
        {
            "command": "train",
            "subject": wish.preset,
            "data": task.dataset.name,
            "test": task.split.key,
            "labels": labels,
            "seeds": wish.seeds,
            "config": msgspec.json.encode(task.config).decode(),
            "options": msgspec.json.encode(wish.training).decode(),
        }
    )
