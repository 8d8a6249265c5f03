"""The store: numbers that are never given out twice, halts that outlast a process, and stores that are refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.risk import Breaker
from hlhft.live.store import (
    DOUBT_CODE,
    FILE,
    MARK_MAX,
    MINUTE_NS,
    MS,
    NONCES_UNSEEN_MS,
    ORIGIN,
    PEAK_MINUTES,
    REASON_LENGTH_MAX,
    SESSION_MAX,
    SESSIONS_KEPT,
    SESSIONS_UNSEEN_MAX,
    TIDS_MAX,
    VERSION,
    Halt,
    Moved,
    Store,
    StoreError,
    Watermark,
    open_store,
)

NOW = 1_790_000_000_000_000_000
SIGNER = "0x" + "aB" * 20
Opener = Callable[[], Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens the store of one folder, closing the one before: as a restart does."""
    held: list[Store] = []

    def reopen() -> Store:
        for store in held:
            store.close()
        held[:] = [open_store(tmp_path / "state", clock_ns=lambda: NOW)]
        return held[0]

    yield reopen
    for store in held:
        store.close()


def test_each_session_has_the_next_number(opened: Opener) -> None:
    assert [opened().begin_session("key") for _ in range(3)] == [1, 2, 3]


def test_a_session_number_above_what_the_journal_knows_and_a_halt_that_stays(opened: Opener) -> None:
    opened().begin_session("key")
    store = opened()
    assert store.begin_session("key", newest_elsewhere=7) == SESSIONS_UNSEEN_MAX + 8, "beyond what the lost one used"
    assert "2 sessions" not in store.doubts[0] and "1 sessions and the journal of 7" in store.doubts[0]
    again = opened()
    assert again.begin_session("key", newest_elsewhere=SESSIONS_UNSEEN_MAX + 8) == SESSIONS_UNSEEN_MAX + 9
    assert again.doubts == [], "the doubt is told once"
    halt = again.halt()
    assert (halt.latches, halt.code, halt.at_ns) == (1 << Breaker.OPERATOR, Breaker.OPERATOR, NOW)
    assert "old copy" in halt.reason
    assert DOUBT_CODE == Breaker.OPERATOR


def test_nonces_go_on_above_what_the_lost_engine_can_have_used(opened: Opener) -> None:
    """Right after a restart they are ahead of the clock, so that the clock alone would give some out twice."""
    store, other = opened(), "0x" + "cd" * 20
    store.begin_session("key")
    store.write_mark(SIGNER, NOW // MS + 8_000)
    assert store.mark(other) == 0
    store = opened()
    store.begin_session("key", newest_elsewhere=7)
    least = NOW // MS + 8_000 + NONCES_UNSEEN_MS
    assert (store.mark(SIGNER), store.mark(other)) == (least, least)
    again = opened()
    again.begin_session("key", newest_elsewhere=SESSIONS_UNSEEN_MAX + 8)
    assert again.mark(SIGNER) == least, "also where one was killed before it wrote a mark of its own"
    again.write_mark(SIGNER, least + 1)
    assert (again.mark(SIGNER), again.mark(other)) == (least + 1, least)


def test_a_doubt_keeps_the_first_cause_of_a_halt(opened: Opener) -> None:
    store = opened()
    store.write_halt(latches=1 << Breaker.DRAWDOWN, code=Breaker.DRAWDOWN, reason="3.1 %")
    store.begin_session("key", newest_elsewhere=1)
    halt = store.halt()
    assert halt.code == Breaker.DRAWDOWN
    assert halt.latches == 1 << Breaker.DRAWDOWN | 1 << Breaker.OPERATOR


def test_a_journal_that_knows_less_is_no_doubt(opened: Opener) -> None:
    opened().begin_session("key")
    store = opened()
    assert store.begin_session("key", newest_elsewhere=1) == 2
    assert not store.doubts and store.halt() == Halt()


def test_session_numbers_end(opened: Opener) -> None:
    with pytest.raises(StoreError, match="used up"):
        opened().begin_session("key", newest_elsewhere=SESSION_MAX)


def test_a_session_that_did_not_say_that_it_ended_is_known(opened: Opener) -> None:
    first = opened()
    assert first.has_ended_well, "there was none"
    first.begin_session("key")
    second = opened()
    assert not second.has_ended_well
    second.begin_session("key")
    second.end_session()
    assert opened().has_ended_well


def test_old_sessions_are_forgotten_but_not_the_number(opened: Opener) -> None:
    store = opened()
    store.begin_session("key", newest_elsewhere=10 * SESSIONS_KEPT)
    (count,) = store.connection.execute("SELECT count(*) FROM session").fetchone()
    assert count == 1
    assert opened().begin_session("key") == SESSIONS_UNSEEN_MAX + 10 * SESSIONS_KEPT + 2


class TestOrigin:
    """A state that was restored with its journal, both of one past, agrees with itself and is known all the same."""

    @staticmethod
    def copied(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
        """As a backup brings it back: contents and times as they were."""
        copy = folder.with_name("restored")
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*without), copy_function=shutil.copy2)
        return copy

    @pytest.mark.parametrize("without", [(), (ORIGIN,)])
    def test_a_copy_is_halted_and_its_numbers_are_none_that_the_other_used(
        self, opened: Opener, tmp_path: Path, without: tuple[str, ...]
    ) -> None:
        opened().begin_session("key")
        copy = self.copied(tmp_path / "state", without=without)
        opened().begin_session("key")  # which the copy knows nothing of
        with contextlib.closing(open_store(copy, clock_ns=lambda: NOW)) as store:
            assert store.begin_session("key", newest_elsewhere=1) == SESSIONS_UNSEEN_MAX + 2
            assert "restored or copied" in store.halt().reason
            assert (store.halt().latches, store.halt().code) == (1 << DOUBT_CODE, DOUBT_CODE)
            assert not store.has_ended_well, "another may have run since"
        with contextlib.closing(open_store(copy, clock_ns=lambda: NOW)) as again:
            again.begin_session("key", newest_elsewhere=SESSIONS_UNSEEN_MAX + 2)
            assert again.doubts == [], "the doubt is told once, and the halt stays"
            assert "restored or copied" in again.halt().reason

    def test_a_folder_that_is_moved_where_it_lies_is_the_same(self, opened: Opener, tmp_path: Path) -> None:
        opened().begin_session("key")
        opened().close()
        moved = (tmp_path / "state").rename(tmp_path / "moved")
        with contextlib.closing(open_store(moved, clock_ns=lambda: NOW)) as store:
            assert store.begin_session("key", newest_elsewhere=1) == 2
            assert not store.doubts and store.halt() == Halt()

    def test_a_store_of_before_there_were_origins_takes_its_own(self, opened: Opener, tmp_path: Path) -> None:
        store = opened()
        store.begin_session("key")
        store.connection.executescript("DROP TABLE origin; PRAGMA user_version = 2;")
        (tmp_path / "state" / ORIGIN).unlink()
        assert opened().begin_session("key", newest_elsewhere=1) == 2
        (tmp_path / "state" / ORIGIN).unlink()
        store = opened()
        store.begin_session("key", newest_elsewhere=2)
        assert "restored or copied" in store.halt().reason


def test_marks_are_kept_by_signer_and_only_rise(opened: Opener) -> None:
    store = opened()
    assert store.mark(SIGNER) == 0
    store.write_mark(SIGNER, 5)
    store.write_mark("0x" + "00" * 20, 1)
    for lower in (5, 4, 0, -1, MARK_MAX + 1):
        with pytest.raises(StoreError, match="rises"):
            store.write_mark(SIGNER, lower)
    again = opened()
    assert again.mark(SIGNER.lower()) == 5, "an address has one mark however it is spelled"
    again.write_mark(SIGNER, MARK_MAX)
    assert opened().mark(SIGNER) == MARK_MAX


def test_a_halt_outlasts_the_process_until_it_is_cleared(opened: Opener) -> None:
    opened().write_halt(latches=4, code=2, reason="x" * (REASON_LENGTH_MAX + 1))
    assert opened().halt() == Halt(latches=4, code=2, reason="x" * REASON_LENGTH_MAX, at_ns=NOW)
    opened().write_halt(latches=0, code=0, reason="looked into it")
    assert opened().halt() == Halt(reason="looked into it", at_ns=NOW)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(-(10**15), 10**15)), min_size=1, max_size=30))
def test_the_peak_is_that_of_the_last_hour(tmp_path_factory: pytest.TempPathFactory, equities: list) -> None:
    store = open_store(tmp_path_factory.mktemp("state"))
    told: list[tuple[int, int]] = []
    minute = NOW // MINUTE_NS
    for later, equity in equities:
        minute += later
        store.write_peak(equity, minute * MINUTE_NS + 7)
        told.append((minute, equity))
        recent = [value for at, value in told if at > minute - PEAK_MINUTES]
        assert store.peak(minute * MINUTE_NS + 59_999_999_999) == max(recent)
    assert store.peak((minute + PEAK_MINUTES) * MINUTE_NS) is None
    (rows,) = store.connection.execute("SELECT count(*) FROM peak").fetchone()
    assert rows <= PEAK_MINUTES + 1
    store.close()


def test_a_peak_counts_what_was_moved_since_its_session_began(opened: Opener) -> None:
    """1000 at its best, then 300 taken out and 50 put in: as if that had come first, it was 750 at its best."""
    store = opened()
    assert store.moved() == Moved()
    store.begin_peaks(0, 40)
    store.write_peak(1000, NOW)
    store.write_moved(-300, 70)
    store.write_peak(990, NOW)
    store.write_moved(50, 60)
    store = opened()
    assert (store.moved(), store.peak(NOW)) == (Moved(amount_micro=-250, time_ms=70), 750)
    # While nothing ran, 20 were put in: the next session begins with 760, and had 770.
    store.begin_peaks(20, 90)
    store.write_peak(760, NOW)
    store = opened()
    assert (store.moved(), store.peak(NOW)) == (Moved(time_ms=90), 770)
    store.write_peak(780, NOW)
    assert store.peak(NOW) == 780


def test_a_resume_forgets_the_peaks(opened: Opener) -> None:
    store = opened()
    store.write_peak(1000, NOW)
    store.write_halt(latches=4, code=2, reason="3.1 %")
    assert opened().peak(NOW) == 1000
    opened().write_halt(latches=0, code=0, reason="looked into it")
    assert opened().peak(NOW) is None


def test_a_store_of_the_first_version_goes_on(opened: Opener, tmp_path: Path) -> None:
    """Its peaks were written beside a watermark up to which everything moved was told."""
    store = opened()
    store.begin_session("key")
    store.write_peak(1000, NOW)
    store.write_watermark(50)
    store.connection.executescript("DROP TABLE origin; DROP TABLE moved; PRAGMA user_version = 1;")
    store = opened()
    assert (store.peak(NOW), store.moved(), store.begin_session("key")) == (1000, Moved(time_ms=50), 2)


def test_fills_are_remembered_by_id_behind_the_watermark(opened: Opener) -> None:
    store = opened()
    assert store.watermark() == Watermark()
    store.write_fills([])
    store.write_fills([(1, 100), (2, 100), (3, 90)])
    store.write_fills([(2, 100), (4, 95)])
    assert opened().watermark() == Watermark(time_ms=100, tids=frozenset({1, 2, 3, 4}))


def test_of_many_fills_the_newest_are_remembered(opened: Opener) -> None:
    store = opened()
    store.write_fills([(number, number) for number in range(TIDS_MAX + 10)])
    mark = store.watermark()
    assert mark.time_ms == TIDS_MAX + 9
    assert mark.tids == frozenset(range(10, TIDS_MAX + 10))


def test_one_process_at_a_time(opened: Opener, tmp_path: Path) -> None:
    opened()
    with pytest.raises(StoreError, match=f"process {os.getpid()} is running with this state folder"):
        open_store(tmp_path / "state")


def test_the_lock_goes_with_a_killed_process_and_what_it_wrote_stays(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from hlhft.live.store import open_store\n"
        "store = open_store(Path(sys.argv[1])); store.begin_session('key'); store.write_mark('0xa', 9)\n"
        "store.write_peak(5, 60_000_000_000); store.write_fills([(1, 2)])\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        with pytest.raises(StoreError, match=f"process {process.pid} "):
            open_store(tmp_path)
        process.send_signal(signal.SIGKILL)
    store = open_store(tmp_path)
    assert (store.begin_session("key"), store.mark("0xA"), store.peak(60_000_000_000)) == (2, 9, 5)
    assert store.watermark() == Watermark(time_ms=2, tids=frozenset({1}))
    store.close()


def test_files_are_their_owner_s_only(opened: Opener, tmp_path: Path) -> None:
    opened().write_mark(SIGNER, 1)
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_newer_store_is_refused_and_left_as_it_is(opened: Opener, tmp_path: Path) -> None:
    store = opened()
    store.begin_session("key")
    store.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match=f"has version {VERSION + 1} and this version of hlhft knows {VERSION}"):
        opened()
    with sqlite3.connect(tmp_path / "state" / FILE) as connection:
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (1,)
    connection.close()


def test_a_damaged_store_is_refused(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "state" / FILE
    opened().close()
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError, match="is damaged; move it away"):
        open_store(tmp_path / "state")
    path.unlink()
    store = open_store(tmp_path / "state")
    assert store.begin_session("key", newest_elsewhere=3) > 3
    assert store.doubts and store.halt().latches
    store.close()


def test_a_page_that_lost_its_content_is_noticed(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "state" / FILE
    store = opened()
    store.write_fills([(number, number) for number in range(2000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        open_store(tmp_path / "state")


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "file" / "state")
    (tmp_path / "state" / FILE).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path / "state")


def test_a_disk_that_refuses_is_told(opened: Opener) -> None:
    store = opened()
    store.connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match="cannot be written"):
        store.write_fills([(number, number) for number in range(5000)])
    assert store.watermark() == Watermark(), "nothing of it is there"


def test_a_watermark_rises_without_fills_and_never_falls(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    try:
        store.write_watermark(50)
        store.write_watermark(20)
        assert store.watermark().time_ms == 50
        store.write_fills([(7, 60)])
        assert store.watermark().time_ms == 60
    finally:
        store.close()
