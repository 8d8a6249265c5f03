"""Evaluations as trials: the test block opens once for each, what came of it is kept, and trials before it count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hlhft.alpha.evaluation.logged import evaluate_trial, facts_of
from hlhft.alpha.evaluation.result import Code
from hlhft.alpha.splits import split_once
from hlhft.alpha.trials import OpenedTwice, TrialLog
from tests.alpha.evaluation.test_evaluating import LENGTH, QUICK, Oracle, planted

pytestmark = pytest.mark.alpha

FEW = replace(QUICK, rivals=("majority",))


def test_each_trial_sees_the_test_block_once_and_counts(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH, horizon=0)
    log = TrialLog(tmp_path / "trials.jsonl")
    for expected in (1, 2, 3):
        trial = log.begin(facts_of(Oracle(), dataset, split, command="test"))
        found = evaluate_trial(dataset, split, Oracle(), log, trial=trial, options=FEW).evaluation
        assert found.trials is not None and found.trials.logged == expected == trial
        assert set(log.scores(trial)) == {"sharpe", "nll short"}
        assert log.scores(trial)["nll short"] == found.horizons[0].models[0].figures["nll"].value
        with pytest.raises(OpenedTwice):
            evaluate_trial(dataset, split, Oracle(), log, trial=trial, options=FEW)
    assert log.openings(split) == (1, 2, 3)
    assert log.trials[1].facts["subject"] == "the law itself" and log.trials[1].facts["test"] == split.key


def test_a_trial_that_was_begun_and_left_counts_too(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH, horizon=0)
    log = TrialLog(tmp_path / "trials.jsonl")
    log.begin({"command": "interrupted"})
    trial = log.begin({"command": "test"})
    found = evaluate_trial(dataset, split, Oracle(), log, trial=trial, options=FEW).evaluation
    assert found.trials is not None and found.trials.logged == 2


def test_a_subject_that_was_fitted_on_the_test_block_is_told_so(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set")
    split = split_once(dataset, length=LENGTH, horizon=0)
    log = TrialLog(tmp_path / "trials.jsonl")
    own = evaluate_trial(dataset, split, Oracle(), log, trial=log.begin({}), options=FEW).evaluation
    assert not own.in_sample, "the blocks of a split keep apart"
    fitted_on = {"train": split.test.ranges}
    other = evaluate_trial(dataset, split, Oracle(), log, trial=log.begin({}), fitted_on=fitted_on, options=FEW)
    assert other.evaluation.in_sample and other.evaluation.verdict.code is Code.CANNOT_TELL
    assert "fitted on" in other.evaluation.verdict.sentence
