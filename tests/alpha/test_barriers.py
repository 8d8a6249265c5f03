"""Trees of maxima against a scan."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.barriers import _first_reaching, build


@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=40), begin=st.integers(0, 39), level=st.integers(0, 10))
def test_the_first_that_reaches_a_level_is_found(values: list[int], begin: int, level: int) -> None:
    begin = min(begin, len(values) - 1)
    size = 1 << max(len(values) - 1, 1).bit_length()
    tree = np.full(2 * size, -np.inf)
    tree[size : size + len(values)] = values
    build(tree, size)
    wanted = next((place for place in range(begin, len(values)) if values[place] >= level), size)
    assert _first_reaching(tree, size, begin, float(level)) == wanted
