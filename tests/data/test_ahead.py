from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hlhft.data.ahead import ARRAYS_AHEAD, read_ahead
from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from tests.data.making import joined, trade


def test_the_same_arrays_come_and_no_more_are_made_than_said() -> None:
    made: list[int] = []

    def arrays() -> Iterator[Events]:
        for number in range(10):
            made.append(number)
            yield trade(number, 1, 1, 1, number)

    for place, array in enumerate(read_ahead(arrays())):
        assert array["order_id"].tolist() == [place]
        assert len(made) <= place + 1 + ARRAYS_AHEAD
    assert made == list(range(10))


def test_a_fault_comes_after_what_was_before_it() -> None:
    def arrays() -> Iterator[Events]:
        yield trade(1, 1, 1, 1)
        raise DataError("feed", 7, "it is torn")

    taken: list[Events] = []
    with pytest.raises(DataError, match="feed, line 7: it is torn"):
        taken.extend(read_ahead(arrays()))
    assert len(joined(taken)) == 1


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    arrays = read_ahead(trade(number, 1, 1, 1) for number in range(1_000_000))
    next(arrays)
    arrays.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
