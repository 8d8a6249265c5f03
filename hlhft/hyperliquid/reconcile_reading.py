"""What one reading of an account brought: the answers of its questions, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlhft.hyperliquid import account
from hlhft.hyperliquid.account import (
    Abstraction,
    AccountReader,
    AccountState,
    AssetSetting,
    Fees,
    OpenOrder,
    RateLimit,
    SpotState,
)
from hlhft.hyperliquid.account_requests import FILLS_PER_PAGE, ITEMS_PER_PAGE, InfoKind
from hlhft.hyperliquid.messages import Fill, Funding
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.transfers import Transfer
from hlhft.hyperliquid.wire import ms_of

PAGES_MAX = 6  # of one question: the venue tells the 10,000 latest fills, 2,000 a page (venue reference section 3)


class Reading:
    """The answers so far. States and listings stand by dex, "" for the main one; what was not asked is None or empty,
    and what was asked since the reading before of the same round stays."""

    def __init__(self, reader: AccountReader, begun_ns: int = 0) -> None:
        self.begun_ns = begun_ns
        self.listed_ns = 0  # when all listings had come; fills are asked for after that
        self.states: dict[str, AccountState] = {}
        self.orders: dict[str, tuple[OpenOrder, ...]] = {}
        self.spot: SpotState | None = None
        self.fees: Fees | None = None
        self.rate_limit: RateLimit | None = None
        self.mode: Abstraction | None = None
        self.assets: list[AssetSetting] = []
        self.fills: list[Fill] = []
        self.fundings: list[Funding] = []
        self.transfers: list[Transfer] = []
        self.beyond: list[InfoKind] = []  # questions with more pages than the venue tells
        self._pages: dict[InfoKind, int] = {}
        self._paged: dict[InfoKind, tuple[Any, ...]] = {}  # the latest page of each
        # How an answer is read, and where it is put.
        self._readers: dict[InfoKind, tuple[Callable[[bytes], Any], Callable[[str, Any], None]]] = {
            InfoKind.STATE: (reader.state, self.states.__setitem__),
            InfoKind.OPEN_ORDERS: (reader.open_orders, self.orders.__setitem__),
            InfoKind.SPOT_STATE: (reader.spot_state, self._set("spot")),
            InfoKind.FEES: (account.fees, self._set("fees")),
            InfoKind.RATE_LIMIT: (account.rate_limit, self._set("rate_limit")),
            InfoKind.ABSTRACTION: (account.abstraction, self._set("mode")),
            InfoKind.ASSET: (reader.asset_setting, lambda _, told: self.assets.append(told)),
            InfoKind.FILLS: (reader.fills, self._add(InfoKind.FILLS, self.fills)),
            InfoKind.FUNDINGS: (reader.fundings, self._add(InfoKind.FUNDINGS, self.fundings)),
            InfoKind.TRANSFERS: (reader.transfers, self._add(InfoKind.TRANSFERS, self.transfers)),
        }

    @property
    def block_ms(self) -> int:
        """The block that everything asked after the states is no older than."""
        return min(state.block_ms for state in self.states.values())

    def listing(self) -> tuple[OpenOrder, ...]:
        """All open orders of the account."""
        return tuple(order for orders in self.orders.values() for order in orders)

    def mark_ticks(self, market: int) -> int:
        """The mark that a position in a market is valued at; 0 when there is none."""
        positions = (position for state in self.states.values() for position in state.positions)
        return next((position.mark_ticks for position in positions if position.market == market), 0)

    def take(self, kind: InfoKind, subject: str, body: bytes) -> Fault:
        """Takes an answer; a fault other than NONE says why it is none, and changes nothing."""
        read, put = self._readers[kind]
        told = read(body)
        if isinstance(told, Fault):
            return told
        put(subject, told)
        return Fault.NONE

    def items(self, kind: InfoKind) -> int:
        """How many items the latest page of an answer held; 0 for one without pages."""
        return len(self._paged.get(kind, ()))

    def was_read(self, kind: InfoKind) -> bool:
        """Whether a question with pages was answered."""
        return kind in self._paged

    def next_page_ms(self, kind: InfoKind, subject: str) -> int | None:
        """Where the page after the one that began at `subject`, and was taken last, begins; None when it was the last,
        or no more are asked for, or the question has no pages."""
        page = self._paged.get(kind)
        if page is None or len(page) < (FILLS_PER_PAGE if kind is InfoKind.FILLS else ITEMS_PER_PAGE):
            return None
        self._pages[kind] = self._pages.get(kind, 1) + 1
        if self._pages[kind] > PAGES_MAX:
            self.beyond.append(kind)
            return None
        # A page begins with the last time of the one before; one that is full of a single time is stepped over.
        return max(ms_of(max(item.ts_ns for item in page)), int(subject) + 1)

    def _set(self, name: str) -> Callable[[str, Any], None]:
        return lambda _, told: setattr(self, name, told)

    def _add(self, kind: InfoKind, items: list[Any]) -> Callable[[str, Any], None]:
        def add(_: str, told: tuple[Any, ...]) -> None:
            items.extend(told)
            self._paged[kind] = told

        return add
