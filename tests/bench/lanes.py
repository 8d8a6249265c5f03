"""A sweep of 64 parameter sets in one pass, per set, against single runs of the rival."""

from __future__ import annotations

from pathlib import Path

from tests.bench.figures import Figure


def lanes(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures."""
    return []
