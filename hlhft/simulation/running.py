"""Many runs, on some processors, in order of their seeds; the same outcomes on any number of them."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial

from hlhft.simulation.faults import Fault
from hlhft.simulation.run import Outcome, run
from hlhft.simulation.settings import RunSettings
from hlhft.simulation.shrinking import shrink
from hlhft.simulation.time import SECOND

AHEAD = 4  # runs that wait for each process


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged meanwhile."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def run_quietly(
    seed: int,
    span_ns: int,
    faults: Sequence[Fault] | None = None,
    *,
    settings: RunSettings | None = None,
    until_ns: int | None = None,
) -> Outcome:
    """One run without its logs: an engine says a lot about a network that fails."""
    with quiet():
        return run(seed, span_ns, faults, settings=settings, until_ns=until_ns)


def outcomes(
    seeds: Sequence[int], span_ns: int, *, processes: int, settings: RunSettings | None = None
) -> Iterator[Outcome]:
    """The outcome of each seed, in order; what comes after is not begun when nobody asks for it any more."""
    one = partial(run_quietly, span_ns=span_ns, settings=settings)
    if processes == 1:
        yield from map(one, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for first in range(0, len(seeds), processes * AHEAD):
            part = seeds[first : first + processes * AHEAD]
            yield from pool.map(one, part)


def smallest(
    outcome: Outcome, plan: Sequence[Fault], span_ns: int, settings: RunSettings | None = None
) -> tuple[Fault, ...]:
    """A small part of the plan under which the same seed breaks the same promise, and not much later."""
    assert outcome.violation is not None, "only what fails is made small"
    promise, until_ns = outcome.violation.promise, outcome.virtual_ns + SECOND

    def fails(some: Sequence[Fault]) -> bool:
        again = run_quietly(outcome.seed, span_ns, some, settings=settings, until_ns=until_ns).violation
        return again is not None and again.promise is promise

    return shrink([fault for fault in plan if fault.at_ns <= outcome.virtual_ns], fails)
