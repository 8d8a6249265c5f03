"""Marks: there and back, told from frames, and passed over by readers of raw logs."""

from __future__ import annotations

import pytest

from hlhft.data.recorder.marks import Down, Lost, Mark, Odd, Stale, Standing, Up, encoded, is_mark, read
from tests.data.recorder.making import bbo, begin

MARKS: list[Mark] = [
    begin(standing=(Standing("book", "BTC", 5, "disk-full"), Standing("trade", "ETH", 7)), newest_ns=9, offset_ms=-3),
    begin(),
    Up(socket=3),
    Down(reason='1006 "quoted"\nand more'),
    Stale(streams=(("bbo", "BTC"), ("book", "@107"))),
    Lost(frames=3, bytes=4000),
    Odd(text="Websocket connection established.", is_fault=False),
    Odd(text='{"half', is_fault=True),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: type(mark).__name__)
def test_a_mark_comes_back_as_it_was_on_one_line(mark: Mark) -> None:
    text = encoded(mark)
    assert b"\n" not in text and is_mark(text)
    assert read(text) == mark


def test_a_frame_of_the_venue_is_no_mark() -> None:
    assert read(bbo(1)) is None and not is_mark(bbo(1))


@pytest.mark.parametrize("damage", [b"", b"}", b"\xff}", b'{"event":"never"}}', b'{"event":"down"}}', b"[" * 5000])
def test_a_damaged_mark_is_an_error(damage: bytes) -> None:
    beginning = encoded(Up(socket=1)).partition(b'{"event"')[0]
    with pytest.raises(ValueError, match="a damaged mark of the recorder"):
        read(beginning + damage)


def test_a_mark_names_no_coin_that_a_reader_would_look_up() -> None:
    assert not any(b'"coin"' in encoded(mark) for mark in MARKS)
