"""The window is always the newest unbroken rows, in any pieces that they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.serving.window import ROOM, Bounds, Window
from hlhft.alpha.wire import Reason
from tests.alpha.wired import BEGIN_NS, FEATURES, RESET, STEP_NS, VALID, rows_of

EVERYTHING = Bounds(np.full(FEATURES, -10.0), np.full(FEATURES, 10.0))


@given(st.integers(1, 7), st.lists(st.integers(1, 12), min_size=1, max_size=20))
def test_it_is_the_newest_rows_whatever_the_pieces(length: int, pieces: list[int]) -> None:
    window, first = Window(length, FEATURES), 0
    for piece in pieces:
        assert not window.append(*rows_of(first, piece), EVERYTHING)
        first += piece
        assert (window.newest, window.count) == (first - 1, min(first, length))
        assert window.data_ns == BEGIN_NS + (first - 1) * STEP_NS
        assert window.is_full == (first >= length)
        if window.is_full:
            assert (window.view()[0] == rows_of(first - length, length)[1]).all()
            assert window.fault() is Reason.NONE


def test_the_view_is_no_copy_and_rows_are_moved_once_in_a_while() -> None:
    window = Window(3, FEATURES)
    window.append(*rows_of(0, 3), None)
    assert np.shares_memory(window.view(), window.view())
    places = set()
    for sequence in range(3, 3 + 3 * ROOM):
        window.append(*rows_of(sequence, 1), None)
        places.add(window.view().__array_interface__["data"][0])
    assert len(places) > ROOM


def test_a_beginning_of_the_engine_begins_a_run() -> None:
    window = Window(3, FEATURES)
    window.append(*rows_of(0, 3), None)
    heads, values = rows_of(3, 4)
    heads["flags"][2] |= RESET
    assert window.append(heads, values, None)
    assert (window.count, window.newest) == (2, 6)
    window.append(*rows_of(7, 1), None)
    assert (window.view()[0] == rows_of(5, 3)[1]).all()


@pytest.mark.parametrize("reason", [Reason.NOT_VALID, Reason.NOT_FINITE, Reason.OUT_OF_RANGE])
def test_a_fault_lasts_as_long_as_its_row_is_in_the_window(reason: Reason) -> None:
    window = Window(4, FEATURES)
    window.append(*rows_of(0, 4), EVERYTHING)
    heads, values = rows_of(4, 1)
    if reason is Reason.NOT_VALID:
        heads["flags"] &= ~VALID
    values[0, 2] = {Reason.NOT_FINITE: np.nan, Reason.OUT_OF_RANGE: 10.5}.get(reason, 0.0)
    window.append(heads, values, EVERYTHING)
    for sequence in range(5, 8):
        assert window.fault() is reason
        window.append(*rows_of(sequence, 1), EVERYTHING)
    window.append(*rows_of(8, 1), EVERYTHING)
    assert window.fault() is Reason.NONE


@given(st.integers(1, 6), st.integers(0, 8), st.integers(1, 9), st.integers(0, 20), st.integers(0, 9))
def test_a_snapshot_joins_what_came_since_or_changes_nothing(
    length: int, begin: int, count: int, first: int, rows: int
) -> None:
    """A run from `begin`, and a snapshot from `first`: together they are unbroken, or nothing happens."""
    window = Window(length, FEATURES)
    window.append(*rows_of(begin, count), None)
    run = set(range(begin, begin + count)[-length:])
    before = (window.newest, window.count)
    kept = window.rebuild(*rows_of(first, rows), None)
    told = set(range(first, first + rows))
    if not told or max(told) < min(run) - 1:
        assert not kept and (window.newest, window.count) == before
        return
    assert kept
    newest = max(run | told)
    assert window.newest == newest
    unbroken = sorted(told | {at for at in run if at > max(told)})[-length:]
    assert window.count == len(unbroken) and unbroken[-1] - unbroken[0] == len(unbroken) - 1
    if window.is_full:
        assert (window.view()[0] == rows_of(unbroken[0], length)[1]).all()


def test_a_new_model_holds_its_own_bounds_against_known_rows() -> None:
    window = Window(4, FEATURES)
    window.append(*rows_of(0, 4), EVERYTHING)
    narrow = Bounds(np.full(FEATURES, -0.1), np.full(FEATURES, 0.1))
    window.judged_again(narrow)
    assert window.fault() is Reason.OUT_OF_RANGE
    window.judged_again(EVERYTHING)
    assert window.fault() is Reason.NONE


def test_rows_that_do_not_follow_are_a_mistake_of_the_caller() -> None:
    window = Window(4, FEATURES)
    window.append(*rows_of(0, 2), None)
    with pytest.raises(AssertionError):
        window.append(*rows_of(3, 1), None)
    with pytest.raises(AssertionError):
        window.view()


def test_rows_that_are_counted_anew_are_told_from_those_that_are_known() -> None:
    window = Window(3, FEATURES)
    assert not window.is_of_before(rows_of(0, 1)[0]), "nothing is known yet"
    window.append(*rows_of(0, 3), None)
    assert not window.is_of_before(rows_of(2, 1)[0]) and not window.is_of_before(rows_of(3, 1)[0])
    assert not window.is_of_before(rows_of(0, 5)[0])
    assert window.is_of_before(rows_of(2, 1, begin_ns=BEGIN_NS + 1)[0])
    assert not window.is_of_before(rows_of(3, 1, begin_ns=BEGIN_NS + 1)[0])
