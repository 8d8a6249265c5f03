"""An archived coin-day to the catalogue and back, in turn with a plain script of json and pandas.

The objects are made by `archived.py`, as large as the venue's. Each side is a process of its own, held to one
processor; the times are of its work alone, without its start. What is promised is the processor's time, which other
work on the machine hardly changes; on an idle one it is the time that passes but for waiting on the disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from hlhft.data.markets import known
from tests.bench.archived import HOUR_MS, fills_by_block, write_books, write_lines
from tests.bench.figures import Figure, median
from tests.bench.library import ROOT
from tests.bench.noded import change_lines

SECTION = "data, an archived day of one coin: 160,000 books of twenty levels a side"
BEGIN_MS = 1_775_001_600_000  # the first hour of 2026-04-01
ROUNDS, HOURS = 3, 24
HOURS_SHORT = 2
BLOCKS, BLOCKS_SHORT = 20_000, 4_000  # of a node
MEBIBYTE, MILLION = 1 << 20, 1e6
HERE = Path(__file__).parent


class Took(NamedTuple):
    """What a process says of its work."""

    seconds: float
    worked: float  # seconds of a processor
    rows: float
    bytes_written: float
    peak_bytes: float


def run(script: str, *arguments: str | Path) -> Took:
    """One task in a process of its own, which must succeed."""
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Took(*map(float, done.stdout.split()[-5:]))


def days(folder: Path, rounds: int) -> tuple[list[Took], list[Took], Path]:
    """(ours, the rival's, the last catalogue), of the objects in `folder`/books, in turn."""
    ours, theirs = [], []
    root = folder / "none"
    for number in range(rounds):
        root, out = folder / f"catalog-{number}", folder / f"rival-{number}"
        out.mkdir()
        ours.append(run("data_ours.py", "mine", folder / "books", root))
        theirs.append(run("data_rival.py", folder / "books", out))
    assert {took.rows - 2 * lines(folder) for took in ours} == {took.rows for took in theirs}, "the same levels"
    return ours, theirs, root


def lines(folder: Path) -> int:
    """Books in the objects: each is a level's rows and two more in the catalogue."""
    return sum(HOUR_MS // 540 for _ in (folder / "books").glob("*.lz4"))


def data(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    hours, rounds = (HOURS_SHORT, 1) if short else (HOURS, ROUNDS)
    scale = HOURS / hours  # a short run takes some hours for the day
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "books").mkdir()
        write_books(folder / "books", "BTC", BEGIN_MS, hours=hours)
        ours, theirs, root = days(folder, rounds)
        back = [run("data_ours.py", "read", root, folder / f"back-{number}") for number in range(rounds)]
        write_lines(folder / "fills.lz4", fills_by_block(BEGIN_MS, BEGIN_MS + HOUR_MS // 10, list(known())))
        with (folder / "changes").open("wb") as stream:
            stream.writelines(change_lines(BLOCKS_SHORT if short else BLOCKS))
        changes = run("data_ours.py", "orders", folder / "changes", folder)
        hour = run("data_ours.py", "fills", folder / "fills.lz4", folder / "fills")
    worked, their_work = (median([took.worked for took in side]) * scale for side in (ours, theirs))
    seconds, their_seconds = (median([took.seconds for took in side]) * scale for side in (ours, theirs))
    row = ours[0].bytes_written / ours[0].rows
    speed = median([took.rows / took.seconds for took in back]) / MILLION
    peak, their_peak, back_peak = (max(took.peak_bytes for took in side) / MEBIBYTE for side in (ours, theirs, back))
    return [
        Figure(SECTION, "decoded and written to the catalogue, time of one processor", worked, "s", maximum=3, gate=9),
        Figure(SECTION, "the same by json and pandas", their_work, "s"),
        Figure(SECTION, "times faster", their_work / worked, "x", minimum=3, gate=2),
        Figure(SECTION, "decoded and written to the catalogue, time that passed", seconds, "s"),
        Figure(SECTION, "by json and pandas, time that passed", their_seconds, "s"),
        Figure(SECTION, "peak memory of the process that decodes and writes", peak, "MiB", maximum=1024),
        Figure(SECTION, "peak memory by json and pandas", their_peak, "MiB"),
        Figure(SECTION, "a row on disk: a level, or an end of a book", row, "bytes", maximum=16),
        Figure(SECTION, "rows read back into the replay's columns", speed, "million a second", minimum=20, gate=0.2),
        Figure(SECTION, "peak memory of the process that reads back", back_peak, "MiB", maximum=1024),
        Figure(
            SECTION,
            "fills of all coins decoded and their trades written, time of one processor",
            hour.rows / hour.worked,
            "trades a second",
            minimum=50_000,
            gate=10_000,
        ),
        Figure(
            SECTION,
            "order-level books from a node's changes, lines of JSON included, time of one processor",
            changes.rows / changes.worked,
            "changes a second",
            minimum=300_000,
            gate=100_000,
        ),
    ]
