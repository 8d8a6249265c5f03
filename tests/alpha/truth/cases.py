"""A simulated market as a dataset with its blocks, by way of a recording on disk; and what was drawn for its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File
from typing import NamedTuple

import numpy as np

from hlhft.alpha.dataset import Dataset, DatasetWriter, LabelColumns
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.prepare import prepare
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.splits import Split, split_once
from tests.alpha.truth.generator import MOVE_SHARE, Path, Plant, World, row_of, simulate
from tests.alpha.truth.recording import MARKET, write_recording

STEP_MS = 2_000
SCHEMA = FeatureSchema(levels=5, clock_ms=STEP_MS, half_life_ms=8_000)
# Both ask for the move to the next row: as the barrier that it touches, and as the mean price while that row stands.
BARRIER = LabelSpec(name="barrier", kind="barrier", horizon_ms=STEP_MS, width=0.0, cost_bp=2.5)
WINDOW = LabelSpec(name="window", kind="window", from_ms=STEP_MS, horizon_ms=2 * STEP_MS, threshold=MOVE_SHARE)
LENGTH = 8
# What judges is large, so that a calibration error of 0.02 is more than chance.
SHARES = (0.30, 0.03, 0.07, 0.60)


class Case(NamedTuple):
    """A path, the dataset that was made of its recording, and its blocks."""

    path: Path
    dataset: Dataset
    split: Split

    def classes(self, rows: np.ndarray) -> np.ndarray:
        """int8[k]: what was drawn for these rows of the dataset."""
        return self.path.classes[self._latent(rows)]

    def bayes(self, rows: np.ndarray) -> np.ndarray:
        """float64[k, 3]: the probabilities that it was drawn with."""
        return self.path.probabilities[self._latent(rows)]

    def _latent(self, rows: np.ndarray) -> np.ndarray:
        return row_of(self.path.world, self.dataset.heads["ts_exch_ns"][rows])


def world_of(plant: Plant, **law: float | int | None) -> World:
    """The plant's world at the pace of these cases."""
    return World(plant=plant, step_ns=STEP_MS * 1_000_000, **law)


def dataset_of(path: Path, folder: File, labels: Sequence[LabelSpec] = (BARRIER,)) -> Dataset:
    """Writes the path as a recording into `folder` and makes a dataset of it, there too."""
    recordings = folder / "recordings"
    recordings.mkdir(parents=True)
    write_recording(path, recordings / "simulated.npz")
    return prepare(recordings, schema=SCHEMA, labels=labels, profile="recorded", cache=folder / "cache")


def case_of(
    world: World, rows: int, seed: int, folder: File, *, length: int = LENGTH, shares: Sequence[float] = SHARES
) -> Case:
    """A path of the world, ready to be learnt."""
    path = simulate(world, rows, seed)
    return with_blocks(path, dataset_of(path, folder), length=length, shares=shares)


def with_blocks(path: Path, dataset: Dataset, *, length: int = LENGTH, shares: Sequence[float] = SHARES) -> Case:
    """The case of a path and its dataset."""
    return Case(path, dataset, split_once(dataset, length=length, horizon=0, shares=shares))


def changed(
    dataset: Dataset, folder: File, *, values: np.ndarray | None = None, labels: Dataset | None = None
) -> Dataset:
    """A copy in `folder` of a dataset of one segment, with other feature values, or the labels of another dataset."""
    told = dataset if labels is None else labels
    columns = LabelColumns(*(np.array(column) for column in (told.classes, told.end_ns, told.move_bp, told.weights)))
    with DatasetWriter(
        folder,
        name="changed",
        key="c" * 32,
        schema=SCHEMA,
        labels=told.labels,
        coins=(MARKET.name,),
        sources=("changed",),
    ) as writer:
        writer.append(MARKET.name, np.array(dataset.heads), dataset.values if values is None else values, columns)
        return writer.finish()
