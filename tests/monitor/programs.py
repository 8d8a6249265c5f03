"""The real programs that tests of alerts run: Prometheus's and Alertmanager's own, from the system's packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
SECONDS_MAX = 120


def program(name: str) -> str:
    """Where the program is; skips loudly without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED against the real program: {name} is missing, which the package {PACKAGES[name]} has")
    return found


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The ended program with what it said, errors after the rest."""
    return subprocess.run(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
