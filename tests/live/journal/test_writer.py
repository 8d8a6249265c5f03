"""The writer on a real disk: what is appended is there after a kill, rooms are taken in advance, and full is told."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.config.live_sections import Journal as Section
from hlhft.core.state import COMMAND_DTYPE
from hlhft.events import EVENT_DTYPE
from hlhft.live.journal import writer
from hlhft.live.journal.records import (
    HEADER_BYTES,
    Action,
    EndReason,
    NoteKind,
    Parser,
    Record,
    RecordKind,
    Start,
    Tail,
    read_action,
    read_checkpoint,
    read_inputs,
    read_start,
    record_bytes,
)
from hlhft.live.journal.segments import Form, JournalError, JournalFull, Name, Segment, pieces
from hlhft.live.journal.writer import (
    COMMANDS_BYTES_MAX,
    NOTE_BYTES_MAX,
    RAW_BYTES_MAX,
    RESERVE_BYTES,
    SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN,
    Compressor,
    Journal,
    JournalSettings,
    Source,
    digest,
)
from tests.live.journal.worlds import NOW, SMALL, events, journal, source, start, until

K = RecordKind
ROOM = 1 << 14  # events in one call: a megabyte


def read(folder: Path, number: int = 0, *, session: int = 7) -> tuple[Parser, list[Record]]:
    parser, found = Parser(), []
    for piece in pieces(folder / Name(session, number).file(Form.OPEN)):
        found += parser.feed(piece)
    parser.finish()
    return parser, found


def test_everything_is_there_in_order(tmp_path: Path) -> None:
    written = journal(tmp_path)
    commands = np.zeros(3, COMMAND_DTYPE)
    commands["order_id"] = 1, 2, 3
    written.inputs(events(5), 4)
    written.commands(commands, 2)
    written.commands(commands, 0)
    written.raw(3, memoryview(b'{"a":1}'), NOW + 5)
    written.action(Action(1, 2, 3, 4, 5, 1, (6, 7)))
    written.note(NoteKind.OPERATOR, b"halt")
    written.close()
    parser, found = read(tmp_path)
    assert parser.tail is Tail.ENDED
    assert [record.kind for record in found] == [K.START, K.INPUTS, K.COMMANDS, K.RAW, K.ACTION, K.NOTE, K.END]
    assert read_start(found[0].payload) == start()
    assert np.array_equal(read_inputs(found[1].payload), events(4))
    assert found[2].payload == commands[:2].tobytes()
    assert (found[3].detail, found[3].payload, found[3].ts_ns) == (3, b'{"a":1}', NOW + 5)
    assert read_action(found[4].payload) == Action(1, 2, 3, 4, 5, 1, (6, 7))
    assert (found[5].detail, found[5].payload) == (NoteKind.OPERATOR, b"halt")
    assert found[6].detail == EndReason.CLOSED
    assert [file.name for file in tmp_path.iterdir()] == ["s0000000007-000000.journal"], "the spare is given back"
    assert (tmp_path / "s0000000007-000000.journal").stat().st_size == parser.end


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 40)), max_size=40))
def test_arrays_may_change_and_be_many(tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[int, int]]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    written = journal(folder)
    arrays = [np.zeros(40, EVENT_DTYPE) for _ in range(20)]
    expected = []
    for turn, (which, count) in enumerate(calls):
        arrays[which]["aux0"] = turn
        written.inputs(arrays[which], count)
        expected.append((count, turn))
    written.close()
    found = [read_inputs(record.payload) for record in read(folder)[1] if record.kind is K.INPUTS]
    assert [(len(rows), set(rows["aux0"].tolist())) for rows in found] == [
        (count, {turn} if count else set()) for count, turn in expected
    ]


def test_an_array_of_something_else_is_the_caller_s_mistake(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for wrong in (np.zeros(4, np.int64), events(4)[::2]):
        with pytest.raises(AssertionError):
            written.inputs(wrong, 1)
    written.close()


def test_what_was_appended_survives_a_kill_at_once(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.live.journal.worlds import *\n"
        "from dataclasses import replace\n"
        "made = journal(Path(sys.argv[1]), replace(SMALL, sync_ms=1000))\n"
        "for number in range(100): made.inputs(events(3, number), 3)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    parser, found = read(tmp_path)
    assert (parser.tail, parser.fault) == (Tail.OPEN, "")
    assert [read_inputs(record.payload)["order_id"][0] for record in found[1:]] == list(range(100))
    spare, nothing = read(tmp_path, 1)
    assert (spare.tail, nothing) == (Tail.OPEN, [])


def test_the_keeper_flushes_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    flush = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: flushed.append(descriptor) or flush(descriptor))
    written = journal(tmp_path)
    assert written.synced_sequence == 1 and len(flushed) == 1, "a head is on disk before anything else"
    for _ in range(50):
        written.inputs(events(1), 1)
    until(lambda: written.synced_sequence == 51)
    assert len(flushed) < 50
    count = len(flushed)
    written.note(NoteKind.REPORT, b"")
    written.sync()
    assert written.synced_sequence == 52 and len(flushed) > count
    written.close()


def test_a_full_segment_gives_way_to_the_next_with_the_state_of_the_moment(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for number in range(9):
        until(lambda: written._spare is not None)
        written.inputs(events(ROOM, number), ROOM)
        written.commands(np.zeros(1, COMMAND_DTYPE), 1)
    last = written.number
    written.close()
    assert last >= 3
    steps, sequence = 0, 0
    for number in range(last + 1):
        parser, found = read(tmp_path, number)
        head = read_start(found[0].payload)
        assert (head.number, head.step) == (number, steps)
        assert found[0].sequence == sequence + 1
        kinds = [record.kind for record in found if record.kind is not K.CHECKPOINT]
        assert kinds[1:-1] == [K.INPUTS, K.COMMANDS] * kinds.count(K.INPUTS), "a step and its commands stand together"
        assert parser.tail is Tail.ENDED
        assert found[-1].detail == (EndReason.CLOSED if number == last else EndReason.ROTATED)
        steps += kinds.count(K.INPUTS)
        sequence = found[-1].sequence
    assert steps == 9


def test_the_commands_of_a_step_always_fit_behind_its_inputs(tmp_path: Path) -> None:
    """Whatever is left of the segment when the inputs come."""
    written = journal(tmp_path)
    most = np.zeros(512, COMMAND_DTYPE)
    needed = HEADER_BYTES + 64 + COMMANDS_BYTES_MAX
    for left in (0, 64, COMMANDS_BYTES_MAX, needed - 8, needed, needed + 200):
        until(lambda: written._spare is not None)
        written.rotate()
        until(lambda: written._spare is not None)
        while written.bytes_left >= left + HEADER_BYTES:
            size = min(written.bytes_left - left - HEADER_BYTES, NOTE_BYTES_MAX)
            written.note(NoteKind.REPORT, bytes(size))
        number, room = written.number, written.bytes_left
        assert left <= room < left + HEADER_BYTES
        written.inputs(events(1), 1)
        written.commands(most, 512)
        assert (written.number != number) == (room < needed)
    written.close()


def test_raw_frames_notes_and_actions_rotate_too_and_are_cut(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for _ in range(5):
        until(lambda: written._spare is not None)
        written.raw(0, bytes(RAW_BYTES_MAX + 5), NOW)
    written.note(NoteKind.REPORT, bytes(NOTE_BYTES_MAX + 5))
    assert written.number >= 1
    last = written.number
    written.close()
    records = [record for number in range(last + 1) for record in read(tmp_path, number)[1]]
    assert {len(record.payload) for record in records if record.kind is K.RAW} == {RAW_BYTES_MAX}
    assert {len(record.payload) for record in records if record.kind is K.NOTE} == {NOTE_BYTES_MAX}
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))


def test_a_rotation_in_a_quiet_moment(tmp_path: Path) -> None:
    written = journal(tmp_path)
    assert not written.rotate_if_due(0.9)
    assert written.rotate_if_due(0.0) and written.number == 1
    until(lambda: written._spare is not None)
    written.rotate()
    assert written.number == 2
    written.close()


def test_a_change_from_outside_is_noted_before_the_segment_that_begins_with_it(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rotate(b"risk.order_notional_usdc_max = 1")
    written.close()
    *_, note, end = read(tmp_path)[1]
    assert (note.kind, note.detail, note.payload) == (K.NOTE, NoteKind.SETTINGS, b"risk.order_notional_usdc_max = 1")
    assert end.detail == EndReason.ROTATED
    assert [record.kind for record in read(tmp_path, 1)[1]] == [K.START, K.END]


class Full:
    """Refuses room for new segments while it is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
        self.is_on, self.allocate, self.number = True, os.posix_fallocate, number
        monkeypatch.setattr(os, "posix_fallocate", self)
        monkeypatch.setattr(writer, "SPARE_RETRY_NS", 0)

    def __call__(self, descriptor: int, offset: int, length: int) -> None:
        if self.is_on:
            raise OSError(self.number, os.strerror(self.number))
        self.allocate(descriptor, offset, length)


def test_a_full_disk_is_told_a_segment_in_advance_and_the_reserve_takes_the_halt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = journal(tmp_path)
    disk = Full(monkeypatch)
    written.rotate()
    until(lambda: written.trouble is not None)
    assert "no room for another 4 MiB of journal" in str(written.trouble)
    assert not written.rotate_if_due(0.0), "there is nowhere to go"
    before = written.sequence
    with pytest.raises(JournalFull, match="no room"):
        while True:
            written.inputs(events(ROOM), ROOM)
    assert written.sequence > before, "a whole segment was left"
    with pytest.raises(JournalFull):
        written.rotate()
    written.use_reserve()
    assert RESERVE_BYTES < written.bytes_left < 2 * RESERVE_BYTES + COMMANDS_BYTES_MAX
    written.inputs(events(1), 1)
    written.commands(np.zeros(512, COMMAND_DTYPE), 512)
    with pytest.raises(JournalFull):
        while True:
            written.inputs(events(1000), 1000)
    disk.is_on = False
    until(lambda: written.trouble is None)
    while written.number == 1:  # it goes on when there is room
        written.inputs(events(1000), 1000)
    assert written.bytes_left < written.settings.segment_bytes - RESERVE_BYTES, "with a reserve of its own"
    written.close()
    assert [read(tmp_path, number)[0].tail for number in range(3)] == [Tail.ENDED] * 3


def test_a_late_keeper_is_not_waited_for(tmp_path: Path) -> None:
    written = journal(tmp_path, replace(SMALL, sync_ms=1000))
    for number in range(1, writer.RETIRED_MAX + 1):
        written.rotate()
        assert written.number == number
    with pytest.raises(JournalFull, match="the disk is 4 segments behind"):
        written.rotate()
    written.sync()
    written.rotate()
    written.close()
    assert [read(tmp_path, number)[0].tail for number in range(6)] == [Tail.ENDED] * 6


def test_commands_without_room_are_refused_and_never_rotate(tmp_path: Path) -> None:
    written = journal(tmp_path)
    with pytest.raises(JournalFull, match="not even in the reserve"):
        while True:
            written.commands(np.zeros(512, COMMAND_DTYPE), 512)
    assert written.number == 0
    written.close()


def test_another_fault_than_a_full_disk_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = journal(tmp_path)
    Full(monkeypatch, errno.EIO)
    written.rotate()
    until(lambda: written.trouble is not None)
    assert "no further segment can be made" in str(written.trouble)
    with pytest.raises(JournalError):
        written.close()
    assert read(tmp_path, 1)[0].tail is Tail.ENDED


def test_a_disk_that_does_not_flush_is_told_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fdatasync
    written = journal(tmp_path)

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", refuse)
    written.inputs(events(1), 1)
    with pytest.raises(JournalError, match="cannot be flushed"):
        written.sync()
    monkeypatch.setattr(os, "fdatasync", flush)
    written.inputs(events(1), 1)
    with pytest.raises(JournalError, match="cannot be flushed"):
        written.sync()
    assert written.synced_sequence == 1, "what was lost is not known"
    with pytest.raises(JournalError, match="cannot be flushed"):
        written.close()


def test_a_full_disk_at_the_start_is_an_error_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Full(monkeypatch)
    with pytest.raises(JournalFull, match="no room"):
        journal(tmp_path)
    Full(monkeypatch, errno.EIO)
    with pytest.raises(JournalError, match="cannot be written here"):
        journal(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("")
    with pytest.raises(JournalError, match="cannot be written here"):
        journal(tmp_path / "journal")


def test_a_session_number_is_never_used_twice(tmp_path: Path) -> None:
    journal(tmp_path).close()
    with pytest.raises(JournalError, match="given out before"):
        journal(tmp_path)


def test_a_state_too_large_for_a_segment_is_refused(tmp_path: Path) -> None:
    large = Source(describe=lambda number, step: start(snapshot=bytes(2 << 20)), state=lambda: b"")
    with pytest.raises(JournalError, match="a segment of 4194304 is too small"):
        Journal(tmp_path, SMALL, large, session=7, compress=False)


def test_inputs_too_many_for_a_segment_are_refused(tmp_path: Path) -> None:
    written = journal(tmp_path)
    with pytest.raises(JournalError, match="does not fit a segment"):
        written.inputs(events(1 << 16), 1 << 16)
    written.close()


def test_a_checkpoint_is_of_the_state_after_its_step(tmp_path: Path) -> None:
    state = [b"0"]
    written = Journal(
        tmp_path, SMALL, source(lambda: b"state " + state[0]), session=7, compress=False, clock_ns=lambda: NOW
    )
    for number in range(1, 15):
        written.inputs(events(1), 1)
        state[0] = str(number).encode()
        until(lambda: written._copied is None)
    written.close()
    found = [read_checkpoint(record.payload) for record in read(tmp_path)[1] if record.kind is K.CHECKPOINT]
    assert [checkpoint.step for checkpoint in found] == [4, 8]
    for checkpoint in found:
        assert checkpoint.digest == digest(f"state {checkpoint.step}".encode())


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_checkpoints_come_at_whole_multiples(tmp_path: Path, every: int) -> None:
    settings = JournalSettings(segment_bytes=4 << 20, sync_ms=1, checkpoint_steps=every, total_bytes_max=16 << 20)
    written = journal(tmp_path, settings)
    for _ in range(40):
        written.inputs(events(1), 1)
        until(lambda: written._copied is None)
    written.close()
    steps = [read_checkpoint(record.payload).step for record in read(tmp_path)[1] if record.kind is K.CHECKPOINT]
    assert steps == list(range(every, steps[-1] + 1, every)) and steps[-1] >= 40 - 2 * every


@pytest.mark.parametrize(
    "wrong",
    [
        {"segment_bytes": 1 << 20},
        {"segment_bytes": 8 << 30},
        {"segment_bytes": (4 << 20) + 1},
        {"sync_ms": 0},
        {"sync_ms": 1001},
        {"checkpoint_steps": 0},
        {"total_bytes_max": (1 << 30) - 1},
        {"keep_days": 0},
        {"keep_days": 40_000},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(JournalError):
        JournalSettings(**wrong)


def test_the_compressor_is_asked_for_what_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    popen = subprocess.Popen

    def start_process(command: list[str], **options: int) -> subprocess.Popen:
        asked.append(command[3:])
        return popen([sys.executable, "-c", "raise SystemExit(1)"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", start_process)
    compressor = Compressor(tmp_path, SMALL)
    compressor.start(Name(7, 0))
    compressor.start(Name(7, 1))
    compressor.start(Name(7, 2))
    compressor.wait()
    assert asked == [[str(tmp_path), "7", number, str(64 << 20), "30"] for number in ("0", "2")]
    assert compressor.failures == 2


def test_a_compressor_that_cannot_be_started_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    compressor = Compressor(tmp_path, SMALL)
    compressor.start(Name(7, 0))
    compressor.wait()
    assert compressor.failures == 1


def test_the_journal_of_a_running_session_asks_for_compression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Name] = []
    monkeypatch.setattr(Compressor, "start", lambda self, before: asked.append(before))
    written = Journal(tmp_path, SMALL, source(), session=7)
    until(lambda: asked == [Name(7, 0)])
    written.rotate()
    until(lambda: asked == [Name(7, 0), Name(7, 1)])
    written.close()


def test_a_segment_is_closed_once_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("sync", "close"):
        before = getattr(Segment, name)
        monkeypatch.setattr(
            Segment,
            name,
            lambda self, name=name, before=before, **options: (
                done.append(f"{name} {self.name.number}") or before(self, **options)
            ),
        )
    written = journal(tmp_path)
    written.rotate()
    until(lambda: "close 0" in done)
    assert done.index("close 0") == done.index("sync 1") + 2 and done[done.index("close 0") - 1] == "sync 0"
    written.close()


def test_settings_come_from_the_configuration() -> None:
    found = JournalSettings.of(
        Section(segment_mib=8, sync_ms=2.5, total_gib_max=0.5, keep_days=3, checkpoint_steps=100)
    )
    assert (found.segment_bytes, found.sync_ms, found.checkpoint_steps) == (8 << 20, 2.5, 100)
    assert (found.total_bytes_max, found.keep_days) == (1 << 29, 3)
    assert JournalSettings.of(Section()), "what is shipped works"


def test_the_configuration_takes_the_sizes_of_a_file_that_work_and_no_others() -> None:
    least, most = SEGMENT_BYTES_MIN >> 20, SEGMENT_BYTES_MAX >> 20
    for mib in (least, most):
        assert JournalSettings.of(msgspec.convert({"segment_mib": mib}, Section)).segment_bytes == mib << 20
    for mib in (least - 1, most + 1):
        with pytest.raises(msgspec.ValidationError, match="segment_mib"):
            msgspec.convert({"segment_mib": mib}, Section)
        with pytest.raises(JournalError, match="a segment has"):
            JournalSettings.of(Section(segment_mib=mib))


def test_a_file_that_cannot_be_cut_at_the_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    written = journal(tmp_path)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(JournalError, match="cannot be closed"):
        written.close()
    assert read(tmp_path)[0].tail is Tail.ENDED, "zeros follow, which are nothing"


def test_a_flush_in_the_middle_of_a_rotation_takes_no_record_for_one_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    sync = Segment.sync
    monkeypatch.setattr(Segment, "sync", lambda self: flushed.append(self.name.number) or sync(self))
    threads: list[threading.Thread] = []

    def describe(number: int, step: int) -> Start:
        if number:
            threads.append(threading.Thread(target=written._flush))
            threads[-1].start()
            threads[-1].join(0.02)
        return start(number=number, step=step)

    settings = replace(SMALL, sync_ms=1000)
    written = Journal(tmp_path, settings, replace(source(), describe=describe), session=7, compress=False)
    written.rotate()
    threads[0].join()
    assert written.synced_sequence == written.sequence and flushed[-2:] == [1, 0], "both, and not the old one alone"
    written.close()


def test_how_long_the_oldest_record_waits_for_the_disk_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = journal(tmp_path)
    until(lambda: written.lag_ns == 0)
    assert written.syncs.count == 0
    flush, may_flush = os.fdatasync, threading.Event()

    def wait(descriptor: int) -> None:
        assert may_flush.wait(20)
        flush(descriptor)

    monkeypatch.setattr(os, "fdatasync", wait)
    before = written.bytes_appended
    written.inputs(events(4), 4)
    assert written.bytes_appended == before + record_bytes(4 * EVENT_DTYPE.itemsize)
    until(lambda: written.lag_ns > 50_000_000)
    may_flush.set()
    until(lambda: written.lag_ns == 0)
    assert written.syncs.count == 1 and written.syncs.maximum > 20_000_000
    size = written.bytes_appended
    written.rotate()
    assert written.bytes_appended > size, "also of segments that are full"
    written.close()
