"""Rows of model features in a running engine: computed once a frame has been stepped over, the newest kept for whoever
missed them.

They are those of `hlhft.alpha.features`, of the same brain that quotes, without our own resting size. All memory is
taken at the start.
"""

from __future__ import annotations

import numpy as np

from hlhft.alpha.features import Features
from hlhft.alpha.schema import ROW_DTYPE, FeatureSchema
from hlhft.core.brain import Brain
from hlhft.events import empty


class AlphaRows:
    """The rows of one brain's markets; of each market the newest `kept` can be read again."""

    def __init__(self, brain: Brain, schema: FeatureSchema, *, kept: int) -> None:
        markets = len(brain.data.books)
        self.schema = schema
        self._features = Features(schema, brain)
        self._heads = np.zeros((markets, kept), ROW_DTYPE)
        self._values = np.zeros((markets, kept, schema.columns), np.float32)
        self._count = [0] * markets  # rows so far
        self._kept = kept

    def warm(self) -> None:
        """Compiles, or loads, what `rows` runs; of a brain that is thrown away."""
        self._features.update(empty(1), 1)

    def rows(self, events: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows that the first `count` of EVENT_DTYPE `events` lead to, one frame that the brain stepped over last:
        heads ROW_DTYPE[n], values float32[n, F], valid until the next call; at most one row a market."""
        made = self._features.update(events, count)
        heads, values = self._features.heads[:made], self._features.values[:made]
        for row in range(made):
            market = int(heads["market"][row])
            place = self._count[market] % self._kept
            self._heads[market, place], self._values[market, place] = heads[row], values[row]
            self._count[market] += 1
        return heads, values

    def newest(self, market: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Copies of at most `count` of the newest rows of a market, oldest first: ROW_DTYPE[n], float32[n, F]."""
        end = self._count[market]
        places = np.arange(end - min(count, end, self._kept), end) % self._kept
        return self._heads[market, places], self._values[market, places]
