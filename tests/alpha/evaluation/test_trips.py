"""Round trips against a walk row by row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.evaluation.trips import round_trips

LABELS = st.integers(0, 2)


def walked(classes: list[int], calls: list[int], segment: list[int]) -> list[tuple[int, float]]:
    found = []
    opened: int | None = None
    for row, call in enumerate(calls):
        if opened is not None and segment[opened] != segment[row]:
            opened = None
        if call == 1:
            continue
        if opened is None:
            opened = row
        elif calls[opened] != call:
            right = classes[opened] == calls[opened] and classes[row] == call
            found.append((opened, float(right)))
            opened = row
    return found


@given(st.lists(st.tuples(LABELS, LABELS, st.booleans()), max_size=60))
def test_as_walked(rows: list[tuple[int, int, bool]]) -> None:
    classes, calls = [row[0] for row in rows], [row[1] for row in rows]
    segment = np.cumsum([row[2] for row in rows], dtype=np.int64).tolist() if rows else []
    opened, right = round_trips(
        np.array(classes, dtype=np.int8), np.array(calls, dtype=np.int8), np.array(segment, dtype=np.int64)
    )
    assert list(zip(opened.tolist(), right.tolist())) == walked(classes, calls, segment)


def test_by_hand() -> None:
    calls = np.array([1, 2, 2, 1, 0, 0, 2, 0], dtype=np.int8)
    classes = np.array([1, 2, 0, 1, 0, 2, 1, 0], dtype=np.int8)
    opened, right = round_trips(classes, calls, np.zeros(8, dtype=np.int64))
    # Up at 1 to down at 4: right at both ends. Down at 4 to up at 6: the way out is wrong. Up at 6: the way in was.
    assert opened.tolist() == [1, 4, 6] and right.tolist() == [1.0, 0.0, 0.0]
