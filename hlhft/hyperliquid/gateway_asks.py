"""Which orders are asked about, and when: each with waits that grow, all together within a rate.

An order in doubt is asked about until there is no doubt any more; the waits between are those of
`hlhft.hyperliquid.backoff`. The rates are parts of the IP weight of a minute (venue reference section 7), counted in
questions.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.backoff import BackoffSettings, Budget
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import Doubt, Question
from hlhft.hyperliquid.gateway_events import AskFills, AskStatus, Effect
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.wire import cloid_text

STATUS_WEIGHT, FILLS_WEIGHT = 2, 20  # of an IP address, venue reference section 7
_REVISION_BITS = 8
_ALL_FILLS = (0,)


class _Ask(Struct, gc=False):
    failures: int
    next_ns: int


class Asks:
    """The questions that are open. Remembers one time a question, and nothing of one that is settled."""

    def __init__(self, per_minute: int, settings: BackoffSettings) -> None:
        self.budget = Budget(per_minute)
        self.asked = 0
        self._settings = settings
        self._open: dict[int, _Ask] = {}

    def __len__(self) -> int:
        return len(self._open)

    def due(self, keys: Iterable[int], now_ns: int, draw: int) -> list[int]:
        """Which of all open questions are to be asked now, the longest waiting first; a new one is at once. What the
        rate does not allow stays due."""
        self._open = {key: self._open.get(key) or _Ask(0, now_ns) for key in keys}
        found = []
        for key, ask in sorted(self._open.items(), key=lambda item: item[1].next_ns):
            if ask.next_ns > now_ns or self.budget.take(now_ns):
                break
            ask.next_ns = now_ns + backoff.wait_ns(ask.failures, draw, self._settings)
            ask.failures += 1
            self.asked += 1
            found.append(key)
        return found


class Questions:
    """What is asked of the venue about orders in doubt."""

    def __init__(self, settings: GatewaySettings, fates: Fates) -> None:
        self._user = settings.account.encode()
        self._fates = fates
        self._orders = Asks(settings.asks_per_minute, settings.ask_backoff)
        self._fills = Asks(settings.fill_asks_per_minute, settings.ask_backoff)
        self._asked_ms: dict[int, int] = {}

    def weight_used(self, now_ns: int) -> int:
        """What the questions of the last minute cost the IP address."""
        return (
            STATUS_WEIGHT * self._orders.budget.used(now_ns) + FILLS_WEIGHT * self._fills.budget.used(now_ns)
        )  # fmt: skip

    def look(self, now_ns: int, block_ms: int, draw: int) -> list[Effect]:
        """The questions that are due. `block_ms` is the newest block time that is known."""
        doubts = self._fates.doubts(now_ns)
        orders = {_key(doubt.order_id, doubt.revision): doubt for doubt in doubts if doubt.question is Question.STATUS}
        self._asked_ms = {key: ms for key, ms in self._asked_ms.items() if key in orders}
        found: list[Effect] = []
        for key in self._orders.due(orders, now_ns, draw):
            doubt = orders[key]
            self._asked_ms[key] = block_ms
            found.append(AskStatus(doubt.order_id, doubt.revision, self._body(doubt)))
        since_ms = min((doubt.since_ms for doubt in doubts if doubt.question is Question.FILLS), default=None)
        is_due = self._fills.due(() if since_ms is None else _ALL_FILLS, now_ns, draw)
        if is_due and since_ms is not None:
            found.append(AskFills(since_ms))
        return found

    def asked_ms(self, order_id: int, revision: int) -> int:
        """The newest block time that was known when the order was asked about last; 0 when it is not in doubt."""
        return self._asked_ms.get(_key(order_id, revision), 0)

    def _body(self, doubt: Doubt) -> bytes:
        """`orderStatus` (venue reference section 3), by the venue's id once it is known."""
        name = b"%d" % doubt.oid if doubt.oid else b'"%b"' % cloid_text(doubt.cloid).encode()
        return b'{"type":"orderStatus","user":"%b","oid":%b}' % (self._user, name)


def _key(order_id: int, revision: int) -> int:
    """One number of a placement."""
    return order_id << _REVISION_BITS | revision
