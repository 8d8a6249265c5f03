"""Replays a recording several times over as one long one and prints the peak memory in KiB and the events.

peak.py RECORDING TIMES
"""

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

from hlhft.backtest.models import SCENARIOS
from hlhft.backtest.recordings import RowFile, compile_recording
from hlhft.backtest.replay import prepare, run
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.backtest.session import Settings, plan_of
from hlhft.data.sources import open_source
from hlhft.strategies import DEFAULT, load


def main() -> None:
    """As the module says."""
    recording = compile_recording(open_source([Path(sys.argv[1])]), profile="recorded")
    (file,) = recording.files
    times = int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.rows"
        span = _span(file.path)
        with path.open("wb") as out:
            for number in range(times):
                rows = np.fromfile(file.path, ROW_DTYPE)
                rows["ts_ns"] += number * span
                out.write(rows.tobytes())
                del rows
        stream = RowFile(path, file.rows_total * times, file.low_ticks, file.high_ticks)
        settings = Settings(strategy=load(DEFAULT))
        run(prepare(plan_of(settings, recording.markets, [stream], SCENARIOS[:1])))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, recording.events * times)


def _span(path: Path) -> int:
    rows = np.memmap(path, ROW_DTYPE, "r")
    return int(rows["ts_ns"][-1] - rows["ts_ns"][0]) + 10_000_000_000


if __name__ == "__main__":
    main()
