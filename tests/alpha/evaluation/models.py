"""A small trained model in a folder, with the dataset and the split that it was made of."""

from __future__ import annotations

from pathlib import Path

from hlhft.alpha.dataset import Dataset
from hlhft.alpha.splits import Split, split_once
from hlhft.alpha.training import TrainingOptions, make_task
from hlhft.alpha.training_run import export, train
from tests.alpha.planted import planted, small_lit

OPTIONS = TrainingOptions(epochs=8, batch=128, warmup_steps=5, device="cpu", threads=1, learning_rate=5e-3)


def trained(folder: Path, *, rows: int = 4_000) -> tuple[Dataset, Split, Path]:
    """Dataset, split and model folder; it takes two seconds and learns what is planted in part."""
    dataset = planted(folder / "data", rows=rows)
    split = split_once(dataset, length=8)
    task = make_task(dataset, split, small_lit())
    export(task, train(task, OPTIONS, seeds=1), folder / "model")
    return dataset, split, folder / "model"
