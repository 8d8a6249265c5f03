"""Fitting: the distance, the search, and the command."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hlhft.exchange.flow import calibration
from hlhft.exchange.flow.calibration import KNOBS, Target, distance_of, fit, simulated, target_of, turned
from hlhft.exchange.flow.draws import new_generators
from hlhft.exchange.flow.state import MarketFlow
from hlhft.exchange.flow.statistics import BLOCK_NS, NAMES, MarketData, measure
from tests.exchange.flow.stage import BTC, CALM, STILL, changed

SECONDS = 62.0
GOALS = ("bursts_per_minute", "queue_usdc", "jump_bp")


@pytest.fixture(scope="module")
def data() -> MarketData:
    """Two blocks: one rehearsed, and the same again with half of the trades."""
    once = simulated(BTC, CALM, seed=3, seconds=SECONDS)
    end = once.touches["ts_ns"][0] + BLOCK_NS
    parts = []
    for rows, every in ((once.touches, 1), (once.trades, 2), (once.depths, 1)):
        first = rows[rows["ts_ns"] < end]
        again = first[::every].copy()
        again["ts_ns"] += BLOCK_NS
        last = again[-1:].copy()
        last["ts_ns"] = end + BLOCK_NS
        parts.append(np.concatenate([first, again, last]))
    return MarketData(BTC, *parts)


def test_a_target_allows_a_tenth_or_the_error(data: MarketData):
    target = target_of(data, data.blocks())
    figures = measure(data, data.blocks()).values()
    assert (target.figures == figures).all()
    assert (target.allowed >= 0.1 * np.abs(figures) - 1e-12).all()
    assert target.distance(figures) == 0.0
    weights = [calibration._WEIGHTS.get(name, 1.0) for name in NAMES]
    assert target.distance(figures + target.allowed) == pytest.approx(sum(weights))
    direct = dict(zip(NAMES, target.allowed / np.abs(figures), strict=True))
    assert direct["trades_per_minute"] == pytest.approx(0.1), "half of the trades in the second block excuse nothing"
    assert calibration.errors(data, data.blocks())[NAMES.index("trades_per_minute")] > 0.1 * figures[3]
    far = target.distance(figures + 100 * target.allowed)
    assert target.distance(figures + 10 * target.allowed) < far < 70 * sum(weights), "far is far, and no farther"


def test_the_same_flow_is_nearer_than_another(data: MarketData):
    target = target_of(data, data.blocks())
    same = distance_of(BTC, target, SECONDS, CALM, 4)
    other = distance_of(BTC, target, SECONDS, changed(CALM, bursts_per_minute=250.0), 4)
    assert same < other < float("inf")
    assert distance_of(BTC, target, 5.0, STILL, 4) == float("inf"), "nobody trades"
    assert distance_of(BTC, target, 5.0, CALM, 4) == float("inf"), "no whole block"


def test_knobs_turn_within_their_range():
    generator = new_generators(1, 1)
    before = CALM
    names: set[str] = set()
    for _ in range(300):
        after = turned(before, generator, 5.0)
        different = {f.name for f in dataclasses.fields(after) if getattr(after, f.name) != getattr(before, f.name)}
        assert len(different) <= calibration.TURNED_AT_ONCE
        names |= different
        before = after
        for name, (low, high, _) in KNOBS.items():
            assert low <= getattr(after, name) <= high
    assert names == set(KNOBS)


def test_the_search_finds_what_is_nearer_and_finds_it_again():
    goal = changed(CALM, bursts_per_minute=100.0, queue_usdc=1_000_000.0, jump_bp=2.0)
    seeds: list[int] = []

    def distance(numbers: MarketFlow, seed: int) -> float:
        seeds.append(seed)
        return sum(abs(np.log(getattr(numbers, name) / getattr(goal, name))) for name in GOALS)

    first = distance(CALM, 1)
    numbers, best = fit(CALM, distance, seed=10, trials=400)
    assert best == distance(numbers, 1) < 0.5 * first
    assert fit(CALM, distance, seed=10, trials=400) == (numbers, best)
    assert fit(CALM, distance, seed=11, trials=400) != (numbers, best)
    assert fit(CALM, distance, seed=10, trials=0) == (CALM, first)
    assert set(seeds) >= {10, 10 + 400 // calibration.TRIALS_PER_SEED}


def test_a_target_of_one_figure_counts_that_figure():
    allowed = np.full(len(NAMES), 1e9)
    allowed[0] = 1.0
    target = Target(np.zeros(len(NAMES)), allowed)
    figures = np.zeros(len(NAMES))
    figures[0] = 2.0
    assert target.distance(figures) == 4.0 * calibration._WEIGHTS[NAMES[0]]
