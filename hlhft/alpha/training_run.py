"""From a dataset and its split to a model folder: seeds trained, the best chosen, calibrated, exported.

The model is the seed with the lowest NLL on the stop block, not an ensemble: one network is what the time between two
books leaves room for. Every seed's figures go into the card, so that the luck of the choice can be seen.

RUN/ holds `run.json` (what the run is of), `seed-N/` (states of its training), `tensorboard/` and, at the end,
`model/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from hlhft import __version__
from hlhft.alpha import calibration
from hlhft.alpha.bundle import Bundle
from hlhft.alpha.checkpoints import STATE_BYTES_MAX, CheckpointError
from hlhft.alpha.devices import chosen_device
from hlhft.alpha.exporting import widened, write_model
from hlhft.alpha.foreign_schema import ForeignSchema
from hlhft.alpha.models.build import build
from hlhft.alpha.models.calibrated import Calibrated
from hlhft.alpha.models.config import ModelConfig, ModelConfigError
from hlhft.alpha.predicting import PROBES
from hlhft.alpha.ranks import ALONE, Ranks
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.training import Fitted, Progress, Task, fit, logits_of, thinned
from hlhft.alpha.training_options import SEEDS_MAX, TrainingError, TrainingOptions
from hlhft.alpha.training_report import CalibrationFigures, SeedFigures, TrainingReport
from hlhft.compiled import code_key
from hlhft.data.writing import write_file

CALIBRATION_SAMPLES_MAX = 65_536  # evenly over the block
RUN = "run.json"
MODEL = "model"


class RunFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`run.json`: what the run is of, for people; the states hold what is checked."""

    dataset: str
    dataset_key: str
    split_key: str
    schema_hash: str
    config: ModelConfig
    options: TrainingOptions
    seeds: int
    trial: int  # its number in the log of trials; 0: it is in none
    code_key: str
    hlhft: str


class Trained(NamedTuple):
    """The chosen seed, ready to be written, and what is said of all."""

    network: Calibrated
    fitted: tuple[Fitted, ...]
    report: TrainingReport


def train(
    task: Task,
    options: TrainingOptions,
    *,
    seeds: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    on_seed: Callable[[SeedFigures], None] | None = None,
    trial: int = 0,
    ranks: Ranks = ALONE,
) -> Trained:
    """Trains seeds 0 to `seeds` - 1, each kept in `folder` as it goes, and calibrates the best.

    What an earlier call with the same task and options left in `folder` is gone on from. Among several `ranks` all
    call it alike, and the first alone writes. Raises as `fit`, and
    ValueError for a number of seeds that is none.
    """
    if not 1 <= seeds <= SEEDS_MAX:
        raise ValueError(f"{seeds} seeds are not 1 to {SEEDS_MAX}")
    if folder is not None and ranks.is_first:
        _write_facts(folder, task, options, seeds, trial)
    fitted, figures = [], []
    for seed in range(seeds):
        own = None if folder is None else folder / f"seed-{seed}"
        told = None if progress is None else _within(progress, seed, seeds)
        fitted.append(fit(task, options, seed=seed, folder=own, progress=told, ranks=ranks))
        figures.append(seed_figures(task, fitted[-1]))
        if on_seed is not None:
            on_seed(figures[-1])
    chosen = min(fitted, key=lambda one: one.stop_nll)
    network, found = calibrate(task, chosen)
    report = TrainingReport(
        chosen_seed=chosen.state.seed,
        choice="the seed with the lowest NLL on the stop block; no ensemble",
        seeds=tuple(figures),
        calibration=found,
        options=options,
        device=chosen_device(options.device),
        weights=sum(parameter.numel() for parameter in chosen.network.parameters()),
        rows={block.name: len(block.rows) for block in task.split.blocks},
    )
    return Trained(network, tuple(fitted), report)


def seed_figures(task: Task, fitted: Fitted) -> SeedFigures:
    """What a seed came to."""
    rows = thinned(task.split.calibrate.rows, CALIBRATION_SAMPLES_MAX)
    logits = logits_of(fitted.network, task.dataset, rows, task.config.length)
    losses = [
        calibration.nll(logits[:, place].astype(np.float64), task.dataset.classes[rows, column])
        for place, column in enumerate(task.columns)
    ]
    history = fitted.state.history
    return SeedFigures(
        seed=fitted.state.seed,
        epochs=len(history),
        best_epoch=fitted.state.best + 1,
        stop_nll=fitted.stop_nll,
        calibrate_nll=float(np.mean(losses)),
        samples_per_s=max(epoch.samples_per_s for epoch in history),
    )


def read_facts(folder: Path) -> RunFacts | None:
    """What the run in `folder` is of; None where there is none. Raises CheckpointError for a file that is none."""
    path = folder / RUN
    if not path.exists():
        return None
    try:
        if path.stat().st_size > STATE_BYTES_MAX:
            raise CheckpointError(f"{path}: the file is larger than {STATE_BYTES_MAX} bytes, name another folder")
        return msgspec.json.decode(path.read_bytes(), type=RunFacts)
    except (msgspec.DecodeError, ModelConfigError, TrainingError) as error:
        raise CheckpointError(f"{path}: this is no run of training ({error}), name another folder") from None


def calibrate(task: Task, fitted: Fitted) -> tuple[Calibrated, tuple[CalibrationFigures, ...]]:
    """The network in its calibration: scaling from the calibrate block, moves of the classes from train and it."""
    dataset = task.dataset
    rows = thinned(task.split.calibrate.rows, CALIBRATION_SAMPLES_MAX)
    logits = logits_of(fitted.network, dataset, rows, task.config.length).astype(np.float64)
    seen = np.concatenate([thinned(task.split.train.rows, 4 * CALIBRATION_SAMPLES_MAX), rows])
    network = build(task.config)
    network.load_state_dict(fitted.network.state_dict())
    found = Calibrated(network)
    figures = []
    for place, column in enumerate(task.columns):
        own, classes, prior = logits[:, place], dataset.classes[rows, column], task.summary.priors[place]
        scaling = calibration.fit_scaling(own, classes, dataset.weights[rows, column], prior)
        moves = calibration.class_moves(dataset.move_bp[seen, column], dataset.classes[seen, column])
        found.scale[place] = scaling.scale
        found.shift[place] = torch.from_numpy(scaling.shift)
        found.moves[place] = torch.from_numpy(moves.mean)
        found.deviations[place] = torch.from_numpy(moves.deviation)
        figures.append(
            CalibrationFigures(
                label=dataset.labels[column].name,
                rows=len(rows),
                scale=scaling.scale,
                nll_before=calibration.nll(own, classes),
                nll_after=calibration.nll(own * scaling.scale + scaling.shift, classes),
                nll_prior=calibration.nll(np.tile(np.log(prior), (len(rows), 1)), classes),
            )
        )
    return found.eval(), tuple(figures)


def record_of(task: Task, report: TrainingReport) -> Bundle:
    """The record of the model, but for hashes and id, which come with its files."""
    schema = task.dataset.schema
    lowest, highest = widened(task.summary.lowest, task.summary.highest)
    return Bundle(
        model_id=0,
        features=schema if isinstance(schema, FeatureSchema) else None,
        foreign=schema if isinstance(schema, ForeignSchema) else None,
        schema_hash=schema.hash,
        profile=task.dataset.profile,
        length=task.config.length,
        horizons=tuple(task.dataset.labels[column] for column in task.columns),
        config=task.config,
        ranges=task.split.ranges,
        embargo_ns=task.split.embargo_ns,
        lowest=lowest,
        highest=highest,
        seed=report.chosen_seed,
        code_key=code_key(),
        hlhft=__version__,
        files={},
    )


def export(task: Task, trained: Trained, folder: Path, more: Mapping[str, bytes] | None = None) -> Bundle:
    """Writes the model folder, with windows of the train block as probes. Raises as `write_model`."""
    ends = thinned(task.split.train.rows, PROBES)
    probes = task.dataset.windows(ends, task.config.length)
    return write_model(folder, trained.network, record_of(task, trained.report), probes, more)


def _write_facts(folder: Path, task: Task, options: TrainingOptions, seeds: int, trial: int) -> None:
    facts = RunFacts(
        dataset=task.dataset.name,
        dataset_key=task.dataset.key,
        split_key=task.split.key,
        schema_hash=task.dataset.schema.hash,
        config=task.config,
        options=options,
        seeds=seeds,
        trial=trial,
        code_key=code_key(),
        hlhft=__version__,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / RUN, msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")


def _within(progress: Progress, seed: int, seeds: int) -> Progress:
    """The progress of one seed as that of all, each taken for as long."""
    return lambda done, whole: progress(seed * whole + done, seeds * whole)
