"""`hlhft halt` tells the engine, with the reason."""

from __future__ import annotations

from pathlib import Path

from hlhft.cli import invoke
from hlhft.live.control import ControlServer
from tests.live.operated import Engine, serving


def test_the_engine_is_told_with_the_reason_or_without(tmp_path: Path) -> None:
    engine = Engine()
    with serving(ControlServer(tmp_path / "control.sock", engine)):
        assert invoke(["halt", "--socket", str(tmp_path / "control.sock"), "--reason", "news at noon"]) == 0
        assert invoke(["halt", "--socket", str(tmp_path / "control.sock")]) == 0
    assert engine.told == [("halt", "news at noon"), ("halt", "")]
