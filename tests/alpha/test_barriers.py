"""Trees of maxima against a scan."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.barriers import _first_reaching, build, touches


@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=40), begin=st.integers(0, 39), level=st.integers(0, 10))
def test_the_first_that_reaches_a_level_is_found(values: list[int], begin: int, level: int) -> None:
    begin = min(begin, len(values) - 1)
    size = 1 << max(len(values) - 1, 1).bit_length()
    tree = np.full(2 * size, -np.inf)
    tree[size : size + len(values)] = values
    build(tree, size)
    wanted = next((place for place in range(begin, len(values)) if values[place] >= level), size)
    assert _first_reaching(tree, size, begin, float(level)) == wanted


def judged(ts_ns: list[int], price: list[float], reach_bp: float, horizon_ns: int, row: int) -> tuple[int, int]:
    """Class and end of a row by looking at every later one."""
    limit_ns = ts_ns[row] + horizon_ns
    reach = price[row] * reach_bp * 1e-4
    for later in range(row + 1, len(ts_ns)):
        if ts_ns[later] <= ts_ns[row] or ts_ns[later] > limit_ns:
            continue
        moment = [price[other] for other in range(row, len(ts_ns)) if ts_ns[other] == ts_ns[later]]
        is_up = any(value >= price[row] + reach for value in moment)
        is_down = any(value <= price[row] - reach for value in moment)
        if is_up or is_down:
            return (1 if is_up and is_down else 2 if is_up else 0), ts_ns[later]
    return 1, limit_ns


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 3)), min_size=2, max_size=30),
    reach_bp=st.sampled_from([100.0, 200.0, 300.0]),
    horizon_ns=st.integers(1, 8),
)
def test_a_row_ends_where_the_first_price_reaches(
    steps: list[tuple[int, int]], reach_bp: float, horizon_ns: int
) -> None:
    ts_ns = np.cumsum([gap for gap, _ in steps])
    price = 100.0 + np.cumsum([float(move) for _, move in steps])
    count = len(steps)
    known = int(np.searchsorted(ts_ns, ts_ns[-1] - horizon_ns, side="right"))
    size = 1 << max(count - 1, 1).bit_length()
    trees = np.full((2, 2 * size), -np.inf)
    trees[0, size : size + count], trees[1, size : size + count] = price, -price
    for tree in trees:
        build(tree, size)
    classes, end_ns, move_bp = np.zeros(count, np.int8), np.zeros(count, np.int64), np.zeros(count, np.float32)
    touches(
        ts_ns, price, np.full(count, reach_bp), trees[0], trees[1], size, horizon_ns, known, classes, end_ns, move_bp
    )
    for row in range(known):
        found = judged(ts_ns.tolist(), price.tolist(), reach_bp, horizon_ns, row)
        assert (int(classes[row]), int(end_ns[row])) == found
        last = int(np.searchsorted(ts_ns, end_ns[row], side="right")) - 1
        assert abs(move_bp[row] - (price[last] / price[row] - 1.0) * 1e4) < 0.01
