"""One of two ranks, as torchrun starts it: trains a planted task, then by the command, and says what came of it.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m tests.alpha.ranks_peer FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from hlhft.alpha.dataset import open_dataset
from hlhft.alpha.ranks import first_ones, gathered, joined, mean_over, ranks_of
from hlhft.alpha.splits import split_once
from hlhft.alpha.training import Task, fit, make_task, prepared
from hlhft.alpha.training_options import TrainingOptions
from hlhft.cli import invoke
from tests.alpha.planted import small_lit

BATCH = 64
ROWS = 1_501  # the last batch of an epoch does not come out even


def options_of(batch: int) -> TrainingOptions:
    """Two epochs, without draws but for the order of samples."""
    return TrainingOptions(
        epochs=2, patience=2, batch=batch, learning_rate=3e-3, warmup_steps=10, threads=1, device="cpu"
    )


def task_of(folder: Path) -> Task:
    config = small_lit(dropout=0.0)  # whose draws are of one process each
    dataset = open_dataset(folder)
    return make_task(dataset, split_once(dataset, length=config.length, horizon=0), config)


def digest(weights: dict[str, torch.Tensor]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for name, value in sorted(weights.items()):
        found.update(name.encode() + value.detach().numpy().tobytes())
    return found.hexdigest()


def arguments(data: Path, run: Path, batch: int) -> list[str]:
    """Of the command."""
    return [
        "train", "--data-dir", str(data), "--label", "window", "--horizon", "200", "--levels", "2", "--half-life-ms",
        "640", "--length", "8", "--epochs", "1", "--batch", str(batch), "--threads", "1", "--device", "cpu",
        "--resamples", "20", "--output", str(run), "--trials", str(run.parent / f"{run.name}.jsonl"),
    ]  # fmt: skip


def main(folder: Path) -> None:
    ranks = ranks_of(os.environ)
    task = task_of(folder / "data")
    said: dict[str, Any] = {"begins": digest(prepared(task, 0).state_dict())}
    with joined(ranks, device="cpu"):
        fitted = fit(task, options_of(BATCH), seed=0, folder=folder / "fit" / "seed-0", ranks=ranks)
        said["first"], said["mean"] = first_ones(ranks, float(ranks.rank)), mean_over(ranks, float(ranks.rank))
        said["gathered"] = gathered(ranks, ranks.rank)
        said["code"] = invoke(arguments(folder / "data", folder / "ranked", BATCH))
    weights = fitted.network.state_dict()
    said["ends"] = digest(weights)
    said["losses"] = [epoch.train_loss for epoch in fitted.state.history]
    if ranks.is_first:
        torch.save(weights, folder / "weights.pt")
    (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
