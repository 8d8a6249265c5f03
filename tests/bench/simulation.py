"""How fast virtual time passes: the whole engine, its watchdog and the exchange with real signatures, on one core.

Counted is processor time, not the clock's: a run waits for nothing. Two markets; each seed runs without faults and with
its own, one after the other, so that both are as fast as the machine is just then.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from hlhft.simulation.account import COINS
from hlhft.simulation.running import run_quietly
from hlhft.simulation.time import SECOND
from tests.bench.figures import Figure, median

SPAN_S, SHORT_SPAN_S = 600, 60
SEEDS, SHORT_SEEDS = (1, 2, 3, 4, 5), (2,)
EVENTS_PER_S_MIN, ACTIONS_PER_MINUTE_MIN = 20.0, 30.0  # of a market, and of the engine: less would show less


class Ran(NamedTuple):
    """One run."""

    times_real: float
    events_per_s: float  # of a processor, not of virtual time
    venue_events_per_s: float  # virtual, in one market
    actions_per_minute: float  # virtual


def simulation(folder: Path, *, short: bool = False) -> list[Figure]:
    """The figures; `folder` is of no use here. Raises AssertionError when a promise breaks."""
    span_ns = (SHORT_SPAN_S if short else SPAN_S) * SECOND
    seeds = SHORT_SEEDS if short else SEEDS
    run_quietly(seeds[0], 5 * SECOND, ())
    pairs = [(_measured(seed, span_ns, is_calm=True), _measured(seed, span_ns, is_calm=False)) for seed in seeds]
    calm, faulty = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    figures = (
        ("virtual time without faults", [one.times_real for one in calm], "x real time", 100.0, 20.0),
        ("virtual time under faults", [one.times_real for one in faulty], "x real time", 100.0, 20.0),
        ("events judged without faults", [one.events_per_s for one in calm], "1/s", None, None),
        ("venue events in a market", [one.venue_events_per_s for one in calm], "1/s", EVENTS_PER_S_MIN, None),
        ("own actions", [one.actions_per_minute for one in calm], "1/min", ACTIONS_PER_MINUTE_MIN, None),
    )  # fmt: skip
    return [
        Figure("simulation", name, median(values), unit, least, gate=gate)
        for name, values, unit, least, gate in figures
    ]


def _measured(seed: int, span_ns: int, *, is_calm: bool) -> Ran:
    began = time.process_time()
    outcome = run_quietly(seed, span_ns, () if is_calm else None)
    took_s = time.process_time() - began
    assert outcome.violation is None, outcome.violation
    virtual_s = outcome.virtual_ns / SECOND
    return Ran(
        virtual_s / took_s,
        outcome.events / took_s,
        outcome.venue_events / virtual_s / len(COINS),
        60 * outcome.actions / virtual_s,
    )
