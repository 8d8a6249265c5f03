"""Rows of recordings: those of a live session over the same events, whatever the pieces that the events come in."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.alpha.rows import feature_rows
from hlhft.alpha.schema import FeatureSchema
from tests.alpha.feeds import Given, book, touch, trade
from tests.core.worlds import BUY

SCHEMA = FeatureSchema(levels=2)
FRAMES = np.concatenate(
    [
        book(0, [(999, 30), (998, 10)], [(1001, 10), (1003, 30)]),
        touch(10, (999, 20), (1001, 10)),
        touch(20, (999, 20), (1001, 10)),
        trade(30, BUY, 5),
        touch(40, (1000, 20), (1001, 10)),
    ]
)


def rows_of(source: Given) -> tuple[np.ndarray, np.ndarray]:
    found = list(feature_rows(source, SCHEMA, profile="recorded"))
    return np.concatenate([heads for heads, _ in found]), np.concatenate([values for _, values in found])


@pytest.mark.parametrize("length", [1, 3, 1000])
def test_the_pieces_do_not_matter(length: int) -> None:
    heads, values = rows_of(Given(FRAMES, length=length))
    whole_heads, whole_values = rows_of(Given(FRAMES))
    assert heads.tobytes() == whole_heads.tobytes()
    assert values.tobytes() == whole_values.tobytes()
    assert heads["sequence"].tolist() == [1, 2, 3, 4]  # the frame that changed nothing has no row
