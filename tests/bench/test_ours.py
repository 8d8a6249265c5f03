"""The bench measures the product: what it times is what `hlhft backtest` runs."""

from __future__ import annotations

import gzip
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import hlhft
from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.session import Settings, run_backtest
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.strategies import load
from tests.bench import ours
from tests.bench.instruments import INSTRUMENTS, STRATEGIES
from tests.tidy import Source

PACKAGE = str(Path(hlhft.__file__).parent)


def called(function: Callable[[], Any]) -> set[tuple[str, str]]:
    """(file, name) of every Python function of hlhft that runs."""
    seen: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            seen.add((code.co_filename.removeprefix(PACKAGE), code.co_name))

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return seen


def driven(function: Callable[[], Any]) -> set[tuple[str, str]]:
    """`called`, without what is compiled: what runs inside the loop is the loop's business."""
    found = called(function)
    sources = {path: Source(path, (Path(PACKAGE + path)).read_text()) for path, _ in found}
    return {(path, name) for path, name in found if not sources[path].is_compiled}


def test_what_is_timed_is_what_a_backtest_runs(tmp_path: Path) -> None:
    short = tmp_path / bundled().name
    with gzip.open(bundled()) as whole:
        short.write_bytes(gzip.compress(b"".join(itertools.islice(whole, 3000))))
    recording = compile_recording(open_source([short]), profile="recorded")
    mirror = load(str(ours.MIRROR))
    product = driven(lambda: run_backtest(Settings(strategy=mirror, fees="2,7"), recording))
    side = ours.Side(INSTRUMENTS[0], recording, ours.np.zeros(0), mirror)
    replay = ours.replay_of(side, STRATEGIES[1])
    timed = driven(lambda: ours.run_once(replay))
    assert ("/backtest/replay.py", "run") in timed
    assert timed <= product
