"""Recordings as cached rows: what decides a cache entry, damage, bounds, and what a failure leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest import recordings
from hlhft.backtest.recordings import ABANDONED_S, Recording, compile_recording, written_rows
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Numbered
from hlhft.data.sources import Source
from tests.backtest.scenarios import BOOK, MARKET, OTHER, events_of, random_events, rows_of

TABLE = f"{BOOK}\n 1 trade sell 100 1\n 2 level buy 99.8 1"


class TableSource(Source):
    """Events in memory as a recording; its file is there to be fingerprinted."""

    reader = "table-1"
    ordered = True
    read = 0

    def __init__(self, folder: Path, events: np.ndarray, content: str = "one", markets=(MARKET,)) -> None:
        path = folder / "recording"
        path.write_text(content)
        super().__init__("recording", [path], markets, {})
        self.events = events

    def _arrays(self, meter: ProgressMeter) -> Iterator[np.ndarray]:
        type(self).read += 1
        meter.at("rows", self.bytes_total)
        self.counts["events"] += len(self.events)
        yield self.events.copy()

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        raise NotImplementedError("a recording is compiled from events alone")


class OtherReader(TableSource):
    reader = "table-2"


@pytest.fixture
def cache(isolated_home: Path) -> Path:
    """Where the rows of this test lie."""
    return isolated_home / "cache" / "rows"


@pytest.fixture
def source(isolated_home: Path) -> TableSource:
    return TableSource(isolated_home, events_of(TABLE))


def compiled(source: Source, profile: str = "recorded") -> Recording:
    return compile_recording(source, profile=profile)


def entries(cache: Path) -> set[str]:
    return {folder.name for folder in cache.iterdir()}


def test_rows_are_those_of_the_events(source, cache):
    told: list[tuple[int, int]] = []
    recording = compile_recording(source, profile="recorded", progress=lambda done, total: told.append((done, total)))
    (stream,) = recording.streams()
    assert stream.read(100).tobytes() == rows_of(source.events).tobytes()
    assert (recording.events, recording.counts, recording.markets) == (4, {"events": 4}, (MARKET,))
    assert (recording.name, recording.profile, recording.fingerprint) == ("recording", "recorded", source.fingerprint())
    assert told == [(3, 3)]
    assert entries(cache) == {stream.path.parent.name}


def test_a_stream_is_read_in_pieces_and_every_reader_has_its_own_place(source):
    (stream,) = compiled(source).streams()
    (other,) = compiled(source).streams()
    whole = rows_of(source.events)
    assert [len(stream.read(3)), len(stream.read(3)), len(stream.read(3))] == [3, 1, 0]
    assert other.read(1).tobytes() == whole[:1].tobytes()
    assert stream.fresh().read(9).tobytes() == whole.tobytes()
    assert stream.rows_total == 4


def test_each_market_has_its_own_rows(isolated_home):
    events = np.concatenate([events_of(TABLE), events_of("10 trade buy 50 1\n11 trade buy 51 1", market=1)])
    recording = compiled(TableSource(isolated_home, events, markets=(MARKET, OTHER)))
    assert [(file.rows_total, file.low_ticks, file.high_ticks) for file in recording.files] == [
        (4, 100_000, 100_000),
        (2, 50_000, 51_000),
    ]


def test_rows_of_many_chunks_are_those_of_one(source, monkeypatch, isolated_home):
    events = random_events(9)
    source = TableSource(isolated_home, events)
    monkeypatch.setattr(recordings, "EVENTS_PER_CHUNK", 7)
    (stream,) = compiled(source).streams()
    assert stream.read(1000).tobytes() == rows_of(events).tobytes()


@pytest.mark.parametrize(
    ("later", "lowest", "highest"), [("1 trade sell 100 1\n 2 trade buy 101 1", "100", "101"), ("", "50", "150")]
)
def test_the_band_follows_trades_and_best_prices_wherever_they_are(later, lowest, highest, isolated_home, monkeypatch):
    """A first chunk of levels alone does not widen it; a recording of levels alone has nothing else."""
    monkeypatch.setattr(recordings, "EVENTS_PER_CHUNK", 2)
    events = events_of(f"0 level buy 50 1\n 0 level sell 150 1\n {later}")
    (file,) = compiled(TableSource(isolated_home, events)).files
    assert (file.low_ticks, file.high_ticks) == (MARKET.ticks(lowest), MARKET.ticks(highest))


def test_rows_are_mapped_whole_where_they_are_few(source, monkeypatch):
    (file,) = compiled(source).files
    whole = file.whole()
    assert whole is not None and type(whole) is np.ndarray and whole.flags.writeable
    assert whole.tobytes() == file.read(100).tobytes()
    whole["price_ticks"] = 0
    assert file.fresh().read(100)["price_ticks"].any(), "what is written to a mapping stays in this process"
    monkeypatch.setattr(recordings, "MAPPED_BYTES_MAX", 1)
    assert file.whole() is None


def test_the_second_time_nothing_is_read(source):
    first = compiled(source)
    before = TableSource.read
    second = compiled(source)
    assert TableSource.read == before
    assert second == first


def test_what_decides_the_rows_decides_the_entry(source, cache, isolated_home, monkeypatch):
    """Other contents, another reader, market, profile or code: each has an entry of its own."""
    events = source.events
    compiled(source)
    compiled(source, "2026")
    compiled(OtherReader(isolated_home, events))
    compiled(TableSource(isolated_home, events, markets=(OTHER,)))
    compiled(TableSource(isolated_home, events, content="two"))
    assert len(entries(cache)) == 5
    monkeypatch.setattr(recordings, "_sources_key", lambda package: "other code")
    compiled(source)
    assert len(entries(cache)) == 6


@pytest.mark.parametrize("name", ["data/readers/a.py", "data/b.py", "core/c.py"])
def test_every_source_that_makes_rows_is_in_the_key(tmp_path: Path, name):
    """Also a reader or profile, which no compiled code is made of."""
    keys = []
    for content in ("A = 1", "A = 2"):
        package = tmp_path / content
        for path in ("data/readers/a.py", "data/b.py", "core/c.py", "cli/d.py"):
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_text(content if path in (name, "cli/d.py") else "")
        keys.append(recordings._sources_key(package))
    assert keys[0] != keys[1]


def test_what_makes_no_rows_is_not_in_the_key(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder / "cli").mkdir(parents=True)
        (tmp_path / folder / "cli" / "d.py").write_text(folder)
    assert recordings._sources_key(tmp_path / "a") == recordings._sources_key(tmp_path / "b")


def damage(folder: Path, how: str) -> None:
    manifest, rows = folder / "manifest.json", folder / "0.rows"
    if how == "cut rows":
        rows.write_bytes(rows.read_bytes()[:-1])
    elif how == "no rows":
        rows.unlink()
    elif how == "no manifest":
        manifest.unlink()
    elif how == "a manifest of noise":
        manifest.write_bytes(b"\x00\xff{")
    elif how == "a manifest of something else":
        manifest.write_text('{"events": "many"}')
    else:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        folder.write_text("a file in its place")


@pytest.mark.parametrize(
    "how", ["cut rows", "no rows", "no manifest", "a manifest of noise", "a manifest of something else"]
)
def test_a_damaged_entry_is_made_anew(how, source, cache):
    whole = compiled(source)
    damage(whole.files[0].path.parent, how)
    mended = compiled(source)
    assert mended == whole
    assert mended.streams()[0].read(100).tobytes() == rows_of(source.events).tobytes()
    assert len(entries(cache)) == 1


def test_a_file_where_the_entry_belongs_is_no_entry(source):
    """Nothing that is ours stands there: the operating system's own words, and nothing removed."""
    folder = compiled(source).files[0].path.parent
    damage(folder, "a file")
    with pytest.raises(NotADirectoryError):
        compiled(source)
    assert folder.read_text() == "a file in its place"


def test_rows_that_are_cut_while_they_are_read_are_an_error(source):
    (stream,) = compiled(source).streams()
    stream.read(1)
    stream.path.write_bytes(stream.path.read_bytes()[: 2 * ROW_DTYPE.itemsize])
    with pytest.raises(DataError, match="cut short while they were read, run it again"):
        stream.read(3)


def test_an_entry_that_vanishes_at_once_is_said_so(source, monkeypatch):
    monkeypatch.setattr(recordings, "_evict", lambda root, *, keep: damage(keep, "no manifest"))
    with pytest.raises(DataError, match="gone or cut right after writing"):
        compiled(source)


def test_another_process_may_be_quicker(source, cache, monkeypatch):
    """Its entry appears just before ours gets its name: the rows are the same, so ours is dropped."""
    first = compiled(source)
    folder = first.files[0].path.parent
    aside = folder.with_name("aside")
    folder.rename(aside)
    removed = recordings.shutil.rmtree

    def and_then_it_is_there(path: Path, **options: bool) -> None:
        removed(path, **options)
        if path == folder and aside.exists():
            aside.rename(folder)

    monkeypatch.setattr(recordings.shutil, "rmtree", and_then_it_is_there)
    assert compiled(source) == first
    assert entries(cache) == {folder.name}


# Failures.


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("3 trade sell 99 1", None),
        ("1 trade sell 99 1", "event 4: an exchange time earlier than the one before it in market TEST"),
        ("3+-2 trade sell 99 1", "event 4: a local time earlier than the one before it in market TEST"),
    ],
)
def test_an_event_that_fits_no_row_is_named(row, fault, isolated_home, cache):
    events = np.concatenate([events_of(TABLE), events_of(row)])
    source = TableSource(isolated_home, events)
    if fault is None:
        assert compiled(source).events == 5
        return
    place, _, what = fault.partition(": ")
    with pytest.raises(DataError) as refused:
        compiled(source)
    assert what in str(refused.value)
    assert place.split()[1] in str(refused.value)
    assert "hlhft data check" in str(refused.value)
    assert entries(cache) == set()


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [("price_ticks", 2**31, "a price outside"), ("size_lots", 2**46, "a size outside"), ("kind", 50, "no market data")],
)
def test_a_value_that_fits_no_row_is_named(field, value, what, isolated_home, cache):
    events = events_of(TABLE)
    events[field][2] = value
    with pytest.raises(DataError, match=what):
        compiled(TableSource(isolated_home, events))
    assert entries(cache) == set()


def test_a_market_without_a_price_is_refused(isolated_home, cache):
    source = TableSource(isolated_home, events_of(TABLE), markets=(MARKET, OTHER))
    with pytest.raises(DataError, match="no price of market OTHER is in it, name a recording that has one"):
        compiled(source)
    assert entries(cache) == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing(error, source, cache):
    def strike(done: int, total: int) -> None:
        raise error

    with pytest.raises(error):
        compile_recording(source, profile="recorded", progress=strike)
    assert entries(cache) == set()
    assert compiled(source).events == 4


def test_a_disk_that_fails_is_the_callers_to_report(source, cache, monkeypatch):
    """Neither ours nor anybody's entry stands under the name: the error is passed on."""

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recordings.Path, "rename", fail)
    with pytest.raises(OSError, match="No space left"):
        compiled(source)
    assert entries(cache) == set()


# The bound.


def aged(recording: Recording, days: float) -> Path:
    """Makes an entry look unused for so long."""
    folder = recording.files[0].path.parent
    moment = time.time() - days * 86_400
    os.utime(folder, (moment, moment))
    return folder


def test_the_longest_unused_goes_first_and_the_newest_stays(isolated_home, cache, monkeypatch):
    events = events_of(TABLE)
    first, second, third = (
        aged(compiled(TableSource(isolated_home, events, content=str(day))), day) for day in (3, 2, 1)
    )
    size = sum(path.stat().st_size for path in first.iterdir())
    monkeypatch.setattr(recordings, "CACHE_BYTES_MAX", 3 * size)
    # Reading an entry is using it.
    compiled(TableSource(isolated_home, events, content="3"))
    fourth = compiled(TableSource(isolated_home, events, content="0")).files[0].path.parent
    assert entries(cache) == {first.name, third.name, fourth.name}
    monkeypatch.setattr(recordings, "CACHE_BYTES_MAX", 0)
    fifth = compiled(TableSource(isolated_home, events, content="9")).files[0].path.parent
    assert entries(cache) == {fifth.name}
    assert not second.exists()


def test_what_a_killed_process_left_goes_after_a_day(source, cache):
    cache.mkdir(parents=True)
    for name, seconds in (("old", ABANDONED_S + 60), ("young", 60)):
        folder = cache / f".writing-{name}"
        (folder / "rows").mkdir(parents=True)
        os.utime(folder, (time.time() - seconds,) * 2)
    recording = compiled(source)
    assert entries(cache) == {".writing-young", recording.files[0].path.parent.name}


def test_an_entry_that_goes_while_the_cache_is_counted_is_passed_over(source, cache, monkeypatch):
    compiled(source)
    (folder,) = cache.iterdir()
    (cache / "dangling").symlink_to(cache / "nothing")
    recordings._evict(cache, keep=folder)
    assert folder.exists()


# Real order flow.


def test_recorded_order_flow_becomes_rows(opening, isolated_home):
    """The beginning of the bundled sample: all its events, a band around 61,500 USDT, 24 bytes a row."""
    market, events = opening
    (file,) = compiled(TableSource(isolated_home, events[:1500], markets=(market,))).files
    assert file.read(10_000).tobytes() == rows_of(events[:1500]).tobytes()
    assert 600_000 < file.low_ticks < file.high_ticks < 630_000
    assert file.path.stat().st_size == file.rows_total * 24


# For one who takes the rows elsewhere.


def test_written_rows_are_those_of_the_cache_and_go_with_the_block(source, cache):
    kept = compiled(source)
    with written_rows(source, profile="recorded") as written:
        assert written.outline() == kept.outline() and written.outline().span_ns() == kept.span_ns()
        assert [file.path.read_bytes() for file in written.files] == [file.path.read_bytes() for file in kept.files]
    assert entries(cache) == {kept.files[0].path.parent.name}


def test_whoever_asks_for_them_may_end_the_writing_and_nothing_stays(source, cache):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), written_rows(source, profile="recorded", progress=stop):
        pass
    assert entries(cache) == set()


def test_what_a_killed_writer_left_goes_with_the_next(source, cache):
    (cache / ".writing-old").mkdir(parents=True)
    os.utime(cache / ".writing-old", (time.time() - ABANDONED_S - 60,) * 2)
    with written_rows(source, profile="recorded"):
        assert not (cache / ".writing-old").exists()
