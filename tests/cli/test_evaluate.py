"""`hlhft evaluate`: tables and verdict, one object with --json, and how it ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hlhft.alpha.evaluation.result import Code, from_json
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from tests.alpha.evaluation.models import trained
from tests.alpha.evaluation.test_folder import Made

pytestmark = pytest.mark.alpha


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return trained(tmp_path_factory.mktemp("model"))


def line(made: Made, tmp_path: Path, *more: str) -> list[str]:
    dataset, _, folder = made
    given = ["--data-dir", str(dataset.folder), "--trials", str(tmp_path / "trials.jsonl"), "--resamples", "50"]
    return ["evaluate", str(folder), *given, *more]


def test_every_rival_is_shown_and_the_verdict_said(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert invoke(line(made, tmp_path)) == ExitCode.OK, "cannot tell is a result"
    printed = capsys.readouterr().out
    for title in ("LiT", "class shares", "persistence", "imbalance rule", "logistic regression", "LightGBM"):
        assert title in printed
    said = " ".join(printed.split())
    assert "Cannot tell: a claim takes 20 test days at least, and here are 0 test days." in said
    assert "1 trial in the log, worth 1 independent one" in said
    assert "…" not in printed


@pytest.mark.parametrize("columns", ["80", "99", "100"])
def test_a_narrow_terminal_cuts_no_figure(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert invoke(line(made, tmp_path)) == ExitCode.OK
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= int(columns)
    # The last figure of a row of each table, whole: bp a row with four decimals, the p-value with three.
    (figures,) = [row for row in printed.splitlines() if row.startswith("LiT ") and " on " not in row]
    assert re.search(r"\d\.\d{4}$", figures.rstrip())
    (gains,) = [
        row for row in printed.splitlines() if row.startswith("LightGBM") and ("+" in row or "\N{MINUS SIGN}" in row)
    ]
    assert re.search(r"\d\.\d{3}$", gains.rstrip())


def test_json_is_one_object_and_nothing_else(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for logged in (1, 2):
        assert invoke(line(made, tmp_path, "--json", "--fee-bp", "4.5")) == ExitCode.OK
        captured = capsys.readouterr()
        found = from_json(captured.out.encode())
        assert captured.err == "" and found.verdict.code is Code.CANNOT_TELL
        assert found.resamples == 50 and found.horizons[0].cost_bp == 4.5
        assert found.trials is not None and found.trials.logged == logged


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (["--feed-profile", "2099"], ExitCode.USAGE, "2099"),
        (["--data-dir", "nowhere"], ExitCode.DATA, "nowhere"),
        (["--engine", "abacus"], ExitCode.USAGE, "abacus"),
        (["--resamples", "0"], ExitCode.USAGE, "resamples"),
    ],
)
def test_wrong_use_and_bad_data_are_sentences(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], code: ExitCode, word: str
) -> None:
    assert invoke(line(made, tmp_path, *change)) == code
    error = capsys.readouterr().err
    assert word in error and "Traceback" not in error


def test_a_folder_without_a_model_is_bad_data(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = line(made, tmp_path)
    arguments[1] = str(tmp_path)
    assert invoke(arguments) == ExitCode.DATA
    assert "bundle.json" in capsys.readouterr().err


def test_a_log_that_was_changed_is_bad_data(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(line(made, tmp_path)) == ExitCode.OK
    log = tmp_path / "trials.jsonl"
    first, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([first.replace(b"evaluate", b"evaluatf"), *rest]))
    capsys.readouterr()
    assert invoke(line(made, tmp_path)) == ExitCode.DATA
    assert "trials.jsonl" in capsys.readouterr().err
