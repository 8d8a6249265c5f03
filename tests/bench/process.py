"""Whole processes, as a user starts them: first ever, from the second on, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hlhft.data import samples
from tests.bench import ours
from tests.bench.duel import request_of
from tests.bench.figures import Figure, median
from tests.bench.instruments import INSTRUMENTS, STRATEGIES
from tests.bench.library import ROOT, SCRIPT, convert, interpreter

SECTION = "whole processes on the 345 s recording"
TIMES = 10


def timed(command: list[str | Path], environment: dict[str, str]) -> float:
    """Wall seconds of a process that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - start


def backtest(folder: Path) -> list[str | Path]:
    """The command line of the bundled sample."""
    return [sys.executable, "-m", "hlhft", "backtest", "--output", folder / "run"]


def first_ever(folder: Path) -> float:
    """Seconds of the first process on a machine: nothing compiled, nothing decoded."""
    environment = {**os.environ, "HLHFT_CACHE": str(folder / "cache")}
    return timed(backtest(folder), environment)


def held_bytes(recording: Path, times: int) -> tuple[int, int]:
    """(bytes above the baseline of a process that holds and replays the recording `times` times over, its events)."""
    script = Path(__file__).parent / "peak.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, recording, str(times)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    held, events = done.stdout.split()[-2:]
    return int(held), int(events)


def processes(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = []
        if not short:
            figures.append(Figure(SECTION, "hlhft backtest, first ever", first_ever(folder), "s", maximum=30.0))
        timed(backtest(folder), dict(os.environ))
        instrument = INSTRUMENTS[0]
        events = convert(instrument, recordings / "binance" / instrument.file, folder)
        side = ours.load_side(instrument, events)
        rival = [interpreter(), SCRIPT, "once", events, json.dumps(request_of(side, STRATEGIES[0]))]
        ours_s, rival_s = [], []
        for _ in range(2 if short else 5):
            ours_s.append(timed(backtest(folder), dict(os.environ)))
            rival_s.append(timed(rival, dict(os.environ)))
        figures += [
            Figure(SECTION, "hlhft backtest, second run, report included", median(ours_s), "s", maximum=1.5, gate=4.0),
            Figure(SECTION, "hftbacktest, the same decisions, no report", median(rival_s), "s"),
        ]
    return figures + memory()


def memory() -> list[Figure]:
    """Memory that an event costs which is held, everything that its replay adds included."""
    held, events = held_bytes(samples.bundled(), TIMES)
    return [
        Figure(
            "memory",
            f"peak above the baseline of a replay that holds {events:,} events",
            held / events,
            "bytes an event",
            maximum=30.0,
            gate=60.0,
        )
    ]
