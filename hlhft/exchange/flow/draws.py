"""What the order flow draws: whole numbers from quantile tables, the same with and without compilation.

A table holds QUANTILES values of a distribution's quantile function; a draw falls between two of them in proportion.
Scales are powers of two, ONE stands for 1. The tables are rounded to whole numbers when they are built, so that a last
digit of the mathematics library does not matter; what is drawn from them is integer arithmetic only.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import MODULUS_1, MODULUS_2, drawn, next_state

ONE = 2**16
QUANTILES = 1025
WAIT_NS_MAX = 2**50  # 13 days

_STEPS = 1024
_LAYER = 2**20  # steps x layer is about half of the generator's range

GENERATOR_DTYPE = np.dtype([("seed_1", np.int64), ("seed_2", np.int64)])


def new_generators(seed: int, count: int) -> np.ndarray:
    """`count` generators that begin far apart, shape (count,), dtype GENERATOR_DTYPE.

    Raises ValueError on a negative seed.
    """
    if seed < 0:
        raise ValueError(f"the seed of the order flow must be at least 0, not {seed}")
    generators = np.zeros(count, GENERATOR_DTYPE)
    for row in range(count):
        generators[row] = (seed % (MODULUS_1 - 1) + 1, (seed // (MODULUS_1 - 1) + 7919 * row) % (MODULUS_2 - 1) + 1)
        # Neighbouring seeds begin alike; a few draws separate them.
        for _ in range(16):
            next_number(generators[row])
    return generators


def probabilities() -> list[float]:
    """Where the tables are read off: the middles of QUANTILES equal shares."""
    return [(index + 0.5) / QUANTILES for index in range(QUANTILES)]


def normal_table() -> np.ndarray:
    """The standard normal distribution in ONE, int64[QUANTILES]; it ends at 3.3 deviations."""
    normal = NormalDist()
    return np.array([round(normal.inv_cdf(share) * ONE) for share in probabilities()], np.int64)


def exponential_table() -> np.ndarray:
    """The exponential distribution of mean 1 in ONE, int64[QUANTILES]; it ends at 7.6."""
    return np.array([round(-math.log1p(-share) * ONE) for share in probabilities()], np.int64)


def log_normal_table(median: float, deviation: float, least: float, most: float) -> np.ndarray:
    """Whole numbers of a log-normal distribution cut to [least, most], int64[QUANTILES]; the least is rounded up."""
    normal = NormalDist()
    values = [median * math.exp(deviation * normal.inv_cdf(share)) for share in probabilities()]
    low = math.ceil(least)
    high = max(math.floor(most), low)
    return np.array([min(max(round(value), low), high) for value in values], np.int64)


@compiled
def next_number(generator):
    """The next whole number of a GENERATOR_DTYPE record, uniform in 0 .. 2147483561."""
    first, second = next_state(generator["seed_1"], generator["seed_2"])
    generator["seed_1"] = first
    generator["seed_2"] = second
    return drawn(first, second)


@compiled
def next_share(generator):
    """A share in 0 .. ONE - 1, uniform."""
    return next_number(generator) % ONE


@compiled
def next_place(generator):
    """A place in a table, uniform, for `value_at`: one place in two tables draws two values that belong together."""
    return next_number(generator) % (_STEPS * _LAYER)


@compiled
def value_at(table, place):
    """The value of a table of quantiles at a place of `next_place`."""
    low = table[place // _LAYER]
    high = table[place // _LAYER + 1]
    return low + (high - low) * (place % _LAYER) // _LAYER


@compiled
def next_from(generator, table):
    """A draw from the distribution whose quantiles the table holds."""
    return value_at(table, next_place(generator))


@compiled
def next_wait_ns(generator, table, mean_ns):
    """The time, at least 1 ns, to the next of events that come independently, one in `mean_ns` <= WAIT_NS_MAX.

    `table` is `exponential_table()`.
    """
    return max(next_from(generator, table) * (mean_ns // 256) // (ONE // 256), 1)
