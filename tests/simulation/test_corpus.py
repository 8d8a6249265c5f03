"""Runs that broke once do not break again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hlhft.simulation.run import run
from hlhft.simulation.time import SECOND

CORPUS = Path(__file__).with_name("corpus.txt")
SLOW_SECONDS = 600  # a longer run is marked so


def entries() -> list[Any]:
    lines = [line.split() for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    runs = [(int(seed), int(seconds)) for seed, seconds in lines]
    return [pytest.param(*run, marks=[pytest.mark.slow] if run[1] > SLOW_SECONDS else []) for run in runs]


@pytest.mark.parametrize(("seed", "seconds"), entries())
def test_what_broke_once_holds(seed: int, seconds: int) -> None:
    outcome = run(seed, seconds * SECOND)
    assert outcome.violation is None
    assert outcome.actions > 0
