"""What a policy learns where the truth is known: utility against the closed form's optimum, and the share of a known
gap that five seeds reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hlhft.alpha.paths import World, simulate
from hlhft.alpha.policy_evaluation import interval
from hlhft.alpha.policy_training import Schedule, judge, train, tune, tuned_task
from tests.alpha import gap, worlds
from tests.alpha.closed_form import ergodic_value
from tests.bench.figures import Figure

SECTION = "policy"
SCHEDULE = Schedule(
    steps=400_000, lanes=64, rollout=64, batch=1024, epochs=6, learning_rate=1e-3, discount=0.95, target_kl=0.05,
    exploration=-0.5, checkpoints=6, steered=("gamma",),
)  # fmt: skip


def optimum(schedule: Schedule) -> list[Figure]:
    """A policy trained where the closed form is optimal: its utility over the optimum's, how far above in errors."""
    sigma, eta = 0.2, 0.625
    world = World(seconds=600.0, sigma_bp=sigma, intensity_a=worlds.A, intensity_k=worlds.K)
    task = worlds.task(eta=eta, drawdown_weight=0.0)
    learn, held, test = ([simulate(world, first + n)[0] for n in range(128)] for first in (0, 1000, 2000))
    trained = train(task, learn, held, replace(schedule, steps=min(schedule.steps, 300_000)), 1)
    found = judge(task, test, trained.checkpoints[-1].weights)
    best = ergodic_value(worlds.A, worlds.K, eta * sigma**2, 10)
    utility = found.policy.utility
    errors = (utility.mean() - best) / (utility.std(ddof=1) / np.sqrt(len(utility)))
    return [
        Figure(SECTION, "utility over the closed form's optimum", utility.mean() / best, "", minimum=0.98, gate=0.9),
        Figure(SECTION, "above the optimum", errors, "errors", maximum=3.0),
    ]


def known_gap(schedule: Schedule) -> list[Figure]:
    """Five seeds in the world of two volatilities, as a share of the oracle's gap to the best constant."""
    learn, held, test = gap.paths(range(256)), gap.paths(range(1000, 1064)), gap.paths(range(2000, 2256))
    task = gap.task(1.0)
    task = tuned_task(task, tune(task, learn[:64], {"gamma": (0.1, 10.0)}, steps=schedule.steps))
    found = [judge(task, test, train(task, learn, held, schedule, seed).best.weights) for seed in schedule.seeds]
    known = float((gap.oracle(task, test).utility - found[0].base.utility).mean())
    shares = interval(np.array([one.gain.mean for one in found]) / known)
    low = shares.mean if shares.low is None else shares.low
    drawdown = float(np.mean([one.drawdown_ratio for one in found]))
    return [
        Figure(SECTION, "gap of the oracle to the best constant", known, "bp/s"),
        Figure(SECTION, f"share reached, mean of {len(found)} seeds", shares.mean, "", minimum=0.5, gate=0.1),
        Figure(SECTION, "share reached, low end of 95 %", low, "", minimum=0.0),
        Figure(SECTION, "drawdown over the closed form's", drawdown, "times", maximum=1.25),
    ]


def policy(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section's figures; a short run has one seed and few steps."""
    schedule = replace(SCHEDULE, steps=100_000, seeds=(1,)) if short else SCHEDULE
    return [*optimum(schedule), *known_gap(schedule)]
