"""Bytes of a stream stay in order; what is cut never comes; a reader that stands still is noticed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.stream import WINDOW_BYTES, Stream
from hlhft.simulation.time import MS, SECOND, Time


def stream(seed: int, came: list[bytes]) -> tuple[Time, Stream]:
    time, random = Time(), Random(seed)
    return time, Stream(time, random, delay_ns=lambda: random.randrange(1, 50) * MS, deliver=came.append)


@given(st.integers(0, 1 << 30), st.lists(st.binary(min_size=1, max_size=50), max_size=30), st.floats(0, 1))
def test_order_stands_however_late_and_torn(seed: int, sent: list[bytes], tears: float) -> None:
    came: list[bytes] = []
    time, one = stream(seed, came)
    one.tears = tears
    for data in sent:
        one.send(data)
        time.run(MS)
    time.run(SECOND)
    assert b"".join(came) == b"".join(sent)
    assert len(came) >= len(sent)


def test_a_cut_loses_what_is_under_way_and_all_that_follows() -> None:
    came: list[bytes] = []
    time, one = stream(1, came)
    one.send(b"before")
    time.run(SECOND)
    one.send(b"under way")
    one.cut()
    one.send(b"after")
    time.run(SECOND)
    assert came == [b"before"]


def test_a_reader_that_stands_still_gets_it_later_and_the_sender_knows() -> None:
    came: list[bytes] = []
    time, one = stream(2, came)
    one.stand_still()
    one.send(b"x" * WINDOW_BYTES)
    time.run(SECOND)
    assert one.held_bytes == 0
    one.send(b"y" * 100)
    time.run(SECOND)
    assert (came, one.held_bytes) == ([], 100)
    one.go_on()
    assert b"".join(came) == b"x" * WINDOW_BYTES + b"y" * 100
    assert one.held_bytes == 0
    one.send(b"z")
    time.run(SECOND)
    assert came[-1] == b"z"
