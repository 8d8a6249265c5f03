"""`hlhft run`: how it ends is said in one sentence and an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hlhft.cli import run as runs
from hlhft.cli.config import set_levels as set_levels_of_the_command
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.hyperliquid.supervisor_events import Exit, Halt, HaltCause, Verdict
from hlhft.live import running
from tests.live.samples import full_status

HALT = Halt(HaltCause.BREAKER, "breaker drawdown tripped", 4, 2)


@pytest.mark.parametrize(
    ("ended", "code", "part"),
    [
        (Exit(Verdict.EMPTY, None), ExitCode.OK, ""),
        (Exit(Verdict.UNSTARTED, None), ExitCode.OK, ""),
        (Exit(Verdict.EMPTY, HALT), ExitCode.HALTED, "breaker drawdown tripped"),
        (Exit(Verdict.EMPTY, None, "AssertionError: x"), ExitCode.FAILURE, "the engine failed: AssertionError: x"),
        (Exit(Verdict.NOT_EMPTY, HALT, "y"), ExitCode.ORDERS_LEFT, "may be left at the venue (y); run hlhft watchdog"),
    ],
)
def test_the_end_is_told_by_sentence_and_code(
    ended: Exit, code: ExitCode, part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def run_engine(loaded: Any, environment: Any, file: Any, *, is_paper: bool, on_ready: Any, set_levels: Any) -> Exit:
        assert on_ready is None and set_levels is set_levels_of_the_command
        asked.append((file, is_paper))
        return ended

    monkeypatch.setattr(running, "run_engine", run_engine)
    path = tmp_path / "config.toml"
    path.write_text('[strategy]\nname = "glft"\n')
    done = CliRunner().invoke(runs.command, ["--config", str(path), "--json", "--paper"], standalone_mode=False)
    assert asked == [(path, True)]
    assert json.loads(done.stdout)["verdict"] == ended.verdict.name.lower()
    if code is ExitCode.OK:
        assert done.return_value == ExitCode.OK
    else:
        assert isinstance(done.exception, CommandError)
        assert done.exception.exit_code is code
        assert part in str(done.exception)


def test_the_end_is_one_line_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run_engine", lambda *_, **__: Exit(Verdict.EMPTY, None))
    done = CliRunner().invoke(runs.command, [], standalone_mode=False)
    assert done.stdout == "Ended         the venue has no order of ours, and can get none any more\n"


def test_it_says_what_it_trades_and_how_to_look_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    class Engine:
        def status(self) -> Any:
            return full_status(is_paper=False)

    runs.introduce(Engine())
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Trading       BTC, ETH with glft"
    assert "local, http://127.0.0.1:3001, account 0xab" in told[1] and "session 12" in told[1]
    assert "hlhft status --watch" in told[2]


def test_without_markets_or_a_key_it_does_not_start(tmp_path: Path) -> None:
    done = CliRunner().invoke(runs.command, [], standalone_mode=False)
    assert done.exception is not None
    assert "engine.coins names no market" in str(done.exception)
    path = tmp_path / "config.toml"
    path.write_text(f'[engine]\ncoins = ["BTC"]\nstate_folder = "{tmp_path}"\n')
    done = CliRunner().invoke(runs.command, ["--config", str(path)], standalone_mode=False)
    assert "account.key_file is not set" in str(done.exception)
