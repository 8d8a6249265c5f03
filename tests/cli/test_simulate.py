"""The command: exit codes, what it prints, and that a violation can be repeated with what it prints."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.cli.simulate import NOT_SIMULATED
from hlhft.simulation import running
from hlhft.simulation.judge import Judge, Promise, Violation
from hlhft.simulation.past import settings_text
from hlhft.simulation.run import Outcome
from hlhft.simulation.settings import DEFAULT, RunSettings, drawn
from hlhft.simulation.tally import read

Output = pytest.CaptureFixture[str]
COMMON = ("simulate", "--jobs", "1", "--hours", "0.003")


def breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise breaks whenever an engine is killed."""

    def ends(self: Judge, process: object) -> None:
        raise Violation(Promise.LATCH, "a test")

    monkeypatch.setattr(Judge, "ends", ends)


def test_runs_without_a_violation(tmp_path: Path, capsys: Output) -> None:
    tally = tmp_path / "tally.jsonl"
    for first in ("1", "3"):
        assert invoke([*COMMON, "--seeds", "2", "--first", first, "--tally", str(tally)]) == ExitCode.OK
        told = capsys.readouterr().out
        assert f"2 runs from seed {first}" in told and "promises broken: 0" in told
    entries = read(tally)
    assert [(entry.first_seed, entry.seeds, entry.violations) for entry in entries] == [(1, 2, []), (3, 2, [])]
    assert entries[0].revision == entries[1].revision != ""


def test_an_interrupt_says_so_and_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = running.outcomes

    def until_ctrl_c(*arguments: Any, **named: Any) -> Iterator[Outcome]:
        yield next(whole(*arguments, **named))
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "outcomes", until_ctrl_c)
    tally = tmp_path / "tally.jsonl"
    assert invoke([*COMMON, "--seeds", "3", "--tally", str(tally)]) == ExitCode.INTERRUPTED
    assert [entry.seeds for entry in read(tally)] == [1]


def test_one_json_object_and_nothing_else(capsys: Output) -> None:
    assert invoke([*COMMON, "--seeds", "1", "--faults", "none", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["seeds"] == 1 and told["faults"] == {} and told["actions"] > 0


def test_a_violation_prints_what_repeats_it(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    breaks(monkeypatch)
    faults = "1:tears:1:100,4:engine-kill:1:0,9:cut:0:10"
    assert invoke([*COMMON, "--seeds", "3", "--first", "5", "--faults", faults]) == ExitCode.FAILURE
    told = " ".join(capsys.readouterr().err.split())
    assert "seed 5 breaks a promise, LATCH: a test" in told
    (repeat,) = re.findall(r"hlhft (simulate .*)", told)
    assert repeat.endswith(f"--hours 0.003 --settings {settings_text(drawn(5))} --faults 4:engine-kill:1:0")
    assert invoke([*shlex.split(repeat), "--no-shrink"]) == ExitCode.FAILURE
    assert "seed 5 breaks a promise, LATCH: a test" in " ".join(capsys.readouterr().err.split())


def broken(seed: int, span_ns: int, *, settings: RunSettings | None) -> Outcome:
    """In place of a run, in whichever process: one that breaks a promise with settings that were given."""
    assert settings == DEFAULT
    return Outcome(seed=seed, violation=Violation(Promise.SLOT, "two"))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_violation_is_told_by_any_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: Output, jobs: str
) -> None:
    monkeypatch.setattr(running, "run_quietly", broken)
    asked = [
        "simulate",
        "--jobs",
        jobs,
        "--hours",
        "0.003",
        "--seeds",
        "3",
        "--first",
        "8",
        "--no-shrink",
        "--settings",
        "default",
    ]
    assert invoke(asked) == ExitCode.FAILURE
    told = " ".join(capsys.readouterr().err.split())
    assert "seed 8 breaks a promise, SLOT: two; repeat it with: hlhft simulate --seeds 1 --first 8" in told


def test_the_whole_plan_is_printed_on_request(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    breaks(monkeypatch)
    faults = "1:tears:1:100,4:engine-kill:1:0"
    assert invoke([*COMMON, "--seeds", "1", "--faults", faults, "--no-shrink"]) == ExitCode.FAILURE
    assert f"--faults {faults}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--faults", "nonsense"],
        ["--settings", "nonsense"],
        ["--seeds", "0"],
        ["--hours", "0"],
        ["--jobs", "0"],
        ["--first", "-1"],
    ],
)
def test_wrong_use(arguments: list[str], capsys: Output) -> None:
    assert invoke([*COMMON, *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err


def test_a_revision_is_that_of_the_sources_that_a_run_is_made_of() -> None:
    """Else a tally would count hours of other code."""
    script = "import sys, hlhft.simulation.running; print(*[name for name in sys.modules if name.startswith('hlhft.')])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert ran and not {name.split(".")[1] for name in ran} & NOT_SIMULATED
