"""How long requests are under way to the block that includes them, and what the exchange tells to its clients.

Draws are whole-number arithmetic on seeded generators: one for what arrives, in that order, and one for what is told,
so that nobody's action is included earlier or later because somebody listens.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.exchange.actions import Action, Cancel, CancelByCloid, block_class
from hlhft.exchange.settings import DELAY_PROBABILITIES, MILLISECOND_NS, Delays
from hlhft.venue.blocks import new_clock, next_random

DRAWS = 1 << 20  # steps between the first probability and the last
_SALT, _TOLD_SALT = 7919, 104_729  # so that delays and block times of one seed are not the same draws
TAKERS = 2


class DelayDraws:
    """Draws delays in ns."""

    def __init__(self, delays: Delays, *, seed: int) -> None:
        self.delays = delays
        self._arriving = new_clock(start_ns=0, seed=seed + _SALT)
        self._told = new_clock(start_ns=0, seed=seed + _TOLD_SALT)

    def inclusion_ns(self, action: Action) -> int:
        """From a client to the earliest block that can hold the action."""
        if block_class(action) == TAKERS:
            return self._drawn_ns(self.delays.taker_ms)
        fast = isinstance(action, Cancel | CancelByCloid) and action.f
        return self._drawn_ns(self.delays.fast_ms if fast else self.delays.maker_ms)

    def publish_ns(self) -> int:
        """From a block to the clients."""
        first, last = (ms * MILLISECOND_NS for ms in self.delays.publish_ms)
        return first + (last - first) * (int(next_random(self._told[0])) % DRAWS) // DRAWS

    def state(self) -> list[int]:
        """What `restore` needs, as plain values."""
        return [int(one[name][0]) for one in (self._arriving, self._told) for name in ("seed_1", "seed_2")]

    def restore(self, state: Sequence[int]) -> None:
        """Goes on where `state` was asked for."""
        for one, seeds in zip((self._arriving, self._told), (state[:2], state[2:]), strict=True):
            one["seed_1"][0], one["seed_2"][0] = seeds

    def _drawn_ns(self, table_ms: Sequence[int]) -> int:
        per_cent = (int(next_random(self._arriving[0])) % DRAWS) * 100
        step = next(step for step in range(1, len(table_ms)) if per_cent < DELAY_PROBABILITIES[step] * DRAWS)
        low, high = DELAY_PROBABILITIES[step - 1] * DRAWS, DELAY_PROBABILITIES[step] * DRAWS
        span_ns = (table_ms[step] - table_ms[step - 1]) * MILLISECOND_NS
        return table_ms[step - 1] * MILLISECOND_NS + span_ns * (per_cent - low) // (high - low)
