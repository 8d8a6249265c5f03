"""Probabilities that mean what they say: logits scaled and shifted on rows that neither trained nor stopped them.

For each horizon the calibrated logits are log prior + scale (logits - log prior) + bias, with the prior of the train
block. A scale below 1 is a temperature above 1, and at 0 nothing but the prior is left: a network that knows nothing on
later rows ends there, never below it. The bias lets the classes' shares move a little and is held back by a penalty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

SCALE_MAX = 5.0
BIAS_DEVIATION = 0.25  # of the normal prior on each bias: shares of classes drift by this order from block to block
SCALE_DEVIATION = 1.0  # around 1, of the normal prior on the scale
ROUNDS_MAX = 200


class Scaling(NamedTuple):
    """Of one horizon: calibrated logits are logits x scale + shift."""

    scale: float
    shift: Float64  # float64[3]


class Moves(NamedTuple):
    """What a class meant, in basis points: mean and deviation of the moves of each."""

    mean: Float64  # float64[3]
    deviation: Float64  # float64[3]


def softmax(logits: Float64) -> Float64:
    """float64[n, 3] to float64[n, 3]."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def nll(logits: Float64, classes: NDArray[np.int8]) -> float:
    """Mean negative logarithm of the probability of what came. Raises ValueError for no rows."""
    if not len(classes):
        raise ValueError("there are no rows to judge a network on")
    top = logits.max(axis=1)
    whole = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
    return float(np.mean(whole - logits[np.arange(len(classes)), classes]))


def fit_scaling(logits: Float64, classes: NDArray[np.int8], weights: NDArray, prior: Float64) -> Scaling:
    """The scale, 0 to SCALE_MAX, and the shift that make these rows likeliest, with the penalties of this module.

    `logits` float64[n, 3], `classes` int8[n] 0..2, `weights` >= 0 [n]: overlapping labels count as the pieces of
    evidence that they are, a uniqueness of 0.01 as a hundredth of a row. `prior` float64[3], all above 0. Raises
    ValueError for no rows.
    """
    from scipy.optimize import minimize

    if not len(classes):
        raise ValueError("there are no rows to calibrate on")
    base = np.log(prior)
    apart = np.asarray(logits, np.float64) - base
    told = np.eye(3)[classes]
    weight = np.asarray(weights, np.float64)[:, None]

    def loss(found: Float64) -> tuple[float, Float64]:
        scale, bias = found[0], found[1:]
        p = softmax(base + scale * apart + bias)
        likely = -np.sum(weight * told * np.log(np.maximum(p, 1e-300)))
        slope = weight * (p - told)
        penalty = 0.5 * (((scale - 1.0) / SCALE_DEVIATION) ** 2 + np.sum((bias / BIAS_DEVIATION) ** 2))
        gradient = np.concatenate(
            [
                [np.sum(slope * apart) + (scale - 1.0) / SCALE_DEVIATION**2],
                slope.sum(axis=0) + bias / BIAS_DEVIATION**2,
            ]
        )
        return float(likely + penalty), gradient

    bounds = [(0.0, SCALE_MAX), (None, None), (None, None), (None, None)]
    start = np.array([1.0, 0.0, 0.0, 0.0])
    done = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS_MAX})
    scale = float(done.x[0])
    return Scaling(scale, base * (1.0 - scale) + done.x[1:])


def apply(logits: Float64, scaling: Scaling) -> Float64:
    """Calibrated probabilities, float64[n, 3]."""
    return softmax(np.asarray(logits, np.float64) * scaling.scale + scaling.shift)


def class_moves(move_bp: NDArray, classes: NDArray[np.int8]) -> Moves:
    """Mean and deviation of the moves of each class; of a class that never came, those of all moves, or 0 without any.

    Rows without a class (-1) are left out. Raises ValueError for a move that is no number.
    """
    known = classes >= 0
    moves, kinds = np.asarray(move_bp, np.float64)[known], classes[known]
    if not np.isfinite(moves).all():
        raise ValueError("a label's move is no number, build the dataset again")
    mean, deviation = np.zeros(3), np.zeros(3)
    for kind in range(3):
        of_kind = moves[kinds == kind]
        taken = of_kind if len(of_kind) else moves
        if len(taken):
            mean[kind], deviation[kind] = taken.mean(), taken.std()
    return Moves(mean, deviation)


def prior_of(classes: NDArray[np.int8]) -> Float64:
    """Shares of the classes among rows that have one, float64[3]; a class that never came counts as half a row."""
    counts = np.bincount(classes[classes >= 0], minlength=3).astype(np.float64) + 0.5
    return np.asarray(counts / counts.sum())
