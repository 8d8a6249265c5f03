"""Lines of the three kinds of files as arrays, plain or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.node.decoding import FAULTS_MAX, Decoder, Stream
from hlhft.data.times import utc_ns
from hlhft.units import LOTS_MAX
from tests.data.node.making import BTC, ETH, FIRST_HEIGHT, USERS, Block, random_blocks, text_of
from tests.data.readers.fuzz import mutated

BLOCKS = random_blocks(5, 5, steps=5)[1]
DECODER = Decoder([BTC, ETH])
CHANGE = {"user": USERS[0], "oid": 7, "coin": "BTC", "side": "B", "px": "60000.0", "raw_book_diff": "remove"}
FILL = {"coin": "BTC", "px": "60000.0", "sz": "0.5", "side": "B", "time": 1_700_000_000_000, "oid": 7, "crossed": True,
        "tid": 9}  # fmt: skip


def line(event) -> bytes:
    return Block(FIRST_HEIGHT).line([event])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"raw_book_diff": {"new": {"sz": "1e-3"}}}, (0, 100, -1, 1)),
        ({"raw_book_diff": {"modified": {"sz": "1"}}}, (0, 0, -1, 4)),
        ({"raw_book_diff": "erased"}, (0, 0, -1, 4)),
        ({"raw_book_diff": {}}, (0, 0, -1, 4)),
        ({"side": "Bid"}, (0, 0, -1, 3)),
    ],
)
def test_changes_that_are_not_plain_are_read_by_type(change, expected):
    decoded = DECODER.read(Stream.DIFFS, line(CHANGE) + line({**CHANGE, **change}) + line(CHANGE))
    assert (len(decoded.lines), decoded.unreadable) == (3, 0)
    assert decoded.rows[["before_id", "size_lots", "before_lots", "change"]].tolist()[1] == expected
    assert decoded.rows["side"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"px": "60000.05"}, "BTC price"),
        ({"px": "0"}, "BTC has a price of 0"),
        ({"oid": 0}, "the id 0 is out of range"),
        ({"oid": 2**63}, "is out of range"),
        ({"side": "C"}, '"C" is no side'),
        ({"raw_book_diff": {"new": {}}}, "missing required field `sz`"),
        ({"raw_book_diff": {"update": {"newSz": "NaN"}}}, "BTC size"),
        ({"raw_book_diff": 7}, "no line of raw book diffs"),
    ],
)
def test_a_change_that_cannot_be_read_is_named_with_its_place(change, message):
    decoded = DECODER.read(Stream.DIFFS, line(CHANGE) + b"\n" + line({**CHANGE, **change}) + line(CHANGE))
    assert (len(decoded.lines), len(decoded.rows), decoded.unreadable) == (2, 2, 1)
    assert decoded.faults[0][:2] == (2, 1)
    assert message in decoded.faults[0].message


@pytest.mark.parametrize("stream", [Stream.DIFFS, Stream.STATUSES, Stream.FILLS])
@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"block_number":1}', b'{"events":[]}', b"[" * 5000,
     b'{"local_time":"x","block_time":"2026-06-10T12:56:15.0","block_number":1,"events":[]}',
     b'{"local_time":"2026-06-10T12:56:15","block_time":"2026-06-10T12:56:15","block_number":-1,"events":[]}',
     b'{"local_time":"2026-06-10T12:56:15","block_time":"1969-06-10T12:56:15","block_number":1,"events":[]}'],
)  # fmt: skip
def test_torn_and_foreign_lines_are_counted_in_every_stream(stream, bad):
    good = Block(FIRST_HEIGHT).line([])
    decoded = DECODER.read(stream, good + bad + b"\n" + good)
    assert len(decoded.lines) == 2
    assert decoded.unreadable == (1 if bad else 0)


def test_the_faults_that_are_named_are_bounded():
    decoded = DECODER.read(Stream.FILLS, b"x\n" * 100)
    assert (decoded.unreadable, len(decoded.faults)) == (100, FAULTS_MAX)


def test_fills_are_both_sides_of_trades_and_no_dust():
    other = {**FILL, "coin": "SOL"}
    maker = {**FILL, "side": "A", "crossed": False, "oid": 8}
    events = [[USERS[0], FILL], [USERS[1], maker], [USERS[0], other], [USERS[0], {**FILL, "tid": 0}]]
    decoded = DECODER.read(Stream.FILLS, Block(FIRST_HEIGHT).line(events))
    rows = decoded.rows[["trade_id", "maker_id", "price_ticks", "size_lots", "side", "crossed"]].tolist()
    assert rows == [(9, 0, 600_000, 50_000, 1, 1), (9, 8, 600_000, 50_000, -1, 0)]
    assert decoded.lines["others"].tolist() == [1]


@pytest.mark.parametrize("change", [{"sz": "0"}, {"side": ""}, {"px": "0.0"}, {"tid": -1}, {"sz": "0.000001"}])
def test_fills_out_of_range_are_unreadable(change):
    assert DECODER.read(Stream.FILLS, Block(FIRST_HEIGHT).line([[USERS[0], {**FILL, **change}]])).unreadable == 1


def test_plain_lines_are_read_by_their_own_time():
    time_ns = utc_ns("2023-11-14T22:13:20")
    fills = DECODER.read(
        Stream.FILLS,
        b'["0x1",{"coin":"BTC","px":"1","sz":"1","side":"A","time":1700000000000,"oid":1,"crossed":true,"tid":3}]\n',
    )
    statuses = DECODER.read(
        Stream.STATUSES,
        b'{"time":"2023-11-14T22:13:20.0","user":"0x1","status":"open",'
        b'"order":{"coin":"BTC","oid":4,"side":"B","tif":"Gtc","children":[{"coin":"BTC"}]}}\n',
    )
    for decoded in (fills, statuses):
        assert decoded.lines.tolist() == [(time_ns, time_ns, time_ns, 1, 0)]
    timeless = DECODER.read(Stream.DIFFS, b'{"oid":7,"coin":"BTC","side":"B","px":"1","raw_book_diff":"remove"}\n')
    assert "run the node with --batch-by-block" in timeless.faults[0].message


def test_what_is_no_address_is_refused():
    for user in ("0x1", "1" * 42, "0x" + "g" * 40):
        with pytest.raises(ValueError, match="is no address"):
            Decoder([BTC], hidden_users=[user])
    with pytest.raises(ValueError, match="at most 64 addresses"):
        Decoder([BTC], hidden_users=[f"0x{number:040x}" for number in range(65)])


def test_every_line_of_random_blocks_is_read_once():
    _, blocks = random_blocks(2, 30)
    for stream, name in ((Stream.DIFFS, "diffs"), (Stream.STATUSES, "statuses"), (Stream.FILLS, "fills")):
        decoded = DECODER.read(stream, text_of(blocks, name))
        assert decoded.lines["height"].tolist() == [block.height for block in blocks]
        assert decoded.lines["rows"].tolist() == [len(getattr(block, name)) for block in blocks]


@settings(max_examples=60)
@given(st.sampled_from(list(Stream)), st.data())
def test_any_mutation_of_a_line_gives_rows_in_range_or_a_fault_that_names_it(stream, data):
    name = {Stream.DIFFS: "diffs", Stream.STATUSES: "statuses", Stream.FILLS: "fills"}[stream]
    lines, place = data.draw(mutated(text_of(BLOCKS, name).splitlines()))
    decoded = DECODER.read(stream, b"\n".join([*lines, b""]))
    assert decoded.unreadable <= 1
    assert [fault.place for fault in decoded.faults] in ([], [place - 1])
    assert len(decoded.lines) + decoded.unreadable + sum(not line for line in lines) == len(lines)
    assert decoded.lines["rows"].sum() == len(decoded.rows)
    for name in ("price_ticks", "size_lots"):
        if name in (decoded.rows.dtype.names or ()):
            assert (decoded.rows[name] >= 0).all()
            assert (decoded.rows[name] <= LOTS_MAX).all()
    assert (np.abs(decoded.rows["side"]) <= 1).all()
    assert ((decoded.lines["block_ns"] > 0) & (decoded.lines["local_ns"] > 0)).all()
