"""Records against every cut and every flipped bit: what is read was written, and what was damaged is told."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.live.journal.records import (
    ALIGNMENT,
    DIGEST_BYTES,
    HEADER,
    HEADER_BYTES,
    ORDER_IDS_MAX,
    PAYLOAD_BYTES_MAX,
    SCHEMA,
    Action,
    Checkpoint,
    Parser,
    Record,
    RecordError,
    RecordKind,
    Tail,
    pack,
    pack_action,
    pack_checkpoint,
    pack_start,
    pack_start_into,
    read_action,
    read_checkpoint,
    read_inputs,
    read_start,
    record_bytes,
    records_of,
)
from tests.live.journal.worlds import NOW, events, segment, start

K = RecordKind
MIXED = (
    (K.INPUTS, events(2).tobytes()),
    (K.COMMANDS, bytes(range(96))),
    (K.RAW, b'{"channel":"userFills"}'),
    (K.ACTION, pack_action(Action(1, 2, 3, 4, 5, 1, (6, 7)))),
    (K.CHECKPOINT, pack_checkpoint(Checkpoint(4, b"d" * DIGEST_BYTES))),
    (K.NOTE, b""),
)
WHOLE = segment(*MIXED)
READ = list(records_of(WHOLE))
PIECES = st.lists(st.tuples(st.sampled_from([K.INPUTS, K.RAW, K.NOTE]), st.binary(max_size=90)), max_size=8)


def parse(content: bytes, piece: int = 1 << 20) -> tuple[Parser, list[Record]]:
    """All at once or in pieces, and to the end."""
    parser, found = Parser(), []
    for at in range(0, len(content), piece):
        found += parser.feed(memoryview(content)[at : at + piece])
    parser.finish()
    return parser, found


def test_what_is_packed_is_read() -> None:
    assert [(record.kind, record.payload) for record in READ[1:]] == list(MIXED)
    assert [record.sequence for record in READ] == list(range(1, 8))
    assert [record.ts_ns - NOW for record in READ] == list(range(7))
    assert {record.session for record in READ} == {7}
    assert [record.offset % ALIGNMENT for record in READ] == [0] * 7
    assert [WHOLE[record.offset + HEADER_BYTES :][: len(record.payload)] for record in READ] == [
        record.payload for record in READ
    ]


@settings(max_examples=40)
@given(PIECES, st.integers(1, 200), st.booleans(), st.integers(0, 100))
def test_pieces_of_any_size_are_read_alike(written: list, piece: int, ends: bool, room: int) -> None:
    content = segment(*written, *([(K.END, b"")] if ends else [])) + bytes(room)
    parser, found = parse(content, piece)
    assert [(record.kind, record.payload) for record in found[1:]] == written + ([(K.END, b"")] if ends else [])
    assert parser.tail is (Tail.ENDED if ends else Tail.OPEN)
    assert (parser.end, parser.fault, parser.bytes_behind) == (len(content) - room, "", 0)
    assert parser.records == len(found)
    assert (parser.session, parser.sequence) == (7, found[-1].sequence)


def test_every_cut_leaves_the_whole_records_before_it() -> None:
    ends = [record.offset + record_bytes(len(record.payload)) for record in READ]
    for cut in range(len(WHOLE) + 1):
        parser, found = parse(WHOLE[:cut])
        assert found == READ[: sum(end <= cut for end in ends)]
        # A byte or two that happen to be zeros could as well be room that nobody wrote to.
        assert parser.tail is (Tail.TORN if any(WHOLE[parser.end : cut]) else Tail.OPEN), f"cut at {cut}"


def test_every_cut_before_zeros_is_found() -> None:
    """What a kill or a power cut leaves in a preallocated file."""
    ends = [record.offset + record_bytes(len(record.payload)) for record in READ]
    for cut in range(len(WHOLE) + 1):
        parser, found = parse(WHOLE[:cut] + bytes(len(WHOLE) - cut + 64))
        whole = sum(end <= cut for end in ends)
        # A cut within the zeros at a record's end loses nothing.
        assert READ[: len(found)] == found and whole <= len(found) <= whole + 1
        if len(found) > whole:
            assert not any(WHOLE[cut : ends[whole]])
        lost = any(WHOLE[parser.end : cut])
        assert parser.tail is (Tail.TORN if lost else Tail.OPEN), f"cut at {cut}"


def test_every_flipped_bit_is_found_and_no_record_is_ever_wrong() -> None:
    for place in range(len(WHOLE) * 8):
        content = bytearray(WHOLE + bytes(64))
        content[place // 8] ^= 1 << place % 8
        parser, found = parse(bytes(content))
        whole = sum(record.offset + record_bytes(len(record.payload)) <= place // 8 for record in READ)
        assert found == READ[:whole], f"bit {place}"
        assert parser.tail is Tail.TORN and parser.fault and parser.end == (READ[whole].offset), f"bit {place}"
        assert parser.bytes_behind == len(content) - parser.end


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(1, 64))
def test_no_bytes_make_it_raise(noise: bytes, piece: int) -> None:
    parser, found = parse(noise, piece)
    assert not found and parser.tail is (Tail.TORN if any(noise) else Tail.OPEN)
    parser, found = parse(WHOLE + b"\1" + noise, piece)
    assert found == READ and parser.tail is Tail.TORN


@pytest.mark.parametrize("room", [0, 8, HEADER_BYTES, 500])
def test_something_behind_an_end_or_behind_zeros_is_told(room: int) -> None:
    for end in (pack(K.END, b"", sequence=8, ts_ns=NOW, session=7), bytes(HEADER_BYTES)):
        content = WHOLE + end + bytes(room)
        parser, _ = parse(content + b"\1", 64)
        assert parser.tail is Tail.TORN and parser.fault == "something follows the last record"
        assert parser.bytes_behind > 0


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_an_append_that_was_not_finished_is_none_and_no_damage(piece: int) -> None:
    """The header first, with zeros for the checksum; then the payload; the checksum last."""
    record = pack(K.INPUTS, events(2).tobytes(), sequence=8, ts_ns=NOW, session=7)
    for length in range(HEADER_BYTES, len(record) + 1, 8):
        unfinished = bytes(4) + record[4:length] + bytes(len(record) - length)
        parser, found = parse(WHOLE + unfinished + bytes(100), piece)
        assert found == READ
        assert (parser.tail, parser.fault, parser.end, parser.bytes_behind) == (Tail.OPEN, "", len(WHOLE), 0)
        parser, found = parse(WHOLE + unfinished + b"\1", piece)
        assert found == READ and parser.tail is Tail.TORN and parser.fault == "something follows the last record"
    other = pack(K.INPUTS, b"", sequence=9, ts_ns=NOW, session=7)
    assert parse(WHOLE + bytes(4) + other[4:], piece)[0].fault == "a checksum does not match"


def one(**changes: int) -> bytes:
    """A record behind a head, changed and with a checksum that is right."""
    fields = {"kind": K.NOTE, "sequence": 2, "session": 7} | changes
    return segment() + pack(payload=b"", ts_ns=NOW, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (one(sequence=3), "record 3 follows record 1"),
        (one(sequence=1), "record 1 follows record 1"),
        (one(session=8), "a record is of session 8, the segment of session 7"),
        (one(kind=99), "a record has the unknown kind 99"),
        (one(kind=K.START), "a START stands within the segment"),
        (pack(K.NOTE, b"", sequence=1, ts_ns=NOW, session=7), "the first record is no START"),
        (segment(session=0), "the segment names no session"),
        (HEADER.pack(0, PAYLOAD_BYTES_MAX + 1, 1, NOW, 1, 0, 7), f"a record claims {PAYLOAD_BYTES_MAX + 1} bytes"),
    ],
)  # fmt: skip
def test_what_does_not_belong_here_is_not_read(content: bytes, fault: str) -> None:
    parser, _ = parse(content)
    assert (parser.tail, parser.fault) == (Tail.TORN, fault)


def test_padding_is_zeros() -> None:
    record = bytearray(pack(K.NOTE, b"abc", sequence=2, ts_ns=NOW, session=7))
    record[-1] = 1
    record[:4] = zlib.crc32(record[4:]).to_bytes(4, "little")
    parser, found = parse(segment() + bytes(record))
    assert len(found) == 1 and parser.fault == "a record's padding is not zeros"


def test_a_record_that_is_cut_off_is_told_by_the_end_of_the_file() -> None:
    parser, _ = parse(WHOLE[:-1])
    assert (parser.tail, parser.fault) == (Tail.TORN, "a record is cut off")


def test_a_record_has_a_bound() -> None:
    with pytest.raises(RecordError, match="at most"):
        pack(K.RAW, bytes(PAYLOAD_BYTES_MAX + 1), sequence=1, ts_ns=NOW, session=7)


def test_a_head_is_read_back() -> None:
    assert read_start(pack_start(start())) == start()
    room = bytearray(5000)
    for snapshot in (b"long" * 1000, b"short"):
        pack_start_into(start(snapshot=snapshot), room)
        assert room == pack_start(start(snapshot=snapshot))


def test_a_head_of_another_schema_is_refused_by_its_number() -> None:
    newer = msgspec.msgpack.encode({**msgspec.to_builtins(start()), "schema": SCHEMA + 1, "more": 1})
    with pytest.raises(RecordError, match=f"schema {SCHEMA + 1} and this version of hlhft reads schema {SCHEMA}"):
        read_start(newer)


def test_a_head_of_the_first_schema_is_read_and_names_the_state_of_its_time() -> None:
    fields = msgspec.msgpack.decode(pack_start(start()))
    del fields["state_schema"]
    assert read_start(msgspec.msgpack.encode({**fields, "schema": 1})).state_schema == 1


@pytest.mark.parametrize("payload", [b"", b"\xc1", msgspec.msgpack.encode({"schema": SCHEMA}), b"\xa1\xff"])
def test_a_head_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(RecordError, match="head of the segment cannot be read"):
        read_start(payload)


@given(st.tuples(*[st.integers(0, 2**63 - 1)] * 4), st.lists(st.integers(1, 2**63 - 1), max_size=9))
@settings(max_examples=20)
def test_an_action_is_read_back(numbers: tuple[int, int, int, int], order_ids: list[int]) -> None:
    action = Action(*numbers, 65_535, 1, tuple(order_ids))
    assert read_action(pack_action(action)) == action


def test_an_action_of_too_many_orders_or_of_another_length_is_refused() -> None:
    with pytest.raises(RecordError, match=f"at most {ORDER_IDS_MAX} orders"):
        pack_action(Action(1, 2, 3, 4, 5, 0, tuple(range(ORDER_IDS_MAX + 1))))
    for wrong in (b"", bytes(44), bytes(40 + 8 * ORDER_IDS_MAX + 8)):
        with pytest.raises(RecordError, match="an action has"):
            read_action(wrong)


def test_a_checkpoint_is_read_back_or_refused() -> None:
    checkpoint = Checkpoint(9, bytes(range(DIGEST_BYTES)))
    assert read_checkpoint(pack_checkpoint(checkpoint)) == checkpoint
    with pytest.raises(RecordError, match="a checkpoint has"):
        read_checkpoint(b"")


def test_inputs_are_read_back_or_refused() -> None:
    assert np.array_equal(read_inputs(events(3).tobytes()), events(3))
    with pytest.raises(RecordError, match="no whole number"):
        read_inputs(bytes(65))


def test_the_documentation_says_what_each_kind_holds(repository: Path) -> None:
    rows = re.findall(r"^\| ([A-Z]+) \|", (repository / "docs" / "journal.md").read_text(), re.MULTILINE)
    assert rows == [kind.name for kind in RecordKind]
