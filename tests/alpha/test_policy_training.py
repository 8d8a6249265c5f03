"""Training: judged against theory and the closed form, not against itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hlhft.alpha.fleet import evaluate
from hlhft.alpha.paths import PathError
from hlhft.alpha.policy_training import Schedule, judge, train, tune
from tests.alpha import gap, worlds

pytestmark = pytest.mark.alpha

SMALL = Schedule(steps=512, seeds=(1,), lanes=8, rollout=16, batch=64, epochs=1, checkpoints=2, hidden=(8,))


def test_the_gap_is_what_theory_says() -> None:
    """The world in which a policy is trained below: the environment finds the gap that the matrix computes."""
    gamma, constant = gap.best_constant()
    multipliers, best = gap.best_multipliers(gamma)
    assert best > 1.08 * constant
    task, on = gap.task(gamma), gap.paths(range(5000, 5128))
    base, oracle = evaluate(task, on), gap.oracle(task, on, multipliers)
    error = float(base.utility.std(ddof=1)) / math.sqrt(len(on))
    assert base.utility.mean() == pytest.approx(constant, abs=4.0 * error)
    difference = oracle.utility - base.utility
    spread = float(difference.std(ddof=1)) / math.sqrt(len(on))
    assert difference.mean() == pytest.approx(best - constant, abs=4.0 * spread + 0.1 * (best - constant))


def test_a_policy_learns_a_known_gap() -> None:
    """A short run from one seed, against the closed form and the oracle on paths that nothing was learned from."""
    gamma, _ = gap.best_constant()
    multipliers, _ = gap.best_multipliers(gamma)
    task = gap.task(gamma)
    schedule = Schedule(
        steps=130_000, seeds=(1,), lanes=64, rollout=64, batch=1024, epochs=6, learning_rate=1e-3, discount=0.95,
        target_kl=0.05, exploration=-0.5, checkpoints=4, steered=("gamma",),
    )  # fmt: skip
    trained = train(task, gap.paths(range(96)), gap.paths(range(1000, 1032)), schedule, 1)
    test = gap.paths(range(2000, 2096))
    found = judge(task, test, trained.best.weights)
    known = float((gap.oracle(task, test, multipliers).utility - found.base.utility).mean())
    assert found.gain.low is not None and found.gain.low > 0.0
    assert found.gain.mean >= 0.25 * known
    error = float((found.policy.utility - found.base.utility).std(ddof=1)) / math.sqrt(len(test))
    assert found.gain.mean <= known + 3.0 * error, "above the oracle: a bug of the simulator"
    assert found.drawdown_ratio <= 1.25


def test_the_closed_form_is_tuned_to_what_theory_says_is_best() -> None:
    """Within 1 % of the best constant's value, from far away."""
    _, best = gap.best_constant()
    task, on = gap.task(0.2), gap.paths(range(16))
    tuned = tune(task, on, {"gamma": (0.1, 10.0)}, steps=40 * 16 * 290)
    assert len(tuned.tried) == 40 and tuned.steps == 40 * 16 * 290
    assert tuned.utility == max(utility for _, utility in tuned.tried) > tuned.tried[0][1]
    assert gap.constant_value(float(tuned.params["gamma"])) >= 0.99 * best


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
