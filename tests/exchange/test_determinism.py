"""A seed and the requests decide everything: other processes, other hash seeds, the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INPUTS = "300"


def told(seed: int, hash_seed: str) -> list[str]:
    """What a process of its own prints."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.exchange.seeded_run", str(seed), INPUTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_two_processes_with_one_seed_give_the_same_bytes() -> None:
    first = told(3, "1")
    assert len(first) == 2
    assert first == told(3, "2")
    other = told(4, "1")
    assert not set(first) & set(other)
