"""A horizon judged: figures, intervals and comparisons of pairs, curves, and what degenerate rows come to."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hlhft.alpha.evaluation.judging import Judge, by_day, calibration, coverage_curve, judge, sharpe_of
from hlhft.alpha.evaluation.metrics import METRICS
from hlhft.alpha.evaluation.result import DAYS_MAX, Code, Horizon
from hlhft.alpha.evaluation.rows import DAY_NS, Calls, Truth, calls_of, cut
from tests.alpha.evaluation.worlds import SECOND_NS, THIRDS, calls, drawn, truth_of


def world(n: int, skill: float, *, step_ns: int = SECOND_NS) -> tuple[Judge, Calls]:
    truth, said = drawn(4, n, skill=skill)
    ts_ns = np.arange(n) * step_ns
    cells = cut(ts_ns, 2 * step_ns)
    truth = truth._replace(cell=cells.cell, cells=cells.cells)
    by = Judge(label="2 s", horizon_ms=2_000, ts_ns=ts_ns, truth=truth, cells=cells, resamples=300, seed=1)
    return by, said


def prior_of(truth: Truth) -> Calls:
    n = len(truth.classes)
    return calls_of(np.tile(THIRDS, (n, 1)), np.zeros(n), THIRDS)


def judged(by: Judge, said: Calls, **options: object) -> Horizon:
    models = {"lit": ("LiT", said), "majority": ("majority", prior_of(by.truth))}
    return judge(by, models, **options)[0]  # type: ignore[arg-type]


def test_skill_is_seen_with_its_interval_and_no_skill_is_not() -> None:
    by, said = world(3_000, 0.6)
    against = judged(by, said).comparison("majority")
    assert against is not None and against.gains["auc_up"].low is not None and against.gains["auc_up"].low > 0.1
    by, said = world(3_000, 0.0)
    against = judged(by, said).comparison("majority")
    assert against is not None
    gain = against.gains["mcc"]
    assert gain.low is not None and gain.high is not None and gain.low < 0.0 < gain.high
    nll = against.gains["nll"]
    assert nll.high is not None and nll.high < 0.0, "sure of what it does not know"
    assert against.diebold_mariano is not None and against.diebold_mariano.statistic > 3.0


def test_a_model_against_itself_gains_nothing_exactly() -> None:
    by, said = world(1_000, 0.5)
    horizon, _ = judge(by, {"lit": ("LiT", said), "twin": ("its twin", said)})
    against = horizon.comparison("twin")
    assert against is not None
    assert all(gain.value in (0.0, None) and gain.low in (0.0, None) for gain in against.gains.values())
    assert against.diebold_mariano is not None and against.diebold_mariano.p_value == 1.0


def test_a_difference_is_turned_so_that_above_zero_is_better() -> None:
    by, said = world(1_000, 0.9)
    horizon = judged(by, said)
    lit, prior, against = horizon.model("lit"), horizon.model("majority"), horizon.comparison("majority")
    assert lit is not None and prior is not None and against is not None
    for metric in METRICS:
        own, other = lit.figures[metric.name].value, prior.figures[metric.name].value
        if metric.better and own is not None and other is not None:
            assert against.gains[metric.name].value == pytest.approx(metric.better * (own - other))
    assert set(against.gains) == {metric.name for metric in METRICS if metric.better}


def test_a_few_minutes_cannot_tell_and_twenty_days_can() -> None:
    by, said = world(3_000, 0.6)
    found = judged(by, said, trial_sharpes=[])
    assert found.verdict.code is Code.CANNOT_TELL and found.days == 0
    by, said = world(3_000, 0.6, step_ns=DAY_NS // 100)
    found = judged(by, said, trial_sharpes=[])
    assert found.days == 30 and found.blocks == 30 and found.verdict.code is not Code.CANNOT_TELL


def test_rows_that_the_subject_was_fitted_on_are_no_evidence() -> None:
    by, said = world(3_000, 0.6, step_ns=DAY_NS // 100)
    assert judged(replace(by, in_sample=True), said).verdict.code is Code.CANNOT_TELL


def test_trials_are_counted_with_this_one() -> None:
    by, said = world(2_000, 0.6)
    models = {"lit": ("LiT", said), "majority": ("majority", prior_of(by.truth))}
    _, without = judge(by, models)
    _, trials = judge(by, models, trial_sharpes=[0.1, 0.2])
    assert without is None and trials is not None and trials.logged == 3


def test_the_ratio_of_a_trial_is_what_acting_made_after_costs() -> None:
    by, said = world(2_000, 1.0)
    free = by.truth._replace(cost_bp=0.0, half_spread_bp=np.zeros(2_000))
    assert sharpe_of(free, said) > 0.2
    assert sharpe_of(by.truth, said) < sharpe_of(free, said)
    assert sharpe_of(by.truth, prior_of(by.truth)) == 0.0


@pytest.mark.parametrize("classes", [[1], [0], [1] * 40, [0, 2], [2] * 40])
def test_no_figure_is_ever_nan(classes: list[int]) -> None:
    truth = truth_of(classes)
    ts_ns = np.arange(len(classes)) * SECOND_NS
    cells = cut(ts_ns, SECOND_NS)
    by = Judge(
        label="1 s",
        horizon_ms=1_000,
        ts_ns=ts_ns,
        truth=truth._replace(cell=cells.cell, cells=cells.cells),
        cells=cells,
        resamples=50,
        seed=1,
    )
    found = judged(by, calls([[0.2, 0.5, 0.3]] * len(classes)), trial_sharpes=[])
    for model in found.models:
        for figure in model.figures.values():
            numbers = [one for one in (figure.value, figure.low, figure.high) if one is not None]
            assert all(math.isfinite(one) for one in numbers)
            assert figure.value is not None or figure.why
    assert b"null" in msgspec.json.encode(found) and b"NaN" not in msgspec.json.encode(found)


def test_the_curve_by_hand() -> None:
    # Surest is .8 up, which is right; then .6 down, which is flat; then two alike at .5, one right.
    p = [[0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]
    points = coverage_curve(truth_of([2, 1, 0, 2]), calls(p))
    assert [(one.rows, one.precision, one.move_bp) for one in points] == [
        (1, 1.0, 2.0),
        (2, 0.5, 1.0),
        (4, 0.5, 0.5),
    ]
    assert [one.coverage for one in points] == [0.25, 0.5, 1.0]


def test_who_is_always_as_sure_has_one_point() -> None:
    truth = truth_of([0, 1, 2])
    assert [one.coverage for one in coverage_curve(truth, prior_of(truth))] == [1.0]


def test_calibration_says_what_was_said_and_what_came() -> None:
    p = [[0.2, 0.3, 0.5]] * 10
    found = calibration(truth_of([0] * 2 + [1] * 3 + [2] * 5), calls(p))
    assert [(one.label, one.rows, one.said, one.came) for one in found] == [
        (0, 10, pytest.approx(0.2), 0.2),
        (1, 10, pytest.approx(0.3), 0.3),
        (2, 10, pytest.approx(0.5), 0.5),
    ]
    by, said = world(3_000, 1.0)
    assert sum(one.rows for one in calibration(by.truth, said)) == 3 * 3_000


def test_a_day_is_the_mean_of_its_rows_by_hand() -> None:
    truth = truth_of([2, 0, 2], move_bp=[5.0, -5.0, -3.0], half_spread_bp=0.5, cost_bp=1.0)
    said = calls([[0.2, 0.2, 0.6], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], [2.0, 0.0, 2.0])
    ts_ns = np.array([7 * DAY_NS - 2, 7 * DAY_NS - 1, 7 * DAY_NS])
    first, second = by_day(ts_ns, truth, {"lit": said})
    assert (first.begin_ns, first.rows, second.begin_ns, second.rows) == (6 * DAY_NS, 2, 7 * DAY_NS, 1)
    assert first.nll["lit"] == pytest.approx(-(math.log(0.6) + math.log(0.5)) / 2)
    assert (first.gain_bp["lit"], second.gain_bp["lit"]) == (pytest.approx((5.0 - 1.5) / 2), pytest.approx(-4.5))


def test_days_beyond_the_bound_are_the_newest() -> None:
    n = DAYS_MAX + 2
    found = by_day(np.arange(n) * DAY_NS, truth_of([0] * n), {"lit": calls([[0.5, 0.25, 0.25]] * n)})
    assert len(found) == DAYS_MAX and found[0].begin_ns == 2 * DAY_NS
