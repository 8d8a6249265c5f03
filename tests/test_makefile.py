"""The Makefile sets itself up once, names what is missing in one sentence, and installs nothing inside a Nix shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = ("Makefile", "pyproject.toml", "constraints.txt")

# Interpreters that stand for a machine: each answers `-V` and `-c SCRIPT` by what the script asks for.
OLD = """#!/bin/sh
case "$2" in *version_info*) exit 1 ;; esac
[ "$1" = -V ] && echo "Python 3.9.2"
exit 0
"""
WITHOUT_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; esac
exit 0
"""
# Makes a folder that looks like an environment; every pip call is written down, and fails when it is told to.
WORKING = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p .venv/bin && cp "$0" .venv/bin/python
elif [ "$1 $2" = "-m pip" ]; then
  echo "$*" >> pip-calls
  [ ! -e no-network ] || { echo "no route to host" >&2; exit 1; }
elif [ "$1" = -c ] && [ "$2" = "import pip" ]; then
  [ -e .venv/bin/python ]
fi
"""


def checkout(folder: Path, interpreter: str | None) -> Path:
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    program = folder / "a-python"
    if interpreter is not None:
        program.write_text(interpreter)
        program.chmod(0o755)
    return program


def make(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    dropped = {"IN_NIX_SHELL", "MAKEFLAGS", "MAKELEVEL", "PYTHON"}
    environment = {name: value for name, value in os.environ.items() if name not in dropped} | extra
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("interpreter", "sentence"),
    [
        (None, "was not found: install the system packages python3 (3.11 or newer) and python3-venv"),
        (OLD, "is Python 3.9.2, and Python 3.11 or newer is needed"),
        (WITHOUT_VENV, "cannot make virtual environments: install the system package python3-venv"),
    ],
)
def test_what_is_missing_is_named_in_one_sentence(tmp_path: Path, interpreter: str | None, sentence: str) -> None:
    program = checkout(tmp_path, interpreter)
    result = make(tmp_path, "test", f"PYTHON={program}")
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1
    assert sentence in said[0]
    assert not (tmp_path / ".venv").exists()


def test_packages_are_installed_once_and_again_when_their_list_changes(tmp_path: Path) -> None:
    program = checkout(tmp_path, WORKING)
    assert make(tmp_path, "install", f"PYTHON={program}").returncode == 0
    calls = (tmp_path / "pip-calls").read_text().splitlines()
    assert calls
    assert all("-c constraints.txt" in call for call in calls)
    # From now on there is no network, and nothing needs it.
    (tmp_path / "no-network").touch()
    assert make(tmp_path, "install", f"PYTHON={program}").returncode == 0
    assert (tmp_path / "pip-calls").read_text().splitlines() == calls
    (tmp_path / "constraints.txt").write_text("click==8.2.0\n")
    result = make(tmp_path, "install", f"PYTHON={program}")
    assert result.returncode != 0
    assert "the packages could not be installed" in result.stderr
    # A failed installation is not taken for a finished one.
    (tmp_path / "no-network").unlink()
    before = (tmp_path / "pip-calls").read_text()
    assert make(tmp_path, "install", f"PYTHON={program}").returncode == 0
    assert (tmp_path / "pip-calls").read_text() != before


def test_inside_a_nix_shell_nothing_is_installed(tmp_path: Path) -> None:
    checkout(tmp_path, None)
    result = make(tmp_path, "--dry-run", "demo", "test", "lint", "types", "install", IN_NIX_SHELL="impure")
    assert result.returncode == 0, result.stderr
    assert "pip" not in result.stdout
    assert ".venv" not in result.stdout
    assert "python3 -m hlhft demo" in result.stdout


def test_help_is_the_default_and_lists_the_targets(tmp_path: Path) -> None:
    checkout(tmp_path, None)
    result = make(tmp_path)
    assert result.returncode == 0
    listed = {line.split()[1] for line in result.stdout.splitlines()}
    assert {"help", "install", "demo", "test", "coverage", "bench", "lint", "types", "format", "clean"} <= listed
