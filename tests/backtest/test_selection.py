"""Selection on made-up profits: what was chosen before is judged after, luck is called luck, minutes cannot tell."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import deflated_sharpe_ratio

from hlhft.backtest.selection import CONFIDENCE, Selection, Verdict, select
from hlhft.report.metrics import CLAIM_NS_MIN

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
START_NS = 1_700_000_000 * SECOND_NS
CAPITAL = 10_000_000_000


def chosen(profit: np.ndarray, **more: object) -> Selection:
    options = {"start_ns": START_NS, "interval_ns": SECOND_NS, "capital_micro": CAPITAL, **more}
    return select(profit, **options)  # type: ignore[arg-type]


def paths(*steps: list[int]) -> np.ndarray:
    return np.cumsum(np.array(steps, np.int64), axis=1)


def noise(sets: int, samples: int, *, drift: float = 0.0, seed: int = 1) -> np.ndarray:
    """Random walks; the first with a drift of so many standard deviations a step."""
    steps = np.random.default_rng(seed).normal(0, 1e6, (sets, samples))
    steps[0] += drift * 1e6
    return np.cumsum(steps, axis=1).astype(np.int64)


def test_each_choice_is_judged_on_what_came_next() -> None:
    # Forty samples in four parts of ten: the first set leads until 20 s, the second from then on.
    first, second = [3] * 20 + [-1] * 20, [1] * 20 + [5] * 20
    found = chosen(paths(first, second), embargo_ns=0)
    assert [(fold.row, fold.profit_micro, fold.rank) for fold in found.folds] == [(0, 30, 1), (0, -10, 2), (1, 50, 1)]
    assert [fold.earlier_profit_micro for fold in found.folds] == [30, 60, 70]
    assert [fold.median_profit_micro for fold in found.folds] == [20, 20, 20]
    assert [fold.from_ns - START_NS for fold in found.folds] == [10 * SECOND_NS, 20 * SECOND_NS, 30 * SECOND_NS]
    assert found.folds[2].until_ns - START_NS == 40 * SECOND_NS
    assert found.later_profit_micro == 70
    assert (found.best, found.best_profit_micro, found.profitable) == (1, 120, 2)


def test_the_embargo_keeps_what_straddles_the_point_out_of_the_choice() -> None:
    # The second set earns in the last three samples before the point at 30 s only.
    first, second = [1] * 40, [0] * 27 + [100] * 3 + [0] * 10
    assert chosen(paths(first, second), folds=1, embargo_ns=0).folds[0].row == 0  # the point is at 20 s
    late = [0] * 17 + [100] * 3 + [0] * 20
    assert chosen(paths(first, late), folds=1, embargo_ns=0).folds[0].row == 1
    found = chosen(paths(first, late), folds=1, embargo_ns=3 * SECOND_NS)
    assert found.folds[0].row == 0 and found.folds[0].earlier_profit_micro in (16, 17)
    assert found.embargo_ns == 3 * SECOND_NS


def test_parts_with_too_few_samples_are_not_looked_at() -> None:
    assert chosen(noise(3, 39)).folds == ()
    assert len(chosen(noise(3, 40), embargo_ns=0).folds) == 3
    assert [fold.from_ns for fold in chosen(noise(3, 40), embargo_ns=5 * SECOND_NS).folds] == [
        START_NS + 20 * SECOND_NS,
        START_NS + 30 * SECOND_NS,
    ]


def test_the_embargo_is_a_fiftieth_unless_said() -> None:
    assert chosen(noise(2, 100)).embargo_ns == 2 * SECOND_NS


def test_the_deflation_is_the_librarys_and_counts_every_trial() -> None:
    profit = noise(20, 400, drift=0.2)
    returns = np.diff(profit, axis=1, prepend=0) / CAPITAL
    spread = float((returns.mean(axis=1) / returns.std(axis=1)).var(ddof=1))
    plain, more = chosen(profit), chosen(profit, earlier_trials=500)
    assert plain.trials == 20 and more.trials == 520
    assert plain.deflated is not None and more.deflated is not None
    assert plain.deflated.probability == deflated_sharpe_ratio(returns[plain.best], 20, spread)
    assert more.deflated.probability == deflated_sharpe_ratio(returns[plain.best], 520, spread)
    assert more.deflated.probability < plain.deflated.probability
    assert plain.deflated.luck < more.deflated.luck
    assert plain.deflated.sharpe == more.deflated.sharpe > 0


def test_sets_that_never_trade_are_trials_too() -> None:
    profit = np.concatenate([noise(4, 100, drift=0.5), np.zeros((16, 100), np.int64)])
    found = chosen(profit)
    assert found.trials == found.sets == 20 and found.deflated is not None


@pytest.mark.parametrize("profit", [np.zeros((3, 50), np.int64), noise(3, 9), np.ones((1, 1), np.int64)])
def test_what_does_not_vary_or_is_too_short_has_no_ratio(profit: np.ndarray) -> None:
    found = chosen(profit)
    assert found.deflated is None and found.verdict is Verdict.CANNOT_TELL


def test_a_ratio_without_a_distribution_is_none() -> None:
    # Of ten samples, three are about twice the others: purgedcv's estimate of the ratio's variance is below zero.
    assert chosen(paths([923] * 7 + [1923] * 3)).deflated is None
    assert chosen(paths([0] * 7 + [1000] * 3)).deflated is not None


def test_overfitting_needs_two_sets_and_enough_samples() -> None:
    assert chosen(noise(1, 400)).overfitting is None
    assert chosen(noise(5, 79)).overfitting is None
    assert 0.2 < (chosen(noise(30, 400)).overfitting or 0.0) < 0.9
    # A set that is better throughout is better in every half.
    assert chosen(noise(5, 400, drift=3.0)).overfitting == 0.0


@pytest.mark.parametrize(
    ("profit", "more", "verdict", "sentence"),
    [
        (noise(20, 345), {"interval_ns": SECOND_NS}, Verdict.CANNOT_TELL, "Cannot tell: 5 min 45 s of data are far"),
        (noise(20, 1000, drift=0.3), {}, Verdict.HOLDS, "It holds so far"),
        (noise(20, 1000), {}, Verdict.LUCK, "luck explains what the best of 20 tries made"),
        (noise(20, 1000, drift=0.3), {"complete": False}, Verdict.CANNOT_TELL, "the sweep was interrupted"),
        (np.zeros((20, 1000), np.int64), {}, Verdict.CANNOT_TELL, "hardly varies"),
    ],
    ids=["minutes", "skill", "luck", "interrupted", "flat"],
)
def test_verdicts(profit: np.ndarray, more: dict[str, object], verdict: Verdict, sentence: str) -> None:
    found = chosen(profit, **{"interval_ns": 3 * HOUR_NS, **more})
    assert found.verdict is verdict
    assert sentence in found.sentence


def test_a_choice_that_loses_afterwards_does_not_hold() -> None:
    profit = noise(2, 1000, drift=0.4)
    steps = np.diff(profit, axis=1, prepend=0)
    steps[0] = np.where(np.arange(1000) % 250 < 5, 60e6, -0.2e6)  # it lives on what comes just after each point
    found = chosen(np.cumsum(steps, axis=1), interval_ns=3 * HOUR_NS)
    assert found.span_ns >= CLAIM_NS_MIN
    assert (found.verdict is Verdict.HOLDS) == (
        found.later_profit_micro > 0 and found.deflated is not None and found.deflated.probability >= CONFIDENCE
    )


def test_remarks_say_the_figures() -> None:
    found = chosen(paths([3_000_000] * 20 + [-1_000_000] * 20, [1_000_000] * 20 + [5_000_000] * 20), embargo_ns=0)
    assert found.remarks[0] == "The best of 2 sets made +120.00 USDC here, and 2 made money."
    assert found.remarks[1] == (
        "Chosen on what came before and judged on what came next, 3 times over, the choice made +70.00 USDC and the "
        "median set +60.00 USDC."
    )
    assert "of 2 tries without skill would show" in found.remarks[2]
    assert chosen(-paths([1_000_000] * 40)).remarks[0] == "The one set made \N{MINUS SIGN}40.00 USDC here."
    lost = chosen(-paths([2_000_000] * 40, [1_000_000] * 40))
    assert lost.remarks[0] == "None of the 2 sets made money here, the best \N{MINUS SIGN}40.00 USDC."


def test_remarks_say_how_much_would_be_needed() -> None:
    found = chosen(noise(20, 400, drift=0.2))
    assert found.deflated is not None and found.deflated.samples_needed is not None
    assert found.deflated.probability < CONFIDENCE
    assert any("would be needed for 95 %" in remark for remark in found.remarks)
    worse = chosen(noise(20, 400), earlier_trials=10_000)
    assert worse.deflated is not None and worse.deflated.samples_needed is None
    assert any("more of the same would show no skill" in remark for remark in worse.remarks)
    sure = chosen(noise(20, 1000, drift=0.5))
    assert sure.deflated is not None and sure.deflated.probability >= CONFIDENCE
    assert not any("would be needed" in remark for remark in sure.remarks)
    assert any("ways to halve the time" in remark for remark in sure.remarks)


def test_it_is_said_as_json() -> None:
    plain = json.loads(json.dumps(chosen(noise(20, 400)).plain(), allow_nan=False))
    assert plain["verdict"] == "cannot tell" and len(plain["folds"]) == 3
    assert plain["deflated"]["probability"] == pytest.approx(plain["deflated"]["probability"])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "purgedcv", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        chosen(noise(2, 40))
    assert caught.value.name == "purgedcv"


@settings(max_examples=30)
@given(
    sets=st.integers(1, 6),
    samples=st.integers(1, 120),
    seed=st.integers(0, 1000),
    folds=st.integers(1, 5),
    zeros=st.booleans(),
)
def test_any_profits_get_a_finite_answer(sets: int, samples: int, seed: int, folds: int, zeros: bool) -> None:
    profit = noise(sets, samples, seed=seed)
    if zeros:
        profit[:, : samples // 2] = 0
    found = chosen(profit, folds=folds)
    json.dumps(found.plain(), allow_nan=False)
    assert found.best_profit_micro == profit[:, -1].max()
    for fold in found.folds:
        assert 0 <= fold.row < sets and 1 <= fold.rank <= sets
        assert START_NS < fold.from_ns < fold.until_ns <= START_NS + samples * SECOND_NS


def test_where_there_are_gaps_a_fold_is_when_it_was() -> None:
    steps = [1] * 40
    times = START_NS + SECOND_NS * np.arange(1, 41) + np.repeat([0, HOUR_NS], 20)
    found = chosen(paths(steps, steps), folds=1, embargo_ns=0, times_ns=times)
    assert [(fold.from_ns, fold.until_ns) for fold in found.folds] == [(times[19] + HOUR_NS, times[39])]
    assert found.span_ns == 40 * SECOND_NS, "a gap is no time that was judged"
