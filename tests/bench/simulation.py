"""How fast virtual time passes: the whole engine, its watchdog and the exchange with real signatures, on one core.

Counted is processor time, not the clock's: a run waits for nothing. Two markets, with and without faults.
"""

from __future__ import annotations

import time
from pathlib import Path

from hlhft.simulation.running import run_quietly
from hlhft.simulation.time import SECOND
from tests.bench.figures import Figure, median

SPAN_S, SHORT_SPAN_S = 600, 60
SEEDS, SHORT_SEEDS = (1, 2, 3, 4, 5), (2,)


def simulation(folder: Path, *, short: bool = False) -> list[Figure]:
    """The figures; `folder` is of no use here. Raises AssertionError when a promise breaks."""
    span_ns = (SHORT_SPAN_S if short else SPAN_S) * SECOND
    seeds = SHORT_SEEDS if short else SEEDS
    run_quietly(seeds[0], 5 * SECOND, ())
    calm = [_measured(seed, span_ns, is_calm=True) for seed in seeds]
    faulty = [_measured(seed, span_ns, is_calm=False) for seed in seeds]
    return [
        Figure(
            "simulation", "virtual time without faults", median([one[0] for one in calm]), "x real time", 100.0,
            gate=20.0,
        ),
        Figure("simulation", "events without faults", median([one[1] for one in calm]), "1/s"),
        Figure("simulation", "own actions in a virtual minute", median([one[2] for one in calm]), "1/min", 30.0),
        Figure(
            "simulation", "virtual time under faults", median([one[0] for one in faulty]), "x real time", 50.0,
            gate=10.0,
        ),
    ]  # fmt: skip


def _measured(seed: int, span_ns: int, *, is_calm: bool) -> tuple[float, float, float]:
    """Times real time, events per second, own actions per virtual minute."""
    began = time.process_time()
    outcome = run_quietly(seed, span_ns, () if is_calm else None)
    took = time.process_time() - began
    assert outcome.violation is None, outcome.violation
    minutes = outcome.virtual_ns / (60 * SECOND)
    return outcome.virtual_ns / SECOND / took, outcome.events / took, outcome.actions / minutes
