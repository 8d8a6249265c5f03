"""A model judged by tasks is the model judged in one go, to the byte; the client's log opens a block once a trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.bundle import model_folder
from hlhft.alpha.evaluation.evaluating import Fold, Options, RivalsSaid, rivals_of
from hlhft.alpha.evaluation.folder import Wish, evaluate_folder
from hlhft.alpha.evaluation.result import to_json
from hlhft.alpha.trials import TrialLog
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.scale import judging
from hlhft.scale.backends import InProcess
from hlhft.scale.judging import Answered, Judging, packed, packed_said, unpacked, unpacked_said
from hlhft.scale.running import Ran, run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from tests.alpha.evaluation.models import trained
from tests.alpha.evaluation.test_folder import Made
from tests.scale.clusters import Processes, processes

pytestmark = pytest.mark.alpha


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return trained(tmp_path_factory.mktemp("model"))


class Here:
    """Threads of this process."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.rans = Storage(folder), list[Ran]()

    def run(self, what: str, tasks: Sequence[Task]) -> Ran:
        with InProcess(self.storage) as backend:
            self.rans.append(run(tasks, backend, self.storage, retries_max=0))
        return self.rans[-1]


def wish(made: Made, log: Path) -> Wish:
    return Wish(data_dir=made[0].folder, profile="recorded", trials=log, options=Options(resamples=50))


def without_trials(text: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    return {name: value for name, value in found.items() if name != "trials"}


def test_it_is_the_evaluation_of_one_process_and_what_is_done_is_skipped(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PIECE_ROWS", judging.BATCH)
    _, split, folder = made
    whole = to_json(evaluate_folder(folder, wish(made, tmp_path / "whole.jsonl")))
    where = Here(tmp_path / "store")
    elsewhere = Judging(where, model_folder(folder), engine="onnx", threads=1)
    log = tmp_path / "spread.jsonl"
    assert to_json(evaluate_folder(folder, wish(made, log), elsewhere=elsewhere)) == whole
    assert [len(one.tasks) for one in where.rans] == [-(-len(split.test.rows) // judging.BATCH), 1]
    assert TrialLog(log).openings(split) == (1,)
    again = to_json(evaluate_folder(folder, wish(made, log), elsewhere=elsewhere))
    assert all(one.skipped == len(one.tasks) for one in where.rans[2:])
    assert without_trials(again)["horizons"] and TrialLog(log).openings(split) == (1, 2), "a second trial, which counts"


def test_what_rivals_said_is_unpacked_as_it_was(made: Made) -> None:
    dataset, split, _ = made
    said = rivals_of(dataset, Fold(split, split.test.rows), 0, Options())
    found = unpacked_said(packed_said(said))
    assert packed_said(found) == packed_said(said) and found.calls.keys() == said.calls.keys() != set()
    none = RivalsSaid({}, np.ones(3) / 3, {"lightgbm": "one class only"})
    assert unpacked_said(packed_said(none)).missing == none.missing
    assert [one.tolist() for one in unpacked(packed(np.arange(3), np.zeros((0, 2))))] == [[0, 1, 2], []]


def test_nobody_is_asked_about_other_rows(made: Made) -> None:
    rows = np.array([3, 5, 9])
    answered = Answered("model", "LiT", (), rows, np.arange(9.0).reshape(3, 1, 3), np.arange(3.0)[:, None])
    assert answered.predict(made[0], np.array([5, 9]))[1].tolist() == [[1.0], [2.0]]
    for wrong in (4, 10):
        with pytest.raises(AssertionError):
            answered.predict(made[0], np.array([wrong]))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as made:
        made.worker()
        yield made


def test_the_command_judges_on_a_cluster(
    made: Made, tmp_path: Path, cluster: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _, folder = made
    line = ["evaluate", str(folder), "--data-dir", str(dataset.folder), "--resamples", "50", "--json", "--trials"]
    assert invoke([*line, str(tmp_path / "here.jsonl")]) == ExitCode.OK
    here = capsys.readouterr().out
    on = ["--on", cluster.address, "--store", str(tmp_path / "store")]
    assert invoke([*line, str(tmp_path / "there.jsonl"), *on]) == ExitCode.OK
    assert capsys.readouterr().out == here
