"""The rivals: tables by hand, what each can and cannot see, and what they do where rows allow no fit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.baselines import (
    BASELINES,
    NONE,
    Absent,
    Rival,
    Rows,
    Settings,
    called,
    dead_zone,
    fit,
    fit_all,
    shares_of,
    thinned,
)
from hlhft.alpha.evaluation.metrics import macro_f1, mcc

pytestmark = pytest.mark.alpha

FEATURES = 4


def rows_of(classes: object, *, imbalance: object = None, known: object = None, values: object = None) -> Rows:
    labels = np.asarray(classes, dtype=np.int8)
    n = len(labels)
    return Rows(
        values=np.zeros((n, FEATURES), dtype=np.float32) if values is None else np.asarray(values, dtype=np.float32),
        imbalance=np.zeros(n, dtype=np.float32) if imbalance is None else np.asarray(imbalance, dtype=np.float32),
        known=np.full(n, NONE, dtype=np.int8) if known is None else np.asarray(known, dtype=np.int8),
        classes=labels,
        move_bp=3.0 * (labels - 1.0),
        weights=np.ones(n, dtype=np.float32),
    )


EMPTY = rows_of([])


def learnable(seed: int, n: int) -> Rows:
    """The first feature says up or down linearly; the product of the next two says so to who sees products."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n, FEATURES))
    score = 1.5 * values[:, 0] + 2.0 * np.sign(values[:, 1] * values[:, 2]) + generator.logistic(size=n)
    classes = np.digitize(score, [-1.0, 1.0])
    return rows_of(classes, values=values, imbalance=np.tanh(values[:, 0]))


def fitted(name: str, train: Rows, stop: Rows = EMPTY, calibrate: Rows = EMPTY, **options: object) -> Rival:
    found = fit(name, train, stop, calibrate, Settings(**options))  # type: ignore[arg-type]
    assert isinstance(found, Rival), found
    return found


def nll(rival: Rival, rows: Rows) -> float:
    p = rival.predict(rows).p
    return float(-np.log(p[np.arange(len(p)), rows.classes]).mean())


def mcc_of(rival: Rival, rows: Rows) -> float:
    said = rival.predict(rows)
    calls = said.p.argmax(axis=1) if said.calls is None else said.calls
    return float(mcc(np.bincount(rows.classes.astype(int) * 3 + calls, minlength=9).astype(float)))


def test_shares_know_no_impossible_class() -> None:
    assert shares_of(np.array([1, 1, 1, 0], dtype=np.int8)).tolist() == [2 / 7, 4 / 7, 1 / 7]


def test_majority_by_hand() -> None:
    said = fitted("majority", rows_of([1, 1, 1, 0])).predict(rows_of([0, 2]))
    assert said.p.tolist() == [[2 / 7, 4 / 7, 1 / 7]] * 2
    assert said.calls is not None and said.calls.tolist() == [1, 1]
    # The mean of a class that never came is nothing: 2/7 of -3 bp.
    assert said.mu_bp == pytest.approx([-6 / 7] * 2)


def test_persistence_says_again_what_was_known() -> None:
    train = rows_of([2, 2, 0, 1], known=[2, 2, 2, NONE])
    said = fitted("persistence", train).predict(rows_of([0] * 3, known=[2, NONE, 0]))
    shares = np.array([2, 2, 3]) / 7
    expected = np.array([[1, 0, 2], [0, 1, 0], [0, 0, 0]]) + shares
    assert said.p == pytest.approx(expected / expected.sum(axis=1, keepdims=True))
    assert said.calls is not None and said.calls.tolist() == [2, 1, 0]


def test_the_imbalance_rule_by_hand() -> None:
    # Only beyond .5 does the sign say anything.
    imbalance = [-0.9, -0.8, -0.3, 0.2, 0.3, 0.1, 0.9, 0.8]
    classes = [0, 0, 1, 1, 1, 1, 2, 2]
    zone = dead_zone(np.array(imbalance), np.array(classes))
    assert 0.3 <= zone < 0.8
    said = fitted("imbalance", rows_of(classes, imbalance=imbalance)).predict(
        rows_of([0] * 3, imbalance=[0.95, 0.0, -0.95])
    )
    assert said.calls is not None and said.calls.tolist() == [2, 1, 0]
    assert said.p[0].argmax() == 2 and said.mu_bp[0] > 1.0 and said.mu_bp[2] < -1.0


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 2)), min_size=1, max_size=40))
def test_no_zone_that_is_tried_does_better(rows: list[tuple[float, int]]) -> None:
    imbalance, classes = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])

    def score(zone: float) -> float:
        return float(macro_f1(np.bincount(classes * 3 + called(imbalance, zone), minlength=9).astype(float)))

    best = score(dead_zone(imbalance, classes))
    assert all(score(zone) <= best for zone in [0.0, *np.quantile(np.abs(imbalance), np.arange(20) / 20)])


def test_a_wider_zone_names_no_direction_more() -> None:
    imbalance = np.linspace(-1, 1, 41)
    for narrow, wide in product([0.0, 0.2, 0.5], [0.5, 0.9]):
        spoken = called(imbalance, narrow) != 1
        assert ((called(imbalance, wide) != 1) <= spoken).all()
    assert called(np.array([0.0]), 0.0).tolist() == [1]


def test_what_is_linear_is_learnt_by_both_and_a_product_by_trees_alone() -> None:
    train, stop, calibrate, test = (learnable(seed, n) for seed, n in ((1, 4000), (2, 1000), (3, 1000), (4, 3000)))
    found = {name: fitted(name, train, stop, calibrate) for name in BASELINES}
    losses = {name: nll(rival, test) for name, rival in found.items()}
    assert losses["lightgbm"] < losses["logistic"] - 0.05 and losses["logistic"] < losses["majority"] - 0.05
    assert losses["imbalance"] < losses["majority"]
    assert losses["persistence"] == pytest.approx(losses["majority"], abs=0.01), "nothing was known"
    assert mcc_of(found["majority"], test) == 0.0
    assert mcc_of(found["lightgbm"], test) > mcc_of(found["logistic"], test) > 0.15


def test_learning_is_the_same_every_time() -> None:
    train, stop = learnable(1, 1500), learnable(2, 500)
    for name in ("logistic", "lightgbm"):
        first, second = (fitted(name, train, stop).predict(stop).p for _ in range(2))
        assert (first == second).all()


def test_nothing_learnt_where_nothing_is_to_be_learnt() -> None:
    generator = np.random.default_rng(9)

    def noise(n: int) -> Rows:
        return rows_of(generator.integers(0, 3, n), values=generator.normal(size=(n, FEATURES)))

    train, stop, calibrate, test = noise(2000), noise(600), noise(600), noise(3000)
    for name in ("logistic", "lightgbm"):
        assert nll(fitted(name, train, stop, calibrate), test) < np.log(3.0) + 0.01
        assert abs(mcc_of(fitted(name, train, stop, calibrate), test)) < 0.05


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_two_classes_are_enough_and_the_third_stays_possible(name: str) -> None:
    train = learnable(1, 600)
    keep = train.classes != 2
    two = Rows(*(column[keep] for column in train))
    said = fitted(name, two, two).predict(train)
    assert said.p == pytest.approx(said.p / said.p.sum(axis=1, keepdims=True))
    assert (said.p > 0.0).all() and said.p[:, 2].max() < 0.01


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_what_does_not_allow_a_fit_is_said(name: str) -> None:
    few = fit(name, rows_of([0, 1, 2]), EMPTY, EMPTY)
    assert isinstance(few, Absent) and "3 rows" in few.why
    one = fit(name, rows_of([1] * 100), EMPTY, EMPTY)
    assert isinstance(one, Absent) and "one class" in one.why


@pytest.mark.parametrize("name", list(BASELINES))
def test_an_empty_train_block_is_no_error_and_empty_test_rows_neither(name: str) -> None:
    assert isinstance(fit(name, EMPTY, EMPTY, EMPTY), Absent)
    assert fitted(name, learnable(1, 300)).predict(EMPTY).p.shape == (0, 3)


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="majority"):
        fit_all(EMPTY, EMPTY, EMPTY, names=["forest"])
    assert set(fit_all(EMPTY, EMPTY, EMPTY)) == set(BASELINES)


@pytest.mark.parametrize("lags", [(0,), (-1,), tuple(range(1, 18))])
def test_lags_are_bounded(lags: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="lags"):
        Settings(lags=lags)


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_a_rival_that_is_too_sure_is_scaled_on_the_calibrate_block(name: str) -> None:
    train = learnable(1, 400)
    generator = np.random.default_rng(3)
    noise = train._replace(classes=generator.integers(0, 3, 400).astype(np.int8))
    calibrate, test = (
        learnable(seed, 2000)._replace(classes=generator.integers(0, 3, 2000).astype(np.int8)) for seed in (5, 6)
    )
    sure, scaled = fitted(name, noise), fitted(name, noise, calibrate=calibrate)
    assert nll(scaled, test) < nll(sure, test) - 0.005 and nll(scaled, test) < np.log(3.0) + 0.01


def test_rows_are_thinned_evenly() -> None:
    assert thinned(np.arange(5), 10).tolist() == [0, 1, 2, 3, 4]
    assert thinned(np.arange(101), 11).tolist() == list(range(0, 101, 10))
