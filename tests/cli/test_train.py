"""The command from its arguments to its folder: what it makes, prints, refuses, keeps, and goes on from."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hlhft.alpha.bundle import load_bundle, predictor
from hlhft.alpha.card import from_json
from hlhft.alpha.labels import LabelSpec
from hlhft.alpha.splits import FOLDS_MAX
from hlhft.alpha.trials import TrialLog
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from tests.alpha.planted import always_flat, by_imbalance, planted

pytestmark = pytest.mark.alpha

LABEL = LabelSpec(name="window-200", kind="window", horizon_ms=200, cost_bp=1.5)
OF_THE_DATA = ["--label", "window", "--horizon", "200", "--levels", "2", "--half-life-ms", "640", "--length", "8"]
QUICK = ["--epochs", "2", "--batch", "128", "--learning-rate", "0.003", "--threads", "1", "--device", "cpu",
         "--resamples", "50"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("data") / "made", rows=3_000, specs=[LABEL]).folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Train = Callable[..., int]


@pytest.fixture
def train(data: Path) -> Train:
    def call(*arguments: str, data_dir: Path = data) -> int:
        return invoke(["train", "--data-dir", str(data_dir), *OF_THE_DATA, *QUICK, *arguments])

    return call


def test_it_makes_a_model_with_a_card_and_logs_the_trial(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--seeds", "2", "--preset", "plus") == ExitCode.OK
    said = capsys.readouterr()
    assert "Cannot tell: a claim takes 20 test days" in " ".join(said.out.split())
    assert "Seed 1: best epoch" in said.err
    folder = Path("runs/made-train/model")
    card = from_json((folder / "card.json").read_bytes())
    bundle = load_bundle(folder)
    assert card.model == bundle and predictor(bundle, folder)
    assert len(card.training.seeds) == 2 and card.weight == 0
    evaluation = card.evaluation
    assert evaluation is not None
    names = [one.name for one in evaluation.horizons[0].models]
    assert names[0] == "model" and {"majority", "lightgbm"} <= set(names)
    assert sum(name.startswith("seed-") for name in names) == 1
    nll = evaluation.horizons[0].models[0].figures["nll"].value
    assert nll is not None and nll < 0.9 < np.log(3)  # what was planted was learnt
    assert evaluation.verdict.sentence in (folder / "card.html").read_text()
    log = TrialLog(Path("runs/trials.jsonl"))
    assert log.trials[1].facts["command"] == "train" and "sharpe" in log.scores(1)


def test_a_run_is_not_written_over_and_may_be_gone_on_with(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--output", "r") == ExitCode.OK
    before = load_bundle(Path("r/model"))
    assert train("--output", "r") == ExitCode.USAGE
    assert "r holds a run already: give --resume r to go on with it" in capsys.readouterr().err
    assert train("--resume", "r") == ExitCode.OK
    assert load_bundle(Path("r/model")) == before  # no epoch is left, so it is the same model
    assert len(TrialLog(Path("runs/trials.jsonl")).trials) == 2  # but another look at the test block
    assert train("--resume", "r", "--learning-rate", "0.01") == ExitCode.DATA
    assert "of a run on other data, with other options" in capsys.readouterr().err
    assert train("--resume", "nothing") == ExitCode.USAGE
    assert "nothing holds no run of hlhft train" in capsys.readouterr().err


def test_an_interrupt_keeps_what_is_finished(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("--output", "whole", "--seeds", "2") == ExitCode.OK
    from hlhft.alpha import training_run

    fit = training_run.fit

    def interrupted(*arguments: Any, seed: int, **more: Any) -> Any:
        if seed == 1:
            more["progress"] = lambda done, whole: os.kill(os.getpid(), signal.SIGINT) if done == whole - 2 else None
        return fit(*arguments, seed=seed, **more)

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "fit", interrupted)
        assert train("--output", "cut", "--seeds", "2") == ExitCode.INTERRUPTED
    assert "interrupted: 1 of 2 seeds are finished and whole epochs are kept" in capsys.readouterr().err
    assert train("--resume", "cut", "--seeds", "2") == ExitCode.OK
    assert load_bundle(Path("cut/model")).model_id == load_bundle(Path("whole/model")).model_id
    assert len(TrialLog(Path("runs/trials.jsonl")).trials) == 2  # the interrupted one is the one that was gone on with


def test_a_walk_is_judged_by_its_days_and_says_so(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    days = planted(tmp_path / "days", rows=3_600, days=3, specs=[LABEL]).folder
    assert train("--walk-forward", "2", "--output", "walk", data_dir=days) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "Walked forward over 2 days: each was forecast by a model, and by rivals" in said
    assert "2023-11-15" in said and "2023-11-16" in said and "against LightGBM" in said
    card = from_json(Path("walk/model/card.json").read_bytes())
    assert card.model == load_bundle(Path("walk/model")) and len(card.days) == 2
    assert Path("walk/days/2023-11-15/run.json").is_file() and not Path("walk/days/2023-11-15/model").exists()
    assert train("--walk-forward", "3", data_dir=days) == ExitCode.DATA
    assert "expected 4 at least to walk forward" in " ".join(capsys.readouterr().err.split())
    assert train("--walk-forward", str(FOLDS_MAX + 1), data_dir=days) == ExitCode.USAGE


def test_json_is_the_card_and_nothing_else(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--json", "--preset", "paper") == ExitCode.OK
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == json.loads(Path("runs/made-train/model/card.json").read_text())


REFUSED: list[tuple[list[str], ExitCode, str]] = [
    (["--horizon", "5s"], ExitCode.USAGE, "5s is no list of different milliseconds"),
    (["--horizon", "5,5"], ExitCode.USAGE, "no list of different milliseconds"),
    (["--feed-profile", "none"], ExitCode.USAGE, "--feed-profile"),
    (["--length", "10", "--preset", "paper"], ExitCode.USAGE, "cannot be cut into patches of 4 rows"),
    (["--length", "8", "--preset", "deeplob"], ExitCode.USAGE, "use up 18 rows"),
    (["--from", "200"], ExitCode.USAGE, "from_ms must be 0 or more and before horizon_ms"),
    (["--levels", "3"], ExitCode.DATA, "other features or labels than are asked for"),
    (["--length", "4000"], ExitCode.DATA, "give a longer recording or a shorter window"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), REFUSED)
def test_what_cannot_be_made_is_a_sentence(
    train: Train, capsys: pytest.CaptureFixture[str], arguments: list[str], code: ExitCode, sentence: str
) -> None:
    assert train(*arguments) == code
    said = " ".join(capsys.readouterr().err.split())
    assert sentence in said


def test_one_class_only_is_refused(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = planted(tmp_path / "flat", rows=3_000, classes=(always_flat,), specs=[LABEL])
    assert train(data_dir=flat.folder) == ExitCode.DATA
    assert "of the block train is flat" in capsys.readouterr().err


def test_too_little_data_is_refused(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = planted(tmp_path / "short", rows=60, classes=(by_imbalance,), specs=[LABEL])
    assert train(data_dir=short.folder) == ExitCode.DATA
    assert "record longer" in capsys.readouterr().err


def test_no_data_is_refused(train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data_dir=tmp_path / "none") == ExitCode.DATA
    assert "there is no such file, give the path of a recording" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if not torch.cuda.is_available():
        assert train("--device", "cuda") == ExitCode.FAILURE
        assert "there is no CUDA GPU that torch can use here" in capsys.readouterr().err


def test_without_the_extra_it_says_so(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else find(name, *more))
    assert train() == ExitCode.FAILURE
    expected = "hlhft: training needs the Python package torch, which is not installed: run make install-alpha\n"
    assert capsys.readouterr().err == expected
