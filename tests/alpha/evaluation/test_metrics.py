"""Every metric against its definition, written once more row by row, and where it is degenerate."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.alpha.evaluation.metrics import (
    AUC_BINS,
    BINS,
    METRICS,
    P_MIN,
    acted,
    auc_exact,
    equal_mass,
    metrics_for,
    passive,
)
from hlhft.alpha.evaluation.rows import Calls, Truth
from tests.alpha.evaluation.worlds import calls, drawn, truth_of

BY_NAME = {metric.name: metric for metric in METRICS}
SMALL = st.builds(drawn, st.integers(0, 10_000), st.integers(1, 60), skill=st.sampled_from([0.0, 0.5, 1.0]))


def of(name: str, truth: Truth, said: Calls) -> float:
    metric = BY_NAME[name]
    return float(metric.value(metric.sums(truth, said).sum(axis=0)))


def f1_by_hand(truth: Truth, named: np.ndarray) -> float:
    scores = []
    for label in range(3):
        tp = sum(t == c == label for t, c in zip(truth.classes, named))
        fp = sum(c == label != t for t, c in zip(truth.classes, named))
        fn = sum(t == label != c for t, c in zip(truth.classes, named))
        if tp + fp + fn:
            scores.append(2 * tp / (2 * tp + fp + fn))
    return sum(scores) / len(scores)


def mcc_by_hand(truth: Truth, named: np.ndarray) -> float:
    """The correlation of the indicator vectors, as Gorodkin defines it."""
    t, c = np.eye(3)[truth.classes], np.eye(3)[named]
    t, c = t - t.mean(axis=0), c - c.mean(axis=0)
    below = math.sqrt((t * t).sum() * (c * c).sum())
    return (t * c).sum() / below if below > 1e-12 else 0.0


def auc_by_hand(truth: Truth, scores: np.ndarray, label: int) -> float:
    own = [s for s, t in zip(scores, truth.classes) if t == label]
    others = [s for s, t in zip(scores, truth.classes) if t != label]
    if not own or not others:
        return float("nan")
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(own, others)) / (len(own) * len(others))


@given(SMALL)
def test_classes_named(world: tuple[Truth, Calls]) -> None:
    truth, said = world
    assert of("macro_f1", truth, said) == pytest.approx(f1_by_hand(truth, said.calls))
    assert of("macro_f1_balanced", truth, said) == pytest.approx(f1_by_hand(truth, said.balanced))
    assert of("mcc", truth, said) == pytest.approx(mcc_by_hand(truth, said.calls), abs=1e-9)
    assert of("mcc_balanced", truth, said) == pytest.approx(mcc_by_hand(truth, said.balanced), abs=1e-9)
    assert of("accuracy", truth, said) == pytest.approx(np.mean(truth.classes == said.calls))


@given(SMALL)
def test_probabilities(world: tuple[Truth, Calls]) -> None:
    truth, said = world
    nll = [-math.log(max(P_MIN, row[label])) for row, label in zip(said.p, truth.classes)]
    brier = [sum((row[k] - (k == label)) ** 2 for k in range(3)) for row, label in zip(said.p, truth.classes)]
    assert of("nll", truth, said) == pytest.approx(sum(nll) / len(nll))
    assert of("brier", truth, said) == pytest.approx(sum(brier) / len(brier))


@given(SMALL)
def test_auc_is_the_share_of_pairs_in_the_right_order(world: tuple[Truth, Calls]) -> None:
    truth, said = world
    for label, name in enumerate(("auc_down", "auc_flat", "auc_up")):
        expected = auc_by_hand(truth, said.p[:, label], label)
        assert auc_exact(label)(truth, said) == pytest.approx(expected, nan_ok=True)
        # So few rows are all told apart by the bins, but for the very edges of each.
        assert of(name, truth, said) == pytest.approx(expected, abs=2.0 / AUC_BINS, nan_ok=True)


def test_ties_count_half_in_an_auc() -> None:
    truth = truth_of([2, 2, 0, 0])
    said = calls([[0.3, 0.2, 0.5], [0.5, 0.2, 0.3], [0.3, 0.2, 0.5], [0.5, 0.2, 0.3]])
    assert auc_exact(2)(truth, said) == of("auc_up", truth, said) == 0.5


def test_calibration_error_by_hand() -> None:
    # Ten rows at .6, of which nine are right; ten at .9, of which five are: (.3 + .4) / 2.
    p = np.array([[0.6, 0.2, 0.2]] * 10 + [[0.05, 0.9, 0.05]] * 10)
    classes = [0] * 9 + [1] + [1] * 5 + [2] * 5
    assert of("ece", truth_of(classes), calls(p)) == pytest.approx(0.35)


def test_calibrated_probabilities_have_a_small_error() -> None:
    truth, said = drawn(1, 20_000, skill=1.0)
    assert of("ece", truth, said) < 0.02
    truth, said = drawn(1, 20_000, skill=0.0)
    assert of("ece", truth, said) > 0.1


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]) | st.floats(0, 1), max_size=80), st.integers(1, 20))
def test_bins_of_equal_mass_keep_order_and_ties(values: list[float], bins: int) -> None:
    found = equal_mass(np.array(values), bins)
    assert len(found) == len(values) and all(0 <= place < bins for place in found)
    for a, b in product(range(len(values)), repeat=2):
        if values[a] <= values[b]:
            assert found[a] <= found[b]


def test_bins_of_many_values_are_equally_full() -> None:
    found = np.bincount(equal_mass(np.random.default_rng(1).random(1_500), BINS), minlength=BINS)
    assert found.min() >= 99 and found.max() <= 101


def test_money_by_hand() -> None:
    # Cost 1 bp and half the spread, .5: the first is too weak, the second buys and makes 2 - 1.5, the third sells what
    # rises and loses 2 + 1.5.
    truth = truth_of([2, 2, 2])
    said = calls([[0.2, 0.2, 0.6]] * 3, [1.4, 1.6, -9.0])
    side, made = acted(truth, said)
    assert side.tolist() == [0, 1, -1] and made.tolist() == [0.0, 0.5, -3.5]
    assert of("gain_bp", truth, said) == pytest.approx(-1.0)
    assert of("edge_bp", truth, said) == pytest.approx(-1.5)
    assert of("acted", truth, said) == pytest.approx(2 / 3)
    # Passive: half the spread earned, the move, the fee of 1 paid.
    assert passive(truth, said, truth.move_bp).tolist() == [1.5, 1.5, -2.5]
    assert of("passive_bp", truth, said) == pytest.approx(0.5 / 3)


def test_who_leans_to_no_side_fills_nothing() -> None:
    truth, said = truth_of([2, 0]), calls([[0.4, 0.2, 0.4]] * 2)
    assert np.isnan(passive(truth, said, truth.move_bp)).all()
    assert math.isnan(of("passive_bp", truth, said)) and math.isnan(of("edge_bp", truth, said))
    assert of("gain_bp", truth, said) == 0.0


def test_markouts_of_other_horizons_leave_out_what_the_recording_does_not_hold() -> None:
    truth = truth_of([2, 2])._replace(markouts_bp={"5 s": np.array([3.0, float("nan")])})
    metric = metrics_for(truth)[-1]
    assert metric.name == "passive_5 s_bp"
    assert metric.value(metric.sums(truth, calls([[0.2, 0.2, 0.6]] * 2)).sum(axis=0)) == pytest.approx(2.5)


def test_directions_that_are_called() -> None:
    truth = truth_of([0, 1, 2, 2])
    said = calls(np.eye(3)[[0, 2, 2, 1]])
    assert of("directional", truth, said) == pytest.approx(2 / 3)
    assert math.isnan(of("directional", truth, calls(np.eye(3)[[1] * 4])))


def test_one_class_and_one_row_have_defined_values() -> None:
    truth, said = truth_of([1]), calls([[0.1, 0.8, 0.1]])
    assert of("mcc", truth, said) == 0.0
    assert of("macro_f1", truth, said) == 1.0
    assert of("nll", truth, said) == pytest.approx(-math.log(0.8))
    assert of("ece", truth, said) == pytest.approx(0.2)
    assert math.isnan(of("auc_up", truth, said)) and BY_NAME["auc_up"].why_undefined


def test_a_probability_of_zero_for_what_came_is_dear_but_no_infinity() -> None:
    assert of("nll", truth_of([2]), calls([[1.0, 0.0, 0.0]])) == pytest.approx(-math.log(P_MIN))


@given(SMALL, st.integers(1, 7))
def test_cells_add_up_to_the_whole(world: tuple[Truth, Calls], a_cell: int) -> None:
    truth, said = world
    cell = np.arange(len(truth.classes)) // a_cell
    apart = truth._replace(cell=cell, cells=int(cell[-1]) + 1)
    for metric in METRICS:
        assert metric.sums(apart, said).shape[0] == apart.cells
        assert metric.sums(apart, said).sum(axis=0) == pytest.approx(metric.sums(truth, said).sum(axis=0))
