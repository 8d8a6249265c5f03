"""Recordings in the catalogue: each row in a part that answers for it, twice the same, and nothing of what failed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data import importing
from hlhft.data.catalogue.manifest import Clock, Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.importing import Imported, frames_ended, import_source, unmarked
from hlhft.data.merge import Events
from hlhft.data.readers.hftbacktest_npz import write_hftbacktest
from hlhft.data.sources import MergedSource, Source, open_source
from hlhft.events import EventKind
from tests.data.making import (  # fmt: skip
    BACKFILL,
    BOTH,
    BTC,
    END,
    ETH,
    EXCHANGE,
    LOCAL,
    SECOND,
    SYNTHETIC,
    ListSource,
    bbo,
    columns,
    event,
    joined,
    level,
    rows_of,
    snapshot,
    trade,
)
from tests.data.making import write as write_lines
from tests.data.synthetic import bbo_line, clean_log, clean_set, write_set

HOUR = 3600 * SECOND
T0 = 1_757_000_000_000_000_000 // HOUR * HOUR  # a full hour
MINUTE = 60 * SECOND


def imported(source: Source, root: Path) -> Imported:
    (only,) = import_source(source, root)
    return only


def parts(root: Path) -> list[Manifest]:
    return Catalogue(root).manifests()


def rows_in(root: Path, manifest: Manifest) -> Events:
    return joined(Catalogue(root).batches(manifest))


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_kinds_coins_and_hours_are_parts_of_their_own(tmp_path: Path) -> None:
    rows = joined([
        trade(T0 - 2 * SECOND, 1, 100, 1, 7, local=T0 - SECOND),
        snapshot(T0 - SECOND, [(99, 1)], [(101, 2)]),
        bbo(T0, (99, 1), (101, 2)),
        bbo(T0 + 1, (99, 1), (101, 2), market=1),
    ])  # fmt: skip
    found = imported(ListSource([rows], [BTC, ETH]), tmp_path)
    assert (found.coins, found.parts_written, found.parts_there) == (["BTC", "ETH"], 4, 0)
    assert found.rows == {"depth_level": 2, "snapshot_begin": 1, "snapshot_end": 1, "bbo": 4, "trade": 1}
    before, after = "import-" + found.fingerprint[:16] + "-14", "import-" + found.fingerprint[:16] + "-15"
    assert [(part.kind, part.coin, part.name, part.rows) for part in parts(tmp_path)] == [
        ("book", "BTC", before, 4), ("bbo", "BTC", after, 2), ("bbo", "ETH", after, 2), ("trade", "BTC", before, 1),
    ]  # fmt: skip
    first = parts(tmp_path)[0]
    assert (first.source, first.origin, first.snapshots) == ("import", f"list-1 {found.fingerprint}", True)
    assert (first.market, first.clock) == (BTC, Clock("measured", "the recording"))
    assert {part.date for part in parts(tmp_path)} == {"2025-09-04"}


def test_a_part_answers_from_its_first_row_to_the_coins_last(tmp_path: Path) -> None:
    rows = joined([
        trade(T0 - 5, 1, 100, 1, local=T0),
        *ticking(T0 - 4, T0 + 249 * 30 * SECOND),
    ])  # fmt: skip
    imported(ListSource([rows]), tmp_path)
    last = T0 - 4 + 249 * 30 * SECOND
    assert [(part.kind, part.covers) for part in parts(tmp_path)] == [
        ("bbo", (T0 - 4, T0)), ("bbo", (T0, T0 + HOUR)), ("bbo", (T0 + HOUR, T0 + 2 * HOUR)),
        ("bbo", (T0 + 2 * HOUR, last + 1)),
        ("trade", (T0 - 5, T0)),
    ]  # fmt: skip
    assert all(part.gaps == () for part in parts(tmp_path))


def test_what_readers_mark_about_sessions_is_taken_off(tmp_path: Path) -> None:
    lines = clean_set(9)
    del lines["orderbooks"][1:3], lines["prices"][1:5]
    source = open_source(write_set(tmp_path / "set", lines))
    marked = rows_of(source)
    assert (marked["flags"] & BACKFILL).any()
    imported(source, tmp_path / "catalogue")
    found = joined(rows_in(tmp_path / "catalogue", part) for part in parts(tmp_path / "catalogue"))
    assert len(found) == len(marked)
    assert not (found["flags"] & (BACKFILL | SYNTHETIC)).any()
    assert (found["flags"] & BOTH == BOTH).all()


def test_marks_alone_are_taken_off() -> None:
    clear = event(EventKind.DEPTH_CLEAR, 5, flags=BOTH | SYNTHETIC)
    own_clear = event(EventKind.DEPTH_CLEAR, 5, side=1, price=3)
    guess = event(EventKind.DEPTH_LEVEL, 5, side=1, price=3, size=1, flags=LOCAL | SYNTHETIC | END)
    early = trade(1, 1, 100, 1, flags=LOCAL | BACKFILL | END)
    found = unmarked(joined([clear, own_clear, guess, early]))
    assert columns(found, "kind", "flags") == [(2, BOTH | END), (1, LOCAL | SYNTHETIC | END), (6, BOTH | END)]


def test_frames_end_where_the_rows_that_we_see_do() -> None:
    rows = joined([level(1, 1, 10, 1, flags=flags) for flags in (BOTH, EXCHANGE, BOTH, LOCAL, EXCHANGE, EXCHANGE)])
    found = frames_ended(rows, np.array([0, 0, 1, 1, 1, 2]))
    assert (found["flags"] & END != 0).tolist() == [True, False, False, True, False, False]


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.gz", clean_log(30))
    root = tmp_path / "catalogue"
    first = imported(open_source(path), root)
    before = files(root)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}
    again = imported(open_source(write_lines(tmp_path / "renamed.gz", clean_log(30))), root)
    assert (again.parts_written, again.parts_there) == (0, first.parts_written) == (0, 3)
    assert again.rows == first.rows
    assert files(root) == before
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")} == stamps


def test_a_part_that_is_missing_or_cut_is_written_again(tmp_path: Path) -> None:
    source = open_source(write_lines(tmp_path / "log", clean_log(30)))
    root = tmp_path / "catalogue"
    imported(source, root)
    before = files(root)
    paths = sorted(root.rglob("*.parquet"))
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    next(paths[1].parent.glob("_*.json")).unlink()
    again = imported(source, root)
    assert (again.parts_written, again.parts_there) == (2, 1)
    assert files(root) == before


def test_a_set_and_its_coins_one_by_one_are_the_same(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / "set", clean_set(5)),
            write_set(tmp_path / "set", clean_set(6), coin="ETH")]  # fmt: skip
    assert sets[0] == sets[1]
    both = import_source(open_source(sets[0]), tmp_path / "catalogue")
    assert isinstance(open_source(sets[0]), MergedSource)
    one = imported(open_source(sets[0] / "trades_ETH.csv"), tmp_path / "catalogue")
    assert [part.coins for part in both] == [["BTC"], ["ETH"]]
    assert (one.parts_written, one.fingerprint) == (0, both[1].fingerprint)


def ticking(begin: int, end: int, step: int = 30 * SECOND) -> list[Events]:
    """A touch every so often."""
    return [bbo(when, (99, 1), (101, 2)) for when in range(begin, end, step)]


def test_a_silence_of_everything_is_a_gap_of_touches_and_trades(tmp_path: Path) -> None:
    rows = joined([
        trade(T0, 1, 100, 1, 1), *ticking(T0 + 1, T0 + 5 * MINUTE),
        # The subscription brings trades from before it.
        trade(T0 + 20 * MINUTE, 1, 100, 1, 2, local=T0 + 30 * MINUTE),
        *ticking(T0 + 30 * MINUTE, T0 + 31 * MINUTE),
    ])  # fmt: skip
    found = imported(ListSource([rows]), tmp_path)
    last = T0 + 1 + 9 * 30 * SECOND
    assert {part.kind: [(gap.from_ns, gap.to_ns, gap.reason) for gap in part.gaps] for part in parts(tmp_path)} == {
        "bbo": [(last + 1, T0 + 30 * MINUTE, "silence")],
        "trade": [(last + 1, T0 + 20 * MINUTE, "silence")],
    }
    assert found.gaps == 2


def test_pictures_that_fail_while_trades_go_on_are_a_gap_of_the_book(tmp_path: Path) -> None:
    ticks = [trade(when, 1, 100, 1, when) for when in range(T0, T0 + 10 * MINUTE, 30 * SECOND)]
    books = [snapshot(when, [(99, 1)], [(101, 1)]) for when in (T0, T0 + MINUTE, T0 + 5 * MINUTE)]
    rows = joined(sorted([*ticks, *books], key=lambda frame: int(frame["ts_local_ns"][0])))
    imported(ListSource([rows]), tmp_path)
    gaps = {part.kind: [(gap.from_ns, gap.to_ns) for gap in part.gaps] for part in parts(tmp_path)}
    assert gaps == {"book": [(T0 + MINUTE + 1, T0 + 5 * MINUTE)], "trade": []}


def test_a_gap_over_hours_is_cut_to_the_parts(tmp_path: Path) -> None:
    rows = joined([*ticking(T0, T0 + MINUTE), *ticking(T0 + 4 * HOUR + MINUTE, T0 + 4 * HOUR + 2 * MINUTE)])
    imported(ListSource([rows]), tmp_path)
    assert [[(gap.from_ns - T0, gap.to_ns - T0) for gap in part.gaps] for part in parts(tmp_path)] == [
        [(30 * SECOND + 1, HOUR)], [(4 * HOUR, 4 * HOUR + MINUTE)],
    ]  # fmt: skip


def test_contexts_have_no_cadence_and_are_parts_of_a_day(tmp_path: Path) -> None:
    contexts = [event(EventKind.ASSET_CONTEXT, T0 + hour * HOUR, price=1000) for hour in range(30)]
    found = imported(ListSource([joined(contexts)]), tmp_path)
    assert [(part.date, part.rows, part.gaps) for part in parts(tmp_path)] == [
        ("2025-09-04", 9, ()), ("2025-09-05", 21, ())
    ]  # fmt: skip
    assert parts(tmp_path)[0].name == f"import-{found.fingerprint[:16]}"


def test_what_comes_for_a_part_that_is_complete_is_left_out_and_counted(tmp_path: Path) -> None:
    late = trade(T0 + 1, 1, 100, 1, 2, local=T0 + 3 * HOUR)
    in_time = trade(T0 + 2 * HOUR, 1, 100, 1, 3, local=T0 + 3 * HOUR)
    rows = [trade(T0, 1, 100, 1, 1), *ticking(T0, T0 + 3 * HOUR)]
    found = imported(ListSource([*rows, late, in_time]), tmp_path)
    assert found.counts["rows_too_late"] == 1
    trades = joined(rows_in(tmp_path, part) for part in parts(tmp_path) if part.kind == "trade")
    assert trades["order_id"].tolist() == [1, 3]


def test_of_a_recording_that_fails_nothing_stays(tmp_path: Path) -> None:
    root = tmp_path / "catalogue"
    import_source(open_source(write_lines(tmp_path / "log", clean_log(5))), root)
    before = files(root)
    torn = ListSource(ticking(T0, T0 + 3 * HOUR), fault=DataError("list", 7, "torn"))
    with pytest.raises(DataError, match="torn"):
        import_source(torn, root)
    assert files(root) == before
    with pytest.raises(DataError, match="an event of kind TIMER has no place in a catalogue, drop it"):
        import_source(ListSource([event(EventKind.TIMER, T0)]), root)
    assert files(root) == before


def test_one_import_at_a_time(tmp_path: Path) -> None:
    source = ListSource([trade(T0, 1, 100, 1)])
    import_source(source, tmp_path)
    with (tmp_path / "_import.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another import writes to this catalogue, wait until it is done"):
            import_source(source, tmp_path)
    assert imported(source, tmp_path).parts_there == 1


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="the catalogue cannot be written"):
        import_source(ListSource([]), tmp_path / "file" / "catalogue")


def test_too_many_open_parts_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "OPEN_PARTS_MAX", 1)
    with pytest.raises(DataError, match="make more than 1 parts at a time, import them one by one with --market"):
        import_source(ListSource([trade(T0, 1, 100, 1), bbo(T0, (99, 1), (101, 1))]), tmp_path)
    assert parts(tmp_path) == []


def test_an_array_whose_venue_rows_stand_apart_comes_in_order_of_arrival(tmp_path: Path) -> None:
    early = level(10, 1, 100, 5, local=30, flags=EXCHANGE)
    rows = joined([early, level(20, 1, 99, 5, local=20), level(10, 1, 100, 5, local=30, flags=LOCAL | END)])
    path = tmp_path / "BTC.npz"
    write_hftbacktest(path, [rows], BTC)
    imported(open_source(path), tmp_path / "catalogue")
    (part,) = parts(tmp_path / "catalogue")
    assert not part.snapshots
    assert columns(rows_in(tmp_path / "catalogue", part), "ts_exch_ns", "ts_local_ns", "flags") == [
        (20, 20, BOTH | END), (10, 30, EXCHANGE), (10, 30, LOCAL | END)
    ]  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> list[Events]:
    """Frames of two coins in order of arrival, late by up to a minute, with silences."""
    local, frames = T0, []
    for identity in range(draw(st.integers(1, 12))):
        local += draw(st.sampled_from([0, 1, SECOND, 50 * SECOND, 20 * MINUTE, 3 * HOUR]))
        exch = local - draw(st.sampled_from([0, 5, SECOND, 30 * SECOND]))
        market, make = draw(st.integers(0, 1)), draw(st.sampled_from(["book", "bbo", "trade", "context"]))
        where = {"local": local, "market": market}
        if make == "book":
            frames.append(snapshot(exch, [(99, 1)], [(101, 2)], **where))
        elif make == "bbo":
            frames.append(bbo(exch, (99, 1), (101, 2), **where))
        elif make == "context":
            frames.append(event(EventKind.ASSET_CONTEXT, exch, price=1000, **where))
        else:
            frames.append(trade(exch, 1, 100, 1, identity + 1, **where))
    return frames


@settings(max_examples=25)
@given(streams(), st.integers(1, 9))
def test_every_row_is_in_the_one_part_that_answers_for_it(frames: list[Events], cut: int) -> None:
    # Where there is one, a disk in memory: each part is synced four times.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        check_every_row(Path(folder), frames, cut)


def check_every_row(root: Path, frames: list[Events], cut: int) -> None:
    arrays = [joined(frames[start : start + cut]) for start in range(0, len(frames), cut)]
    found = imported(ListSource(arrays, [BTC, ETH]), root)
    everything = joined(frames)
    assert sum(part.rows for part in parts(root)) == len(everything) == sum(found.rows.values())
    for part in parts(root):
        rows = rows_in(root, part)
        begin, end = part.covers
        assert begin <= rows["ts_exch_ns"].min() <= rows["ts_exch_ns"].max() < end
        for gap in part.gaps:
            assert not ((rows["ts_exch_ns"] >= gap.from_ns) & (rows["ts_exch_ns"] < gap.to_ns)).any()
            assert begin <= gap.from_ns < gap.to_ns <= end
        assert rows["flags"][-1] & END
        market = [BTC, ETH].index(part.market)
        span = importing._SPAN_NS[importing._KINDS.index(part.kind)]
        mine = everything[(everything["market"] == market) & (everything["ts_exch_ns"] // span == begin // span)]
        expected = mine[np.isin(mine["kind"], np.unique(rows["kind"]))]
        names = ("ts_exch_ns", "ts_local_ns", "kind", "side", "price_ticks", "size_lots", "order_id", "flags")
        assert columns(rows, *names) == columns(expected, *names)


@pytest.mark.processes
def test_an_import_that_is_killed_goes_on_to_the_same_catalogue(tmp_path: Path) -> None:
    hours = 36_000  # of the tenth of a second that lies between two lines
    lines = [bbo_line(place + hour * hours) for hour in range(4) for place in range(9)]
    path = write_lines(tmp_path / "log.gz", lines)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    complete = imported(open_source(path), whole)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(killed)], env=dict(os.environ))
    assert process.wait() == -signal.SIGKILL
    assert 0 < len(parts(killed)) < len(parts(whole))
    assert list(killed.rglob(".*.writing"))
    again = imported(open_source(path), killed)
    assert (again.parts_there, again.rows) == (2, complete.rows)
    assert files(killed) == files(whole)


# Imports, and is killed as the third part is about to get its name.
KILLED = """
import os, signal, sys
from pathlib import Path
from hlhft.data.catalogue import parts
from hlhft.data.importing import import_source
from hlhft.data.sources import open_source
finished, finish = [], parts.PartWriter._put
def put(self, manifest):
    if len(finished) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    finished.append(finish(self, manifest))
parts.PartWriter._put = put
import_source(open_source(sys.argv[1]), Path(sys.argv[2]))
"""
