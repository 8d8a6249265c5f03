"""Which engine is meant, and what a command does with its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.live.control import ControlServer
from tests.live.operated import Engine, serving


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def socket(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    place = tmp_path / "control.sock"
    with serving(ControlServer(place, engine)):
        yield place


def test_the_engine_is_found_by_its_socket_its_settings_or_its_folder(
    socket: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "engine.toml"
    settings.write_text(f"[engine]\nstate_folder = '{socket.parent}'\n")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert invoke(["halt", "--socket", str(socket)]) == 0
    assert invoke(["halt", "--config", str(settings)]) == 0
    assert invoke(["halt"]) == ExitCode.ABSENT
    monkeypatch.setenv("HLHFT__ENGINE__CONTROL_SOCKET", str(socket))
    assert invoke(["halt"]) == 0
    assert len(engine.told) == 3


def test_the_engine_s_sentence_is_printed_or_all_of_its_answer(
    socket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["halt", "--socket", str(socket)]) == 0
    assert capsys.readouterr() == ("halt done\n", "")
    assert invoke(["halt", "--socket", str(socket), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"is_done": True, "sentence": "halt done"}


def test_a_refusal_is_a_failure_with_the_reason(
    socket: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.refuses = True
    assert invoke(["halt", "--socket", str(socket)]) == ExitCode.ABSENT
    assert capsys.readouterr() == ("", "hlhft: the engine did not: halt refused\n")
    assert invoke(["halt", "--socket", str(socket), "--json"]) == ExitCode.ABSENT
    assert json.loads(capsys.readouterr().out)["is_done"] is False


def test_without_an_engine_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "control.sock"
    for command in (["status"], ["halt"], ["flatten"], ["reload"], ["resume", "--reason", "mended"]):
        assert invoke([*command, "--socket", str(place)]) == ExitCode.ABSENT
        said = capsys.readouterr()
        assert said == ("", f"hlhft: no engine runs here: nobody answers at {place}; name another with --socket\n")
