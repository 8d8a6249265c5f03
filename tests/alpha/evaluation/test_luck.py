"""How luck is weighed: more trials, less belief; what cannot be said is said so."""

from __future__ import annotations

import numpy as np

from hlhft.alpha.evaluation.luck import HALVES, RETURNS_MIN, effective_trials, luck, overfitting, sharpe

GENERATOR = np.random.default_rng(11)
SKILLED = GENERATOR.normal(0.25, 1.0, 400)
LUCKLESS = GENERATOR.normal(0.0, 1.0, (20, 400))


def test_sharpe_by_hand() -> None:
    assert sharpe(np.array([1.0, 3.0])) == 2.0
    assert sharpe(np.zeros(5)) == sharpe(np.zeros(0)) == 0.0


def test_skill_that_was_tried_once_is_believed_and_of_many_trials_less() -> None:
    once = luck(SKILLED, LUCKLESS[:0], [0.25])
    often = luck(SKILLED, LUCKLESS[:0], np.random.default_rng(1).normal(0.0, 0.1, 200).tolist())
    assert once.logged == once.effective == 1 and once.deflated.value is not None and once.deflated.value > 0.99
    assert often.logged == 200 and often.deflated.value is not None
    assert often.deflated.value < once.deflated.value
    assert once.samples_needed.value is not None and once.samples_needed.value < 400


def test_no_skill_never_becomes_one_by_lasting() -> None:
    found = luck(-SKILLED, LUCKLESS[:0], [0.1, 0.2, -0.1])
    assert found.deflated.value is not None and found.deflated.value < 0.01
    assert found.samples_needed.value is None and "no length" in found.samples_needed.why


def test_what_was_never_acted_on_has_no_ratio() -> None:
    found = luck(np.zeros(400), LUCKLESS[:0], [0.0])
    assert found.deflated.value is None and "never acted on" in found.deflated.why
    short = luck(np.ones(RETURNS_MIN - 1), LUCKLESS[:0], [])
    assert short.logged == 1 and short.deflated.value is None and str(RETURNS_MIN) in short.deflated.why


def test_the_best_of_the_luckless_is_overfit_and_the_skilled_one_is_not() -> None:
    among_luckless = overfitting(LUCKLESS)
    among_all = overfitting(np.concatenate([SKILLED[None, :], LUCKLESS]))
    assert among_luckless.value is not None and among_luckless.value > 0.3
    assert among_all.value is not None and among_all.value < 0.1


def test_overfitting_takes_two_candidates_and_enough_time() -> None:
    assert "one candidate" in overfitting(SKILLED[None, :]).why
    assert overfitting(LUCKLESS[:, : HALVES * RETURNS_MIN - 1]).value is None
    assert overfitting(np.zeros((3, 400))).value is None


def test_trials_that_resemble_each_other_count_less() -> None:
    drift = np.cumsum(np.random.default_rng(0).standard_normal(400))
    assert effective_trials(drift) < effective_trials(np.random.default_rng(0).standard_normal(400)) <= 400
    assert effective_trials(np.zeros(5)) == 1


def test_a_trial_without_a_ratio_counts_as_one_of_its_own() -> None:
    assert luck(SKILLED, LUCKLESS[:0], [0.1, float("nan"), 0.2]).effective == 3
    assert luck(SKILLED, LUCKLESS[:0], [float("nan")] * 4).effective == 4
    steady = luck(SKILLED, LUCKLESS[:0], [0.1, 0.1, 0.1, float("nan")])
    assert (steady.logged, steady.effective) == (4, 2)
