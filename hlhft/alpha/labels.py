"""What became of a price: the three classes that a model is asked for, and how much each answer counts.

Prices are those of one unbroken segment, in order of arrival, at irregular times; between two rows the price is the
earlier row's. Every label starts at the row's own price, so that nothing of the past is in it, and rows after which the
price does not move are kept. Classes are 0 down, 1 flat, 2 up, and -1 where the segment ends before the horizon: a
barrier touched early does not make an exception, for then only moves would be labelled there.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from hlhft.alpha.barriers import build, touches

DOWN, FLAT, UP, NONE = 0, 1, 2, -1
HORIZON_MS_MAX = 24 * 3_600_000
_MS = 1_000_000


class LabelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question about the future. Raises ValueError for values that ask nothing.

    - barrier: the first of two prices that is touched within the horizon, at `width` times sigma times the root of the
      horizon in seconds, but no nearer than `cost_bp` and half the spread; neither, or both at one time, is flat.
    - window: the mean price over (t + from_ms, t + horizon_ms] against the present one, up or down by more than
      `threshold` of it (Xiao et al., Front. AI 8:1616485, 2025; theirs drops rows without a move, these stay).
    - markout: at the horizon, which passive fill at the present touch was worth more than `cost_bp`: 2 the bid's alone,
      0 the ask's alone, 1 both or neither.
    """

    name: str
    kind: str = "barrier"
    horizon_ms: int = 1000
    from_ms: int = 0  # window only
    width: float = 1.0  # barrier only
    cost_bp: float = 0.0  # barrier and markout
    threshold: float = 1.5e-5  # window only, share of the price

    def __post_init__(self) -> None:
        if self.kind not in {"barrier", "window", "markout"}:
            raise ValueError(f"label {self.name}: kind must be barrier, window or markout, not {self.kind}")
        if not 0 < self.horizon_ms <= HORIZON_MS_MAX:
            raise ValueError(f"label {self.name}: horizon_ms must lie in 1..{HORIZON_MS_MAX}, not {self.horizon_ms}")
        if not 0 <= self.from_ms < self.horizon_ms:
            raise ValueError(
                f"label {self.name}: from_ms must be 0 or more and before horizon_ms {self.horizon_ms}, "
                f"not {self.from_ms}"
            )
        for name in ("width", "cost_bp", "threshold"):
            value = getattr(self, name)
            if not 0.0 <= value < 1e6:
                raise ValueError(f"label {self.name}: {name} must be 0 or more and finite, not {value}")

    @property
    def horizon_ns(self) -> int:
        """The horizon in nanoseconds."""
        return self.horizon_ms * _MS


class Labels(NamedTuple):
    """The answers for n rows."""

    classes: np.ndarray  # int8[n]: 0 down, 1 flat, 2 up, -1 none
    end_ns: np.ndarray  # int64[n]: when the answer was known: the touch, or the horizon; -1 without an answer
    move_bp: np.ndarray  # float32[n]: the price then (window: its mean) against the row's own; 0 without an answer


def label(
    spec: LabelSpec, ts_ns: np.ndarray, price: np.ndarray, sigma_bp: np.ndarray, half_spread_ticks: np.ndarray
) -> Labels:
    """The labels of one segment: int64[n] times that never decrease, float64[n] prices above 0 (mid or micro-price, in
    ticks), float64[n] trailing sigma in basis points per root of a second, float64[n] half-spreads in ticks.

    A move counts from the next later time on: rows of one time are one moment. O(n log n) time, O(n) memory. Raises
    ValueError when shapes differ, times decrease, or a price is not above 0 and finite.
    """
    count = len(ts_ns)
    _check(spec, ts_ns, price, sigma_bp, half_spread_ticks)
    classes = np.full(count, NONE, np.int8)
    end_ns = np.full(count, -1, np.int64)
    move_bp = np.zeros(count, np.float32)
    if count == 0:
        return Labels(classes, end_ns, move_bp)
    ts_ns, price = np.ascontiguousarray(ts_ns, np.int64), np.ascontiguousarray(price, np.float64)
    half_bp = np.asarray(half_spread_ticks, np.float64) / price * 1e4
    # Rows from `known` on look past the segment's end.
    known = int(np.searchsorted(ts_ns, ts_ns[-1] - spec.horizon_ns, side="right"))
    if spec.kind == "barrier":
        seconds = spec.horizon_ms / 1000.0
        reach = np.maximum(spec.width * np.asarray(sigma_bp, np.float64) * np.sqrt(seconds), spec.cost_bp + half_bp)
        size = 1 << max(count - 1, 1).bit_length()
        highest, lowest = np.full(2 * size, -np.inf), np.full(2 * size, -np.inf)
        highest[size : size + count], lowest[size : size + count] = price, -price
        build(highest, size)
        build(lowest, size)
        touches(ts_ns, price, reach, highest, lowest, size, spec.horizon_ns, known, classes, end_ns, move_bp)
        return Labels(classes, end_ns, move_bp)
    end_ns[:known] = ts_ns[:known] + spec.horizon_ns
    if spec.kind == "window":
        begin = ts_ns[:known] + spec.from_ms * _MS
        move = _means(ts_ns, price, begin, end_ns[:known]) / price[:known] - 1.0
        classes[:known] = _three(move, np.full(known, spec.threshold))
    else:
        last = np.searchsorted(ts_ns, end_ns[:known], side="right") - 1
        move = price[last] / price[:known] - 1.0
        classes[:known] = _three(move * 1e4, np.abs(spec.cost_bp - half_bp[:known]))
    move_bp[:known] = move * 1e4
    return Labels(classes, end_ns, move_bp)


def passive_edge_bp(move_bp: np.ndarray, half_spread_bp: np.ndarray, cost_bp: float) -> tuple[np.ndarray, np.ndarray]:
    """What a passive buy at the bid and a passive sale at the ask were worth after cost, when the price they are
    reckoned from moved by `move_bp`: two arrays of the shape of the inputs, in basis points."""
    return half_spread_bp + move_bp - cost_bp, half_spread_bp - move_bp - cost_bp


def uniqueness(ts_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """float32[n]: the average over each label's life (ts_ns, end_ns] of one over the number of labels alive then.

    1 for a label that shares its life with none, 0 for a row without a label (end_ns not after ts_ns). The weights of
    all labels add up to less than the number of independent ones (Lopez de Prado, 2018, chapter 4; here by time, not by
    rows, which come at irregular times). O(n log n). Raises ValueError when shapes differ.
    """
    if ts_ns.shape != end_ns.shape:
        raise ValueError(f"uniqueness: {ts_ns.shape} times and {end_ns.shape} ends, give one end a row")
    weights = np.zeros(len(ts_ns), np.float32)
    alive = end_ns > ts_ns
    if not alive.any():
        return weights
    begins, ends = np.sort(ts_ns[alive]), np.sort(end_ns[alive])
    points = np.unique(np.concatenate([begins, ends]))
    # Between two points the number alive does not change.
    concurrent = np.searchsorted(begins, points[:-1], "right") - np.searchsorted(ends, points[:-1], "right")
    lengths = np.diff(points).astype(np.float64)
    shares = np.where(concurrent > 0, lengths / np.maximum(concurrent, 1), 0.0)
    total = np.concatenate([[0.0], np.cumsum(shares)])
    first, last = np.searchsorted(points, ts_ns[alive]), np.searchsorted(points, end_ns[alive])
    weights[alive] = (total[last] - total[first]) / (end_ns[alive] - ts_ns[alive])
    return weights


def _check(spec: LabelSpec, ts_ns: np.ndarray, price: np.ndarray, *others: np.ndarray) -> None:
    for array in (price, *others):
        if array.shape != ts_ns.shape or ts_ns.ndim != 1:
            raise ValueError(f"label {spec.name}: arrays of {ts_ns.shape} and {array.shape}, give one value a row")
        if not np.isfinite(array).all():
            raise ValueError(f"label {spec.name}: a value is not finite, leave out rows that are not valid")
    if len(ts_ns) and (np.diff(ts_ns) < 0).any():
        raise ValueError(f"label {spec.name}: times decrease, give one segment in order of arrival")
    if not (price > 0.0).all():
        raise ValueError(f"label {spec.name}: a price is not above 0, leave out rows that are not valid")


def _three(move: np.ndarray, limit: np.ndarray) -> np.ndarray:
    return np.where(move > limit, UP, np.where(move < -limit, DOWN, FLAT)).astype(np.int8)


def _means(ts_ns: np.ndarray, price: np.ndarray, begin_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """Time-weighted mean price over (begin, end] of each pair, float64; both within the segment."""
    # From the first price on, so that long segments lose no digits.
    excess = price - price[0]
    held = np.diff(ts_ns).astype(np.float64) * excess[:-1]
    total = np.concatenate([[0.0], np.cumsum(held)])

    def until(times: np.ndarray) -> np.ndarray:
        place = np.searchsorted(ts_ns, times, side="right") - 1
        integral: np.ndarray = total[place] + (times - ts_ns[place]) * excess[place]
        return integral

    means: np.ndarray = price[0] + (until(end_ns) - until(begin_ns)) / (end_ns - begin_ns)
    return means
