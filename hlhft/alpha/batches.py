"""Windows of a dataset for training: gathered without a loop, in an order that seed and epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hlhft.alpha.dataset import CHUNK_ROWS, Dataset
from hlhft.alpha.ranks import ALONE, Ranks
from hlhft.alpha.training_options import TrainingError

Int64 = NDArray[np.int64]

JUDGED_BATCH = 512


class Batch(NamedTuple):
    """Some samples."""

    rows: Tensor  # float32[b, length, F], raw
    classes: Tensor  # int64[b, H], all 0..2
    weights: Tensor  # float32[b, H], 1 in the mean of the train block


class Batches:
    """The batches of one epoch; iterating twice gives the same twice."""

    def __init__(
        self,
        dataset: Dataset,
        ends: Int64,
        *,
        length: int,
        size: int,
        columns: Int64,
        scales: NDArray[np.float32],
        order: tuple[int, int] | None = None,
        samples_max: int = 0,
        ranks: Ranks = ALONE,
    ) -> None:
        """`ends` int64[n] rows that end windows; `columns` int64[H] of the labels; `scales` float32[H] for weights.

        `order` is (seed, epoch) of a shuffle, None: as they are. `samples_max` of them at most, 0: all. Among several
        `ranks` a batch has `size` samples of each, and these are the share of this one.
        """
        self._dataset, self._length, self._size = dataset, length, size
        self._columns, self._scales, self._ranks = columns, scales, ranks
        taken = ends if order is None else np.random.default_rng(order).permutation(ends)
        self._ends = taken[:samples_max] if samples_max else taken

    def __len__(self) -> int:
        whole = self._size * self._ranks.count
        return (len(self._ends) + whole - 1) // whole

    def __iter__(self) -> Iterator[Batch]:
        whole = self._size * self._ranks.count
        for first in range(0, len(self._ends), whole):
            ends, factors = share_of(self._ends[first : first + whole], self._ranks)
            places = ends[:, None], self._columns[None, :]
            yield Batch(
                torch.from_numpy(self._dataset.windows(ends, self._length)),
                torch.from_numpy(self._dataset.classes[places].astype(np.int64)),
                torch.from_numpy(self._dataset.weights[places] * self._scales * factors[:, None]),
            )


def share_of(ends: Int64, ranks: Ranks) -> tuple[Int64, NDArray[np.float32]]:
    """A rank's samples of a batch, and factors for their weights; the mean of all ranks' mean losses is the batch's.

    Every rank has as many: where they do not come out even, some begin again at the front, with a factor of 0.
    """
    own = -(-len(ends) // ranks.count)
    places = np.arange(own * ranks.rank, own * (ranks.rank + 1))
    factor = np.float32(own * ranks.count / len(ends))
    return ends[places % len(ends)], np.where(places < len(ends), factor, np.float32(0))


class Summary(NamedTuple):
    """What the train block's columns and labels are like."""

    mean: NDArray[np.float64]  # [F]
    deviation: NDArray[np.float64]  # [F], 1 for a column that stands still
    lowest: NDArray[np.float64]  # [F]
    highest: NDArray[np.float64]  # [F]
    priors: NDArray[np.float64]  # [H, 3]
    scales: NDArray[np.float32]  # [H], makes weights 1 in the mean


def summarise(dataset: Dataset, rows: Int64, columns: Int64) -> Summary:
    """The summary of these rows alone, in chunks.

    Raises TrainingError without rows, for a feature that is no number, and for a label with one class only.
    """
    if not len(rows):
        raise TrainingError(f"{dataset.name}: there is no window to train on, record longer or choose a shorter one")
    count = 0
    mean = np.zeros(dataset.values.shape[1])
    spread = np.zeros_like(mean)
    lowest, highest = np.full_like(mean, np.inf), np.full_like(mean, -np.inf)
    counts, weight = np.zeros((len(columns), 3)), np.zeros(len(columns))
    for first in range(0, len(rows), CHUNK_ROWS):
        part = rows[first : first + CHUNK_ROWS]
        values = dataset.values[part].astype(np.float64)
        _check_finite(dataset, part, values)
        # Chan's update: means and squares of chunks joined without losing small deviations beside large means.
        apart = values.mean(axis=0) - mean
        whole = count + len(part)
        spread += values.var(axis=0) * len(part) + apart * apart * count * len(part) / whole
        mean += apart * len(part) / whole
        count = whole
        lowest, highest = np.minimum(lowest, values.min(axis=0)), np.maximum(highest, values.max(axis=0))
        for place, column in enumerate(columns):
            counts[place] += np.bincount(dataset.classes[part, column], minlength=3)
            weight[place] += dataset.weights[part, column].sum(dtype=np.float64)
    for place, column in enumerate(columns):
        if np.count_nonzero(counts[place]) < 2:
            name, only = dataset.labels[column].name, ("down", "flat", "up")[int(counts[place].argmax())]
            raise TrainingError(
                f"{dataset.name}: every label {name} in the train block is {only}, so there is nothing to learn, "
                "record longer or choose a narrower label"
            )
    deviation = np.sqrt(spread / count)
    priors = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    scales = np.where(weight > 0, count / np.maximum(weight, 1e-12), 1.0).astype(np.float32)
    return Summary(mean, np.where(deviation > 1e-6, deviation, 1.0), lowest, highest, priors, scales)


def _check_finite(dataset: Dataset, rows: Int64, values: NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
        raise TrainingError(
            f"{dataset.name}: feature {dataset.schema.names[column]} of row {int(rows[row])} is {values[row, column]}, "
            "expected a finite number, build the dataset again"
        )
