"""Evaluations as trials: the test block opens once for each, what came of it is kept, and trials before it count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hlhft.alpha.evaluation.logged import evaluate_trial, facts_of
from hlhft.alpha.evaluation.result import Code
from hlhft.alpha.splits import split_once, walk_forward
from hlhft.alpha.trials import OpenedTwice, TrialLog
from tests.alpha.evaluation.test_evaluating import LENGTH, QUICK, SECOND_NS, Oracle, planted

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


@pytest.mark.parametrize(("skill", "code"), [(1.0, Code.HOLDS), (0.0, Code.NO_GAIN)])
def test_a_walk_is_one_trial_whose_days_are_counted_together(tmp_path: Path, skill: float, code: Code) -> None:
    """22 days, of which 20 are tests: enough for a claim, which none of them is by itself."""
    dataset = planted(tmp_path / "set", 22 * 144, step_ns=600 * SECOND_NS, skill=skill)
    dataset.heads = dataset.heads.copy()
    dataset.heads["half_spread_ticks"] = 0.01  # a tick of the set is more than a move of it
    splits = walk_forward(dataset, length=LENGTH, horizon=0, newest=20)
    log = TrialLog(tmp_path / "trials.jsonl")
    *earlier, newest = splits
    found = evaluate_trial(
        dataset,
        newest,
        Oracle(),
        log,
        trial=log.begin({}),
        earlier=earlier,
        options=replace(QUICK, rivals=("majority",)),
    ).evaluation
    horizon = found.horizons[0]
    assert [log.openings(split) for split in splits] == [(1,)] * 20
    assert found.folds == found.test_days == horizon.days == horizon.blocks == len(horizon.by_day) == 20
    assert [day.rows for day in horizon.by_day] == [split.test.size for split in splits]
    assert not found.in_sample and found.verdict.code is code
    alone = evaluate_trial(dataset, newest, Oracle(), log, trial=log.begin({}), options=FEW).evaluation
    assert alone.verdict.code is Code.CANNOT_TELL
    with pytest.raises(OpenedTwice):
        evaluate_trial(dataset, newest, Oracle(), log, trial=1, earlier=earlier, options=FEW)


def test_a_fold_that_saw_a_day_of_the_walk_makes_all_of_it_no_evidence(tmp_path: Path) -> None:
    dataset = planted(tmp_path / "set", 4 * 144, step_ns=600 * SECOND_NS)
    early, middle, late = walk_forward(dataset, length=LENGTH, horizon=0)
    leaked = middle._replace(train=middle.train._replace(ranges=middle.test.ranges))
    log = TrialLog(tmp_path / "trials.jsonl")
    found = evaluate_trial(
        dataset, late, Oracle(), log, trial=log.begin({}), earlier=(early, leaked), options=FEW
    ).evaluation
    assert found.in_sample and found.verdict.code is Code.CANNOT_TELL
    assert found.horizons[0].rows == np.sum([one.test.size for one in (early, middle, late)])
