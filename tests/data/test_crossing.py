"""Which books and touches are crossed, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.data.crossing import CrossedBooks
from hlhft.data.merge import Events
from hlhft.events import EventKind
from tests.data.making import EXCHANGE, bbo, cut, event, joined, level, snapshot, together

BOOK = [(100, 5)], [(101, 5)]


@pytest.mark.parametrize(
    "rows",
    [
        joined([snapshot(10, *BOOK), snapshot(20, [(101, 1)], [(101, 1)])]),
        joined([snapshot(10, *BOOK), bbo(20, (102, 1), (101, 1))]),
        joined([level(10, 1, 100, 5), level(11, -1, 101, 5), level(12, 1, 101, 1)]),
        joined([snapshot(10, *BOOK, market=1), together(level(12, -1, 103, 1), level(12, 1, 103, 1))]),
    ],
)
def test_a_crossed_or_locked_book_is_counted_where_its_frame_ends(rows: Events) -> None:
    assert CrossedBooks(2).count(rows) == (1, len(rows) - 1)


def test_books_are_followed_from_array_to_array() -> None:
    rows = joined([level(10, 1, 100, 5), level(11, -1, 101, 5), level(12, 1, 101, 1), level(13, 1, 101, 0),
                   level(14, -1, 99, 1), level(15, 1, 98, 1)])  # fmt: skip
    assert CrossedBooks(1).count(rows) == (3, 2)
    books = CrossedBooks(1)
    assert [books.count(part) for part in cut(rows, [1, 2, 3, 4, 5])] == [
        (0, -1), (0, -1), (1, 0), (0, -1), (1, 0), (1, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        # What crosses within a message is mended by its end.
        joined([snapshot(10, *BOOK), np.concatenate([level(20, 1, 101, 1, flags=3), level(20, 1, 101, 0)])]),
        # The book of one channel against the touch of another says nothing.
        joined([snapshot(10, *BOOK), bbo(20, (103, 1), (104, 1))]),
        # One side alone is no touch, an empty side crosses nothing.
        joined([event(EventKind.BBO, 10, side=1, price=105, size=1), event(EventKind.BBO, 11, side=-1, price=104)]),
        bbo(10, (105, 1), (0, 0)),
        # A new picture forgets the old one; a clear forgets what it names.
        joined([snapshot(10, *BOOK), snapshot(20, [(110, 1)], [(111, 1)])]),
        joined([level(10, 1, 100, 5), event(EventKind.DEPTH_CLEAR, 11, side=1), level(12, -1, 99, 1)]),
        joined([level(10, 1, 100, 5), level(10, 1, 97, 5), event(EventKind.DEPTH_CLEAR, 11, side=1, price=98),
                level(12, -1, 98, 1)]),
        joined([level(10, -1, 101, 5), event(EventKind.DEPTH_CLEAR, 11, side=-1, price=101), level(12, 1, 101, 1)]),
        joined([level(10, 1, 100, 5), event(EventKind.DEPTH_CLEAR, 11), level(12, -1, 99, 1)]),
        # Only what we see is looked at.
        joined([level(10, 1, 100, 5), level(12, -1, 99, 1, flags=EXCHANGE), level(13, 1, 98, 1)]),
        # Markets do not mix.
        joined([level(10, 1, 100, 5), level(12, -1, 99, 1, market=1)]),
    ],
)  # fmt: skip
def test_what_is_not_crossed(rows: Events) -> None:
    assert CrossedBooks(2).count(rows) == (0, -1)
