"""A backtest of the bundled recording, made once a process: all of it compiled, its first messages interpreted."""

from __future__ import annotations

import functools
import gzip
import tempfile
from pathlib import Path

from hlhft.backtest.recordings import Recording, compile_recording
from hlhft.backtest.runs import results_of
from hlhft.backtest.session import Backtest, Settings, run_backtest
from hlhft.compiled import JIT_DISABLED
from hlhft.data.samples import BUNDLED_NAME, bundled
from hlhft.data.sources import open_source
from hlhft.report.results import Results
from hlhft.strategies import load

MESSAGES_INTERPRETED = 2000


def beginning(folder: Path, messages: int) -> Path:
    """The first messages of the bundled recording as a recording in `folder`."""
    path = folder / BUNDLED_NAME
    with gzip.open(bundled(), "rb") as lines:
        path.write_bytes(gzip.compress(b"".join(next(lines) for _ in range(messages)), mtime=0))
    return path


@functools.cache
def recording() -> Recording:
    if not JIT_DISABLED:
        return compile_recording(open_source(bundled()), profile="recorded")
    with tempfile.TemporaryDirectory() as folder:
        path = beginning(Path(folder), MESSAGES_INTERPRETED)
        return compile_recording(open_source(path), profile="recorded")


@functools.cache
def backtest() -> Backtest:
    if not JIT_DISABLED:
        return run_backtest(Settings(strategy=load("glft")), recording())
    return run_backtest(Settings(strategy=load("two_sided"), params={"half_spread_bp": 0.01}), recording())


@functools.cache
def results() -> Results:
    return results_of(backtest())
