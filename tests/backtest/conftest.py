"""What tests of the backtest share: real order flow, and children that run apart from this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hlhft.data.feed import replay_events
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.events import EventFlag
from hlhft.units import Market

ROOT = Path(__file__).resolve().parents[2]
Child = Callable[..., str]


@pytest.fixture(scope="session")
def opening() -> tuple[Market, np.ndarray]:
    """The bundled recording's market and its first 16,000 events, some nine seconds, as a replay gets them."""
    source = open_source(bundled())
    events = next(iter(replay_events(source, rows_max=16_000)))
    whole_frames = int(np.flatnonzero(events["flags"] & EventFlag.FRAME_END)[-1]) + 1
    return source.markets[0], events[:whole_frames].copy()


@pytest.fixture(scope="session")
def child() -> Child:
    """`child(code, *arguments, **environment)` runs Python code from the repository's root and returns its output."""

    def start(code: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    return start
