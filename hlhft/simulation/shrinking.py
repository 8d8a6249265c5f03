"""Makes a failing plan small: removes faults while the same promise still breaks (delta debugging, Zeller 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hlhft.simulation.faults import Fault

RUNS_MAX = 200  # that one shrinking tries

Fails = Callable[[Sequence[Fault]], bool]


def shrink(plan: Sequence[Fault], fails: Fails, *, runs_max: int = RUNS_MAX) -> tuple[Fault, ...]:
    """A part of `plan` that still fails and of which no fault can be left out, unless `runs_max` ran out before.

    `fails` runs a plan and says whether it fails as the whole one did; `plan` itself is taken to.
    """
    kept, parts, left = tuple(plan), 2, runs_max
    if left and kept and fails(()):
        return ()
    while len(kept) > 1 and left > 0:
        parts = min(parts, len(kept))
        for start, end in _bounds(len(kept), parts):
            rest = kept[:start] + kept[end:]
            left -= 1
            if fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
            if left <= 0:
                break
        else:
            if parts == len(kept):
                break
            parts = min(2 * parts, len(kept))
    return kept


def _bounds(count: int, parts: int) -> list[tuple[int, int]]:
    """Where each of so many parts begins and ends."""
    return [(count * part // parts, count * (part + 1) // parts) for part in range(parts)]
