"""A whole run: seeds, choice, calibration, model folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.calibration import softmax
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.splits import split_once
from hlhft.alpha.training import Task, logits_of, make_task
from hlhft.alpha.training_options import TrainingOptions
from hlhft.alpha.training_report import SeedFigures
from hlhft.alpha.training_run import RUN, RunFacts, Trained, export, train
from tests.alpha.planted import RIGHT, by_chance, by_imbalance, planted, small_lit

pytestmark = pytest.mark.alpha

QUICK = TrainingOptions(epochs=4, patience=3, batch=128, learning_rate=3e-3, warmup_steps=10, threads=1, device="cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return planted(tmp_path_factory.mktemp("data") / "two", rows=6_000, classes=(by_imbalance, by_chance))


@pytest.fixture(scope="module")
def task(dataset: Dataset) -> Task:
    return make_task(dataset, split_once(dataset, length=8), small_lit(2, imbalance_residual=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "run"


@pytest.fixture(scope="module")
def trained(task: Task, folder: Path) -> Trained:
    return train(task, QUICK, seeds=2, folder=folder)


def test_the_chosen_seed_is_the_best_on_the_stop_block(trained: Trained) -> None:
    losses = {one.seed: one.stop_nll for one in trained.report.seeds}
    assert sorted(losses) == [0, 1]
    assert losses[trained.report.chosen_seed] == min(losses.values())


def test_what_was_planted_is_calibrated_and_chance_is_given_up(trained: Trained, task: Task) -> None:
    known, chance = trained.report.calibration
    assert known.nll_after < 0.8 < 1.0 < known.nll_prior
    assert chance.nll_after <= chance.nll_prior + 0.005
    rows = task.split.test.rows
    logits = logits_of(trained.network.network, task.dataset, rows, 8)[:, 0].astype(float)
    scaling = trained.network.scale[0].item(), trained.network.shift[0].numpy()
    p = softmax(logits * scaling[0] + scaling[1])
    called = p.argmax(axis=1)
    right = called == task.dataset.classes[rows, 0]
    # Sure of 0.8 at most, and as often right as it says.
    assert right.mean() == pytest.approx(p.max(axis=1).mean(), abs=0.04)
    assert right.mean() > RIGHT - 0.06


def test_moves_are_those_of_the_classes(trained: Trained) -> None:
    assert np.allclose(trained.network.moves.numpy(), [[-2, 0, 2]] * 2, atol=0.02)
    assert np.allclose(trained.network.deviations.numpy(), 0.1, atol=0.01)


def test_the_model_folder_says_where_it_comes_from(trained: Trained, task: Task, folder: Path) -> None:
    bundle = export(task, trained, folder / "model")
    assert load_bundle(folder / "model") == bundle
    assert bundle.ranges == task.split.ranges and bundle.embargo_ns == task.split.embargo_ns
    assert [label.name for label in bundle.horizons] == ["next-0", "next-1"]
    assert bundle.seed == trained.report.chosen_seed and bundle.config == task.config
    values = task.dataset.values[task.split.train.rows]
    assert (values.min(axis=0) > np.array(bundle.lowest)).all() and (
        values.max(axis=0) < np.array(bundle.highest)
    ).all()
    rows = task.split.test.rows[:5]
    found = predictor(bundle, folder / "model").predict(task.dataset.windows(rows, 8))
    logits = logits_of(trained.network.network, task.dataset, rows, 8)
    scaled = logits * trained.network.scale.numpy() + trained.network.shift.numpy()
    assert np.allclose(found.p, np.stack([softmax(scaled[:, place]) for place in (0, 1)], axis=1), atol=1e-4)


def test_the_same_command_again_trains_nothing_and_gives_the_same(trained: Trained, task: Task, folder: Path) -> None:
    told: list[int] = []
    again = train(task, QUICK, seeds=2, folder=folder, progress=lambda done, _: told.append(done))
    assert not told and again.report == trained.report


def test_more_seeds_go_on_from_those_that_are_there(trained: Trained, task: Task, folder: Path) -> None:
    seen: list[SeedFigures] = []
    progress: list[tuple[int, int]] = []
    more = train(task, QUICK, seeds=3, folder=folder, on_seed=seen.append, progress=lambda *at: progress.append(at))
    assert more.report.seeds[:2] == trained.report.seeds and seen[2].seed == 2
    assert progress[-1][0] <= progress[-1][1] and progress == sorted(progress)
    facts = msgspec.json.decode((folder / RUN).read_bytes(), type=RunFacts)
    assert facts.seeds == 3 and facts.split_key == task.split.key


@pytest.mark.parametrize("seeds", [0, 101])
def test_a_number_of_seeds_that_is_none_is_refused(task: Task, seeds: int) -> None:
    with pytest.raises(ValueError, match="seeds are not 1 to 100"):
        train(task, QUICK, seeds=seeds)
