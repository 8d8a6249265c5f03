"""Training: it learns what was planted and nothing where nothing was, resumes as if never stopped, and says why not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hlhft.alpha.batches import Batch
from hlhft.alpha.checkpoints import CheckpointError
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.models.config import LitConfig
from hlhft.alpha.splits import split_once
from hlhft.alpha.training import (
    Task,
    class_weights,
    fit,
    logits_of,
    make_task,
    prepared,
    thinned,
    weighted_loss,
)
from hlhft.alpha.training_options import TrainingError, TrainingOptions
from tests.alpha.planted import BAYES_NLL, by_chance, by_imbalance, planted, small_lit

pytestmark = pytest.mark.alpha

QUICK = TrainingOptions(epochs=3, patience=3, batch=128, learning_rate=3e-3, warmup_steps=10, threads=1, device="cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return planted(tmp_path_factory.mktemp("data") / "two", classes=(by_imbalance, by_chance))


def task_of(dataset: Dataset, horizon: int | None = 0, config: LitConfig | None = None) -> Task:
    config = small_lit(len(dataset.labels) if horizon is None else 1) if config is None else config
    return make_task(dataset, split_once(dataset, length=config.length, horizon=horizon), config)


def test_what_was_planted_is_learnt_to_near_the_bayes_rate(tmp_path: Path) -> None:
    task = task_of(planted(tmp_path / "one", rows=9_000))
    fitted = fit(task, TrainingOptions(**{**options_of(QUICK), "epochs": 12, "patience": 4}), seed=0)
    rows = task.split.test.rows
    called = logits_of(fitted.network, task.dataset, rows, 8)[:, 0].argmax(axis=1)
    # A rule that knows the law is right 0.8 of the time.
    assert (called == task.dataset.classes[rows, 0]).mean() > 0.72
    assert BAYES_NLL < fitted.stop_nll < BAYES_NLL + 0.12


def options_of(options: TrainingOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__struct_fields__}


def test_where_nothing_was_planted_training_stops_early_at_the_prior(dataset: Dataset) -> None:
    options = TrainingOptions(**{**options_of(QUICK), "epochs": 30, "patience": 2})
    fitted = fit(task_of(dataset, 1), options, seed=0)
    assert len(fitted.state.history) < 15
    assert fitted.stop_nll > np.log(3) - 0.02


def test_it_starts_at_the_rule_that_the_train_block_gives(dataset: Dataset) -> None:
    task = task_of(dataset, config=small_lit(imbalance_residual=True))
    network = prepared(task, 0)
    torch.nn.init.zeros_(network.head.weight)
    rows = task.split.stop.rows
    p = torch.softmax(torch.from_numpy(logits_of(network, dataset, rows, 8)[:, 0]), dim=1).numpy()
    imbalance = np.asarray(dataset.values[rows, task.config.imbalance_column])
    # Far from the borders of the thirds the planted class has 0.8, the two others 0.1 each.
    for low, high, told in ((-1.0, -0.6, 0), (-0.1, 0.1, 1), (0.6, 1.0, 2)):
        inside = p[(imbalance > low) & (imbalance < high)].mean(axis=0)
        assert inside[told] == pytest.approx(0.8, abs=0.1)


def test_without_the_rule_it_starts_at_the_prior(dataset: Dataset) -> None:
    task = task_of(dataset)
    network = prepared(task, 0)
    torch.nn.init.zeros_(network.head.weight)
    p = torch.softmax(torch.from_numpy(logits_of(network, dataset, task.split.stop.rows[:5], 8)[:, 0]), dim=1)
    assert np.allclose(p.numpy(), task.summary.priors, atol=1e-5)


def test_nothing_of_later_blocks_reaches_what_is_fitted_first(dataset: Dataset) -> None:
    """Rows after the train block are changed; standardisation, bias, rule and ranges stay to the bit."""
    task = task_of(dataset, config=small_lit(imbalance_residual=True))
    before = prepared(task, 0).state_dict()
    changed = planted(dataset.folder.parent / "changed", classes=(by_imbalance, by_chance))
    for name in ("values", "classes", "weights", "move_bp"):
        setattr(changed, name, np.array(getattr(changed, name)))
    later = int(task.split.train.rows[-1]) + 1
    changed.values[later:] = 1e6
    changed.classes[later:, :] = 2
    changed.weights[later:] = 9.0
    other = make_task(changed, task.split, task.config)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), prepared(other, 0).state_dict().values()))
    assert np.array_equal(task.summary.highest, other.summary.highest)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_resumed_run_is_the_uninterrupted_one(dataset: Dataset, tmp_path: Path, averaging: float) -> None:
    task = task_of(dataset, None, small_lit(2, dropout=0.2))
    options = {**options_of(QUICK), "averaging": averaging}
    whole = fit(task, TrainingOptions(**options), seed=3, folder=tmp_path / "whole")
    fit(task, TrainingOptions(**{**options, "epochs": 1}), seed=3, folder=tmp_path / "parts")
    resumed = fit(task, TrainingOptions(**options), seed=3, folder=tmp_path / "parts")
    assert [e.stop_nll for e in resumed.state.history] == [e.stop_nll for e in whole.state.history]
    weights = zip(whole.network.state_dict().values(), resumed.network.state_dict().values())
    assert all(torch.equal(one, other) for one, other in weights)


def test_another_seed_is_another_run(dataset: Dataset) -> None:
    task = task_of(dataset)
    one, again, other = (fit(task, QUICK, seed=seed).stop_nll for seed in (0, 0, 1))
    assert one == again != other


def test_an_interrupted_run_keeps_its_whole_epochs(dataset: Dataset, tmp_path: Path) -> None:
    task = task_of(dataset)
    whole = fit(task, QUICK, seed=0, folder=tmp_path / "whole")
    handler = signal.getsignal(signal.SIGINT)
    steps = len(task.split.train.rows) // QUICK.batch + 1

    def interrupt(done: int, _: int) -> None:
        if done == 2 * steps - 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(task, QUICK, seed=0, folder=tmp_path / "cut", progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = fit(task, QUICK, seed=0, folder=tmp_path / "cut")
    assert [e.stop_nll for e in resumed.state.history] == [e.stop_nll for e in whole.state.history]


def test_a_finished_run_is_not_trained_again(dataset: Dataset, tmp_path: Path) -> None:
    task = task_of(dataset)
    first = fit(task, QUICK, seed=0, folder=tmp_path / "run")
    told: list[int] = []
    again = fit(task, QUICK, seed=0, folder=tmp_path / "run", progress=lambda done, _: told.append(done))
    assert not told and again.state == first.state


@pytest.mark.parametrize("change", [{"learning_rate": 1e-3}, {"batch": 64}, {"class_weighting": 1.0}])
def test_a_state_of_other_options_is_refused(dataset: Dataset, tmp_path: Path, change: dict[str, Any]) -> None:
    task = task_of(dataset)
    once = {**options_of(QUICK), "epochs": 1}
    fit(task, TrainingOptions(**once), seed=0, folder=tmp_path / "run")
    with pytest.raises(CheckpointError, match="with other options"):
        fit(task, TrainingOptions(**{**once, **change}), seed=0, folder=tmp_path / "run")


def test_tensorboard_is_written_beside_the_seeds(dataset: Dataset, tmp_path: Path) -> None:
    fit(task_of(dataset), TrainingOptions(**{**options_of(QUICK), "epochs": 1}), seed=0, folder=tmp_path / "seed-0")
    assert list((tmp_path / "tensorboard" / "seed-0").glob("events.out.tfevents.*"))


def test_a_loss_that_is_no_number_ends_training_with_a_sentence(dataset: Dataset) -> None:
    task = task_of(dataset)
    broken = Task(
        task.dataset, task.split, task.config, task.columns, task.summary._replace(mean=task.summary.mean * np.nan)
    )
    with pytest.raises(TrainingError, match="seed 0, epoch 1: the loss is no number, give a lower learning rate"):
        fit(broken, QUICK, seed=0)


def test_classes_weigh_alike_where_that_is_asked_for() -> None:
    priors = np.array([[0.25, 0.5, 0.25]])
    assert class_weights(priors, 0.0).tolist() == [[1.0, 1.0, 1.0]]
    found = class_weights(priors, 1.0)[0].numpy()
    assert found * priors[0] == pytest.approx([1 / 3] * 3)


def test_the_loss_weighs_rows_and_classes() -> None:
    batch = Batch(torch.zeros(2, 1, 1), torch.tensor([[0], [2]]), torch.tensor([[2.0], [1.0]]))
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]]]))
    expected = (2.0 * 3.0 * np.log(2) + 1.0 * 1.0 * np.log(4)) / 2
    assert weighted_loss(logits, batch, torch.tensor([[3.0, 1.0, 1.0]])).item() == pytest.approx(expected, rel=1e-6)


def test_a_network_of_other_sizes_than_the_split_is_refused(dataset: Dataset) -> None:
    split = split_once(dataset, length=8, horizon=0)
    with pytest.raises(TrainingError, match="the network has 2 horizons and windows of 8 rows, the split 1 and 8"):
        make_task(dataset, split, small_lit(2))


def test_a_block_without_a_window_is_refused(dataset: Dataset) -> None:
    split = split_once(dataset, length=8, horizon=0, shares=(0.6, 0.0, 0.2, 0.2))
    with pytest.raises(TrainingError, match="the block stop holds no window"):
        make_task(dataset, split, small_lit())


def test_thinned_rows_are_spread_evenly() -> None:
    rows = np.arange(100)
    assert thinned(rows, 5).tolist() == [0, 24, 49, 74, 99]
    assert thinned(rows, 100) is rows


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT TESTED on a GPU: there is none")
def test_on_a_gpu_it_learns_the_same(tmp_path: Path) -> None:
    task = task_of(planted(tmp_path / "one", rows=9_000))
    options = TrainingOptions(**{**options_of(QUICK), "epochs": 12, "patience": 4, "device": "cuda"})
    assert BAYES_NLL < fit(task, options, seed=0).stop_nll < BAYES_NLL + 0.12
