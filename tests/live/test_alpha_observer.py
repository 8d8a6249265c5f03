"""A policy is shown what the environment shows it, once a decision, each market by itself."""

from __future__ import annotations

import numpy as np

from hlhft.alpha import observation
from hlhft.alpha.policy import observation_hash
from hlhft.config.settings import Config
from hlhft.live.alpha_observer import AlphaObserver
from hlhft.live.assembly import brain_of
from hlhft.strategies import load
from tests.live.test_feed import MARKETS

NS = 1_000_000_000
BEGIN_NS = 1_790_000_000 * NS


def test_each_market_is_shown_once_in_its_time_as_the_environment_shows_it() -> None:
    brain = brain_of(Config(), load("glft"), MARKETS)
    shows = AlphaObserver(brain, order_usdc=500, position_usdc=5000, interval_ns=2 * NS)
    assert shows.layout.hex() == observation_hash()
    brain.data.features["ready"], brain.data.features["mid_price"] = 127, 100_000.0
    memory = np.zeros(2, observation.MEMORY_DTYPE)
    expected = np.zeros(observation.SIZE, np.float32)
    for step in range(8):
        now_ns = BEGIN_NS + step * NS
        brain.lane.positions["position_lots"][0] = 100 * step
        brain.lane.positions["traded_lots"][0] = 100 * step
        for market in (0, 1):
            found = shows.observation(market, now_ns)
            assert (found is not None) == (step % 2 == 0)
            if found is not None:
                observation.observe(brain.data, brain.lane, market, memory[market], 500.0, 5000.0, now_ns, expected)
                assert (found == expected).all()
                assert np.isfinite(found).all()
                assert (found[0] != 0) == (market == 0 and step > 0)
