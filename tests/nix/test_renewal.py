"""A unit is restarted when its process is of another generation, and else left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "nixos" / "files" / "renewal.py"


@pytest.fixture
def old() -> Iterator[int]:
    """A process of generation `old`, by its id."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], env={"HLHFT_GENERATION": "old"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def renew(folder: Path, pid: int, wanted: str) -> tuple[str, list[str]]:
    """What it says, and what else than `show` it asks the manager for."""
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\n[ "$1" = show ] && echo {pid} || echo "$@" >> {folder}/told\n')
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = [sys.executable, str(PROGRAM), "a.service", wanted]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = folder / "told"
    return done.stdout.strip(), told.read_text().splitlines() if told.exists() else []


def test_another_generation_is_restarted(tmp_path: Path, old: int) -> None:
    assert renew(tmp_path, old, "new") == ("a.service is of generation old: it is restarted", ["restart a.service"])


def test_the_same_generation_is_left_alone(tmp_path: Path, old: int) -> None:
    assert renew(tmp_path, old, "old") == ("a.service is of this generation", [])


def test_a_unit_that_does_not_run_is_left_alone(tmp_path: Path) -> None:
    assert renew(tmp_path, 0, "new") == ("a.service does not run", [])
