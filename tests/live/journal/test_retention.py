"""What is kept and what goes: wholes and ledgers of real journals, seals, caps, and a disk that is full meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live.journal import retention
from hlhft.live.journal.reader import Reading, account_events, readings
from hlhft.live.journal.records import EndReason, NoteKind, RecordKind, Tail, pack, read_inputs, read_start
from hlhft.live.journal.retention import DAY_NS, Outcome, main, tidy
from hlhft.live.journal.segments import Form, JournalError, Name, files
from tests.live.journal.worlds import NOW, events, journal, segment, start, until

K = RecordKind
MUCH = 1 << 40
LATER = Name(99, 0)


def mixed() -> np.ndarray:
    """Five events, of which a ledger keeps one."""
    rows = np.concatenate([events(3), np.zeros(2, EVENT_DTYPE)])
    rows["kind"][3:] = EventKind.ORDER_FILLED, EventKind.TIMER
    return rows


def written(folder: Path, session: int = 7) -> None:
    """A session of two segments, ended."""
    made = journal(folder, session=session)
    for _ in range(2):
        made.inputs(mixed(), 5)
        made.inputs(events(4), 4)
        made.note(NoteKind.REPORT, b"a")
        if made.number == 0:
            until(lambda: made.rotate_if_due(0.0))
    made.close()


def tidied(folder: Path, before: Name = LATER, *, total: int = MUCH, days: int = 10, now_ns: int = NOW) -> Outcome:
    return tidy(folder, before, total_bytes_max=total, keep_days=days, now_ns=now_ns)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_closed_segment_becomes_a_whole_and_a_ledger(tmp_path: Path) -> None:
    written(tmp_path)
    before = [[record._replace(offset=0) for record in reading] for reading in readings(tmp_path)]
    assert tidied(tmp_path) == Outcome(closed=2)
    both = (Form.WHOLE, Form.LEDGER)
    assert set(names(tmp_path)) == {Name(7, number).file(form) for number in range(2) for form in both}
    for number in range(2):
        whole = Reading(tmp_path / Name(7, number).file(Form.WHOLE))
        assert [record._replace(offset=0) for record in whole] == before[number] and whole.tail is Tail.ENDED
        ledger = Reading(tmp_path / Name(7, number).file(Form.LEDGER))
        kept = list(ledger)
        assert ledger.tail is Tail.ENDED
        assert read_start(kept[0].payload) == start(number=number, step=2 * number, snapshot=b"")
        assert [record.kind for record in kept] == [K.START, K.INPUTS, K.NOTE, K.END]
        assert read_inputs(kept[1].payload).tolist() == mixed()[3:4].tolist()
        first = kept[0].sequence
        assert [record.sequence - first for record in kept] == [0, 1, 3, 4], "each keeps its number"
        for form in (Form.WHOLE, Form.LEDGER):
            assert stat.S_IMODE((tmp_path / Name(7, number).file(form)).stat().st_mode) == 0o600


def test_a_journal_is_closed_while_it_is_written(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.inputs(mixed(), 5)
    until(lambda: made.rotate_if_due(0.0))
    assert tidied(tmp_path, Name(7, 1)).closed == 1
    made.inputs(mixed(), 5)
    made.close()
    assert [reading.form for reading in readings(tmp_path)] == [Form.WHOLE, Form.OPEN]
    assert len(list(account_events(tmp_path))) == 2


def test_what_a_kill_left_is_sealed_and_its_spare_removed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.live.journal.worlds import *\n"
        "journal(Path(sys.argv[1])).inputs(events(3), 3); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL and len(names(tmp_path)) == 2
    assert tidied(tmp_path) == Outcome(closed=2)
    (reading,) = readings(tmp_path)
    *_, inputs, end = reading
    assert reading.tail is Tail.ENDED and (end.detail, end.payload) == (EndReason.SEALED, b"")
    assert end.sequence == inputs.sequence + 1 and np.array_equal(read_inputs(inputs.payload), events(3))
    assert len(names(tmp_path)) == 2


def test_a_torn_tail_is_sealed_and_told(tmp_path: Path) -> None:
    content = segment((K.INPUTS, mixed().tobytes()), (K.NOTE, b"lost"))
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(content[:-4] + b"\1" + bytes(500))
    outcome = tidied(tmp_path)
    assert len(outcome.faults) == 1 and "a checksum does not match" in outcome.faults[0]
    for form in (Form.WHOLE, Form.LEDGER):
        *_, inputs, end = Reading(tmp_path / Name(7, 0).file(form))
        assert inputs.kind is K.INPUTS
        assert (end.kind, end.detail, end.payload.decode()) == (K.END, EndReason.TORN, outcome.faults[0])


def test_a_file_without_one_whole_record_is_removed_and_told(tmp_path: Path) -> None:
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(b"noise" * 100)
    outcome = tidied(tmp_path)
    assert len(outcome.faults) == 1 and names(tmp_path) == []


def test_a_head_of_another_schema_is_kept_as_it_is(tmp_path: Path) -> None:
    content = pack(K.START, b"another", sequence=1, ts_ns=NOW, session=7)
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(content)
    tidied(tmp_path)
    head, _ = Reading(tmp_path / Name(7, 0).file(Form.LEDGER))
    assert head.payload == b"another"


def aged(folder: Path, days: dict[int, int]) -> None:
    """Sessions, closed, with their ages in days."""
    for session, age in days.items():
        written(folder, session)
        tidied(folder, days=1000)
        for file in files(folder):
            if file.name.session == session:
                os.utime(file.path, ns=(NOW - age * DAY_NS, NOW - age * DAY_NS))


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    aged(tmp_path, {1: 11, 2: 10, 3: 0})
    outcome = tidied(tmp_path)
    assert (outcome.dropped_wholes, outcome.dropped_ledgers) == (2, 2)
    assert {file.name.session for file in files(tmp_path)} == {2, 3}


def test_closing_does_not_make_it_younger(tmp_path: Path) -> None:
    written(tmp_path)
    for file in files(tmp_path):
        os.utime(file.path, ns=(NOW - 11 * DAY_NS, NOW - 11 * DAY_NS))
    outcome = tidied(tmp_path)
    assert (outcome.closed, outcome.dropped_wholes, outcome.dropped_ledgers) == (2, 2, 2)


def test_beyond_the_cap_wholes_go_oldest_first_and_ledgers_stay(tmp_path: Path) -> None:
    aged(tmp_path, {1: 3, 2: 2, 3: 1})
    sizes = {form: sum(file.bytes for file in files(tmp_path) if file.form is form) for form in Form}
    newest = sum(file.bytes for file in files(tmp_path) if file.form is Form.WHOLE and file.name == Name(3, 1))
    outcome = tidied(tmp_path, total=sizes[Form.LEDGER] + newest)
    assert (outcome.dropped_wholes, outcome.dropped_ledgers) == (5, 0)
    held = [(file.name, file.form) for file in files(tmp_path)]
    assert held.count((Name(3, 1), Form.WHOLE)) == 1 and len(held) == 7
    outcome = tidied(tmp_path, total=sizes[Form.LEDGER] // 2)
    assert (outcome.dropped_wholes, outcome.dropped_ledgers) == (1, 3)
    assert {file.name for file in files(tmp_path)} == {Name(2, 1), Name(3, 0), Name(3, 1)}


def test_what_is_written_is_never_dropped(tmp_path: Path) -> None:
    written(tmp_path, 6)
    made = journal(tmp_path)
    outcome = tidied(tmp_path, Name(7, 0), total=0, days=1, now_ns=NOW + 100 * 365 * DAY_NS)
    assert (outcome.closed, outcome.dropped_wholes, outcome.dropped_ledgers) == (2, 2, 2)
    assert {file.form for file in files(tmp_path)} == {Form.OPEN}
    made.inputs(events(1), 1)
    made.close()
    assert [record.kind for record in readings(tmp_path)[0]] == [K.START, K.INPUTS, K.END]


def test_a_disk_that_is_full_is_given_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aged(tmp_path, {1: 2, 2: 1})
    written(tmp_path, 3)
    close, refusals = retention.close, [2]

    def refuse(path: Path, outcome: Outcome) -> None:
        if refusals[0]:
            refusals[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        close(path, outcome)

    monkeypatch.setattr(retention, "close", refuse)
    outcome = tidied(tmp_path)
    assert (outcome.closed, outcome.dropped_wholes) == (2, 2)
    assert [reading.name for reading in readings(tmp_path, 3)] == [Name(3, 0), Name(3, 1)]
    refusals[0] = 1000
    written(tmp_path, 4)
    with pytest.raises(OSError, match="No space left"):
        tidied(tmp_path)
    assert {(file.name.session, file.form) for file in files(tmp_path)} == {(4, Form.OPEN)}, "everything else was given"


def test_another_fault_of_the_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aged(tmp_path, {1: 2})
    written(tmp_path, 2)

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    before = names(tmp_path)
    with pytest.raises(OSError, match="Input/output"):
        tidied(tmp_path)
    assert names(tmp_path) == before


def test_what_an_interrupted_run_left_is_removed(tmp_path: Path) -> None:
    written(tmp_path)
    partial = tmp_path / (Name(7, 0).file(Form.WHOLE) + ".partial")
    partial.write_bytes(b"half")
    tidied(tmp_path)
    assert not partial.exists()


def arguments(folder: Path, total: int = MUCH) -> list[str]:
    return [str(folder), "99", "0", str(total), "10"]


def test_the_process_does_the_same_and_tells_of_faults(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / Name(8, 0).file(Form.OPEN)).write_bytes(segment(session=8) + b"\1")
    done = subprocess.run(
        [sys.executable, "-m", "hlhft.live.journal.retention", *arguments(tmp_path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr.count("\n") == 1 and "a record is cut off" in done.stderr and done.stdout == ""
    assert {file.form for file in files(tmp_path)} == {Form.WHOLE, Form.LEDGER}


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "setpriority", lambda *given: None)
    written(tmp_path)
    before = names(tmp_path)
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert main(arguments(tmp_path)) == 0 and names(tmp_path) == before
    os.close(held)
    assert main(arguments(tmp_path)) == 0 and names(tmp_path) != before


def test_a_disk_that_refuses_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "setpriority", lambda *given: None)

    def refuse(*given: object, **options: object) -> Outcome:
        raise JournalError("too many")

    monkeypatch.setattr(retention, "tidy", refuse)
    assert main(arguments(tmp_path)) == 1
    assert capsys.readouterr().err == f"{tmp_path}: the journal cannot be tidied (too many)\n"
    monkeypatch.undo()
    monkeypatch.setattr(os, "setpriority", lambda *given: None)
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(segment() + b"\1")
    assert main(arguments(tmp_path)) == 0
    assert "a record is cut off" in capsys.readouterr().err


def test_inputs_that_are_no_events_are_kept_as_they_are(tmp_path: Path) -> None:
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(segment((K.INPUTS, b"no events")))
    tidied(tmp_path)
    assert [record.payload for record in Reading(tmp_path / Name(7, 0).file(Form.LEDGER))][1] == b"no events"


def test_a_long_segment_is_written_in_pieces(tmp_path: Path) -> None:
    rows = events(20_000)
    (tmp_path / Name(7, 0).file(Form.OPEN)).write_bytes(segment(*[(K.INPUTS, rows.tobytes())] * 3))
    tidied(tmp_path)
    found = [read_inputs(record.payload) for record in readings(tmp_path)[0] if record.kind is K.INPUTS]
    assert len(found) == 3 and all(np.array_equal(rows, other) for other in found)
