"""The completion scripts are accepted by their shells and answer with hlhft's own commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.completion import SHELLS
from hlhft.cli.errors import ExitCode


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", shell]) == ExitCode.OK
    script = capsys.readouterr().out
    assert "_HLHFT_COMPLETE" in script
    interpreter = shutil.which(shell)
    if interpreter is not None:
        subprocess.run([interpreter, "-n"], input=script, text=True, check=True)


def test_an_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["completion", "tcsh"]) == ExitCode.USAGE
    assert "is not one of" in capsys.readouterr().err


def test_the_program_answers_the_script(repository: Path) -> None:
    asked = {"_HLHFT_COMPLETE": "bash_complete", "COMP_WORDS": "hlhft ba", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "hlhft"],
        cwd=repository,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["plain,backtest"]
