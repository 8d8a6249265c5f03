"""What can be known of a simulated market: the Bayes rate by Monte Carlo, and a check that nobody knows more."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.alpha.truth.generator import World, class_probabilities, drawn, imbalances

Float64 = NDArray[np.float64]
CHUNKS = 20
DEVIATIONS_MAX = 4.0  # of a check that must not fail by chance: once in 30,000


class Rate(NamedTuple):
    """The best that a forecaster can reach in a world, in the mean over its paths.

    `*_deviation_of_root` over the root of a number of rows is the deviation of a sample of so many.
    """

    mcc: float
    nll: float
    mcc_deviation_of_root: float
    nll_deviation_of_root: float


class Skill(NamedTuple):
    """A forecaster on N rows: its Matthews correlation, that of the Bayes rule on the same rows, and the ratio."""

    mcc: float
    oracle_mcc: float

    @property
    def share(self) -> float:
        """How much of what can be known it knows; 0 where nothing can be known."""
        return self.mcc / self.oracle_mcc if self.oracle_mcc > 0.0 else 0.0


def matthews(truth: NDArray[np.integer], forecast: NDArray[np.integer]) -> float:
    """The correlation of Matthews for three classes (Gorodkin, 2004), -1..1; 0 when either knows one class only."""
    confusion = np.bincount(truth.astype(np.int64) * 3 + forecast, minlength=9).reshape(3, 3).astype(np.float64)
    total, told, is_so = confusion.sum(), confusion.sum(axis=0), confusion.sum(axis=1)
    spread = (total**2 - (told**2).sum()) * (total**2 - (is_so**2).sum())
    return float((np.trace(confusion) * total - told @ is_so) / math.sqrt(spread)) if spread > 0.0 else 0.0


def losses(truth: NDArray[np.integer], probabilities: NDArray[np.floating]) -> Float64:
    """float64[N]: minus the logarithm of what each row's class was given, a class without any counting as 1e-12."""
    given = np.take_along_axis(probabilities.astype(np.float64), truth.astype(np.int64)[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(given, 1e-12))


def bayes_rate(world: World, rows: int = 200_000, seed: int = 0) -> Rate:
    """Monte Carlo over the latent state alone: no book is built and no feature computed."""
    draws = np.random.default_rng([seed, rows, CHUNKS])
    probabilities = class_probabilities(world, imbalances(world, rows, draws))
    truth = drawn(probabilities, draws)
    forecast = probabilities.argmax(axis=1)
    each = rows // CHUNKS
    parts = [matthews(truth[at : at + each], forecast[at : at + each]) for at in range(0, each * CHUNKS, each)]
    loss = losses(truth, probabilities)
    return Rate(
        matthews(truth, forecast), float(loss.mean()), float(np.std(parts, ddof=1)) * math.sqrt(each), float(loss.std())
    )


def skill(truth: NDArray[np.integer], probabilities: NDArray[np.floating], bayes: Float64) -> Skill:
    """`probabilities` [N, 3] of a forecaster, and `bayes` [N, 3] that the classes `truth` [N] were drawn with."""
    return Skill(matthews(truth, probabilities.argmax(axis=1)), matthews(truth, bayes.argmax(axis=1)))


def assert_possible(truth: NDArray[np.integer], probabilities: NDArray[np.floating], bayes: Float64) -> None:
    """Raises AssertionError when forecasts are better than any that see no later than their row: something leaks.

    Given all of the past, no forecast has a smaller expected loss than `bayes` (Gibbs). So the differences of losses
    add up to no less than a martingale, whose deviation is that of independent rows however features hang together.
    """
    difference = losses(truth, probabilities) - losses(truth, bayes)
    deviation = float(difference.std()) / math.sqrt(len(difference))
    mean = float(difference.mean())
    assert mean >= -DEVIATIONS_MAX * deviation, (
        f"too good to be true: the loss is {-mean:.4f} below the Bayes rule's, {-mean / deviation:.1f} deviations, "
        "so a feature or a split looks ahead"
    )
