"""A world in which the gap between the best constant risk aversion and an oracle's is known: two volatilities take
turns, and the closed form is made to believe in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hlhft.alpha.fleet import Fleet, Score, Task, evaluate
from hlhft.alpha.paths import Path, Ranges, World, simulated
from tests.alpha import worlds
from tests.alpha.closed_form import glft, value_of

A, K, Q_MAX, TICK = worlds.A, worlds.K, 10, 0.1
# Small beside a tick a frame: a quote of ours that stands near the mid is not to be crossed by its jumps, which theory
# does not have.
LOW, HIGH, DWELL_S, ETA = 0.02, 0.13, 60.0, 45.0
COSTS = [ETA * LOW**2, ETA * HIGH**2]
RANGES = Ranges(
    base=World(seconds=300.0, sigma_bp=LOW, sigma_high_bp=HIGH, dwell_s=DWELL_S, intensity_a=A, intensity_k=K)
)


def constant_value(gamma: float) -> float:
    """What theory says of one risk aversion throughout."""
    return value_of(A, K, COSTS, DWELL_S, Q_MAX, [glft(A, K, gamma, 1.0, Q_MAX)] * 2, TICK)


def best_constant() -> tuple[float, float]:
    """The best constant risk aversion within the strategy's range, and its value a second."""
    gammas = np.geomspace(0.1, 10.0, 120)
    values = [constant_value(gamma) for gamma in gammas]
    return float(gammas[int(np.argmax(values))]), max(values)


def best_multipliers(gamma: float) -> tuple[tuple[float, float], float]:
    """An oracle's multipliers of `gamma` by regime, within 1/4..4, and its value a second."""
    choices = np.geomspace(0.25, 4.0, 25)
    # Regimes last long beside the seconds in which inventory settles, so each is chosen given the other's best.
    pair = [1.0, 1.0]
    best = -np.inf
    for _ in range(2):
        for regime in (0, 1):
            values = []
            for choice in choices:
                trial = [*pair]
                trial[regime] = float(choice)
                quotes = [glft(A, K, gamma * multiplier, 1.0, Q_MAX) for multiplier in trial]
                values.append(value_of(A, K, COSTS, DWELL_S, Q_MAX, quotes, TICK))
            pair[regime], best = float(choices[int(np.argmax(values))]), max(values)
    return (pair[0], pair[1]), best


def task(gamma: float) -> Task:
    """The task with this risk aversion; drawdowns are left out of the reward, as in theory."""
    return worlds.task(worlds.frictionless(gamma=gamma), eta=ETA, drawdown_weight=0.0)


def paths(seeds: Sequence[int]) -> list[Path]:
    """Paths of this world."""
    return simulated(RANGES, seeds)


def oracle(one: Task, on: Sequence[Path], multipliers: tuple[float, float]) -> Score:
    """What knowing the regime is worth on these paths."""
    actions = np.log(multipliers) / np.log(4.0)

    def act(observations: np.ndarray, fleet: Fleet) -> np.ndarray:
        found = np.zeros((fleet.size, 4), np.float32)
        for number, path in enumerate(on):
            elapsed = fleet.episodes[number]["now_ns"] - fleet.episodes[number]["begin_ns"]
            second = min(int(elapsed // 1_000_000_000), len(path.variance) - 2)
            rate = path.variance[second + 1] - path.variance[second]
            found[number, 0] = actions[1] if rate > (LOW**2 + HIGH**2) / 2 else actions[0]
        return found

    return evaluate(one, on, act)
