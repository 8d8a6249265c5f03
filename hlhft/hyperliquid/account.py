"""The venue's answers about an account, as small typed results with whole numbers (venue reference section 3.2).

Every reader is total: it gives its result, or the Fault why a body is none, be it HTML, cut off or of another shape.
What is missing is a fault or None, never 0. Numbers of our markets are whole ticks and lots, money is cut toward zero
to millionths, and what belongs to no market of ours stays the text it was. `hlhft.hyperliquid.account_requests` asks.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Literal, TypeVar

import msgspec

from hlhft.hyperliquid.messages import Fill, Funding, Letter, Reader, side_of
from hlhft.hyperliquid.reading import (
    INT64_MAX,
    MICRO_DECIMALS,
    UNDECODABLE,
    Fault,
    Id,
    ItemReader,
    TimeMs,
    Unit,
    cloid_or_none,
    whole_units,
)
from hlhft.hyperliquid.transfers import ToldTransfer, Transfer, transfer_of
from hlhft.hyperliquid.wire import ns_of
from hlhft.units import MICRO, TICKS_MAX, Market

ANSWER_BYTES_MAX = 1 << 22  # 2,000 fills have less than one million bytes
LISTING_MAX = 20_000  # open orders of one answer; the venue allows 5,000, and some may have children
_RATE_DECIMALS = 9

Result = TypeVar("Result")
Count = Id  # a whole number from 0 on


class OpenOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order that the venue lists: as in `messages.OrderUpdate`. `is_trigger` is told by some requests only."""

    coin: str
    market: int
    side: int
    price_ticks: int
    left_lots: int
    size_lots: int
    oid: int
    cloid: int | None
    is_reduce_only: bool
    is_trigger: bool
    placed_ns: int
    price_text: str
    left_text: str
    size_text: str
    fault: Fault


class OrderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of one order; `status` is a text of venue reference section 3.2, or a new one."""

    order: OpenOrder
    status: str
    status_ns: int


class Position(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A position in a perpetual, `lots` below 0 when short, `mark_ticks` the mark that its value was reckoned at, cut.

    With a `fault` the numbers in ticks and lots are 0; `market` is -1 for a coin that is not ours.
    """

    coin: str
    market: int
    lots: int
    mark_ticks: int
    leverage: int
    is_cross: bool
    value_micro: int
    unrealized_micro: int
    margin_used_micro: int
    size_text: str
    entry_text: str | None
    liquidation_text: str | None  # None: it would be 0 or less
    fault: Fault


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account's perpetuals as of block time `block_ms`. Coins without a position are absent."""

    block_ms: int
    account_value_micro: int
    notional_micro: int
    margin_used_micro: int
    cross_value_micro: int
    cross_margin_used_micro: int
    maintenance_micro: int  # of cross positions
    withdrawable_micro: int
    positions: tuple[Position, ...]


class Balance(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account has of a token, what its orders hold of it included."""

    coin: str  # the token's name
    token: int
    total_text: str
    held_text: str

    def total(self, decimals: int) -> tuple[int, Fault]:
        """(the total in units of 10^-decimals, cut; NONE), or (0, the fault)."""
        return whole_units(self.total_text, decimals, INT64_MAX, cut=True)


class SpotState(msgspec.Struct, frozen=True, kw_only=True):
    """Spot balances; tokens that the account has nothing of may be absent."""

    balances: tuple[Balance, ...]


class Fees(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account's rates in 1e-9, a rebate below 0; discounts are texts, shares of 1."""

    maker_rate_e9: int
    taker_rate_e9: int
    spot_maker_rate_e9: int
    spot_taker_rate_e9: int
    referral_discount_text: str
    staking_discount_text: str | None


class RateLimit(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The budget of actions of an address."""

    used: int
    allowed: int
    surplus: int | None
    volume_micro: int


class Abstraction(StrEnum):
    """How an account's balances hang together; only the first two follow the algebra of venue reference 3.2."""

    DEFAULT = "default"
    DISABLED = "disabled"
    UNIFIED = "unifiedAccount"
    PORTFOLIO = "portfolioMargin"
    UNRECOGNISED = ""


class Role(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an address is: user, vault, missing, agent, subAccount or a new kind; `of` is whose agent or sub-account."""

    kind: str
    of: str | None


class Agent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A wallet that may sign for the account until `valid_until_ms`."""

    name: str
    address: str
    valid_until_ms: int


class AssetSetting(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An account's leverage in one market, also without a position. `mark_ticks` is cut."""

    coin: str
    market: int
    leverage: int
    is_cross: bool
    mark_ticks: int


class ExchangeStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The venue's time; `special` is what is out of the ordinary, as JSON text, None when nothing is."""

    time_ms: int
    special: str | None


# The venue's shapes.


class _Order(msgspec.Struct):
    coin: str
    side: Letter
    price: str = msgspec.field(name="limitPx")
    left: str = msgspec.field(name="sz")
    oid: Id
    placed_ms: TimeMs = msgspec.field(name="timestamp")
    size: str | None = msgspec.field(default=None, name="origSz")
    cloid: str | None = None
    reduce_only: bool | None = msgspec.field(default=None, name="reduceOnly")
    is_trigger: bool = msgspec.field(default=False, name="isTrigger")


class _Statused(msgspec.Struct):
    order: _Order
    status: str
    status_ms: TimeMs = msgspec.field(name="statusTimestamp")


class _Status(msgspec.Struct):
    status: Literal["order", "unknownOid"]
    order: _Statused | None = None


class _Leverage(msgspec.Struct):
    type: Literal["cross", "isolated"]
    value: Count


class _Position(msgspec.Struct):
    coin: str
    size: str = msgspec.field(name="szi")
    leverage: _Leverage
    value: str = msgspec.field(name="positionValue")
    unrealized: str = msgspec.field(name="unrealizedPnl")
    margin_used: str = msgspec.field(name="marginUsed")
    entry: str | None = msgspec.field(default=None, name="entryPx")
    liquidation: str | None = msgspec.field(default=None, name="liquidationPx")


class _AssetPosition(msgspec.Struct):
    position: _Position


class _Margin(msgspec.Struct):
    value: str = msgspec.field(name="accountValue")
    notional: str = msgspec.field(name="totalNtlPos")
    used: str = msgspec.field(name="totalMarginUsed")


class _State(msgspec.Struct):
    margin: _Margin = msgspec.field(name="marginSummary")
    cross: _Margin = msgspec.field(name="crossMarginSummary")
    maintenance: str = msgspec.field(name="crossMaintenanceMarginUsed")
    withdrawable: str
    positions: list[_AssetPosition] = msgspec.field(name="assetPositions")
    time: TimeMs


class _Balance(msgspec.Struct):
    coin: str
    token: Count
    hold: str
    total: str


class _Balances(msgspec.Struct):
    balances: list[_Balance]


class _Discount(msgspec.Struct):
    discount: str


class _Fees(msgspec.Struct):
    cross: str = msgspec.field(name="userCrossRate")
    add: str = msgspec.field(name="userAddRate")
    spot_cross: str = msgspec.field(name="userSpotCrossRate")
    spot_add: str = msgspec.field(name="userSpotAddRate")
    referral: str = msgspec.field(default="0", name="activeReferralDiscount")
    staking: _Discount | None = msgspec.field(default=None, name="activeStakingDiscount")


class _RateLimit(msgspec.Struct):
    volume: str = msgspec.field(name="cumVlm")
    used: Count = msgspec.field(name="nRequestsUsed")
    allowed: Count = msgspec.field(name="nRequestsCap")
    surplus: int | None = msgspec.field(default=None, name="nRequestsSurplus")


class _RoleData(msgspec.Struct):
    user: str | None = None
    master: str | None = None


class _Role(msgspec.Struct):
    role: str
    data: _RoleData | None = None


class _Agent(msgspec.Struct):
    name: str
    address: str
    valid_until: Count = msgspec.field(name="validUntil")


class _Asset(msgspec.Struct):
    coin: str
    leverage: _Leverage
    mark: str = msgspec.field(name="markPx")


class _ExchangeStatus(msgspec.Struct):
    time: TimeMs
    special: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="specialStatuses")


_ORDERS = msgspec.json.Decoder(list[_Order])
_STATUS = msgspec.json.Decoder(_Status)
_STATE = msgspec.json.Decoder(_State)
_BALANCES = msgspec.json.Decoder(_Balances)
_FEES = msgspec.json.Decoder(_Fees)
_RATE_LIMIT = msgspec.json.Decoder(_RateLimit)
_TEXT = msgspec.json.Decoder(str)
_ROLE = msgspec.json.Decoder(_Role)
_AGENTS = msgspec.json.Decoder(list[_Agent])
_ASSET = msgspec.json.Decoder(_Asset)
_LEDGER = msgspec.json.Decoder(list[ToldTransfer])
_EXCHANGE_STATUS = msgspec.json.Decoder(_ExchangeStatus)


class _Broken(Exception):
    """A body that has its shape, with a number in it that is none."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.name)


class AccountReader:
    """Reads the answers about one account. A market's number is its place in `markets`."""

    def __init__(self, markets: Sequence[Market], *, user: str) -> None:
        self.user = user.lower()
        self._items = ItemReader(markets)
        self._reader = Reader(markets)
        self._markets = tuple(markets)

    # Orders.

    def open_orders(self, body: bytes) -> tuple[OpenOrder, ...] | Fault:
        """The answer to `openOrders` or `frontendOpenOrders`: every open order of the account, whoever placed it."""
        return _total(self._open_orders, body)

    def order_status(self, body: bytes) -> OrderStatus | Fault | None:
        """The answer to `orderStatus`; None: the venue knows no such order."""
        return _total(self._order_status, body)

    def _open_orders(self, body: bytes) -> tuple[OpenOrder, ...]:
        told = _ORDERS.decode(body)
        if len(told) > LISTING_MAX:
            raise _Broken(Fault.TOO_MANY)
        return tuple(map(self._order, told))

    def _order_status(self, body: bytes) -> OrderStatus | None:
        told = _STATUS.decode(body)
        if told.status == "unknownOid":
            return None
        if told.order is None:
            raise _Broken(Fault.WRONG_SHAPE)
        found = told.order
        return OrderStatus(order=self._order(found.order), status=found.status, status_ns=ns_of(found.status_ms))

    def _order(self, told: _Order) -> OpenOrder:
        size = told.left if told.size is None else told.size
        row, numbers, fault = self._items.numbers(
            told.coin, (told.price, Unit.TICKS), (told.left, Unit.LOTS), (size, Unit.LOTS)
        )
        return OpenOrder(
            coin=told.coin, market=row, side=side_of(told.side),
            price_ticks=numbers[0], left_lots=numbers[1], size_lots=numbers[2],
            oid=told.oid, cloid=cloid_or_none(told.cloid), is_reduce_only=bool(told.reduce_only),
            is_trigger=told.is_trigger, placed_ns=ns_of(told.placed_ms),
            price_text=told.price, left_text=told.left, size_text=size, fault=fault,
        )  # fmt: skip

    # Positions and balances.

    def state(self, body: bytes) -> AccountState | Fault:
        """The answer to `clearinghouseState`. An account that never existed has zeros and no position."""
        return _total(self._state, body)

    def spot_state(self, body: bytes) -> SpotState | Fault:
        """The answer to `spotClearinghouseState`."""
        return _total(self._spot_state, body)

    def asset_setting(self, body: bytes) -> AssetSetting | Fault:
        """The answer to `activeAssetData`; OTHER_COIN for a market that is not ours."""
        return _total(self._asset_setting, body)

    def _state(self, body: bytes) -> AccountState:
        told = _STATE.decode(body)
        return AccountState(
            block_ms=told.time,
            account_value_micro=_micro(told.margin.value),
            notional_micro=_micro(told.margin.notional),
            margin_used_micro=_micro(told.margin.used),
            cross_value_micro=_micro(told.cross.value),
            cross_margin_used_micro=_micro(told.cross.used),
            maintenance_micro=_micro(told.maintenance),
            withdrawable_micro=_micro(told.withdrawable),
            positions=tuple(self._position(one.position) for one in told.positions),
        )

    def _position(self, told: _Position) -> Position:
        row, (lots,), fault = self._items.numbers(told.coin, (told.size, Unit.HELD))
        value = _micro(told.value)
        return Position(
            coin=told.coin, market=row, lots=lots,
            mark_ticks=self._mark_ticks(row, lots, value),
            leverage=told.leverage.value, is_cross=told.leverage.type == "cross", value_micro=value,
            unrealized_micro=_micro(told.unrealized), margin_used_micro=_micro(told.margin_used),
            size_text=told.size, entry_text=told.entry, liquidation_text=told.liquidation, fault=fault,
        )  # fmt: skip

    def _mark_ticks(self, row: int, lots: int, value_micro: int) -> int:
        """The mark that a position of so many lots has this value at; 0 without one."""
        if lots == 0:
            return 0
        market = self._markets[row]
        scale = int(10 ** (market.price_decimals + market.size_decimals))
        return abs(value_micro) * scale // (abs(lots) * MICRO)

    def _spot_state(self, body: bytes) -> SpotState:
        told = _BALANCES.decode(body).balances
        return SpotState(
            balances=tuple(
                Balance(coin=one.coin, token=one.token, total_text=one.total, held_text=one.hold) for one in told
            )
        )

    def _asset_setting(self, body: bytes) -> AssetSetting:
        told = _ASSET.decode(body)
        row = self._items.row(told.coin)
        if row < 0:
            raise _Broken(Fault.OTHER_COIN)
        return AssetSetting(
            coin=told.coin,
            market=row,
            leverage=told.leverage.value,
            is_cross=told.leverage.type == "cross",
            mark_ticks=_units(told.mark, self._markets[row].price_decimals, TICKS_MAX),
        )

    # What happened.

    def fills(self, body: bytes) -> tuple[Fill, ...] | Fault:
        """The answer to `userFillsByTime` or `userFills`."""
        return _total(self._reader.fills, body)

    def fundings(self, body: bytes) -> tuple[Funding, ...] | Fault:
        """The answer to `userFunding`."""
        return _total(self._reader.fundings, body)

    def transfers(self, body: bytes) -> tuple[Transfer, ...] | Fault:
        """The answer to `userNonFundingLedgerUpdates`, with the signs that they have for this account."""
        return _total(lambda text: tuple(transfer_of(one, self.user) for one in _LEDGER.decode(text)), body)


# Answers that name no market.


def fees(body: bytes) -> Fees | Fault:
    """The answer to `userFees`."""
    return _total(_fees, body)


def rate_limit(body: bytes) -> RateLimit | Fault:
    """The answer to `userRateLimit`."""
    return _total(_rate_limit, body)


def abstraction(body: bytes) -> Abstraction | Fault:
    """The answer to `userAbstraction`; UNRECOGNISED for a mode that the reference does not name."""
    return _total(_abstraction, body)


def role(body: bytes) -> Role | Fault:
    """The answer to `userRole`."""
    return _total(_role, body)


def agents(body: bytes) -> tuple[Agent, ...] | Fault:
    """The answer to `extraAgents`: the named ones."""
    return _total(_agents, body)


def exchange_status(body: bytes) -> ExchangeStatus | Fault:
    """The answer to `exchangeStatus`."""
    return _total(_exchange_status, body)


def _fees(body: bytes) -> Fees:
    told = _FEES.decode(body)
    return Fees(
        maker_rate_e9=_rate(told.add),
        taker_rate_e9=_rate(told.cross),
        spot_maker_rate_e9=_rate(told.spot_add),
        spot_taker_rate_e9=_rate(told.spot_cross),
        referral_discount_text=told.referral,
        staking_discount_text=None if told.staking is None else told.staking.discount,
    )


def _rate_limit(body: bytes) -> RateLimit:
    told = _RATE_LIMIT.decode(body)
    return RateLimit(used=told.used, allowed=told.allowed, surplus=told.surplus, volume_micro=_micro(told.volume))


def _abstraction(body: bytes) -> Abstraction:
    text = _TEXT.decode(body)
    return Abstraction(text) if text in set(Abstraction) else Abstraction.UNRECOGNISED


def _role(body: bytes) -> Role:
    told = _ROLE.decode(body)
    of = None if told.data is None else told.data.user or told.data.master
    return Role(kind=told.role, of=None if of is None else of.lower())


def _agents(body: bytes) -> tuple[Agent, ...]:
    return tuple(
        Agent(name=one.name, address=one.address.lower(), valid_until_ms=one.valid_until)
        for one in _AGENTS.decode(body)
    )


def _exchange_status(body: bytes) -> ExchangeStatus:
    told = _EXCHANGE_STATUS.decode(body)
    special = bytes(told.special).decode()
    return ExchangeStatus(time_ms=told.time, special=None if special == "null" else special)


# Parts.


def _total(read: Callable[[bytes], Result], body: bytes) -> Result | Fault:
    """What `read` makes of a body, or the fault why it makes nothing of it."""
    if len(body) > ANSWER_BYTES_MAX:
        return Fault.TOO_LONG
    try:
        return read(body)
    except msgspec.ValidationError:
        return Fault.WRONG_SHAPE
    except UNDECODABLE:
        return Fault.UNREADABLE
    except _Broken as broken:
        return broken.fault


def _units(text: str, decimals: int, maximum: int = INT64_MAX) -> int:
    number, fault = whole_units(text, decimals, maximum, signed=True, cut=True)
    if fault:
        raise _Broken(fault)
    return number


def _micro(text: str) -> int:
    return _units(text, MICRO_DECIMALS)


def _rate(text: str) -> int:
    return _units(text, _RATE_DECIMALS)
