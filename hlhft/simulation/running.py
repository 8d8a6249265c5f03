"""Many runs, on some processors, in order of their seeds; the same outcomes on any number of them."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from hlhft.simulation.faults import Fault
from hlhft.simulation.run import Outcome, run
from hlhft.simulation.shrinking import shrink

PROCESSES_MAX = 256
AHEAD = 4  # runs that wait for each process


def run_quietly(seed: int, span_ns: int, faults: Sequence[Fault] | None = None) -> Outcome:
    """One run without its logs: an engine says a lot about a network that fails."""
    logging.disable(logging.CRITICAL)
    return run(seed, span_ns, faults)


def outcomes(seeds: Sequence[int], span_ns: int, *, processes: int) -> Iterator[Outcome]:
    """The outcome of each seed, in order; what comes after is not begun when nobody asks for it any more."""
    if processes == 1:
        yield from map(partial(run_quietly, span_ns=span_ns), seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for first in range(0, len(seeds), processes * AHEAD):
            part = seeds[first : first + processes * AHEAD]
            yield from pool.map(partial(run_quietly, span_ns=span_ns), part)


def smallest(outcome: Outcome, plan: Sequence[Fault], span_ns: int) -> tuple[Fault, ...]:
    """A small part of the plan under which the same seed breaks the same promise."""
    assert outcome.violation is not None, "only what fails is made small"
    promise = outcome.violation.promise

    def fails(some: Sequence[Fault]) -> bool:
        again = run_quietly(outcome.seed, span_ns, some).violation
        return again is not None and again.promise is promise

    return shrink(plan, fails)
