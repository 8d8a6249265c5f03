from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import alpha
from tests.bench.figures import Figure

FAST = Figure("inference", "median of a prediction", 150.0, "us", maximum=400.0, gate=800.0)
SLOW = Figure("inference", "p99 of a prediction", 900.0, "us", maximum=500.0, gate=1_000.0)
BROKEN = Figure("training", "samples", 10.0, "1/s", minimum=2_000.0)


def measured(**figures: list[Figure]) -> dict[str, alpha.Measured]:
    return {name: alpha.Measured({"cpus": 2, "date": "2026-01-01"}, found) for name, found in figures.items()}


def test_sections_are_the_files_in_order(tmp_path: Path) -> None:
    for name in ("alpha_zebra", "alpha_models", "alpha_truth", "alpha", "figures"):
        (tmp_path / f"{name}.py").touch()
    assert alpha.sections(tmp_path) == ["truth", "models", "zebra"]


def test_every_section_of_this_folder_has_its_function() -> None:
    for name in alpha.sections():
        text = (Path(alpha.__file__).parent / f"alpha_{name}.py").read_text()
        assert f"def {name}(" in text, f"alpha_{name}.py has no function {name}"


def test_a_missed_gate_fails_and_a_missed_goal_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert alpha.judge(measured(models=[FAST])) == 0
    assert capsys.readouterr().out == ""
    assert alpha.judge(measured(models=[FAST, SLOW])) == 0
    assert "not reached: p99 of a prediction: 900 us, at most 500" in capsys.readouterr().out
    assert alpha.judge(measured(models=[FAST], truth=[BROKEN])) == 1
    assert "MISSES ITS GATE: samples" in capsys.readouterr().out
    assert alpha.judge({}) == 0
    assert "NOT MEASURED" in capsys.readouterr().out


def test_sections_are_run_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def find(name: str) -> alpha.Section:
        def one(recordings: Path | None, *, short: bool) -> list[Figure]:
            asked.append((name, recordings, short))
            return [FAST]

        return one

    found = alpha.run(["models", "truth"], None, short=True, find=find)
    assert asked == [("models", None, True), ("truth", None, True)]
    assert list(found) == ["models", "truth"] and found["models"].figures == [FAST]
    assert found["truth"].machine["date"] and capsys.readouterr().out.count("reached") == 2


def test_a_section_measured_again_replaces_its_own(tmp_path: Path) -> None:
    alpha.write(measured(truth=[BROKEN], models=[SLOW]), tmp_path)
    alpha.write(measured(models=[FAST]), tmp_path)
    assert alpha.read(tmp_path) == measured(truth=[BROKEN], models=[FAST])
    assert list(json.loads((tmp_path / "benchmarks-alpha.json").read_text())["sections"]) == ["truth", "models"]
    page = (tmp_path / "benchmarks-alpha.md").read_text()
    assert "Not reached: samples." in page and "| median of a prediction | 150 us | at most 400 | reached |" in page
    assert page.index("Training") < page.index("Inference") and page.count("cpus 2, date 2026-01-01.") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmarks-alpha.json", "benchmarks-alpha.md"]


def test_a_section_that_this_machine_cannot_measure_stays_as_it_was(tmp_path: Path) -> None:
    alpha.write(measured(gpu=[FAST]), tmp_path)
    alpha.write(measured(gpu=[], models=[], truth=[SLOW]), tmp_path)
    assert alpha.read(tmp_path) == measured(truth=[SLOW], models=[], gpu=[FAST])
