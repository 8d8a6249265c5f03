"""Batches and what the train block is like, against plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha import batches
from hlhft.alpha.batches import Batches, summarise
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.training_options import TrainingError
from tests.alpha.planted import SCHEMA, always_flat, by_chance, by_imbalance, planted

pytestmark = pytest.mark.alpha

ONE = np.array([0])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return planted(tmp_path_factory.mktemp("data") / "two", rows=600, classes=(by_imbalance, by_chance))


def of(dataset: Dataset, order: tuple[int, int] | None, most: int = 0) -> Batches:
    ends = dataset.ends(slice(None), 8)
    return Batches(
        dataset, ends, length=8, size=64, columns=np.array([1, 0]), scales=np.array([1, 2], np.float32), order=order,
        samples_max=most,
    )  # fmt: skip


def test_every_window_comes_once_with_its_labels_and_weights(dataset: Dataset) -> None:
    found = list(of(dataset, (3, 0)))
    ends = np.random.default_rng((3, 0)).permutation(dataset.ends(slice(None), 8))
    assert len(found) == len(of(dataset, None)) == -(-len(ends) // 64)
    assert np.array_equal(np.concatenate([one.rows for one in found]), dataset.windows(ends, 8))
    assert np.array_equal(np.concatenate([one.classes for one in found]), dataset.classes[ends][:, [1, 0]])
    assert np.array_equal(np.unique(np.concatenate([one.weights for one in found]), axis=0), [[0.5, 1.0]])


def test_seed_and_epoch_decide_the_order(dataset: Dataset) -> None:
    def first(order: tuple[int, int]) -> list[int]:
        return next(iter(of(dataset, order))).classes[:, 0].tolist()

    assert first((1, 2)) == first((1, 2))
    assert first((1, 2)) != first((1, 3)) and first((1, 2)) != first((2, 2))


def test_an_epoch_may_be_a_part_of_all(dataset: Dataset) -> None:
    assert sum(len(one.classes) for one in of(dataset, (0, 0), most=100)) == 100


def test_the_summary_is_that_of_these_rows_alone(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 37)
    rows = np.arange(50, 400)
    found = summarise(dataset, rows, ONE)
    values = dataset.values[rows].astype(np.float64)
    assert np.allclose(found.mean, values.mean(axis=0)) and np.allclose(found.deviation, values.std(axis=0))
    assert np.array_equal(found.lowest, values.min(axis=0)) and np.array_equal(found.highest, values.max(axis=0))
    counts = np.bincount(dataset.classes[rows, 0], minlength=3)
    assert np.allclose(found.priors, (counts + 0.5) / (counts + 0.5).sum())
    assert found.scales.tolist() == [2.0]


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "flat", rows=100, classes=(by_chance, always_flat))
    rows = dataset.ends(slice(None), 1)
    with pytest.raises(TrainingError, match="every label next-1 in the train block is flat, so there is nothing"):
        summarise(dataset, rows, np.array([0, 1]))


def test_no_rows_are_refused(dataset: Dataset) -> None:
    with pytest.raises(TrainingError, match="no window to train on"):
        summarise(dataset, np.zeros(0, np.int64), ONE)


def test_a_column_that_stands_still_is_not_divided_by_nothing_and_no_number_is_named(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "still", rows=100)
    dataset.values = np.array(dataset.values)
    dataset.values[:, 4] = 7.0
    assert summarise(dataset, np.arange(90), ONE).deviation[4] == 1.0
    dataset.values[33, 5] = np.nan
    with pytest.raises(TrainingError, match=f"feature {SCHEMA.names[5]} of row 33 is nan"):
        summarise(dataset, np.arange(90), ONE)
