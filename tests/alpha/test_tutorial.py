"""The tutorial's practice run does what the tutorial says, from the bundled recording to a card."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alpha

ROOT = Path(__file__).resolve().parents[2]
PRACTICE = re.compile(r"<!-- tests/alpha/test_tutorial.py [^\n]*-->\n```console\n(.*?)```", re.DOTALL)
SECONDS_MAX = 300


def practice() -> list[list[str]]:
    """The commands of the practice run, without their first word."""
    (block,) = PRACTICE.findall((ROOT / "docs" / "alpha.md").read_text())
    commands = [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]
    assert all(command[0] == "hlhft" for command in commands)
    return [command[1:] for command in commands]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the practice run were run, in their order; each exited with 0."""
    folder = tmp_path_factory.mktemp("practice")
    (folder / "hlhft").symlink_to(ROOT / "hlhft")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for command in practice():
        done = subprocess.run(
            [sys.executable, "-m", "hlhft", *command],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"hlhft {' '.join(command)}\n{done.stderr[-2_000:]}"
        (folder / f"{command[0]}.txt").write_text(done.stdout)
    return folder


def test_it_goes_from_a_recording_to_a_card(folder: Path) -> None:
    card = json.loads((folder / "runs/practice/model/card.json").read_text())
    assert card["verdict"].startswith("Cannot tell: a claim takes 20 test days") and card["weight"] == 0
    assert set(card["model"]["ranges"]) == {"train", "stop", "calibrate", "test"}
    page = (folder / "runs/practice/model/card.html").read_text()
    assert "Cannot tell" in page


def test_every_look_at_the_test_is_in_the_log(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "runs/trials.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines].count("opened") == 2
    assert "Cannot tell" in (folder / "evaluate.txt").read_text()


def test_what_was_learned_from_these_minutes_is_stamped(folder: Path) -> None:
    assert "IN-SAMPLE" in (folder / "backtest.txt").read_text()
    assert "IN-SAMPLE" in (folder / "runs/practice/backtest/report.html").read_text()
