"""Which orders are asked about, and when: each with waits that grow, all together within a rate.

An order in doubt is asked about until there is no doubt any more; the waits between are those of
`hlhft.hyperliquid.backoff`. The rate is a part of the IP weight of a minute (venue reference section 7), counted in
questions.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.backoff import BackoffSettings, Budget


class _Ask(Struct, gc=False):
    failures: int
    next_ns: int


class Asks:
    """The questions that are open. Remembers one time an order in doubt, and nothing of any other."""

    def __init__(self, per_minute: int, settings: BackoffSettings) -> None:
        self.budget = Budget(per_minute)
        self.asked = 0
        self._settings = settings
        self._open: dict[int, _Ask] = {}

    def __len__(self) -> int:
        return len(self._open)

    def due(self, orders: Iterable[int], now_ns: int, draw: int) -> list[int]:
        """Which of all orders in doubt are to be asked about now, the longest waiting first; a new one is at once. What
        the rate does not allow stays due."""
        self._open = {order_id: self._open.get(order_id) or _Ask(0, now_ns) for order_id in orders}
        found = []
        for order_id, ask in sorted(self._open.items(), key=lambda item: item[1].next_ns):
            if ask.next_ns > now_ns or self.budget.take(now_ns):
                break
            ask.next_ns = now_ns + backoff.wait_ns(ask.failures, draw, self._settings)
            ask.failures += 1
            self.asked += 1
            found.append(order_id)
        return found
