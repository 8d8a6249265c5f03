"""The split that everybody warns of, to show what it does: samples are dealt out at random, whatever their lives."""

from __future__ import annotations

import numpy as np

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.splits import BLOCKS, Block, Split

SHARES = (0.6, 0.1, 0.1, 0.2)


def random_folds(dataset: Dataset, *, length: int, horizon: int | None, folds: int = 5, seed: int = 1) -> list[Split]:
    """k-fold with shuffling, without purge and embargo: each sample is tested once, beside those that were taught."""
    rows = dataset.ends(slice(None), length, horizon)
    dealt = np.random.default_rng(seed).permutation(rows)
    splits = []
    for fold, tested in enumerate(np.array_split(dealt, folds)):
        others = np.setdiff1d(dealt, tested)
        others = np.random.default_rng(seed + fold).permutation(others)
        cuts = np.cumsum([len(others) * share / sum(SHARES[:3]) for share in SHARES[:2]]).astype(int)
        parts = [*np.split(others, cuts), tested]
        blocks = [Block(name, (), np.sort(part)) for name, part in zip(BLOCKS, parts, strict=True)]
        train, stop, calibrate, test = blocks
        splits.append(Split(train, stop, calibrate, test, 0, length, horizon, f"wrong-{seed}-{fold}"))
    return splits
