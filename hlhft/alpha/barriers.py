"""Which of two prices is touched first, for every row of a segment, in O(n log n): trees of maxima."""

from __future__ import annotations

from hlhft.compiled import compiled


@compiled
def build(tree, size):
    """Fills the inner nodes of a tree of maxima, float64[2 * size]; its leaves are the second half, `size` a power of
    two."""
    for node in range(size - 1, 0, -1):
        tree[node] = max(tree[2 * node], tree[2 * node + 1])


@compiled
def _first_reaching(tree, size, begin, level):
    """The first leaf from `begin` on that is at least `level`; `size` when there is none."""
    node = begin + size
    while True:
        if tree[node] >= level:
            while node < size:
                node = 2 * node
                if tree[node] < level:
                    node += 1
            return node - size
        # On to the next subtree on the right; the root has none.
        while node & 1:
            node >>= 1
        if node == 0:
            return size
        node += 1


@compiled
def touches(ts_ns, price, reach_bp, highest, lowest, size, horizon_ns, known, classes, end_ns, move_bp):
    """Which barrier each of the first `known` rows touches first, and when.

    int64[n] `ts_ns`, float64[n] `price` and `reach_bp`; `highest` and `lowest` are built trees of the prices and of
    their negatives. Writes int8 `classes` (0 down, 1 flat, 2 up), int64 `end_ns` and float32 `move_bp`. The last row is
    at or after the horizon of each known one.
    """
    later = last = 0
    for index in range(known):
        limit_ns = ts_ns[index] + horizon_ns
        while ts_ns[later] <= ts_ns[index]:  # a known row has a row at or after its horizon
            later += 1
        while last + 1 < len(ts_ns) and ts_ns[last + 1] <= limit_ns:
            last += 1
        reach = price[index] * reach_bp[index] * 1e-4
        up = _first_reaching(highest, size, later, price[index] + reach)
        down = _first_reaching(lowest, size, later, reach - price[index])
        nearer = min(up, down)
        if nearer > last:
            classes[index] = 1
            end_ns[index] = limit_ns
            move_bp[index] = (price[last] / price[index] - 1.0) * 1e4
            continue
        end_ns[index] = ts_ns[nearer]
        # What moved within one moment is seen as it is at its end.
        seen = nearer
        while seen + 1 < len(ts_ns) and ts_ns[seen + 1] == ts_ns[nearer]:
            seen += 1
        move_bp[index] = (price[seen] / price[index] - 1.0) * 1e4
        classes[index] = 2 if up < down else 0
        if up <= seen and down <= seen:
            classes[index] = 1
