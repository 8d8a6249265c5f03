"""The flake's outputs as values, evaluated by the program that HLHFT_NIX_CHECK names.

PROGRAM FOLDER eval ATTRIBUTE prints one attribute as JSON; where it cannot, it ends with another code and says why.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "HLHFT_NIX_CHECK"
SECONDS_MAX = 90


class EvaluationError(RuntimeError):
    """An attribute that cannot be evaluated; the message is the evaluator's."""


def require_evaluator() -> str:
    """The program's path; skips loudly where there is none."""
    program = os.environ.get(VARIABLE, "")
    if not program:
        pytest.skip(f"NOT EVALUATED: the NixOS modules and the flake, as {VARIABLE} names no evaluator")
    assert Path(program).is_file(), f"{VARIABLE} names {program}, which is no file"
    return program


@functools.cache
def evaluated(attribute: str) -> Any:
    """The attribute's value. Raises EvaluationError."""
    command = ["bash", require_evaluator(), str(ROOT), "eval", attribute]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise EvaluationError(done.stderr)
    return json.loads(done.stdout)


def manifest(host: str) -> Any:
    """Units, files and settings of one of the flake's hosts."""
    return evaluated(f"nixosConfigurations.{host}.manifest")
