"""Other programs, run with their output kept and their time bounded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hlhft.deploy.errors import StepError

SECONDS_MAX = 60.0
COMPLAINT_CHARACTERS_MAX = 300


def found(name: str) -> str:
    """The program's path: on PATH, or beside this Python, where packages install theirs. Raises StepError."""
    place = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if place is None:
        raise StepError(
            f"the program {name} is needed and was not found: install it, or use nix run .#deploy, which has it"
        )
    return place


def run(
    line: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS_MAX,
    shows: bool = False,
) -> bytes:
    """What the program writes to its standard output, once it has ended with 0. `stdin` is not shown, whatever fails.

    With `shows`, its complaints and how far it is go to the terminal. Raises StepError, else with the last of them.
    """
    try:
        done = subprocess.run(  # noqa: S603 - of this room's own lines
            [found(line[0]), *line[1:]], input=stdin, env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE, stderr=None if shows else subprocess.PIPE, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StepError(f"{line[0]} did not end within {seconds:g} s") from None
    if done.returncode != 0:
        raise StepError(f"{line[0]} ended with exit code {done.returncode}: {_complaint(done.stderr or b'')}")
    return done.stdout


def watched(line: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: float) -> None:
    """Runs a program that shows itself what it does, as on a terminal. Raises StepError."""
    try:
        done = subprocess.run(  # noqa: S603 - of this room's own lines
            [found(line[0]), *line[1:]], env={**os.environ, **(environment or {})}, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"{line[0]} did not end within {seconds:g} s") from None
    if done.returncode != 0:
        raise StepError(f"{line[0]} ended with exit code {done.returncode}; what it wrote above says why")


def _complaint(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:COMPLAINT_CHARACTERS_MAX] if lines else "what it wrote above says why"
