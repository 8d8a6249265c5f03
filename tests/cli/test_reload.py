"""`hlhft reload` says what is in force now and what was left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.live.control import ControlServer, Reloaded
from tests.live.operated import Engine, serving


@pytest.mark.parametrize(
    ("reloaded", "code", "out", "err"),
    [
        (
            Reloaded(is_done=True, sentence="1 setting changed", applied=("log.level",)),
            ExitCode.OK,
            "in force: log.level\n1 setting changed\n",
            "",
        ),
        (
            Reloaded(is_done=True, sentence="1 setting changed", applied=("log.level",), refused=("engine.cpu: why",)),
            ExitCode.USAGE,
            "in force: log.level\nleft: engine.cpu: why\n",
            "hlhft: 1 setting changed; restart the engine for what it left\n",
        ),
        (
            Reloaded(is_done=False, sentence="a.toml: not TOML"),
            ExitCode.USAGE,
            "",
            "hlhft: nothing was taken: a.toml: not TOML\n",
        ),
    ],
)
def test_what_was_taken_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reloaded: Reloaded, code: ExitCode, out: str, err: str
) -> None:
    engine = Engine()
    engine.reloaded = reloaded
    with serving(ControlServer(tmp_path / "control.sock", engine)):
        assert invoke(["reload", "--socket", str(tmp_path / "control.sock")]) == code
        assert capsys.readouterr() == (out, err)
        assert invoke(["reload", "--socket", str(tmp_path / "control.sock"), "--json"]) == code
        assert json.loads(capsys.readouterr().out)["applied"] == list(reloaded.applied)
