"""What theory says of a maker with fill intensities A exp(-k d) and a running penalty phi q^2, computed here alone.

Guéant, Lehalle and Fernandez-Tapia (2013); Cartea, Jaimungal and Penalva (2015), chapter 10: with theta = ln w / k the
value solves w' = M w, M tridiagonal, kphi q^2 on its diagonal and -A/e beside it; over a long horizon the value a
second is minus its smallest eigenvalue over k. Distances in bp, q in orders, within -q_max..q_max.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hlhft.alpha.paths import World

Distances = tuple[np.ndarray, np.ndarray]  # of bids by q = -Q..Q-1, of asks by q = -Q+1..Q


def ergodic_value(a: float, k: float, phi: float, q_max: int) -> float:
    """The best value a second, bp of an order."""
    q = np.arange(-q_max, q_max + 1)
    beside = np.eye(len(q), k=1) + np.eye(len(q), k=-1)
    matrix = np.diag(k * phi * q.astype(float) ** 2) - a / math.e * beside
    return float(-np.linalg.eigvalsh(matrix)[0] / k)


def glft(a: float, k: float, gamma: float, sigma: float, q_max: int) -> Distances:
    """GLFT's asymptotic distances with xi = 0."""
    q = np.arange(-q_max, q_max + 1)
    skew = sigma * math.sqrt(gamma * math.e / (2.0 * a * k))
    half = 1.0 / k + 0.5 * skew
    return half + skew * q[:-1], half - skew * q[1:]


def value_of(
    a: float, k: float, etas: Sequence[float], dwell_s: float, q_max: int, distances: Sequence[Distances], tick: float
) -> float:
    """The value a second of quoting these distances, one pair a regime, made whole to ticks away from the mid.

    `etas` is what q^2 costs a second in each regime (eta sigma^2); regimes take turns, dwell_s seconds on average.
    """
    count = 2 * q_max + 1
    q = np.arange(-q_max, q_max + 1).astype(float)
    size = count * len(etas)
    rates, earned = np.zeros((size, size)), np.zeros(size)
    for regime, (eta, (bids, asks)) in enumerate(zip(etas, distances, strict=True)):
        first = regime * count
        earned[first : first + count] -= eta * q**2
        for index in range(count - 1):
            for start, end, distance in ((index, index + 1, bids[index]), (index + 1, index, asks[index])):
                # Beyond the mid, up to the other touch, every order reaches it.
                whole = max(math.ceil(distance / tick - 1e-9), 1 - World().touch_ticks) * tick
                rate = a * math.exp(-k * max(whole, 0.0))
                rates[first + start, first + end] += rate
                earned[first + start] += rate * whole
        other = (regime + 1) % len(etas)
        if other != regime:
            for index in range(count):
                rates[first + index, other * count + index] += 1.0 / dwell_s
    rates -= np.diag(rates.sum(axis=1))
    system = np.vstack([rates.T, np.ones(size)])
    occupied = np.linalg.lstsq(system, np.r_[np.zeros(size), 1.0], rcond=None)[0]
    return float(occupied @ earned)
