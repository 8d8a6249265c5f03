"""Which source owns which stretch of time, so that overlapping ones merge without double events.

For one kind and coin every instant of exchange time belongs to one input: the best-ranked whose cover, less its gaps,
holds it. Parts of equal source and origin are one input cut in pieces: they do not compete, for a row that came late
stands in a later piece than its time says.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hlhft.data.catalogue.manifest import Manifest

Range = tuple[int, int]  # of exchange time in ns: [from, to)

# What stamps its own receipt and sees every frame comes first; what was made of fills or an archive, last of the own.
RANKS = {"recorder": 0, "node": 1, "archive": 2, "fills": 2, "import": 3}


def owned(parts: Sequence[Manifest]) -> list[tuple[Range, ...]]:
    """For each part (all of one kind and coin) the stretches of exchange time that its input owns, ascending, apart.

    The result does not depend on the order of `parts`. Among inputs of one rank the one with the earlier name owns.
    """
    inputs: dict[tuple[str, str], list[Manifest]] = {}
    for part in parts:
        inputs.setdefault((part.source, part.origin), []).append(part)
    ranked = sorted(inputs.items(), key=lambda entry: (RANKS[entry[0][0]], _first_name(entry[1]), entry[0]))
    claims = [(begin, end, rank) for rank, (_, pieces) in enumerate(ranked) for begin, end in _claimed(pieces)]
    won = _won(claims, len(ranked))
    place = {identity: won[rank] for rank, (identity, _) in enumerate(ranked)}
    return [place[part.source, part.origin] for part in parts]


def clipped(ranges: Iterable[Range], begin_ns: int | None, end_ns: int | None) -> tuple[Range, ...]:
    """The parts of `ranges` within [begin_ns, end_ns)."""
    cut = (
        (begin if begin_ns is None else max(begin, begin_ns), end if end_ns is None else min(end, end_ns))
        for begin, end in ranges
    )
    return tuple((begin, end) for begin, end in cut if begin < end)


def touches(ranges: Sequence[Range], first_ns: int, last_ns: int) -> bool:
    """Whether any instant of [first_ns, last_ns], both inclusive, lies in `ranges`."""
    return any(begin <= last_ns and first_ns < end for begin, end in ranges)


def within(times: NDArray[np.int64], ranges: Sequence[Range]) -> NDArray[np.bool_]:
    """Which of `times` lie in `ranges` (ascending, apart), bool[n]."""
    bounds = np.array([bound for span in ranges for bound in span], dtype=np.int64)
    return np.asarray(np.searchsorted(bounds, times, side="right") % 2 == 1)


def _first_name(pieces: Iterable[Manifest]) -> tuple[str, str]:
    return min((piece.name, piece.date) for piece in pieces)


def _claimed(pieces: Iterable[Manifest]) -> list[Range]:
    """What an input answers for: all it covers less all its gaps."""
    covers, gaps = [], []
    for piece in pieces:
        covers.append(piece.covers)
        for gap in piece.gaps:
            # A gap lies between what was known last and next: the row that it begins at is there, if any was before.
            after = 1 if piece.rows and gap.from_ns >= piece.first_exch_ns else 0
            gaps.append((gap.from_ns + after, gap.to_ns))
    return _less(_joined(covers), _joined(gaps))


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """The union, ascending and apart."""
    out: list[Range] = []
    for begin, end in sorted(ranges):
        if begin >= end:
            continue
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def _less(ranges: list[Range], holes: list[Range]) -> list[Range]:
    """`ranges` without `holes`, both ascending and apart."""
    out: list[Range] = []
    first = 0
    for begin, end in ranges:
        while first < len(holes) and holes[first][1] <= begin:
            first += 1
        place = first
        while place < len(holes) and holes[place][0] < end:
            if begin < holes[place][0]:
                out.append((begin, holes[place][0]))
            begin = max(begin, holes[place][1])
            place += 1
        if begin < end:
            out.append((begin, end))
    return out


def _won(claims: list[tuple[int, int, int]], count: int) -> list[tuple[Range, ...]]:
    """By rank, where no better rank claims too. `claims` are (begin, end, rank), 0 the best."""
    won: list[list[Range]] = [[] for _ in range(count)]
    starting = sorted(claims, reverse=True)
    running: list[tuple[int, int]] = []
    for here, following in pairwise(sorted({bound for begin, end, _ in claims for bound in (begin, end)})):
        while starting and starting[-1][0] <= here:
            _, end, rank = starting.pop()
            heapq.heappush(running, (rank, end))
        while running and running[0][1] <= here:
            heapq.heappop(running)
        if running:
            mine = won[running[0][0]]
            if mine and mine[-1][1] == here:
                mine[-1] = (mine[-1][0], following)
            else:
                mine.append((here, following))
    return [tuple(ranges) for ranges in won]
