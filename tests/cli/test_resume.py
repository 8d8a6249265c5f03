"""`hlhft resume` tells the engine, and never without a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.live.control import ControlServer
from tests.live.operated import Engine, serving


def test_the_engine_is_told_with_the_reason(tmp_path: Path) -> None:
    engine = Engine()
    with serving(ControlServer(tmp_path / "control.sock", engine)):
        assert invoke(["resume", "--socket", str(tmp_path / "control.sock"), "--reason", "the feed is mended"]) == 0
    assert engine.told == [("resume", "the feed is mended")]


def test_without_a_reason_nothing_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    with serving(ControlServer(tmp_path / "control.sock", engine)):
        assert invoke(["resume", "--socket", str(tmp_path / "control.sock")]) == ExitCode.USAGE
        assert "--reason" in capsys.readouterr().err
        assert invoke(["resume", "--socket", str(tmp_path / "control.sock"), "--reason", " "]) == ExitCode.ABSENT
        assert "a resume needs a reason" in capsys.readouterr().err
    assert engine.told == []
