"""Runs that broke once do not break again, whatever their seeds draw today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hlhft.simulation.past import Past, read_runs
from hlhft.simulation.run import run
from hlhft.simulation.time import SECOND

CORPUS = Path(__file__).with_name("corpus.txt")
SLOW_SECONDS = 600  # a longer run is marked so


def entries() -> list[Any]:
    return [
        pytest.param(
            past,
            id=f"{past.seed}-{past.span_ns // SECOND}",
            marks=[pytest.mark.slow] if past.span_ns > SLOW_SECONDS * SECOND else [],
        )
        for past in read_runs(CORPUS.read_text())
    ]


@pytest.mark.parametrize("past", entries())
def test_what_broke_once_holds(past: Past) -> None:
    outcome = run(past.seed, past.span_ns, past.faults, settings=past.settings)
    assert outcome.violation is None
    assert outcome.actions > 0 and outcome.faults
