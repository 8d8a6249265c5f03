"""The queue: in order, bounded, and what it dropped is in it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.recorder.marks import Lost, Up, encoded, read
from hlhft.data.recorder.queue import LINE_OVERHEAD_BYTES, URGENT_BYTES, LineQueue


def taken(queue: LineQueue) -> list[tuple[int, bytes]]:
    found = queue.take(0.0)
    assert found is not None
    return found


def test_lines_come_out_in_order_and_once() -> None:
    queue = LineQueue()
    assert queue.put(1, b"a") and queue.put(1, b"b")
    queue.mark(2, b"m")
    assert taken(queue) == [(1, b"a"), (1, b"b"), (2, b"m")]
    assert taken(queue) == [] and queue.waiting_bytes == 0


def test_what_does_not_fit_is_dropped_and_the_next_line_says_so() -> None:
    queue = LineQueue(2 * (LINE_OVERHEAD_BYTES + 10))
    assert queue.put(1, b"x" * 10) and queue.put(2, b"y" * 10)
    assert not queue.put(3, b"z" * 7) and not queue.put(4, b"z" * 8)
    assert queue.dropped_frames == 2
    assert [text[:1] for _, text in taken(queue)] == [b"x", b"y"]
    assert queue.put(5, b"w")
    (at_ns, text), after = taken(queue)
    assert (at_ns, read(text)) == (5, Lost(frames=2, bytes=15)) and after == (5, b"w")


def test_marks_fit_always_and_tell_of_what_was_lost_before_them() -> None:
    queue = LineQueue(LINE_OVERHEAD_BYTES)
    assert not queue.put(1, b"long")
    queue.mark(2, encoded(Up(socket=1)))
    assert [read(text) for _, text in taken(queue)] == [Lost(frames=1, bytes=4), Up(socket=1)]


def test_closing_tells_of_what_was_lost_and_ends_it() -> None:
    queue = LineQueue(LINE_OVERHEAD_BYTES)
    assert not queue.put(1, b"long")
    queue.close(9)
    assert [(at_ns, read(text)) for at_ns, text in taken(queue)] == [(9, Lost(frames=1, bytes=4))]
    assert queue.take(0.0) is None


@pytest.mark.parametrize("wake", ["close", "much"])
def test_a_waiting_taker_is_woken(wake: str) -> None:
    queue = LineQueue()
    found: list[list[tuple[int, bytes]] | None] = []
    taker = threading.Thread(target=lambda: found.append(queue.take(60.0)))
    taker.start()
    if wake == "close":
        queue.close(1)
    else:
        queue.put(1, b"x" * URGENT_BYTES)
    taker.join(30)
    assert not taker.is_alive()
    assert found == [None] if wake == "close" else [len(lines or []) for lines in found] == [1]


def test_a_queue_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="takes nothing"):
        LineQueue(0)


@settings(max_examples=40)
@given(st.lists(st.one_of(st.integers(0, 400), st.just("take")), max_size=60))
def test_every_frame_is_taken_or_counted_as_lost(steps: list[int | str]) -> None:
    queue = LineQueue(1_000)
    sent = 0
    seen: list[tuple[int, bytes]] = []
    for at_ns, step in enumerate(steps):
        if isinstance(step, int):
            sent += 1
            queue.put(at_ns, b"f" * step)
        else:
            seen += taken(queue)
        assert queue.waiting_bytes <= 1_000
    queue.close(len(steps))
    seen += queue.take(0.0) or []
    marks = [mark for mark in (read(text) for _, text in seen) if isinstance(mark, Lost)]
    assert sum(mark.frames for mark in marks) == queue.dropped_frames
    assert len(seen) - len(marks) + queue.dropped_frames == sent
    assert [at_ns for at_ns, _ in seen] == sorted(at_ns for at_ns, _ in seen)
