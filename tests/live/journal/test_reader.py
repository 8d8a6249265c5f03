"""Reading a folder as it is found: half compressed, half torn, with spares that nobody used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.live.journal.reader import (
    Reading,
    account_events,
    market_data,
    newest_session,
    readings,
    sessions,
)
from hlhft.live.journal.records import RecordKind, Tail, pack
from hlhft.live.journal.segments import Form, JournalError, Name
from tests.live.journal.worlds import NOW, events, segment

K = RecordKind


def put(folder: Path, name: Name, form: Form, content: bytes) -> Path:
    path = folder / name.file(form)
    if form is Form.OPEN:
        path.write_bytes(content)
    else:
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    return path


@pytest.mark.parametrize("form", [Form.OPEN, Form.WHOLE])
def test_a_file_is_read_and_says_how_it_ended(tmp_path: Path, form: Form) -> None:
    content = segment((K.NOTE, b"a"), (K.NOTE, b"b"))
    for tail, rest in ((Tail.OPEN, bytes(100)), (Tail.TORN, b"\1" * 100)):
        reading = Reading(put(tmp_path, Name(7, 0), form, content + rest))
        assert [record.payload for record in reading][1:] == [b"a", b"b"]
        assert (reading.tail, reading.end, reading.sequence, reading.is_empty) == (tail, len(content), 3, False)
        assert ("the 3 records before it are whole, 100 bytes" in reading.fault) == (tail is Tail.TORN)


def test_a_spare_is_empty(tmp_path: Path) -> None:
    reading = Reading(put(tmp_path, Name(7, 1), Form.OPEN, bytes(1000)))
    assert list(reading) == [] and reading.is_empty and reading.fault == ""


def test_compression_that_is_cut_off_is_a_torn_tail(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes
    path = put(tmp_path, Name(7, 0), Form.WHOLE, segment(*[(K.RAW, noise(50_000)) for _ in range(200)]))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reading = Reading(path)
    found = list(reading)
    assert 50 < len(found) < 150 and [record.sequence for record in found] == list(range(1, len(found) + 1))
    assert reading.tail is Tail.TORN and "compression is damaged" in reading.fault and not reading.is_empty


def test_a_file_that_is_gone_or_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        list(Reading(tmp_path / Name(7, 0).file(Form.OPEN)))
    with pytest.raises(JournalError, match="no file of a journal"):
        Reading(tmp_path / "events.npz")


def test_a_ledger_has_gaps_and_a_journal_none(tmp_path: Path) -> None:
    content = segment() + pack(K.NOTE, b"x", sequence=9, ts_ns=NOW, session=7)
    assert Reading(put(tmp_path, Name(7, 0), Form.LEDGER, content)).tail is Tail.OPEN
    ledger, whole = (Reading(put(tmp_path, Name(7, 0), form, content)) for form in (Form.LEDGER, Form.WHOLE))
    assert len(list(ledger)) == 2 and ledger.tail is Tail.OPEN
    assert len(list(whole)) == 1 and whole.tail is Tail.TORN
    backwards = Reading(
        put(tmp_path, Name(8, 0), Form.LEDGER, content + pack(K.NOTE, b"", sequence=9, ts_ns=0, session=7))
    )
    assert len(list(backwards)) == 2 and "record 9 follows record 9" in backwards.fault


def test_of_each_segment_the_file_that_holds_most(tmp_path: Path) -> None:
    held = {
        Name(6, 0): [Form.WHOLE, Form.LEDGER],
        Name(7, 0): [Form.LEDGER],
        Name(7, 1): [Form.WHOLE, Form.LEDGER, Form.OPEN],
        Name(7, 2): [Form.OPEN],
    }
    for name, forms in held.items():
        for form in forms:
            put(tmp_path, name, form, segment())
    assert sessions(tmp_path) == [6, 7] and newest_session(tmp_path) == 7
    assert [(found.name, found.form) for found in readings(tmp_path)] == [
        (Name(7, 0), Form.LEDGER), (Name(7, 1), Form.WHOLE), (Name(7, 2), Form.OPEN),
    ]  # fmt: skip
    assert [found.name for found in readings(tmp_path, 6)] == [Name(6, 0)]
    (one,) = readings(tmp_path / Name(7, 2).file(Form.OPEN))
    assert one.name == Name(7, 2)
    with pytest.raises(JournalError, match="nothing of session 9 in this folder; it holds 6, 7"):
        readings(tmp_path, 9)


def test_a_folder_without_a_journal(tmp_path: Path) -> None:
    assert newest_session(tmp_path) == newest_session(tmp_path / "nothing") == 0
    with pytest.raises(JournalError, match=r"there is no journal in this folder$"):
        readings(tmp_path)


def test_what_the_account_and_the_market_said_are_told_apart(tmp_path: Path) -> None:
    mixed = np.concatenate([events(3), np.zeros(3, EVENT_DTYPE)])
    mixed["kind"][3:] = EventKind.ORDER_FILLED, EventKind.TIMER, EventKind.MARKET_STATE
    timers = mixed[4:5]
    content = segment((K.INPUTS, mixed.tobytes()), (K.NOTE, b""), (K.INPUTS, timers.tobytes()))
    put(tmp_path, Name(7, 0), Form.OPEN, content)
    (account,) = account_events(tmp_path)
    assert account["kind"].tolist() == [EventKind.ORDER_FILLED, EventKind.MARKET_STATE]
    (market,) = market_data(tmp_path)
    assert np.array_equal(market, events(3))
