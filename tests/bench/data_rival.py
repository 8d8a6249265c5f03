"""What a plain script does with an archived coin-day: json a line, a list of rows, a pandas table, a Parquet file.

data_rival.py FOLDER OUT     writes OUT/H.parquet for each FOLDER/H.lz4, on one processor

It prints: seconds, of a processor, rows, bytes of Parquet, peak bytes.
"""

import json
import os
import sys
import time
from pathlib import Path

import lz4.frame
import pandas as pd

COLUMNS = ["time", "block_ms", "side", "level", "px", "sz", "n"]


def convert(source: Path, target: Path) -> int:
    """One hour; returns its rows."""
    rows = []
    with lz4.frame.open(source) as file:
        for line in file:
            message = json.loads(line)
            book = message["raw"]["data"]
            for side, levels in enumerate(book["levels"]):
                for place, level in enumerate(levels):
                    rows.append(
                        (message["time"], book["time"], side, place, float(level["px"]), float(level["sz"]), level["n"])
                    )
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["time"] = pd.to_datetime(table["time"])
    table.to_parquet(target, compression="zstd")
    return len(rows)


def peak_bytes() -> int:
    """The most memory that this process had at one time; what the kernel counts as used holds the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def main() -> None:
    """As the module says."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    begin, worked = time.perf_counter(), time.process_time()
    rows = sum(convert(path, out / f"{path.stem}.parquet") for path in sorted(folder.glob("*.lz4")))
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    written = sum(path.stat().st_size for path in out.glob("*.parquet"))
    print(seconds, worked, rows, written, peak_bytes())


if __name__ == "__main__":
    main()
