"""One sentence and the documented exit code for everything that can go wrong; a complete table of declared errors."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hlhft.cli import errors
from hlhft.cli.errors import CommandError, ExitCode, describe, handled_errors, report, report_internal_failure
from hlhft.units import UnitsError

CASES = {
    "command": (CommandError("the run halted", ExitCode.HALTED), "the run halted", ExitCode.HALTED),
    "usage": (click.UsageError("Missing argument."), "Missing argument. (see hlhft --help)", ExitCode.USAGE),
    "file": (click.FileError("a.gz", "gone"), "Could not open file 'a.gz': gone", ExitCode.DATA),
    "click": (click.ClickException("odd"), "odd", ExitCode.FAILURE),
    "abort": (click.Abort(), "interrupted", ExitCode.INTERRUPTED),
    "declared": (UnitsError("BTC price: 'x' is not a number"), "BTC price: 'x' is not a number", ExitCode.DATA),
    "missing": (FileNotFoundError(errno.ENOENT, "No such file", "a.gz"), "a.gz: No such file", ExitCode.DATA),
    "full": (
        OSError(errno.ENOSPC, "No space left", "out"),
        "out: nothing more can be written (No space left), make room or name a place with room",
        ExitCode.FAILURE,
    ),
    "full, nameless": (
        OSError(errno.ENOSPC, "No space left"),
        "nothing more can be written (No space left), make room or name a place with room",
        ExitCode.FAILURE,
    ),
    "nameless": (OSError(errno.EIO, "Input/output error"), "Input/output error", ExitCode.FAILURE),
    "module": (
        ModuleNotFoundError("No module named 'torch'", name="torch"),
        "the Python package torch is needed here and is not installed",
        ExitCode.FAILURE,
    ),
}


@pytest.mark.parametrize(("error", "sentence", "code"), CASES.values(), ids=CASES)
def test_sentence_and_code(error: BaseException, sentence: str, code: ExitCode) -> None:
    assert isinstance(error, handled_errors())
    assert describe(error) == (sentence, code)


def test_an_undeclared_error_is_not_handled() -> None:
    assert not isinstance(KeyError("x"), handled_errors())
    with pytest.raises(TypeError, match="KeyError is not an error"):
        describe(KeyError("x"))


def test_a_subclass_of_a_declared_error_inherits_its_code() -> None:
    class Finer(UnitsError):
        pass

    assert describe(Finer("finer")) == ("finer", ExitCode.DATA)


def test_report_writes_one_line_and_a_traceback_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    error = CommandError("first\n  second", ExitCode.DATA)
    assert report(error, debug=False) == ExitCode.DATA
    assert capsys.readouterr().err == "hlhft: first second\n"
    assert report(error, debug=True) == ExitCode.DATA
    shown = capsys.readouterr().err
    assert "CommandError" in shown
    assert shown.endswith("hlhft: first second\n")


def test_every_exit_code_has_a_meaning() -> None:
    assert set(errors.MEANING) == set(ExitCode)


def test_the_hook_names_an_internal_failure(capsys: pytest.CaptureFixture[str]) -> None:
    report_internal_failure(lambda: False)(KeyError, KeyError("depth"), None)
    assert "internal failure, KeyError: 'depth'" in capsys.readouterr().err
    report_internal_failure(lambda: True)(KeyError, KeyError("depth"), None)
    assert capsys.readouterr().err.startswith("KeyError")
    report_internal_failure(lambda: False)(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "hlhft: interrupted\n"


def declared_in(path: Path, module: str) -> set[str]:
    """Full names of the exception classes that a source file declares, judged by their bases' names."""
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    bases = {node.name: [ast.unparse(base) for base in node.bases] for node in classes}
    return {
        f"{module}.{name}"
        for name, parents in bases.items()
        if any(parent.endswith(("Error", "Exception", "Warning")) for parent in parents)
    }


def test_every_declared_exception_has_an_exit_code(repository: Path) -> None:
    found: set[str] = set()
    for path in sorted((repository / "hlhft").rglob("*.py")):
        module = ".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__")
        found |= declared_in(path, module)
    found -= {"hlhft.cli.errors.CommandError"}
    assert found == set(errors.DECLARED), "hlhft/cli/errors.py: DECLARED must name every exception that hlhft declares"


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_an_internal_failure_ends_the_process_with_one_sentence(repository: Path) -> None:
    script = (
        "import hlhft.cli.doctor as d, sys\n"
        "from hlhft.cli import console\n"
        "d.command.callback = lambda **_: {}['nothing']\n"
        "console()\n"
    )
    result = python("-c", script, "doctor", cwd=repository)
    assert result.returncode == ExitCode.FAILURE
    assert result.stderr.count("\n") == 1
    assert "internal failure, KeyError: 'nothing'" in result.stderr
    result = python("-c", script, "--debug", "doctor", cwd=repository)
    assert result.returncode == ExitCode.FAILURE
    assert "Traceback" in result.stderr


def test_an_interrupted_command_says_so(repository: Path) -> None:
    script = (
        "import hlhft.cli.doctor as d, os, signal\n"
        "from hlhft.cli import console\n"
        "d.command.callback = lambda **_: os.kill(os.getpid(), signal.SIGINT)\n"
        "console()\n"
    )
    result = python("-c", script, "doctor", cwd=repository)
    assert result.returncode == ExitCode.INTERRUPTED
    assert result.stderr.strip() == "hlhft: interrupted"


def test_a_reader_that_goes_away_is_no_traceback(repository: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        result = subprocess.run(
            [sys.executable, "-m", "hlhft", "completion", "bash"],
            cwd=repository,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (ExitCode.FAILURE, "")
