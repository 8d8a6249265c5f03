"""A skip that nobody allowed fails the session where HLHFT_STRICT_SKIPS is 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "plain": "import pytest\n\ndef test_it():\n    pytest.skip('no reason')\n",
    "recordings": "def test_it(recordings):\n    assert recordings\n",
    "module": "import pytest\n\npytest.skip('all of it', allow_module_level=True)\n",
}
MARKED = "import pytest\n\n@pytest.mark.gpu\ndef test_it():\n    pytest.skip('no GPU')\n"
PASSING = "\n\ndef test_that_passes():\n    assert True\n"


def run(folder: Path, repository: Path, source: str, *, strict: bool) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((repository / "tests" / "conftest.py").read_text())
    (folder / "pyproject.toml").write_text((repository / "pyproject.toml").read_text())
    (folder / "test_other.py").write_text(PASSING)
    (folder / "test_example.py").write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HLHFT_", "PYTEST_"))}
    environment["HLHFT_STRICT_SKIPS"] = str(int(strict))
    environment["PYTHONPATH"] = str(repository)  # where the plugins are that it names
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "."]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
def test_a_skip_fails_a_strict_session(tmp_path: Path, repository: Path, source: str) -> None:
    result = run(tmp_path, repository, source, strict=True)
    assert result.returncode == 1, result.stdout
    assert "which counts as failed" in result.stdout
    assert "test_example.py" in result.stdout


def test_a_skip_passes_otherwise_and_says_why(tmp_path: Path, repository: Path) -> None:
    result = run(tmp_path, repository, SKIPS["recordings"], strict=False)
    assert result.returncode == 0, result.stdout
    assert "NOT TESTED on real order flow" in result.stdout


def test_a_marked_test_may_skip_in_a_strict_session(tmp_path: Path, repository: Path) -> None:
    result = run(tmp_path, repository, MARKED, strict=True)
    assert result.returncode == 0, result.stdout + result.stderr
