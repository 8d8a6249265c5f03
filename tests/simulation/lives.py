"""Worlds for tests: a run under a plan, looked into at given times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hlhft.simulation.faults import read_plan
from hlhft.simulation.run import Run
from hlhft.simulation.settings import DEFAULT, RunSettings
from hlhft.simulation.time import SECOND
from hlhft.simulation.world import World

Look = Callable[[World], Any]


def lived(
    folder: Path,
    plan: str,
    *,
    seconds: float,
    looks: Mapping[float, Look],
    seed: int = 3,
    settings: RunSettings = DEFAULT,
) -> tuple[Run, list[Any]]:
    """A whole run, in which no promise breaks, and what was seen at those seconds after its start, in their order.

    Raises Violation."""
    run = Run(seed, folder, read_plan(plan), settings)
    world = run.world
    start_ns, seen = world.time.now_ns, []
    for at_s in sorted(looks):
        world.time.at(start_ns + round(at_s * SECOND), lambda look=looks[at_s]: seen.append(look(world)))
    run.live(round(seconds * SECOND))
    assert len(seen) == len(looks), "the run was too short to look"
    return run, seen
