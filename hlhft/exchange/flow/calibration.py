"""Fits a market's order flow to a recording. The command is tests/bench/fit_flow.py.

The figures of hlhft.exchange.flow.statistics are measured on every other minute of the recording and on a rehearsal of
the flow; the search goes through the knobs in turn, tries each a little larger and a little smaller, keeps what is
nearer, and halves its steps when nothing is. It is bounded (KNOBS say between what) and draws nothing: the same
recording and seed give the same numbers. What is not a knob is taken from the numbers to begin with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hlhft.exchange.flow.draws import ONE, new_generators, next_number, next_share
from hlhft.exchange.flow.rehearsal import START_NS, new_rehearsal
from hlhft.exchange.flow.state import MarketFlow
from hlhft.exchange.flow.statistics import NAMES, MarketData, errors, measure
from hlhft.units import Market

# Knob: from, to, first step; steps are factors for what is positive, and added where the range begins below 0.
KNOBS: Mapping[str, tuple[float, float, float]] = {
    "bursts_per_minute": (1, 300, 1.25),
    "burst_orders": (1.0, 8, 1.25),
    "order_usdc": (5, 5_000, 1.5),
    "order_deviation": (1, 3.5, 1.1),
    "order_usdc_max": (1e4, 4e6, 1.5),
    "joins_per_s": (0.5, 60, 1.3),
    "joiner_life_s": (0.05, 60, 1.5),
    "improves_per_s": (0.02, 40, 1.5),
    "queue_usdc": (500, 1e7, 1.25),
    "queue_lean": (0.2, 12, 1.25),
    "level_usdc": (500, 5e6, 1.2),
    "touch_share": (0.02, 3, 1.5),
    "diffusion_bp": (0.005, 10, 1.3),
    "jumps_per_minute": (1, 300, 1.3),
    "jump_bp": (0.05, 20, 1.25),
    "jump_at_once": (0.02, 1, 1.3),
    "follow_s": (0.1, 20, 1.4),
    "half_spread_steps": (-0.49, 10, 0.2),
    "view_noise_steps": (0.01, 10, 1.3),
    "maker_period_s": (0.05, 3, 1.3),
    "maker_delay_s": (0.025, 0.7, 1.4),
    "informed_per_s": (0.02, 20, 1.4),
    "informed_usdc": (200, 5e6, 1.4),
    "informed_edge_steps": (0.01, 6, 1.5),
    "momentum_per_s": (0.002, 5, 1.6),
    "impact_bp": (0.0005, 5, 1.5),
    "impact_power": (0.05, 1, 1.2),
}
SEED = 20_250_904
SECONDS = 6_000.0
TRIALS = 500
TRIALS_PER_SEED = 75
TURNED_AT_ONCE = 3
STEPS_FIRST = 1.5
# What a fill has gained after a second is the best known of the markouts; the later ones and those of the money are
# known so badly that they mostly follow from it.
_WEIGHTS = {
    "spread_bp": 2.0,
    "events_per_minute": 2.0,
    "unmoved_share": 0.5,
    "markout_1_bp": 2.0,
    "markout_10_bp": 0.5,
    "markout_60_bp": 0.25,
    "touch_markout_1_bp": 2.0,
    "touch_markout_10_bp": 0.5,
    "value_markout_1_bp": 0.5,
}
# What the flow's numbers set directly: no error of the recording excuses a flow that is farther off than this share.
_DIRECT = ("trades_per_minute", "events_per_minute", "usdc_per_minute", "event_usdc")
_DIRECT_SHARE = 0.1
_FAR = 9.0  # a figure that is farther off than three times what may be counts as that, nearly

Float64 = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Target:
    """What to come near to: the figures and what each may be off by."""

    figures: Float64
    allowed: Float64

    def distance(self, figures: Float64) -> float:
        """The sum of squares of how far off the figures are, large ones dampened."""
        off = ((figures - self.figures) / self.allowed) ** 2
        dampened = np.where(off < _FAR, off, _FAR + (off - _FAR) / (1 + (off - _FAR) / 60))
        return float((dampened * np.array([_WEIGHTS.get(name, 1.0) for name in NAMES])).sum())


def target_of(data: MarketData, blocks: NDArray[np.int64]) -> Target:
    """The figures of these blocks; each may be off by a tenth or by its error, whichever is more."""
    figures = measure(data, blocks).values()
    allowed = np.maximum(0.1 * np.abs(figures), errors(data, blocks))
    direct = np.isin(NAMES, _DIRECT)
    allowed[direct] = np.minimum(allowed[direct], _DIRECT_SHARE * figures[direct])
    return Target(figures, allowed)


def simulated(market: Market, numbers: MarketFlow, *, seed: int, seconds: float) -> MarketData:
    """The market data of a rehearsal of `seconds`."""
    rehearsal = new_rehearsal([market], [numbers], seed=seed, seconds=seconds)
    rehearsal.run_until(START_NS + round(seconds * 1e9))
    return MarketData(market, rehearsal.touches(0), rehearsal.trades(0), rehearsal.depths(0))


def distance_of(market: Market, target: Target, seconds: float, numbers: MarketFlow, seed: int) -> float:
    """How far the flow's figures are from the target; infinite for a market without trades."""
    data = simulated(market, numbers, seed=seed, seconds=seconds)
    if len(data.trades) == 0 or len(data.blocks()) == 0:
        return float("inf")
    return target.distance(measure(data, data.blocks()).values())


def turned(numbers: MarketFlow, generator: np.ndarray, size: float) -> MarketFlow:
    """The same numbers with TURNED_AT_ONCE knobs turned, each by up to `size` of its step, within its range."""
    names = tuple(KNOBS)
    changed: dict[str, float] = {}
    for _ in range(TURNED_AT_ONCE):
        name = names[int(next_number(generator[0])) % len(names)]
        low, high, step = KNOBS[name]
        amount = size * (2 * int(next_share(generator[0])) / ONE - 1)
        value = getattr(numbers, name)
        value = value + amount * step if low < 0 else value * step**amount
        changed[name] = float(f"{min(max(value, low), high):.4g}")
    return dataclasses.replace(numbers, **changed)


def fit(
    numbers: MarketFlow, distance: Callable[[MarketFlow, int], float], *, seed: int, trials: int
) -> tuple[MarketFlow, float]:
    """The numbers found after so many trials, and their distance, which is a function of the numbers and a seed."""
    generator = new_generators(seed, 1)
    best = distance(numbers, seed)
    for trial in range(trials):
        if trial % TRIALS_PER_SEED == TRIALS_PER_SEED - 1:
            # Another seed now and then, so that nothing is fitted to one of them.
            seed += 1
            best = distance(numbers, seed)
        tried = turned(numbers, generator, STEPS_FIRST / (1 + 3 * trial / trials))
        found = distance(tried, seed)
        if found < best:
            numbers, best = tried, found
    return numbers, best
