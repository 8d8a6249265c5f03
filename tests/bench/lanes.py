"""A sweep of 64 parameter sets, a set, against 64 single runs of the rival, its compilation left out."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hlhft.backtest.parameter_sets import ParameterSets
from hlhft.backtest.sweep import run_sweep
from tests.bench import ours
from tests.bench.duel import request_of
from tests.bench.figures import Figure, median
from tests.bench.instruments import INSTRUMENTS, STRATEGIES
from tests.bench.library import Rival, convert

HALVES, SKEWS = range(2, 10), range(8)
SECTION = "sweep of 64 parameter sets, two quotes each 10 ms, USD-M BTC"
MS = 1e3


def parameter_sets() -> ParameterSets:
    """64 sets around the one of the duel."""
    quoting = STRATEGIES[0].parameters
    sets = ({**quoting, "half": half, "skew": skew} for half in HALVES for skew in SKEWS)
    return ParameterSets(method="grid", sets=tuple(sets))


def sweep_seconds(side: ours.Side, sets: ParameterSets, jobs: int) -> float:
    """The whole of `run_sweep`: setting up, every set, its figures."""
    settings = ours.settings_of(side, STRATEGIES[0])
    start = time.perf_counter()
    run_sweep(settings, side.recording, sets, jobs=jobs, scenarios=ours.FEES)
    return time.perf_counter() - start


def lanes(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures: pairs of all single runs and the whole sweep, on one core and on two."""
    instrument, sets = INSTRUMENTS[0], parameter_sets()
    theirs: list[float] = []
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, Rival() as rival:
        events = convert(instrument, recordings / "binance" / instrument.file, Path(name))
        side = ours.load_side(instrument, events)
        rival.ask(load=str(events))
        rival.ask(**request_of(side, STRATEGIES[0]))
        sweep_seconds(side, sets, 1)
        for _ in range(1 if short else 5):
            runs = [rival.ask(**{**request_of(side, STRATEGIES[0]), **values})["seconds"][0] for values in sets.sets]
            theirs.append(sum(runs))
            for jobs, measured in seconds.items():
                measured.append(sweep_seconds(side, sets, jobs))
    count = len(sets.sets)
    figures = [Figure(SECTION, "hftbacktest, a single run", median(theirs) / count * MS, "ms")]
    for jobs, minimum, gate in ((1, 5.0, 3.0), (2, 8.0, 4.0)):
        ratio = median([other / mine for other, mine in zip(theirs, seconds[jobs], strict=True)])
        cores = "one core" if jobs == 1 else "two cores"
        figures += [
            Figure(SECTION, f"hlhft, a set, on {cores}", median(seconds[jobs]) / count * MS, "ms"),
            Figure(SECTION, f"ratio on {cores}", ratio, "x", minimum=minimum, gate=gate),
        ]
    return figures
