"""The clients' own order ids: 128 bits on the wire, one positive whole number inside, unique in the exchange.

Every use of a client order id gets a new number, so that an order is never mistaken for an older one of the same name;
the latest use is the one that a cancel means. Whether the venue lets a finished order's id be used again is unverified;
here it does.
"""

from __future__ import annotations

from hlhft.hyperliquid.wire import cloid_text

CLIENT_IDS_MAX = 1 << 20


class ClientIds:
    """Remembers the `maximum` youngest uses; what is older is forgotten and counted in `forgotten`."""

    def __init__(self, *, maximum: int = CLIENT_IDS_MAX) -> None:
        assert maximum >= 1, "at least one use must be remembered"
        self.maximum = maximum
        self.forgotten = 0
        self._next = 1
        self._used: dict[int, tuple[int, int]] = {}  # number -> account, client order id; oldest first
        self._latest: dict[tuple[int, int], int] = {}

    def use(self, account: int, cloid: int) -> int:
        """The number of a new order that the account calls `cloid`."""
        number = self._next
        self._next += 1
        self._used[number] = (account, cloid)
        self._latest[(account, cloid)] = number
        if len(self._used) > self.maximum:
            oldest = next(iter(self._used))
            name = self._used.pop(oldest)
            if self._latest[name] == oldest:
                del self._latest[name]
            self.forgotten += 1
        return number

    def find(self, account: int, cloid: int) -> int:
        """The number of the account's latest order of that name, 0 when none is known."""
        return self._latest.get((account, cloid), 0)

    def cloid_of(self, number: int) -> str | None:
        """The client order id as the wire writes it; None when the number is 0 or forgotten."""
        used = self._used.get(number)
        return None if used is None else cloid_text(used[1])

    def state(self) -> tuple[int, int, list[tuple[int, int, str]]]:
        """What `from_state` needs, as plain values: next number, forgotten, and each use as number, account, text."""
        uses = [(number, account, cloid_text(cloid)) for number, (account, cloid) in self._used.items()]
        return self._next, self.forgotten, uses

    @classmethod
    def from_state(
        cls, state: tuple[int, int, list[tuple[int, int, str]]], *, maximum: int = CLIENT_IDS_MAX
    ) -> ClientIds:
        """The ids as they were when `state` was asked for."""
        self = cls(maximum=maximum)
        self._next, self.forgotten, uses = state
        for number, account, text in uses:
            self._used[number] = (account, int(text, 16))
            self._latest[(account, int(text, 16))] = number
        return self
