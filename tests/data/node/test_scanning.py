"""Lines of book changes, scanned: what is recognised means what the typed decoder makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.node.changes import CHANGE_DTYPE, HEIGHT_MAX, LINE_DTYPE
from hlhft.data.node.decoding import Decoder
from hlhft.data.node.formats import LineError
from hlhft.data.node.scanning import CHANGE_BYTES_MIN, PADDING, padded, scan
from hlhft.data.times import utc_ns
from hlhft.hyperliquid.scan import new_coins
from tests.data.node.making import BTC, ETH, USERS, random_blocks, text_of
from tests.data.readers.fuzz import mutated

MARKETS = [BTC, ETH]
HIDDEN = np.array([list(USERS[0].encode())], np.uint8)
LINE = (
    b'{"local_time":"2026-06-10T13:10:56.723695057","block_time":"2026-06-10T12:56:15.035481067",'
    b'"block_number":1030140001,"events":[%s]}\n'
)
CHANGE = (
    b'{"user":"0x7a146ee9d212816c31a0a93531e23d4359aade10","oid":464679247366,"coin":"BTC","side":"B","px":"84092.0",'
    b'"raw_book_diff":%s}'
)


def scanned(text: bytes, coins: list = MARKETS) -> tuple[int, np.ndarray, np.ndarray]:
    """(bytes read, lines, rows) of a text."""
    lines = np.zeros(text.count(b"\n"), LINE_DTYPE)
    rows = np.zeros(len(text) // CHANGE_BYTES_MIN + 1, CHANGE_DTYPE)
    data = padded(text)
    place, line_count, row_count = scan(data, 0, len(data) - PADDING, new_coins(coins), HIDDEN, rows, lines)
    return place, lines[:line_count], rows[:row_count]


def typed(line: bytes) -> list[tuple]:
    """The rows of the typed decoder."""
    return Decoder(MARKETS, hidden_users=[USERS[0]])._diff_rows(line.rstrip(b"\n"))[1]


def test_a_line_of_a_real_node_is_read_to_the_last_digit():
    text = LINE % CHANGE % b'{"update":{"origSz":"7.0","newSz":"0.00012"}}'
    place, lines, rows = scanned(text)
    assert place == len(text)
    assert lines.tolist() == [
        (1_030_140_001, utc_ns("2026-06-10T12:56:15.035"), utc_ns("2026-06-10T13:10:56.723695057"), 1, 0)
    ]
    assert rows.tolist() == [(1_030_140_001, 464_679_247_366, 0, 840_920, 12, 700_000, 0, 1, 2, 0, 0)]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (b'"remove"', (0, 0, -1, 3)),
        (b'{"new":{"sz":"0.5"}}', (0, 50_000, -1, 1)),
        (b'{"new":{"sz":"1","insertBefore":77}}', (77, 100_000, -1, 1)),
        (b'{"new":{"insertBefore":null,"sz":"1"}}', (0, 100_000, -1, 1)),
        (b'{"update":{"newSz":"2"}}', (0, 200_000, -1, 2)),
        (b'{ "update" : { "origSz" : "3", "newSz" : "2.0" } }', (0, 200_000, 300_000, 2)),
    ],
)
def test_every_kind_of_change(what, expected):
    _, _, rows = scanned(LINE % CHANGE % what)
    assert rows[["before_id", "size_lots", "before_lots", "change"]].tolist() == [expected]


def test_plain_lines_carry_their_own_time_which_stands_for_the_height():
    text = (CHANGE % b'"remove"').replace(b'"oid"', b'"time":"2026-06-10T12:56:15.035481067","oid"') + b"\n"
    _, lines, rows = scanned(text)
    time_ns = utc_ns("2026-06-10T12:56:15.035")
    assert time_ns > HEIGHT_MAX
    assert lines.tolist() == [(time_ns, time_ns, time_ns, 1, 0)]
    assert rows["height"].tolist() == [time_ns]


@pytest.mark.parametrize(
    "what",
    [
        b'"removed"', b'"update"', b'{"modified":{"sz":"1"}}', b'{"new":{}}', b'{"new":{"sz":1}}',
        b'{"new":{"sz":"1."}}', b'{"new":{"sz":"0.000001"}}',
        b'{"new":{"sz":"1e-3"}}', b'{"new":{"sz":"-1"}}', b'{"new":{"sz":"1"},"x":1}',
        b'{"new":{"sz":"1","insertBefore":1.5}}', b'{"new":{"sz":"99999999999999999999"}}', b"[]", b"null",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_the_typed_decoder(what):
    good = LINE % CHANGE % b'"remove"'
    place, lines, rows = scanned(good + LINE % CHANGE % what + good)
    assert (place, len(lines), len(rows)) == (len(good), 1, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"BTC"', b'"B\\u0054C"'), (b'"B","px"', b'"C","px"'), (b"464679247366", b"0"), (b"464679247366", b"-1"),
        (b"84092.0", b"0"), (b"84092.0", b"84092.01"), (b'"events":[', b'"events":[,'), (b"12:56:15", b"12:56:61"),
        (b"2026-06-10T12", b"2026-02-30T12"), (b'"block_time"', b'"other_time"'), (b"}]}", b"}]"), (b"]}", b"]} "),
        (b"1030140001", b"1" * 17), (b'"oid"', b'"oid":1,"oid'), (b'"px":"84092.0",', b""),
    ],
)  # fmt: skip
def test_lines_that_are_not_as_a_node_writes_them_stop_the_scan(old, new):
    text = LINE % CHANGE % b'"remove"'
    assert old in text
    assert scanned(text.replace(old, new, 1))[0] == 0


def test_other_coins_are_counted_and_users_of_ours_hidden():
    ours = (CHANGE % b'"remove"').replace(b"0x7a146ee9d212816c31a0a93531e23d4359aade10", USERS[0].encode())
    other = (CHANGE % b'"remove"').replace(b"BTC", b"xyz:GOLD").replace(b"84092.0", b"1.23456789")
    _, lines, rows = scanned(LINE % b",".join([other, ours, CHANGE % b'"remove"', other]))
    assert lines[["rows", "others"]].tolist() == [(2, 2)]
    assert rows["hidden"].tolist() == [1, 0]


def test_a_text_that_ends_anywhere_is_read_up_to_its_last_whole_line():
    text = b"\n".join(LINE[:-1] % CHANGE % what for what in (b'"remove"', b'{"new":{"sz":"1"}}')) + b"\n"
    whole = text.index(b"\n") + 1
    for end in range(len(text)):
        assert scanned(text[:end])[0] == (whole if end >= whole else 0)


def test_dates_are_those_of_the_calendar():
    for date in ("1970-01-01", "1999-12-31", "2000-02-29", "2024-02-29", "2024-03-01", "2026-12-31", "2100-03-01"):
        text = (LINE % CHANGE % b'"remove"').replace(b"2026-06-10T12:56:15.035481067", date.encode() + b"T23:59:59")
        _, lines, _ = scanned(text)
        expected = utc_ns(f"{date}T23:59:59")
        assert lines["block_ns"].tolist() == [expected]
    assert scanned((LINE % CHANGE % b'"remove"').replace(b"2026-06-10T12", b"2023-02-29T12"))[0] == 0


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_random_blocks_mean_the_same_to_both_decoders(seed):
    _, blocks = random_blocks(seed, 6)
    text = text_of(blocks, "diffs")
    place, lines, rows = scanned(text)
    assert place == len(text)
    assert len(lines) == len(blocks)
    assert rows.tolist() == [row for line in text.splitlines() for row in typed(line)]


LINES = text_of(random_blocks(5, 4, steps=4)[1], "diffs").splitlines()


@settings(max_examples=150)
@given(mutated(LINES))
def test_a_mutated_line_is_left_alone_or_means_the_same(mutation):
    lines, _ = mutation
    for line in lines:
        if b"\n" in line:
            continue
        place, read, rows = scanned(line + b"\n")
        if place == 0 or len(read) == 0:
            continue
        try:
            expected = typed(line)
        except LineError:
            # What is passed over is not judged; all that is taken has its form.
            assert (rows["price_ticks"] > 0).all()
            assert (rows["size_lots"] >= 0).all()
            continue
        assert rows.tolist() == expected
