"""Two processes under torchrun train what one would with batches twice as large, and the first alone leaves files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.batches import share_of
from hlhft.alpha.bundle import load_bundle
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.ranks import (
    ALONE,
    STARTED_BY,
    Ranks,
    RanksError,
    first_alone,
    first_ones,
    gathered,
    mean_over,
    ranks_of,
)
from hlhft.alpha.training import Fitted, fit, prepared
from hlhft.alpha.trials import TrialLog
from hlhft.cli import invoke
from tests.alpha.planted import planted
from tests.alpha.ranks_peer import BATCH, ROWS, arguments, digest, options_of, task_of

pytestmark = pytest.mark.alpha

ROOT = Path(__file__).resolve().parents[2]
LABEL = LabelSpec(name="window-200", kind="window", horizon_ms=200, cost_bp=1.5)
TOLERANCE = 2e-5  # sums of float32 in another order


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks left behind."""
    root = tmp_path_factory.mktemp("ranks")
    planted(root / "data", rows=ROWS, specs=[LABEL])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "-m", "tests.alpha.ranks_peer", str(root)], cwd=root, env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (root / "said.txt").write_text(done.stdout)
    return root


@pytest.fixture(scope="module")
def said(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(folder: Path) -> Fitted:
    """One process with batches of both."""
    return fit(task_of(folder / "data"), options_of(2 * BATCH), seed=0)


def test_both_begin_with_the_weights_of_one_and_end_with_the_same(folder: Path, said: list[dict[str, Any]]) -> None:
    begins = digest(prepared(task_of(folder / "data"), 0).state_dict())
    assert [one["begins"] for one in said] == [begins, begins]
    assert said[0]["ends"] == said[1]["ends"] != begins


def test_the_loss_of_both_is_that_of_one_with_twice_the_batch(said: list[dict[str, Any]], alone: Fitted) -> None:
    losses = [epoch.train_loss for epoch in alone.state.history]
    assert said[0]["losses"] == said[1]["losses"]
    assert said[0]["losses"] == pytest.approx(losses, abs=TOLERANCE)


def test_gradients_are_averaged(folder: Path, alone: Fitted) -> None:
    """Were they not, each rank would have learnt from its half alone, and weights differ from those of the whole."""
    found = torch.load(folder / "weights.pt", weights_only=True)
    for name, value in alone.network.state_dict().items():
        assert torch.allclose(found[name], value, atol=2e-3), name
    half = fit(task_of(folder / "data"), options_of(BATCH), seed=0).network.state_dict()
    assert max(float((found[name] - value).abs().max()) for name, value in half.items()) > 2e-2


def test_they_tell_each_other(said: list[dict[str, Any]]) -> None:
    assert [(one["first"], one["mean"], one["gathered"]) for one in said] == [(0.0, 0.5, [0, 1])] * 2


def test_the_command_trains_under_torchrun_and_the_first_alone_writes_and_speaks(
    folder: Path, said: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert [one["code"] for one in said] == [0, 0]
    assert (folder / "said.txt").read_text().count("Model:") == 1
    assert len(TrialLog(folder / "ranked.jsonl").trials) == 1
    assert invoke(arguments(folder / "data", folder / "one", 2 * BATCH)) == 0
    capsys.readouterr()
    names = [sorted(path.name for path in (folder / run / "model").iterdir()) for run in ("ranked", "one")]
    assert names[0] == names[1]
    ranked, one = (load_bundle(folder / run / "model") for run in ("ranked", "one"))
    assert ranked.ranges == one.ranges


@given(rows=st.integers(1, 300), count=st.integers(1, 9), seed=st.integers(0, 2**16))
def test_the_mean_of_the_ranks_losses_is_that_of_the_batch(rows: int, count: int, seed: int) -> None:
    losses = np.random.default_rng(seed).normal(size=rows)
    ends = np.arange(rows)
    shares = [share_of(ends, Ranks(rank, count)) for rank in range(count)]
    assert len({len(own) for own, _ in shares}) == 1, "every rank makes as many steps of as many samples"
    taken = np.concatenate([own[factors > 0] for own, factors in shares])
    assert sorted(taken) == list(ends)
    means = [float((losses[own] * factors).mean()) for own, factors in shares]
    assert np.mean(means) == pytest.approx(losses.mean(), rel=1e-5, abs=1e-5)


def test_one_that_is_alone_asks_nobody() -> None:
    assert ranks_of({"RANK": "3"}) == ALONE
    assert first_alone(ALONE, lambda: 7) == 7
    assert (first_ones(ALONE, 0.5), mean_over(ALONE, 0.5), gathered(ALONE, "a")) == (0.5, 0.5, ["a"])
    own, factors = share_of(np.arange(5), ALONE)
    assert np.array_equal(own, np.arange(5)) and (factors == 1).all()


def started(**variables: str) -> dict[str, str]:
    return {STARTED_BY: "none", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", **variables}


def test_what_torchrun_says_is_read() -> None:
    ranks = ranks_of(started())
    assert (ranks, ranks.is_first, ranks.hosts) == (Ranks(1, 4, 2), False, 2)


@pytest.mark.parametrize("variables", [{"RANK": "4"}, {"RANK": ""}, {"LOCAL_WORLD_SIZE": "3"}, {"WORLD_SIZE": "4096"}])
def test_what_does_not_fit_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(RanksError):
        ranks_of(started(**variables))
