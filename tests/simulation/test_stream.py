"""Bytes of a stream stay in order; what is cut never comes; a reader that stands still is noticed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.stream import RETRY_NS, WINDOW_BYTES, Stream
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


@given(
    st.integers(0, 1 << 30),
    st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.sampled_from(["", "stop", "on"])), max_size=40),
)
def test_what_is_stopped_comes_late_and_in_order(seed: int, steps: list[tuple[bytes, str]]) -> None:
    came: list[bytes] = []
    time, one = stream(seed, came)
    for data, what in steps:
        one.send(data)
        if what == "stop":
            one.stop()
        elif what == "on":
            one.let_through()
        time.run(20 * MS)
    one.let_through()
    time.run(5 * SECOND)
    assert came == [data for data, _ in steps] and one.flows


@pytest.mark.parametrize(
    ("stopped_ms", "comes_ms"), [(100, 200), (201, 600), (700, 1_400), (1_500, 3_000), (3_100, 6_200)]
)
def test_what_was_lost_comes_with_a_retransmission(stopped_ms: int, comes_ms: int) -> None:
    """After 0.2, 0.6, 1.4, 3 and 6.2 s, counted from the loss; what is sent later waits for it."""
    came: list[bytes] = []
    time, one = stream(5, came)
    one.stop()
    one.send(b"lost")
    time.run(one.last_ns - time.now_ns)
    assert RETRY_NS == 200 * MS and not one.flows
    lost_ns = time.now_ns
    time.run(stopped_ms * MS)
    assert one.let_through() == lost_ns + comes_ms * MS
    one.send(b"later")
    time.run((comes_ms - stopped_ms) * MS - 1)
    assert not came and not one.flows
    time.run(50 * MS)
    assert came == [b"lost", b"later"] and one.flows and one.flows_ns == lost_ns + comes_ms * MS


@pytest.mark.parametrize(("stopped_ms", "is_given_up"), [(4_900, False), (5_100, True)])
def test_a_sender_gives_up_what_does_not_come_through(stopped_ms: int, is_given_up: bool) -> None:
    came: list[bytes] = []
    told: list[str] = []
    time = Time()
    one = Stream(
        time, Random(1), delay_ns=lambda: MS, deliver=came.append, patience_ns=5 * SECOND,
        gave_up=lambda: told.append("given up"),
    )  # fmt: skip
    one.stop()
    one.send(b"x")
    one.end(lambda: told.append("over"))
    time.run(stopped_ms * MS)
    one.let_through()
    time.run(200 * MS)
    assert (came, told) == (([], ["given up"]) if is_given_up else ([b"x"], ["over"]))
    assert one.is_cut is is_given_up


def test_what_is_stopped_twice_waits_for_the_second_end() -> None:
    came: list[bytes] = []
    time, one = stream(6, came)
    one.stop()
    one.send(b"x")
    time.run(SECOND)
    one.let_through()
    one.stop()
    time.run(SECOND)
    assert not came
    one.let_through()
    time.run(2 * SECOND)
    assert came == [b"x"]


def test_who_reads_nothing_gets_what_was_lost_later() -> None:
    came: list[bytes] = []
    time, one = stream(7, came)
    one.stop()
    one.send(b"x")
    time.run(SECOND)
    one.stand_still()
    one.let_through()
    time.run(2 * SECOND)
    assert one.flows and not came
    one.go_on()
    assert came == [b"x"]
