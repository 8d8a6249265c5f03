"""Calibration against what it promises: known distortions undone, ignorance ends at the prior, moves by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.alpha.calibration import SCALE_MAX, apply, class_moves, fit_scaling, nll, prior_of, softmax

pytestmark = pytest.mark.alpha  # scipy fits

PRIOR = np.array([0.3, 0.5, 0.2])


def drawn(logits: np.ndarray, seed: int) -> np.ndarray:
    cumulated = softmax(logits).cumsum(axis=1)
    return (np.random.default_rng(seed).random(len(logits))[:, None] > cumulated).sum(axis=1).clip(0, 2).astype(np.int8)


def true_logits(n: int, seed: int = 0) -> np.ndarray:
    return np.log(PRIOR) + np.random.default_rng(seed).normal(size=(n, 3))


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_a_network_that_is_too_sure_or_too_shy_is_put_right(factor: float) -> None:
    told = true_logits(20_000)
    classes = drawn(told, 1)
    distorted = np.log(PRIOR) + factor * (told - np.log(PRIOR))
    scaling = fit_scaling(distorted, classes, np.ones(len(classes)), PRIOR)
    assert scaling.scale == pytest.approx(1.0 / factor, rel=0.05)
    assert np.abs(apply(distorted, scaling) - softmax(told)).max() < 0.03


def test_a_network_that_knows_nothing_ends_near_the_prior() -> None:
    noise = np.log(PRIOR) + 3.0 * np.random.default_rng(2).normal(size=(20_000, 3))
    classes = drawn(np.tile(np.log(PRIOR), (20_000, 1)), 3)
    p = apply(noise, fit_scaling(noise, classes, np.ones(20_000), PRIOR))
    assert np.abs(p - PRIOR).max() < 0.1
    prior_nll = nll(np.tile(np.log(PRIOR), (20_000, 1)), classes)
    assert nll(np.log(p), classes) <= prior_nll + 1e-9 < nll(noise, classes)


def test_shares_that_drifted_are_followed_with_evidence_and_not_without() -> None:
    drifted = np.array([0.45, 0.4, 0.15])
    base = np.tile(np.log(PRIOR), (5_000, 1))
    classes = drawn(np.tile(np.log(drifted), (5_000, 1)), 4)
    shares = np.bincount(classes, minlength=3) / 5_000
    many = apply(base, fit_scaling(base, classes, np.ones(5_000), PRIOR))
    few = apply(base, fit_scaling(base, classes, np.full(5_000, 1e-3), PRIOR))
    assert np.abs(many[0] - shares).max() < 0.01
    assert np.abs(few[0] - PRIOR).max() < np.abs(many[0] - PRIOR).max() / 2


def test_the_scale_stays_within_its_bounds() -> None:
    inverted = np.log(PRIOR) - (true_logits(5_000) - np.log(PRIOR))
    classes = drawn(true_logits(5_000), 5)
    assert fit_scaling(inverted, classes, np.ones(5_000), PRIOR).scale == 0.0
    shy = np.log(PRIOR) + 0.01 * (true_logits(5_000) - np.log(PRIOR))
    assert fit_scaling(shy, drawn(true_logits(5_000), 6), np.ones(5_000), PRIOR).scale <= SCALE_MAX


def test_no_rows_are_refused() -> None:
    nothing, none = np.zeros((0, 3)), np.zeros(0, np.int8)
    with pytest.raises(ValueError, match="no rows to calibrate on"):
        fit_scaling(nothing, none, np.zeros(0), PRIOR)
    with pytest.raises(ValueError, match="no rows to judge"):
        nll(nothing, none)


def test_moves_are_means_and_deviations_of_each_class() -> None:
    moves = class_moves(np.array([-2.0, -4.0, 0.5, 9.0]), np.array([0, 0, 1, -1], np.int8))
    whole = np.array([-2.0, -4.0, 0.5])
    assert moves.mean.tolist() == pytest.approx([-3.0, 0.5, whole.mean()])
    assert moves.deviation.tolist() == pytest.approx([1.0, 0.0, whole.std()])


def test_moves_of_nothing_are_zero_and_no_number_is_refused() -> None:
    assert class_moves(np.zeros(0), np.zeros(0, np.int8)).mean.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="no number"):
        class_moves(np.array([np.nan]), np.array([1], np.int8))


def test_a_prior_gives_every_class_a_chance() -> None:
    assert prior_of(np.array([1, 1, 1, -1, 2], np.int8)).tolist() == pytest.approx([0.5 / 5.5, 3.5 / 5.5, 1.5 / 5.5])


def test_nll_of_even_odds_is_the_logarithm_of_three() -> None:
    assert nll(np.zeros((4, 3)), np.array([0, 1, 2, 1], np.int8)) == pytest.approx(np.log(3))
