"""A world in which the gap between the best constant risk aversion and one that knows the regime is known: two
volatilities take turns, and the closed form is made to believe in one.

The gap is measured in the environment itself, by common random numbers: both quote on the same paths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hlhft.alpha.fleet import Fleet, Score, Task, evaluate
from hlhft.alpha.paths import Path, Ranges, World, simulated
from tests.alpha import worlds

LOW, HIGH, ETA = 0.1, 0.6, 5.0
RANGES = Ranges(
    base=World(
        seconds=300.0, sigma_bp=LOW, sigma_high_bp=HIGH, dwell_s=60.0, intensity_a=worlds.A, intensity_k=worlds.K
    )
)
GAMMAS = tuple(np.geomspace(0.5, 10.0, 9))
MULTIPLIERS = (0.25, 2.0)  # of the oracle: quiet times, loud times; within what an action can ask for


def task(gamma: float) -> Task:
    """The task with this risk aversion; drawdowns are left out of the reward, as in theory."""
    return worlds.task(worlds.frictionless(gamma=gamma), eta=ETA, drawdown_weight=0.0)


def paths(seeds: Sequence[int]) -> list[Path]:
    """Paths of this world."""
    return simulated(RANGES, seeds)


def best_constant(on: Sequence[Path]) -> float:
    """The best of GAMMAS on these paths."""
    one = task(1.0)
    values = [
        evaluate(one, on, params={**one.settings.params, "gamma": float(gamma)}).utility.mean() for gamma in GAMMAS
    ]
    return float(GAMMAS[int(np.argmax(values))])


def oracle(one: Task, on: Sequence[Path]) -> Score:
    """What knowing the regime is worth on these paths."""
    actions = np.log(MULTIPLIERS) / np.log(4.0)

    def act(observations: np.ndarray, fleet: Fleet) -> np.ndarray:
        found = np.zeros((fleet.size, 4), np.float32)
        for number, path in enumerate(on):
            elapsed = fleet.episodes[number]["now_ns"] - fleet.episodes[number]["begin_ns"]
            second = min(int(elapsed // 1_000_000_000), len(path.variance) - 2)
            rate = path.variance[second + 1] - path.variance[second]
            found[number, 0] = actions[1] if rate > (LOW**2 + HIGH**2) / 2 else actions[0]
        return found

    return evaluate(one, on, act)
