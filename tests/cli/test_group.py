"""Commands are imported when they run and not before; wrong names are answered with the right one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hlhft.cli import COMMANDS, invoke, main
from hlhft.cli.errors import ExitCode
from hlhft.cli.group import LazyGroup


def test_help_lists_every_command_and_imports_none(repository: Path) -> None:
    script = (
        "import sys\n"
        "from hlhft.cli import invoke\n"
        "code = invoke(['--help'])\n"
        "assert not {'numba', 'numpy', 'plotly'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert f"\n  {name}" in result.stdout


@pytest.mark.parametrize(("said", "meant"), [("bactest", "backtest"), ("swep", "sweep"), ("configure", "config")])
def test_an_unknown_command_suggests_the_nearest(said: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([said]) == ExitCode.USAGE
    assert capsys.readouterr().err == f"hlhft: No such command '{said}': did you mean '{meant}'? (see hlhft --help)\n"


def test_an_unknown_command_without_a_near_one_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["zzz"]) == ExitCode.USAGE
    assert "known are demo, backtest, sweep," in capsys.readouterr().err


def test_a_command_that_is_not_installed_is_a_usage_error() -> None:
    group = LazyGroup(name="g", package="hlhft.cli", summaries={"not_written": "Nothing."})
    result = CliRunner().invoke(group, ["not_written"])
    assert result.exit_code == ExitCode.USAGE
    assert "not part of this installation" in result.output


def test_a_missing_library_is_not_taken_for_a_missing_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_folder_of_commands").mkdir()
    (tmp_path / "a_folder_of_commands" / "needy.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    group = LazyGroup(name="g", package="a_folder_of_commands", summaries={"needy": "Needs much."})
    with pytest.raises(ModuleNotFoundError, match="a_library_that_nobody_has"):
        group.get_command(click.Context(group), "needy")


def test_a_module_without_a_command_is_an_error() -> None:
    group = LazyGroup(name="g", package="hlhft.cli", summaries={"errors": "No command."})
    with pytest.raises(AttributeError):
        group.get_command(click.Context(group), "errors")


def test_a_loaded_command_carries_its_line_of_the_table() -> None:
    command = main.get_command(click.Context(main), "doctor")  # type: ignore[attr-defined]
    assert command.short_help == COMMANDS["doctor"]


def test_completion_offers_names_and_options() -> None:
    context = click.Context(main)
    assert [item.value for item in main.shell_complete(context, "co")] == ["config", "completion"]
    assert "--debug" in [item.value for item in main.shell_complete(context, "--d")]


def test_the_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([]) == ExitCode.USAGE
    assert "Commands:" in capsys.readouterr().err


def test_debug_shows_where_a_refusal_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--debug", "completion", "tcsh"]) == ExitCode.USAGE
    assert "Traceback" in capsys.readouterr().err


def test_every_command_explains_itself() -> None:
    for name in COMMANDS:
        assert invoke([name, "--help"]) == ExitCode.OK, name
