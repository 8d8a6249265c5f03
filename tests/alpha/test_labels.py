"""Labels against brute force: every row looks at every later one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.labels import Labels, LabelSpec, label, passive_edge_bp, uniqueness

MS = 1_000_000
START = 1_756_944_000_000_000_000

# Few prices and many equal times, so that touches, ties and both barriers in one moment all happen.
SEGMENTS = st.lists(
    st.tuples(st.sampled_from([0, 1, 3, 10, 40]), st.integers(995, 1005), st.sampled_from([0.0, 3.0, 20.0])),
    max_size=30,
)
KINDS = st.sampled_from(["barrier", "window", "markout"])


def arrays(segment: list[tuple[int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    ts_ns = START + np.cumsum([row[0] for row in segment], dtype=np.int64) * MS
    price = np.array([float(row[1]) for row in segment])
    return ts_ns, price, np.array([row[2] for row in segment]), np.full(len(segment), 0.5)


def moments(ts_ns: np.ndarray, after: int, until: int) -> list[list[int]]:
    """Rows later than `after` and not later than `until`, those of one time together."""
    times = sorted({int(t) for t in ts_ns if after < t <= until})
    return [[int(place) for place in np.flatnonzero(ts_ns == time)] for time in times]


def price_at(ts_ns: np.ndarray, price: np.ndarray, time: float) -> float:
    return float(price[np.flatnonzero(ts_ns <= time)[-1]])


def barrier(spec: LabelSpec, place: int, ts_ns: np.ndarray, price: np.ndarray, reach: float) -> tuple[int, int, float]:
    limit = int(ts_ns[place]) + spec.horizon_ns
    up, down = price[place] + price[place] * reach * 1e-4, price[place] - price[place] * reach * 1e-4
    for rows in moments(ts_ns, int(ts_ns[place]), limit):
        above, below = any(price[row] >= up for row in rows), any(price[row] <= down for row in rows)
        if above or below:
            kind = 1 if above and below else 2 if above else 0
            return kind, int(ts_ns[rows[0]]), (price[rows[-1]] / price[place] - 1) * 1e4
    return 1, limit, (price_at(ts_ns, price, limit) / price[place] - 1) * 1e4


def mean_between(ts_ns: np.ndarray, price: np.ndarray, begin: int, end: int) -> float:
    points = [begin, *sorted({int(t) for t in ts_ns if begin < t < end}), end]
    held = sum((b - a) * price_at(ts_ns, price, a) for a, b in pairwise(points))
    return held / (end - begin)


def three(move: float, limit: float) -> int:
    return 2 if move > limit else 0 if move < -limit else 1


def slow(spec: LabelSpec, segment: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Class, end and move of each row, by the definition."""
    ts_ns, price, sigma, half = arrays(segment)
    found = []
    for place in range(len(segment)):
        limit = int(ts_ns[place]) + spec.horizon_ns
        half_bp = half[place] / price[place] * 1e4
        if limit > ts_ns[-1]:
            found.append((-1, -1, 0.0))
        elif spec.kind == "barrier":
            reach = max(spec.width * sigma[place] * (spec.horizon_ms / 1000) ** 0.5, spec.cost_bp + half_bp)
            found.append(barrier(spec, place, ts_ns, price, reach))
        elif spec.kind == "window":
            move = mean_between(ts_ns, price, int(ts_ns[place]) + spec.from_ms * MS, limit) / price[place] - 1
            found.append((three(move, spec.threshold), limit, move * 1e4))
        else:
            move = (price_at(ts_ns, price, limit) / price[place] - 1) * 1e4
            buy, sell = move + half_bp - spec.cost_bp, -move + half_bp - spec.cost_bp
            found.append((2 if buy > 0 >= sell else 0 if sell > 0 >= buy else 1, limit, move))
    return found


def compare(spec: LabelSpec, segment: list[tuple[int, int, float]]) -> Labels:
    found = label(spec, *arrays(segment))
    wanted = slow(spec, segment)
    assert found.classes.tolist() == [row[0] for row in wanted]
    assert found.end_ns.tolist() == [row[1] for row in wanted]
    np.testing.assert_allclose(found.move_bp, [row[2] for row in wanted], rtol=1e-5, atol=1e-4)
    assert (found.classes.dtype, found.end_ns.dtype, found.move_bp.dtype) == (np.int8, np.int64, np.float32)
    return found


@given(segment=SEGMENTS, kind=KINDS, horizon_ms=st.sampled_from([1, 3, 20, 100]), cost_bp=st.sampled_from([0.0, 7.3]))
def test_each_row_is_what_looking_at_every_later_one_says(
    segment: list[tuple[int, int, float]], kind: str, horizon_ms: int, cost_bp: float
) -> None:
    from_ms = horizon_ms // 2
    compare(
        LabelSpec(
            name="x", kind=kind, horizon_ms=horizon_ms, from_ms=from_ms, cost_bp=cost_bp, width=1.7, threshold=3.3e-4
        ),
        segment,
    )


def test_the_first_barrier_decides_and_its_time_is_kept() -> None:
    segment = [(0, 1000, 0.0), (10, 1002, 0.0), (10, 996, 0.0), (100, 1000, 0.0)]
    found = compare(LabelSpec(name="x", horizon_ms=50, cost_bp=10.0), segment)
    assert found.classes[0] == 2
    assert found.end_ns[0] == START + 10 * MS
    assert found.move_bp[0] == pytest.approx(20.0)


def test_both_barriers_in_one_moment_are_flat() -> None:
    found = compare(
        LabelSpec(name="x", horizon_ms=50, cost_bp=10.0),
        [(0, 1000, 0.0), (10, 1002, 0.0), (0, 998, 0.0), (90, 1000, 0.0)],
    )
    assert found.classes[0] == 1
    assert found.end_ns[0] == START + 10 * MS


def test_rows_without_a_move_are_kept_as_flat() -> None:
    segment = [(10, 1000, 1.0)] * 20
    for kind in ("barrier", "window", "markout"):
        found = compare(LabelSpec(name="x", kind=kind, horizon_ms=50, cost_bp=1.0), segment)
        assert (found.classes[:15] == 1).all()
        assert (found.classes[15:] == -1).all()


def test_a_touch_before_the_end_of_the_segment_is_no_label_when_the_horizon_is_beyond_it() -> None:
    """Else only moves were labelled there."""
    found = compare(LabelSpec(name="x", horizon_ms=50, cost_bp=1.0), [(0, 1000, 0.0), (10, 1005, 0.0), (30, 1005, 0.0)])
    assert found.classes.tolist() == [-1, -1, -1]


def test_the_barrier_is_no_nearer_than_cost_and_half_the_spread() -> None:
    """Half the spread of one tick at 1000 is 5 bp; a move of 20 bp pays 10 bp of cost, not 16."""
    segment = [(0, 1000, 0.1), (10, 1002, 0.1), (90, 1002, 0.1)]
    assert compare(LabelSpec(name="x", horizon_ms=50, cost_bp=10.0), segment).classes[0] == 2
    assert compare(LabelSpec(name="x", horizon_ms=50, cost_bp=16.0), segment).classes[0] == 1


def test_the_edge_of_a_passive_fill_is_half_the_spread_and_the_move_less_the_cost() -> None:
    buy, sell = passive_edge_bp(np.array([3.0, -3.0]), np.array([1.0, 1.0]), 1.5)
    assert buy.tolist() == [2.5, -3.5]
    assert sell.tolist() == [-3.5, 2.5]


@given(segment=SEGMENTS, kind=KINDS, cut=st.integers(0, 29), shift=st.integers(1, 50))
def test_what_comes_after_a_labels_end_does_not_change_it(
    segment: list[tuple[int, int, float]], kind: str, cut: int, shift: int
) -> None:
    spec = LabelSpec(name="x", kind=kind, horizon_ms=20, cost_bp=7.3, threshold=3.3e-4)
    before = label(spec, *arrays(segment))
    changed = [row if place < cut else (row[0], row[1] + shift, row[2]) for place, row in enumerate(segment)]
    after = label(spec, *arrays(changed))
    ts_ns = arrays(segment)[0]
    for place in range(min(cut, len(segment))):
        # A row of the future that shares its time with the label's end belongs to that moment.
        if cut < len(segment) and before.end_ns[place] < ts_ns[cut]:
            assert before.classes[place] == after.classes[place]
            assert before.move_bp[place] == after.move_bp[place]


# Weights.

LIVES = st.lists(st.tuples(st.integers(0, 20), st.integers(-1, 20)), max_size=20)


@given(lives=LIVES)
def test_uniqueness_is_the_average_share_of_a_life(lives: list[tuple[int, int]]) -> None:
    """By whole steps: in each step of its life a label has one part of as many as live."""
    ts_ns = np.array([begin for begin, _ in lives], dtype=np.int64)
    end_ns = np.array([begin + length for begin, length in lives], dtype=np.int64)
    wanted = []
    for begin, length in lives:
        steps = range(begin + 1, begin + length + 1)
        shares = [1 / sum(b < step <= b + n for b, n in lives) for step in steps]
        wanted.append(sum(shares) / len(shares) if length > 0 else 0.0)
    np.testing.assert_allclose(uniqueness(ts_ns, end_ns), wanted, rtol=1e-6)


def test_a_label_alone_weighs_one_and_two_alike_weigh_half() -> None:
    ts_ns = np.array([0, 100, 100]) * MS
    assert uniqueness(ts_ns, np.array([50, 150, 150]) * MS).tolist() == [1.0, 0.5, 0.5]


# What is refused.


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "x"}, "kind"),
        ({"horizon_ms": 0}, "horizon_ms"),
        ({"from_ms": 1000}, "from_ms"),
        ({"width": -1.0}, "width"),
        ({"cost_bp": float("nan")}, "cost_bp"),
        ({"threshold": float("inf")}, "threshold"),
    ],
)
def test_a_label_that_asks_nothing_is_refused_by_name(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=f"label x: {word}"):
        LabelSpec(name="x", **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ts", "price", "sentence"),
    [
        ([0, 1], [1.0], "one value a row"),
        ([1, 0], [1.0, 1.0], "times decrease"),
        ([0], [0.0], "not above 0"),
        ([0], [float("nan")], "not finite"),
    ],
)
def test_rows_that_are_no_segment_are_refused(ts: list[int], price: list[float], sentence: str) -> None:
    ones = np.ones(len(ts))
    with pytest.raises(ValueError, match=sentence):
        label(LabelSpec(name="x"), np.array(ts), np.array(price), ones, ones)
