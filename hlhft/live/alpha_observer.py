"""What a policy is shown in a running engine: the observation of `hlhft.alpha.observation`, once a decision."""

from __future__ import annotations

from typing import Any

import numpy as np

from hlhft.alpha import observation
from hlhft.alpha.policy import observation_hash
from hlhft.alpha.wire import hash_bytes
from hlhft.core.brain import Brain

_OBSERVE: Any = observation.observe  # numba knows its types


class AlphaObserver:
    """Shows each market of a brain at most once in `interval_ns`. `order_usdc` and `position_usdc`, above 0, are what
    the strategy calls an order and the largest position, as in the environment that the policy was trained in."""

    def __init__(self, brain: Brain, *, order_usdc: float, position_usdc: float, interval_ns: int) -> None:
        assert order_usdc > 0 and position_usdc > 0 and interval_ns > 0
        markets = len(brain.data.books)
        self.layout = hash_bytes(observation_hash())
        self._brain = brain
        self._order_usdc, self._position_usdc = float(order_usdc), float(position_usdc)
        self._interval_ns = interval_ns
        self._memory = np.zeros(markets, observation.MEMORY_DTYPE)
        self._shown_ns = [-interval_ns] * markets
        self._out = np.zeros(observation.SIZE, np.float32)

    def observation(self, market: int, now_ns: int) -> np.ndarray | None:
        """float32[O], valid until the next call, when a decision is due; times never fall."""
        if now_ns - self._shown_ns[market] < self._interval_ns:
            return None
        self._shown_ns[market] = now_ns
        brain = self._brain
        _OBSERVE(
            brain.data, brain.lane, market, self._memory[market], self._order_usdc, self._position_usdc, now_ns,
            self._out,
        )  # fmt: skip
        return self._out
