"""Whole processes, as a user starts them: first ever, from the second on, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hlhft.backtest.recordings import compile_recording
from hlhft.data import samples
from hlhft.data.sources import open_source
from tests.bench import ours
from tests.bench.duel import request_of
from tests.bench.figures import Figure, median
from tests.bench.instruments import INSTRUMENTS, STRATEGIES
from tests.bench.library import ROOT, SCRIPT, convert, interpreter

SECTION = "whole processes on the 345 s recording"
BYTES_PER_KIB = 1024


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


def peak_bytes(recording: Path, times: int) -> tuple[int, int]:
    """(peak resident bytes of a process that replays the recording `times` times over, its events)."""
    script = Path(__file__).parent / "peak.py"
    done = subprocess.run(
        [sys.executable, script, recording, str(times)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    peak, events = done.stdout.split()[-2:]
    return int(peak) * BYTES_PER_KIB, int(events)


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
    """Peak memory above a process that holds a tenth, by event."""
    sample = samples.bundled()
    compile_recording(open_source([sample]), profile="recorded")
    small, small_events = peak_bytes(sample, 1)
    large, large_events = peak_bytes(sample, 10)
    per_event = (large - small) / (large_events - small_events)
    return [
        Figure(
            "memory",
            f"peak resident above that of a tenth, {large_events:,} events",
            per_event,
            "bytes an event",
            maximum=30.0,
            gate=60.0,
        )
    ]
