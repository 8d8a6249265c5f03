"""docs/data.md: its commands run as they stand, and its table names every form that a reader knows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hlhft.cli import Options, invoke
from hlhft.cli.data import command
from hlhft.cli.errors import ExitCode
from hlhft.data.catalogue.manifest import GAP_REASONS
from hlhft.data.holdings import NO_PART
from tests.cli.data.running import Captured
from tests.data.making import write
from tests.data.synthetic import clean_log
from tests.exchange.node_sample import write_sample

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "data.md"


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_its_commands_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HLHFT_DATA_CATALOGUE", raising=False)
    write(tmp_path / "log.gz", clean_log(90))
    write_sample(tmp_path / "node", seed=3, blocks=40)
    for line in commands():
        program, *arguments = shlex.split(line)
        assert program == "hlhft"
        assert invoke(arguments, options=Options()) == ExitCode.OK, line
        assert capsys.readouterr().err == "", line
    assert {"catalog", "minute.html", "BTC.npz"} <= {path.name for path in tmp_path.iterdir()}


def test_it_shows_every_command_and_every_reason() -> None:
    text = DOCUMENT.read_text()
    assert {line.split()[2] for line in commands()} == set(command.commands)
    assert all(f"`{reason}`" in text for reason in (*GAP_REASONS, NO_PART))
