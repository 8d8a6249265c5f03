"""Features of one simulated market with the labels of another of the same law, and what a learner finds in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path as File

from hlhft.alpha.baselines import Rival, fit, gather
from hlhft.alpha.dataset import Dataset
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.splits import Split, split_once
from tests.alpha.truth.cases import LENGTH, STEP_MS, changed, dataset_of, world_of
from tests.alpha.truth.generator import Plant, simulate
from tests.alpha.truth.oracle import matthews
from tests.alpha.wrong_splits import random_folds

ROWS = 4_000
SLOW = world_of(Plant.NONE, memory=0.97, deep_memory=0.97)
LABEL = LabelSpec(name="later", kind="window", horizon_ms=20 * STEP_MS, threshold=6e-4)


def unrelated(folder: File, pairs: int) -> list[Dataset]:
    """So many datasets, independent of each other; nothing in the features of any says anything of its labels."""
    mixed = []
    for pair in range(pairs):
        own, other = (
            dataset_of(simulate(SLOW, ROWS, 2 * pair + place), folder / f"{pair}-{place}", (LABEL,)) for place in (0, 1)
        )
        mixed.append(changed(own, folder / f"{pair}-mixed", labels=other))
    return mixed


def at_random(dataset: Dataset) -> Split:
    """The first of five folds that are dealt out row by row."""
    return random_folds(dataset, length=LENGTH, horizon=0)[0]


def in_blocks(dataset: Dataset) -> Split:
    """Our own split, with a longer test block than usual."""
    return split_once(dataset, length=LENGTH, horizon=0, shares=(0.5, 0.1, 0.1, 0.3))


def found(datasets: Sequence[Dataset], split: Callable[[Dataset], Split]) -> list[float]:
    """The Matthews correlation that LightGBM reaches on the test block of each."""
    reached = []
    for dataset in datasets:
        blocks = split(dataset)
        rival = fit("lightgbm", *(gather(dataset, block.rows, 0) for block in blocks.blocks[:3]))
        assert isinstance(rival, Rival)
        tested = gather(dataset, blocks.test.rows, 0)
        reached.append(matthews(tested.classes, rival.predict(tested).p.argmax(axis=1)))
    return reached
