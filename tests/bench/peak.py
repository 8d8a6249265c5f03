"""Holds a recording, repeated one after the other, in memory, replays it, and prints what that took.

peak.py RECORDING TIMES      -> bytes above what the process had before, events held
"""

import sys
from pathlib import Path

import numpy as np

from hlhft.backtest.models import SCENARIOS
from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.replay import RowArray, prepare, run
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.backtest.session import Settings, plan_of
from hlhft.data.sources import open_source
from hlhft.strategies import DEFAULT, load

PAUSE_NS = 10_000_000_000  # between two repetitions


def status_bytes(name: str) -> int:
    """A figure of this process as Linux gives it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def main() -> None:
    """As the module says."""
    recording = compile_recording(open_source([Path(sys.argv[1])]), profile="recorded")
    settings = Settings(strategy=load(DEFAULT))
    (file,) = recording.files
    run(prepare(plan_of(settings, recording.markets, recording.streams(), SCENARIOS[:1])))

    before = status_bytes("VmHWM:")
    count, times = file.rows_total, int(sys.argv[2])
    rows = np.empty(count * times, ROW_DTYPE)
    span = 0
    for number in range(times):
        part = rows[number * count : (number + 1) * count]
        part[:] = np.memmap(file.path, ROW_DTYPE, "r")
        span = span or int(part["ts_ns"].max() - part["ts_ns"].min()) + PAUSE_NS
        part["ts_ns"] += number * span
    stream = RowArray(rows, file.low_ticks, file.high_ticks)
    run(prepare(plan_of(settings, recording.markets, [stream], SCENARIOS[:1])))
    print(status_bytes("VmHWM:") - before, recording.events * times)


if __name__ == "__main__":
    main()
