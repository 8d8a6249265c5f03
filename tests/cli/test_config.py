"""`hlhft config`: what is shown loads back, what is wrong is said one sentence a fault, and the exit code tells."""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path

import click
import pytest

from hlhft import cli
from hlhft.cli import invoke
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import ExitCode
from hlhft.config.load import load
from hlhft.config.settings import Config
from hlhft.config.show import as_markdown

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HLHFT_LOG", raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_shown_as_a_file_that_is_in_order(tmp_path: Path, capsys: Capture) -> None:
    assert invoke(["config", "show"]) == ExitCode.OK
    path = written(tmp_path, capsys.readouterr().out)
    assert load(path, {}).config == Config()
    assert invoke(["config", "check", str(path)]) == ExitCode.OK
    assert capsys.readouterr() == (f"{path}: in order\n", "")


def test_a_file_s_settings_are_shown_with_their_origins(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[batch]\nwindow_ms = 5\nlegs_max = 9\n")
    monkeypatch.setenv("HLHFT__BATCH__LEGS_MAX", "7")
    assert invoke(["config", "show", str(path)]) == ExitCode.OK
    text = capsys.readouterr().out
    assert tomllib.loads(text)["batch"]["legs_max"] == 7
    assert f"from {path})\nwindow_ms = 5" in text.replace("\n# ", " ")
    assert "from environment variable HLHFT__BATCH__LEGS_MAX)\nlegs_max = 7" in text
    assert invoke(["config", "show", str(path), "--json"]) == ExitCode.OK
    facts = json.loads(capsys.readouterr().out)
    assert (facts["batch.window_ms"]["value"], facts["batch.window_ms"]["origin"]) == (5.0, str(path))
    assert facts["batch.busy_ms_max"]["origin"] == "default"


def test_the_tables_of_the_documentation(capsys: Capture) -> None:
    assert invoke(["config", "show", "--markdown"]) == ExitCode.OK
    assert capsys.readouterr().out == as_markdown()
    assert invoke(["config", "show", "--markdown", "--json"]) == ExitCode.USAGE
    assert "choose one of them" in capsys.readouterr().err


def test_a_wrong_file_is_shown_as_its_fault(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, "[risk]\ntick_to_trade_ms_max = 200\n")
    assert invoke(["config", "show", str(path)]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"hlhft: {path}: risk.tick_to_trade_ms_max is the mission's and can be tightened, never ")
    assert err.endswith("loosened: set at most 150, not 200\n")


def test_check_says_each_fault_of_the_file_in_a_sentence(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, "[risk]\nrejections = 1\nfeed_age_ms_max = '5'\n")
    assert invoke(["config", "check", str(path)]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 2)
    assert f"hlhft: {path}: section risk has no setting 'rejections', did you mean 'rejections_max'?\n" in err
    assert invoke(["config", "check", str(path), "--json"]) == ExitCode.USAGE
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_check_looks_at_what_the_settings_name(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[strategy]\nparams = { gama = 1 }\n")
    monkeypatch.setenv("HLHFT__BACKTEST__LATENCY", "-5")
    assert invoke(["config", "check", str(path)]) == ExitCode.USAGE
    first, second = capsys.readouterr().err.splitlines()
    assert first == (f"hlhft: {path}: strategy.params: strategy glft has no parameter 'gama', did you mean 'gamma'?")
    assert second.startswith("hlhft: environment variable HLHFT__BACKTEST__LATENCY: backtest.latency: ")
    monkeypatch.delenv("HLHFT__BACKTEST__LATENCY")
    path = written(tmp_path, "")
    assert invoke(["config", "check", str(path), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == []


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    for name in ("check", "show"):
        assert invoke(["config", name, str(tmp_path / "gone.toml")]) == ExitCode.USAGE
        assert capsys.readouterr().err.endswith("gone.toml: the file cannot be read: No such file or directory\n")


def test_the_schema(capsys: Capture) -> None:
    assert invoke(["config", "schema"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["$ref"] == "#/$defs/Config"


def test_logs_go_to_standard_error_with_the_levels_of_the_settings(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, '[log.modules]\n"hlhft.cli" = "info"\n')

    @click.command()
    def command() -> None:
        logger = logging.getLogger("hlhft.cli.test")
        logger.info("unheard")
        assert loaded_settings(path).config.log.modules == {"hlhft.cli": "info"}
        logger.info("password=%s", "hidden")

    monkeypatch.setattr(cli.main, "get_command", lambda ctx, name: command)
    assert invoke(["doctor"]) == ExitCode.OK
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "password=[redacted]"
    monkeypatch.setenv("HLHFT_LOG", "error")
    assert invoke(["doctor"]) == ExitCode.OK
    assert capsys.readouterr().err == ""
    assert logging.getLogger("hlhft").level == logging.NOTSET


def test_settings_are_read_without_a_command_line_around(tmp_path: Path) -> None:
    with click.Context(click.Command("any")):
        assert loaded_settings(None).config == Config()


def test_a_wrong_log_level_is_a_usage_error(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLHFT_LOG", "hlhft.live=inf")
    assert invoke(["config", "schema"]) == ExitCode.USAGE
    assert capsys.readouterr() == ("", "hlhft: HLHFT_LOG: 'inf' is no level, did you mean 'info'?\n")
