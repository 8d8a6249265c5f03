"""The block shows whole sets only, to whoever reads at any moment and whatever becomes of the writer."""

from __future__ import annotations

import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft import __version__
from hlhft.monitor import block
from hlhft.monitor.block import (
    BLOCK_BYTES,
    HISTOGRAMS_MAX,
    LABEL_BYTES_MAX,
    SERIES_MAX,
    BlockError,
    BlockWriter,
    HistogramReading,
    Reading,
    block_path,
    list_hash,
    read_block,
)
from hlhft.monitor.histogram import BUCKETS, Histogram
from hlhft.monitor.metrics import METRICS, Kind, Source
from tests.privileges import as_nobody

ADDRESS = {"account": "0x" + "ab" * 20}
OF_ENGINE = [metric for metric in METRICS if metric.source is Source.ENGINE]
SIMPLE = [metric.name for metric in OF_ENGINE if not metric.labels and metric.kind is not Kind.HISTOGRAM]
NOW_NS = 1_700_000_000_000_000_000
# Where the values are: two halves behind head, description and table.
HALVES, HALF_BYTES = 4096 + 256 * (SERIES_MAX + HISTOGRAMS_MAX), 32 + 8 * SERIES_MAX


def writer(path: Path | None, source: Source = Source.ENGINE) -> BlockWriter:
    return BlockWriter(path, source=source, labels=ADDRESS, clock_ns=lambda: NOW_NS)


def values(reading: Reading) -> dict[tuple[str, ...], float | HistogramReading]:
    return {(sample.metric.name, *sample.labels): sample.value for sample in reading.series}


def test_a_reader_gets_what_was_written(tmp_path: Path) -> None:
    path = block_path(tmp_path / "metrics", Source.ENGINE)
    made = writer(path)
    assert read_block(path).series == ()
    made.values[made.slot("hlhft_position_size", "BTC")] = -1.25
    made.values[made.slot("hlhft_equity_usdc")] = 100_000.5
    assert read_block(path).series == (), "a set is shown at its end"
    made.end()
    made.histogram("hlhft_step_seconds").note(1_000)
    read = read_block(path)
    assert values(read) == {("hlhft_position_size", "BTC"): -1.25, ("hlhft_equity_usdc",): 100_000.5}
    made.end()
    counted = values(read_block(path))[("hlhft_step_seconds",)]
    assert isinstance(counted, HistogramReading)
    assert (counted.count, len(counted.counts)) == (1, BUCKETS)
    assert abs(counted.total_ns - 1_000) < 16
    made.histogram("hlhft_step_seconds").note(3)
    later = values(read_block(path))[("hlhft_step_seconds",)]
    assert isinstance(later, HistogramReading)
    assert (later.count, later.counts[3]) == (2, 1), "what a histogram counts is shown at once"


def test_it_says_whose_it_is_and_that_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLHFT_REVISION", "0123abc")
    path = tmp_path / "watchdog.block"
    made = writer(path, Source.WATCHDOG)
    read = read_block(path)
    assert (read.source, read.pid, read.version, read.revision) == (
        Source.WATCHDOG, os.getpid(), __version__, "0123abc",
    )  # fmt: skip
    assert (read.labels, read.started_ns, read.beat_ns, read.is_closed) == (ADDRESS, NOW_NS, NOW_NS, False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    made.close()
    assert read_block(path).is_closed


def test_a_slot_is_of_a_metric_of_the_list_with_its_labels() -> None:
    made = writer(None)
    assert made.slot("hlhft_quotes", "BTC", "buy") == made.slot("hlhft_quotes", "BTC", "buy")
    assert made.slot("hlhft_quotes", "BTC", "buy") != made.slot("hlhft_quotes", "BTC", "sell")
    assert made.histogram("hlhft_step_seconds") is made.histogram("hlhft_step_seconds")
    with pytest.raises(KeyError):
        made.slot("hlhft_quote")
    for wrong in (
        lambda: made.slot("hlhft_quotes", "BTC"),
        lambda: made.slot("hlhft_recorder_gap_open"),
        lambda: made.slot("hlhft_step_seconds"),
        lambda: made.histogram("hlhft_halted"),
    ):
        with pytest.raises(ValueError, match="hlhft_"):
            wrong()


@settings(max_examples=30)
@given(
    st.lists(st.text(max_size=200), unique=True, max_size=20),
    st.lists(st.floats(allow_nan=False), min_size=20, max_size=20),
)
def test_whatever_is_a_label_or_a_value_comes_back(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], numbers: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "engine.block"
    made = writer(path)
    for label, number in zip(labels, numbers, strict=False):
        made.values[made.slot("hlhft_position_size", label)] = number
    made.end()
    for sample, label, number in zip(read_block(path).series, labels, numbers, strict=False):
        (told,) = sample.labels
        assert len(told.encode()) <= LABEL_BYTES_MAX
        assert label.replace("\x1f", " ").encode(errors="replace").decode().startswith(told)
        assert sample.value == number


def test_a_full_table_refuses_in_a_sentence_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "engine.block"
    made = writer(path)
    slots = [made.slot("hlhft_position_size", str(number)) for number in range(SERIES_MAX)]
    assert made.fault == ""
    for number in ("one", "two"):
        made.values[made.slot("hlhft_position_size", number)] = 1.0
    for slot in slots:
        made.values[slot] = 2.0
    made.end()
    read = read_block(path)
    assert read.refused == made.refused == 2
    assert made.fault == "2 series of metrics did not fit into a block of 4096; trade fewer markets"
    assert len(read.series) == SERIES_MAX
    assert {sample.value for sample in read.series} == {2.0}, "what did not fit overwrites nothing"


def test_more_histograms_than_fit_are_counted_where_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block, "HISTOGRAMS_MAX", 1)
    path = tmp_path / "engine.block"
    made = writer(path)
    made.histogram("hlhft_step_seconds").note(1)
    beyond = made.histogram("hlhft_journal_sync_seconds")
    beyond.note(1)
    made.end()
    assert (beyond.count, len(read_block(path).series), made.refused) == (1, 1, 1)
    assert sum(metric.kind is Kind.HISTOGRAM for metric in OF_ENGINE) <= HISTOGRAMS_MAX


def _old(content: bytearray) -> None:
    content[8] += 1


def _another_list(content: bytearray) -> None:
    content[16:48] = bytes(32)


def _foreign(content: bytearray) -> None:
    content[:8] = b"\x7fELF\x02\x01\x01\x00"


def _no_description(content: bytearray) -> None:
    content[64:70] = b"xxxxxx"


def _long_description(content: bytearray) -> None:
    content[48:56] = struct.pack("<Q", 1 << 40)


def _another_metric(content: bytearray) -> None:
    content[4096:4098] = struct.pack("<H", 65_000)


def _beyond(content: bytearray) -> None:
    content[4100:4104] = struct.pack("<I", 1 << 31)


def _too_many(content: bytearray) -> None:
    for half in range(2):
        place = HALVES + half * HALF_BYTES + 8
        content[place : place + 8] = struct.pack("<q", SERIES_MAX + HISTOGRAMS_MAX + 1)


def _named(content: bytearray, name: str, place: int = 0) -> None:
    number = [metric.name for metric in METRICS].index(name)
    content[4096:4104] = struct.pack("<HHI", number, 0, place)


def _other_labels(content: bytearray) -> None:
    _named(content, "hlhft_quotes")


def _beyond_the_histograms(content: bytearray) -> None:
    _named(content, "hlhft_step_seconds", HISTOGRAMS_MAX)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_old, "a block of layout 2"),
        (_another_list, "has another list of metrics"),
        (_foreign, "no block; is metrics.folder"),
        (_no_description, "a damaged block"),
        (_long_description, "a damaged block, its description"),
        (_another_metric, "a damaged block"),
        (_beyond, "a damaged block"),
        (_too_many, "a damaged block, with 4113 series"),
        (_other_labels, "hlhft_quotes with 1 labels"),
        (_beyond_the_histograms, "hlhft_step_seconds beyond the histograms"),
        (lambda content: content.pop(), "no block of this version"),
        (lambda content: content.clear(), "no block of this version"),
    ],
)
def test_what_is_no_block_of_this_version_is_refused_in_a_sentence(
    tmp_path: Path, change: Callable[[bytearray], object], sentence: str
) -> None:
    path = tmp_path / "engine.block"
    made = writer(path)
    made.slot("hlhft_equity_usdc")
    made.end()
    content = bytearray(path.read_bytes())
    change(content)
    other = tmp_path / "other.block"
    other.write_bytes(content)
    with pytest.raises(BlockError, match=sentence):
        read_block(other)
    assert len(read_block(path).series) == 1


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "engine.block", tmp_path):
        with pytest.raises(BlockError, match=re.escape(str(path))):
            read_block(path)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, BLOCK_BYTES - 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_damaged_block_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    made = writer(folder / "engine.block")
    made.slot("hlhft_quotes", "BTC", "buy")
    made.histogram("hlhft_step_seconds")
    made.end()
    content = bytearray((folder / "engine.block").read_bytes())
    for place, byte in changes:
        content[place % 8192] = byte
    (folder / "damaged.block").write_bytes(content)
    try:
        read_block(folder / "damaged.block")
    except BlockError as error:
        assert str(folder) in str(error)


def test_the_hash_tells_lists_of_metrics_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list_hash()
    assert before == list_hash()
    monkeypatch.setattr(block, "METRICS", METRICS[:-1])
    assert list_hash() != before


def test_a_folder_that_cannot_be_written_is_refused_and_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "engine.block"
    made = writer(path)
    made.slot("hlhft_equity_usdc")
    made.end()
    tmp_path.chmod(0o500)
    try:
        with as_nobody(), pytest.raises(BlockError, match=r"set metrics.folder to a folder that it may write"):
            writer(path)
    finally:
        tmp_path.chmod(0o700)
    assert len(read_block(path).series) == 1
    (tmp_path / "folder.block").mkdir()
    with pytest.raises(BlockError, match="cannot be shown there"):
        writer(tmp_path / "folder.block")


def test_a_disk_without_room_is_met_when_the_block_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BlockError, match="No space left on device"):
        writer(tmp_path / "engine.block")
    assert list(tmp_path.iterdir()) == []


def test_a_block_takes_the_place_of_one_of_an_earlier_process(tmp_path: Path) -> None:
    path = tmp_path / "engine.block"
    earlier = writer(path)
    earlier.values[earlier.slot("hlhft_equity_usdc")] = 1.0
    earlier.end()
    with path.open("rb") as opened:
        writer(path)
        assert read_block(path).series == ()
        assert os.fstat(opened.fileno()).st_nlink == 0, "whoever has the old one open can see that it is gone"
    assert not earlier.is_shown
    earlier.end()
    assert read_block(path).series == ()


def test_a_block_that_is_removed_costs_nothing_but_being_seen(tmp_path: Path) -> None:
    path = tmp_path / "engine.block"
    made = writer(path)
    assert made.is_shown
    path.unlink()
    made.values[made.slot("hlhft_equity_usdc")] = 1.0
    made.end()
    assert not made.is_shown
    assert not writer(None).is_shown


# Another process writes, this one reads.

WRITES = """
import sys, time
from pathlib import Path
from hlhft.monitor.block import BlockWriter
from hlhft.monitor.metrics import Source

made = BlockWriter(Path(sys.argv[1]), source=Source.ENGINE, labels={}, clock_ns=time.time_ns)
slots = [made.slot("hlhft_position_size", str(place)) for place in range(1000)]
counted = made.histogram("hlhft_step_seconds")
made.end()
print("ready", flush=True)
number = 0
while True:
    number += 1
    for slot in slots:
        made.values[slot] = number
        counted.note(number)
    made.end()
"""


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path = tmp_path / "engine.block"
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield path, process
        finally:
            process.kill()


def sets_of(reading: Reading) -> set[float]:
    return {sample.value for sample in reading.series if not isinstance(sample.value, HistogramReading)}


def test_a_set_is_whole_whenever_it_is_read(writing: tuple[Path, subprocess.Popen[str]]) -> None:
    path, _ = writing
    seen: set[float] = set()
    counts = [0]
    deadline = time.monotonic() + 20
    while len(seen) < 50 and time.monotonic() < deadline:
        read = read_block(path)
        numbers = sets_of(read)
        assert len(numbers) == 1, "no value of another set"
        seen |= numbers
        counts += [one.value.count for one in read.series if isinstance(one.value, HistogramReading)]
    assert len(seen) >= 50
    assert counts == sorted(counts), "a count never falls"


def test_a_writer_killed_at_any_moment_leaves_its_last_whole_set(
    writing: tuple[Path, subprocess.Popen[str]],
) -> None:
    path, process = writing
    before = read_block(path)
    deadline = time.monotonic() + 20
    while sets_of(read_block(path)) == sets_of(before) and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    read = read_block(path)
    assert len(sets_of(read)) == 1
    assert sets_of(read) > set() and sets_of(read) != sets_of(before)
    assert (read.pid, read.is_closed) == (process.pid, False)


@pytest.mark.parametrize("written", [0, 8, 32, 40, 800])
def test_a_set_that_was_begun_to_be_shown_is_not(tmp_path: Path, written: int) -> None:
    path = tmp_path / "engine.block"
    made = writer(path)
    slots = [made.slot("hlhft_position_size", str(place)) for place in range(100)]
    for slot in slots:
        made.values[slot] = 1.0
    made.end()
    content = bytearray(path.read_bytes())
    sequence = struct.unpack_from("<q", content, 56)[0]
    hidden = HALVES + (sequence + 1) % 2 * HALF_BYTES
    content[hidden : hidden + written] = b"\x55" * written
    path.write_bytes(content)
    read = read_block(path)
    assert sets_of(read) == {1.0} and read.beat_ns == NOW_NS


def test_a_block_that_never_stands_still_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "READS_MAX", 0)
    path = tmp_path / "engine.block"
    writer(path)
    with pytest.raises(BlockError, match="changes faster than it can be read"):
        read_block(path)


class Changing(bytearray):
    """Memory whose set changes once while it is read."""

    has_changed = False

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        if place.start >= HALVES and not self.has_changed:
            self.has_changed = True
            self[56:64] = struct.pack("<q", 3)
            self[HALVES + HALF_BYTES : HALVES + HALF_BYTES + 8] = struct.pack("<q", NOW_NS)
        return bytes(found)


def test_a_set_that_changes_while_it_is_read_is_read_again() -> None:
    memory = Changing(BLOCK_BYTES)
    half = block._shown(Path("engine.block"), memory)  # type: ignore[arg-type]
    assert struct.unpack_from("<q", half)[0] == NOW_NS and memory.has_changed


def test_a_file_that_cannot_be_mapped_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, os.strerror(12))

    path = tmp_path / "engine.block"
    writer(path)
    monkeypatch.setattr(block.mmap, "mmap", refuse)
    with pytest.raises(BlockError, match=r"cannot be read .*Cannot allocate memory"):
        read_block(path)


def test_a_histogram_of_a_block_is_one() -> None:
    made = writer(None)
    counted = made.histogram("hlhft_feed_latency_seconds")
    assert isinstance(counted, Histogram)
    counted.note(5)
    assert counted.percentile(1.0) == 5
