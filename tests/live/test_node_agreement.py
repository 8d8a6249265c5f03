"""Two books of one market: the same, or found to differ."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.live.node_agreement import DIFFERENCES_MAX, TOUCHES_MAX, Agreement


def test_books_are_compared_at_the_same_block_once_it_is_over() -> None:
    books = Agreement()
    assert not books.node(10, 99, 101)
    assert not books.venue(10, 99, 101)
    assert books.compared == 0, "more may come of that block"
    assert not books.node(20, 98, 101)
    assert (books.compared, books.differences) == (1, 0)
    assert not books.venue(15, 99, 101), "nothing changed until then"
    assert not books.venue(19, 98, 101)
    assert (books.compared, books.differences) == (3, 1)


def test_books_that_differ_some_times_in_a_row_are_told_and_one_that_agrees_forgives() -> None:
    books = Agreement()
    books.node(10, 99, 101)
    books.node(1000, 99, 101)
    told = [books.venue(10 + number, 98, 101) for number in range(DIFFERENCES_MAX - 1)]
    assert not any(told)
    assert not books.venue(100, 99, 101) and books.differences == 0
    told = [books.venue(101 + number, 99, 102) for number in range(DIFFERENCES_MAX)]
    assert told == [False] * (DIFFERENCES_MAX - 1) + [True]
    books.begin()
    assert books.differences == 0 and not books.venue(105, 98, 101), "it is of the book before"
    assert books.compared == 2 * DIFFERENCES_MAX


def test_what_the_venue_says_of_a_later_block_waits_for_it() -> None:
    books = Agreement()
    for number in range(DIFFERENCES_MAX):
        books.node(100 * number + 1, 99, 101)
        assert not books.venue(100 * number + 50, 1, 2)
    assert books.node(1000, 99, 101)


def test_a_block_in_pieces_counts_as_it_is_at_its_end() -> None:
    books = Agreement()
    books.node(10, 99, 101)
    books.node(20, 0, 101)
    books.node(20, 98, 101)
    books.node(30, 98, 101)
    assert not books.venue(20, 98, 101) and (books.compared, books.differences) == (1, 0)


@settings(max_examples=40)
@given(
    touches=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60),
    looks=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 4)), max_size=30),
)
def test_a_venue_of_the_same_book_never_differs(
    touches: list[tuple[int, int, int]], looks: list[tuple[int, int]]
) -> None:
    books, block_ms, truth = Agreement(), 0, []
    for wait_ms, bid, ask in touches:
        block_ms += wait_ms
        truth.append((block_ms, bid, ask))
        assert not books.node(*truth[-1])
        for place, _ in looks:
            if place < len(truth):
                assert not books.venue(*truth[place])
    assert books.differences == 0


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_not_judged() -> None:
    books = Agreement()
    for number in range(TOUCHES_MAX + 10):
        books.node(10 * number, number + 1, number + 5)
    assert not books.venue(0, 7, 8) and books.compared == 0
    assert len(books._touches) == TOUCHES_MAX
