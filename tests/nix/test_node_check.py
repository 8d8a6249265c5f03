"""A program is accepted when it is signed with the one pinned key, and not otherwise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "nixos" / "files" / "node_check.py"
pytestmark = pytest.mark.nix


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A signed program, the key that it is signed with, and another."""
    if shutil.which("gpg") is None:
        pytest.skip("NOT TESTED: gpg is not installed")
    folder = tmp_path_factory.mktemp("g")
    program = folder / "hl-visor"
    program.write_bytes(b"a program")
    for name in ("venue", "other"):
        home = folder / name
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        subprocess.run(
            [*gpg, "--quick-generate-key", f"{name}@example.org", "ed25519"], check=True, capture_output=True
        )
        subprocess.run([*gpg, "--armor", "--output", str(folder / f"{name}.asc"), "--export"], check=True)
        if name == "venue":
            subprocess.run([*gpg, "--armor", "--detach-sign", str(program)], check=True, capture_output=True)
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return program, folder / "venue.asc", folder / "other.asc"


def check(program: Path, key: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(program), str(key)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_signed_with_the_pinned_key(keys: tuple[Path, Path, Path]) -> None:
    program, venue, _ = keys
    done = check(program, venue)
    assert done.returncode == 0, done.stderr


def test_signed_with_another_key(keys: tuple[Path, Path, Path]) -> None:
    program, _, other = keys
    done = check(program, other)
    assert done.returncode == 1
    assert f"it is not signed with {other}; it is not started" in done.stderr


def test_changed_after_it_was_signed(keys: tuple[Path, Path, Path], tmp_path: Path) -> None:
    program, venue, _ = keys
    changed = tmp_path / "hl-visor"
    changed.write_bytes(b"another program")
    shutil.copy(f"{program}.asc", f"{changed}.asc")
    assert check(changed, venue).returncode == 1


def test_without_signature(tmp_path: Path, keys: tuple[Path, Path, Path]) -> None:
    program = tmp_path / "hl-visor"
    program.touch()
    done = check(program, keys[1])
    assert done.returncode == 1
    assert "hl-visor.asc: there is no such file" in done.stderr
