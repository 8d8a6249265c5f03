"""How long requests are under way to the block that includes them, and what the exchange tells to its clients.

Draws are whole-number arithmetic on one seeded generator, in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.exchange.actions import Action, Cancel, CancelByCloid, block_class
from hlhft.exchange.settings import DELAY_PROBABILITIES, MILLISECOND_NS, Delays
from hlhft.venue.blocks import new_clock, next_random

DRAWS = 1 << 20  # steps between the first probability and the last
_SALT = 7919  # so that delays and block times of one seed are not the same draws
TAKERS = 2


class DelayDraws:
    """Draws delays in ns."""

    def __init__(self, delays: Delays, *, seed: int) -> None:
        self.delays = delays
        self._generator = new_clock(start_ns=0, seed=seed + _SALT)

    def inclusion_ns(self, action: Action) -> int:
        """From a client to the earliest block that can hold the action."""
        if block_class(action) == TAKERS:
            return self._drawn_ns(self.delays.taker_ms)
        fast = isinstance(action, Cancel | CancelByCloid) and action.f
        return self._drawn_ns(self.delays.fast_ms if fast else self.delays.maker_ms)

    def publish_ns(self) -> int:
        """From a block to the clients."""
        first, last = (ms * MILLISECOND_NS for ms in self.delays.publish_ms)
        return first + (last - first) * (self._draw() % DRAWS) // DRAWS

    def state(self) -> list[int]:
        """What `restore` needs, as plain values."""
        return [int(self._generator["seed_1"][0]), int(self._generator["seed_2"][0])]

    def restore(self, state: Sequence[int]) -> None:
        """Goes on where `state` was asked for."""
        self._generator["seed_1"][0], self._generator["seed_2"][0] = state

    def _draw(self) -> int:
        return int(next_random(self._generator[0]))

    def _drawn_ns(self, table_ms: Sequence[int]) -> int:
        per_cent = (self._draw() % DRAWS) * 100
        step = next(step for step in range(1, len(table_ms)) if per_cent < DELAY_PROBABILITIES[step] * DRAWS)
        low, high = DELAY_PROBABILITIES[step - 1] * DRAWS, DELAY_PROBABILITIES[step] * DRAWS
        span_ns = (table_ms[step] - table_ms[step - 1]) * MILLISECOND_NS
        return table_ms[step - 1] * MILLISECOND_NS + span_ns * (per_cent - low) // (high - low)
