"""`hlhft record` as a process beside a real exchange: killed, started again, and what it has runs as a backtest."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hlhft.cli.errors import ExitCode
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.recorder.disk import FLUSH_NS, TAKE_S
from hlhft.data.recorder.hours import complete_path, unfinished
from hlhft.data.recorder.marks import is_mark
from hlhft.data.recorder.raw import lines_of
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from hlhft.monitor.block import block_path, read_block
from hlhft.monitor.metrics import Source
from tests.data.recorder.hall import Hall
from tests.endtoend.house import START_S, Process, eventually, run, state_home

LOST_S = FLUSH_NS / 1e9 + TAKE_S  # what docs/recording.md promises
SLACK_S = 1.0  # of a machine that is busy with other tests: from the exchange's thread to the disk's
COINS = ("BTC", "ETH")


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    with Hall(speed=1.0) as there:
        yield there


def record(hall: Hall, folder: Path, *more: str) -> Process:
    line = ["record", "--coins", *COINS, "--base-url", hall.url, "--disk-free-min-gib", "0.1", *more]
    return Process(line, folder)


def writes(process: Process, folder: Path, *, bytes_min: int) -> bool:
    """Whether an unfinished raw file has grown so far."""
    assert process.is_running, process.output
    return any(path.stat().st_size >= bytes_min for path in unfinished(folder / "raw"))


def frames_of(path: Path) -> list[bytes]:
    """The venue's messages in a raw file, in order."""
    return [text for _, text in lines_of(path) if not is_mark(text)]


def test_killed_and_started_again_it_has_everything_but_the_last_second(hall: Hall, tmp_path: Path) -> None:
    first = record(hall, tmp_path)
    eventually(lambda: writes(first, tmp_path, bytes_min=6_000), within_s=START_S)
    numbers = read_block(block_path(state_home(tmp_path) / "hlhft" / "metrics", Source.RECORDER))
    assert numbers.pid == first.popen.pid and not numbers.is_closed
    (left,) = unfinished(tmp_path / "raw")
    sent = hall.last_socket()[1:]  # less the greeting
    killed_ns = time.monotonic_ns()
    first.signal(signal.SIGKILL)
    first.ended()
    assert Catalogue(tmp_path / "catalog").manifests() == []

    second = record(hall, tmp_path, "--json")
    eventually(lambda: writes(second, tmp_path, bytes_min=2_000) and not left.exists(), within_s=START_S)
    frames = frames_of(complete_path(left))
    assert frames == [frame for frame, _ in sent[: len(frames)]], "frame for frame"
    lost_since_ns = sent[len(frames)][1] if len(frames) < len(sent) else killed_ns
    assert killed_ns - lost_since_ns <= (LOST_S + SLACK_S) * 1e9

    second.signal(signal.SIGINT)
    assert second.ended() == ExitCode.INTERRUPTED, second.output
    told = [json.loads(line) for line in second.output.splitlines() if line.startswith("{")]
    assert told[-1]["parts"] == 16 and told[-1]["gaps"] == 0, "eight of either session"
    assert unfinished(tmp_path / "raw") == []
    numbers = read_block(block_path(state_home(tmp_path) / "hlhft" / "metrics", Source.RECORDER))
    (frames_total,) = (one.value for one in numbers.series if one.metric.name == "hlhft_recorder_frames_total")
    assert numbers.is_closed and frames_total == told[-1]["frames"]
    one, other = Catalogue(tmp_path / "catalog").manifests(kinds=["bbo"], coins=["BTC"])
    assert one.covers[1] <= other.covers[0], "nothing is known of the time between"
    check_readable(tmp_path)


def check_readable(folder: Path) -> None:
    """The catalogue and the raw files tell the same pictures, and a backtest runs on the former."""
    catalogue = Catalogue(folder / "catalog")
    rows = np.concatenate(list(catalogue.source(COINS).chunks()))
    paths = sorted((folder / "raw").rglob("*.lz4"))
    log = np.concatenate([chunk for path in paths for chunk in open_source(path).chunks()])
    for kind in (EventKind.SNAPSHOT_BEGIN, EventKind.DEPTH_LEVEL, EventKind.BBO, EventKind.ASSET_CONTEXT):
        assert (rows["kind"] == kind).sum() == (log["kind"] == kind).sum() > 0, kind.name
    traded, logged = (some["order_id"][some["kind"] == EventKind.TRADE] for some in (rows, log))
    assert sorted(traded.tolist()) == sorted(set(logged.tolist())), "each trade once"
    date = catalogue.manifests()[0].date
    done = run("backtest", f"{date}/BTC", "15", "--strategy", "two_sided", "--json", folder=folder)
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)
