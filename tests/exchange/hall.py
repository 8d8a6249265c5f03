"""A small exchange for tests of what it remembers and tells: the kernel, records and answers, block after block."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from hlhft.exchange.block import Block
from hlhft.exchange.directory import Agent, Budget, SubAccount
from hlhft.exchange.fill_records import FillRecord, TradeRecord
from hlhft.exchange.info import Info, InfoAnswer, InfoSettings
from hlhft.exchange.listing import Listed, Listing, MarginMode, Token
from hlhft.exchange.memory import Changes, RecordSettings
from hlhft.exchange.order_records import OrderUpdate
from hlhft.exchange.records import Records
from hlhft.units import MICRO, Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import Chain, new_chain
from hlhft.venue.margin import tier_table
from hlhft.venue.state import VENUE_EVENT_DTYPE

ALO, GTC, IOC = TimeInForce.ALO, TimeInForce.GTC, TimeInForce.IOC
BUY, SELL = 1, -1
BTC, ETH, ILL, PURR = range(4)
ANN, BOB, CAT = 1, 2, 3
START_NS = 1_770_100_000_000 * 1_000_000
BLOCK_NS = 100_000_000

BTC_TIERS = ((0, 40), (150_000_000 * MICRO, 20))

LISTING = Listing(
    (
        Listed(market=Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40), tiers=BTC_TIERS),
        Listed(market=Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25)),
        Listed(
            market=Market.perpetual("ILL", asset_id=2, size_decimals=2, maximum_leverage=3),
            margin_mode=MarginMode.STRICT_ISOLATED,
        ),
        Listed(market=Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0), base_token=1),
    ),
    tokens=(Token(name="USDC", index=0), Token(name="PURR", index=1, size_decimals=0, wei_decimals=5)),
)


def address(account: int) -> str:
    return f"0x{account:040x}"


AGENT = "0x" + "a9" * 20
STRANGER = "0x" + "ee" * 20


class People:
    """Who is who in these tests: accounts 1 to 3, CAT a sub-account of ANN, one agent of ANN."""

    def __init__(self) -> None:
        self.cloids: dict[int, str] = {}

    def address_of(self, account: int) -> str:
        return address(account)

    def account_of(self, text: str) -> int | None:
        return next((account for account in range(1, 4) if address(account) == text), None)

    def cloid_of(self, client_id: int) -> str | None:
        return self.cloids.get(client_id)

    def client_id_of(self, account: int, cloid: int) -> int:
        wanted = f"0x{cloid:032x}"
        return max((number for number, text in self.cloids.items() if text == wanted), default=0)

    def role_of(self, text: str) -> tuple[str, str | None]:
        if text == AGENT:
            return "agent", address(ANN)
        if text == address(CAT):
            return "subAccount", address(ANN)
        return ("missing" if self.account_of(text) is None else "user"), None

    def agents_of(self, account: int, now_ms: int) -> list[Agent]:
        return [Agent("bot", AGENT, now_ms + 1000), Agent("", STRANGER, now_ms + 7)] if account == ANN else []

    def sub_accounts_of(self, account: int) -> list[SubAccount]:
        return [SubAccount("hedge", address(CAT), CAT)] if account == ANN else []

    def builder_rate_of(self, account: int, builder: str) -> int:
        return 10 if (account, builder) == (ANN, address(BOB)) else 0

    def budget_of(self, account: int) -> Budget:
        return Budget(used=7, allowed=10_100, surplus=0, volume_micro=100 * MICRO)

    def abstraction_of(self, account: int) -> str:
        return "disabled"


class Hall:
    """An exchange with three accounts of a million USDC each, or `collateral` micro-USDC."""

    def __init__(
        self,
        *,
        settings: RecordSettings | None = None,
        info: InfoSettings | None = None,
        collateral: int = 1_000_000 * MICRO,
        leverage: int = 20,
    ) -> None:
        markets = LISTING.records()
        tiers = np.array(
            [tier_table(listed.tiers or ((0, listed.market.maximum_leverage),)) for listed in LISTING.markets]
        )
        rules = rule_sets.hyperliquid()
        rules["minimum_notional_micro"] = 0
        markets["minimum_notional_micro"] = 0
        self.chain: Chain = new_chain(
            markets,
            rules,
            accounts=4,
            base_ticks=[700_000, 150_000, 1, 1],
            width=150_000,
            slots=256,
            start_ns=START_NS,
            tiers=tiers,
            legs_max=64,
        )
        self.chain.exchange.holdings["leverage"] = leverage
        self.chain.exchange.collateral[1:] = collateral
        self.people = People()
        self.records = Records(LISTING, self.people, settings)
        self.info = Info(self.chain, self.records, self.people, info)
        self.now_ns = START_NS
        self.height = 0
        self.block = self._empty()
        self.changes = Changes(0)
        self._legs: list[dict[str, int]] = []
        self._actions = 0
        self._client_ids = 0

    def _empty(self) -> Block:
        return Block(
            height=0,
            time_ns=START_NS,
            legs=np.zeros(0, ACTION_DTYPE),
            hashes=(),
            events=np.zeros(0, VENUE_EVENT_DTYPE),
        )

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    # Legs wait until `run` executes them as one block.

    def leg(self, *, same_action: bool = False, **fields: int) -> Hall:
        self._actions += 0 if same_action else 1
        self._legs.append({"action": self._actions, "arrival_ns": self.now_ns, **fields})
        return self

    def place(
        self,
        account: int,
        side: int,
        price: str,
        size: str,
        tif: int = GTC,
        *,
        row: int = BTC,
        cloid: str = "",
        **more: int,
    ) -> Hall:
        market = LISTING.markets[row].market
        if cloid:
            self._client_ids += 1
            self.people.cloids[self._client_ids] = cloid
            more["client_id"] = self._client_ids
        return self.leg(
            kind=ActionKind.PLACE,
            account=account,
            market=row,
            side=side,
            price_ticks=market.ticks(price),
            size_lots=market.lots(size),
            time_in_force=tif,
            **more,
        )

    def cancel(self, account: int, oid: int, row: int = BTC) -> Hall:
        return self.leg(kind=ActionKind.CANCEL, account=account, market=row, target_id=oid)

    def mark(self, price: str, row: int = BTC) -> Hall:
        ticks = LISTING.markets[row].market.ticks(price)
        self.chain.exchange.marks[row] = ticks
        self.chain.prices[row]["oracle_ticks"] = ticks
        return self

    def run(self, *, after_ns: int = BLOCK_NS) -> Changes:
        """Executes what waits as the next block and returns what it changed."""
        self.now_ns += after_ns
        legs = np.zeros(len(self._legs), ACTION_DTYPE)
        for row, fields in enumerate(self._legs):
            for name, value in fields.items():
                legs[row][name] = value
        self._legs = []
        engine = self.chain.exchange.engine
        run_block(self.chain, legs, len(legs), self.now_ns)
        events = self.chain.exchange.events[: int(engine["event_count"][0])].copy()
        engine["event_count"] = 0
        assert not engine["dropped"][0]
        return self.take(events, legs)

    def take(self, events: np.ndarray, legs: np.ndarray | None = None) -> Changes:
        """Hands a block with these events to the records."""
        legs = np.zeros(0, ACTION_DTYPE) if legs is None else legs
        self.height += 1
        self.block = Block(
            height=self.height,
            time_ns=self.now_ns,
            legs=legs,
            hashes=tuple(f"0x{int(action):064x}" for action in legs["action"]),
            events=events,
        )
        self.changes = self.records.apply(self.block, self.chain.prices)
        return self.changes

    def answer(self, **body: Any) -> InfoAnswer:
        return self.info.answer_bytes(msgspec.json.encode(body), self.now_ms)

    def ask(self, kind: str, **body: Any) -> Any:
        """The decoded answer of an /info request that succeeds."""
        answer = self.answer(type=kind, **body)
        assert answer.status == 200, answer
        return msgspec.json.decode(answer.body)


class Told:
    """Writes down what a listener hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def order(self, update: OrderUpdate, leg: int) -> None:
        self.heard.append(("order", update.order.oid, update.status, leg))

    def fill(self, fill: FillRecord) -> None:
        self.heard.append(("fill", fill.oid, fill.lots))

    def trade(self, trade: TradeRecord) -> None:
        self.heard.append(("trade", trade.trade_id))


def event(kind: int, **fields: int) -> np.ndarray:
    """One event of the venue, shape (1,)."""
    row = np.zeros(1, VENUE_EVENT_DTYPE)
    row["kind"] = kind
    row["leg"] = -1
    for name, value in fields.items():
        row[name] = value
    return row
