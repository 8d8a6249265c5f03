"""Training: judged against theory and the closed form, not against itself."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.alpha.fleet import evaluate
from hlhft.alpha.paths import PathError
from hlhft.alpha.policy_training import Schedule, judge, train, tune
from tests.alpha import gap, worlds

pytestmark = pytest.mark.alpha

SMALL = Schedule(steps=512, seeds=(1,), lanes=8, rollout=16, batch=64, epochs=1, checkpoints=2, hidden=(8,))


# Small, and quick to learn: what it reaches is far from all that a long run does (tests/bench/alpha_policy.py).
QUICK = Schedule(
    steps=130_000, seeds=(1,), lanes=64, rollout=64, batch=1024, epochs=6, learning_rate=1e-3, discount=0.95,
    target_kl=0.05, exploration=-0.5, checkpoints=4, steered=("gamma",),
)  # fmt: skip


def test_a_policy_learns_a_known_gap() -> None:
    """A short run from one seed, against the best constant and the oracle on paths that nothing was learned from."""
    learn = gap.paths(range(96))
    task = gap.task(gap.best_constant(learn[:48]))
    trained = train(task, learn, gap.paths(range(1000, 1032)), QUICK, 1)
    test = gap.paths(range(2000, 2096))
    found = judge(task, test, trained.best.weights)
    known = float((gap.oracle(task, test).utility - found.base.utility).mean())
    assert known > 0.1 * found.base.utility.mean(), "there is a gap to learn"
    assert found.gain.low is not None and found.gain.low > 0.0
    assert found.gain.mean >= 0.25 * known
    assert found.drawdown_ratio <= 1.25


def test_the_closed_form_is_tuned_to_what_is_best() -> None:
    """From far away to within 1 % of the best of a grid, on the same paths."""
    task, on = gap.task(0.2), gap.paths(range(16))
    tuned = tune(task, on, {"gamma": (0.1, 10.0)}, steps=30 * 16 * 290)
    assert len(tuned.tried) == 30 and tuned.steps == 30 * 16 * 290
    assert tuned.utility == max(utility for _, utility in tuned.tried) > tuned.tried[0][1]
    grid = [evaluate(gap.task(float(gamma)), on).utility.mean() for gamma in gap.GAMMAS]
    assert tuned.utility >= 0.99 * max(grid)


def test_the_same_seed_learns_the_same() -> None:
    task, on, held = worlds.task(), [worlds.path(seed) for seed in range(4)], [worlds.path(9)]
    one, same = (train(task, on, held, SMALL, 3) for _ in range(2))
    other = train(task, on, held, SMALL, 4)
    last = [trained.checkpoints[-1].weights for trained in (one, same, other)]
    assert all(weights is not None for weights in last)
    np.testing.assert_array_equal(last[0].layers[0][0], last[1].layers[0][0])
    assert not np.array_equal(last[0].layers[0][0], last[2].layers[0][0])


def test_the_best_checkpoint_counts_and_the_closed_form_is_one() -> None:
    task, on = worlds.task(), [worlds.path(seed) for seed in range(4)]
    trained = train(task, on, [worlds.path(9)], SMALL, 3)
    assert trained.checkpoints[0].weights is None and trained.checkpoints[0].gain == 0.0
    assert trained.best.gain == max(one.gain for one in trained.checkpoints) >= 0.0


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(PathError, match="a schedule needs steps"):
        Schedule(seeds=())
