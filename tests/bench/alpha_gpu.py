"""Networks on a GPU: what `alpha_models.py` measures on the processor, as a section of its own.

So that its figures stay, with their machine, where the others are measured anew on one that has no GPU.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.alpha_models import on_gpu
from tests.bench.figures import Figure


def gpu(recordings: Path | None, *, short: bool) -> list[Figure]:
    """The section; no figure without a GPU."""
    with tempfile.TemporaryDirectory() as scratch:
        return on_gpu(Path(scratch), short=short)
