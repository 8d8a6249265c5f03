"""What the venue says beside market data, as small typed results with whole numbers, for the machines.

Acknowledgements and errors of subscriptions, answers to posts, and the user's own orders, fills, fundings, liquidation
and cancels (venue reference sections 6.1 and 6.4). What has not the venue's shape is a fault and never an
exception; a key that is not named here is passed over. Nothing here forgets or puts together: the snapshot of a channel
and the same fill told by two of them are the caller's to sort out.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from hlhft.hyperliquid.answers import ActionPosted, InfoPosted, PostRefused, posted
from hlhft.hyperliquid.reading import TEXT_MAX, UNDECODABLE, Fault, Id, ItemReader, TimeMs, Unit, cloid_or_none
from hlhft.hyperliquid.transfers import ToldTransfer, Transfer, transfer_of
from hlhft.hyperliquid.wire import ns_of
from hlhft.units import Market

ESTABLISHED_TEXT = b"Websocket connection established."  # the one frame that is no JSON, venue reference section 1
_TICKS, _LOTS, _HELD, _MICRO, _RATE = Unit

Letter = Literal["B", "A"]


class Subscription(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A subscription as the venue repeats it in its acknowledgement; what it does not name is None."""

    type: str
    coin: str | None = None
    user: str | None = None
    dex: str | None = None
    interval: str | None = None
    figures: int | None = msgspec.field(default=None, name="nSigFigs")
    mantissa: int | None = None
    fast: bool | None = None
    aggregate: bool | None = msgspec.field(default=None, name="aggregateByTime")


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a subscription or to its end."""

    method: Literal["subscribe", "unsubscribe"]
    subscription: Subscription


class Complaint(msgspec.Struct, frozen=True, gc=False):
    """The channel `error`: it names no request, only its text tells which one was meant."""

    text: str


class Pong(msgspec.Struct, frozen=True, gc=False):
    """The answer to a ping."""


class Established(msgspec.Struct, frozen=True, gc=False):
    """The greeting of a new connection."""


class OrderUpdate(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A new status of an order of this account, whoever placed it.

    With a `fault` the numbers in ticks and lots are 0 and the texts say what came; `market` is -1 for a coin that is
    not ours.
    """

    coin: str
    market: int
    side: int
    price_ticks: int
    left_lots: int
    size_lots: int
    oid: int
    cloid: int | None
    reduce_only: bool
    status: str
    placed_ns: int
    status_ns: int
    price_text: str
    left_text: str
    size_text: str
    fault: Fault


class OrderUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of `orderUpdates`, in the venue's order: an order that fills at once appears twice."""

    updates: tuple[OrderUpdate, ...]


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One fill of this account. Money is cut toward zero to millionths of `fee_token`; a fee below 0 is a rebate.

    With a `fault` the numbers in ticks, lots and millionths are 0 and the texts say what came: the venue converts dust
    finer than a lot, for one. `market` is -1 for a coin that is not ours.
    """

    coin: str
    market: int
    side: int
    price_ticks: int
    size_lots: int
    start_lots: int  # signed position before it, dust cut away
    fee_micro: int
    closed_micro: int  # profit that it realised, before fees
    fee_token: str
    oid: int
    tid: int
    cloid: int | None
    is_taker: bool
    is_liquidation: bool
    direction: str
    hash: str
    ts_ns: int
    price_text: str
    size_text: str
    fault: Fault


class Fills(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of `userFills`, or of the channel `user`, which names no user."""

    fills: tuple[Fill, ...]
    is_snapshot: bool = False
    user: str = ""


class Funding(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A funding payment; an amount below 0 was paid by us. A `fault` is as in a fill."""

    coin: str
    market: int
    amount_micro: int
    position_lots: int
    rate_e12: int
    ts_ns: int
    amount_text: str
    fault: Fault


class Fundings(msgspec.Struct, frozen=True, kw_only=True):
    """Payments of `userFundings`, or the one of a frame of the channel `user`, which names no user."""

    payments: tuple[Funding, ...]
    is_snapshot: bool = False
    user: str = ""


class Transfers(msgspec.Struct, frozen=True, kw_only=True):
    """Transfers of `userNonFundingLedgerUpdates`, with the sign that they have for `user`."""

    transfers: tuple[Transfer, ...]
    is_snapshot: bool = False
    user: str = ""


class Liquidation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """This account, or one that it liquidated, was liquidated."""

    id: int = msgspec.field(name="lid")
    liquidator: str
    liquidated_user: str
    notional_text: str = msgspec.field(name="liquidated_ntl_pos")
    account_value_text: str = msgspec.field(name="liquidated_account_value")


class Ended(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order that the venue cancelled without being asked. `market` is -1 for a coin that is not ours."""

    coin: str
    market: int
    oid: int


class NonUserCancels(msgspec.Struct, frozen=True, kw_only=True):
    """The orders that a frame of the channel `user` says the venue cancelled."""

    orders: tuple[Ended, ...]


Message = (
    Acknowledged | Complaint | Pong | Established | ActionPosted | InfoPosted | PostRefused | OrderUpdates
    | Fills | Fundings | Transfers | Liquidation | NonUserCancels
)  # fmt: skip


# The venue's shapes.


class _Order(msgspec.Struct):
    coin: str
    side: Letter
    price: str = msgspec.field(name="limitPx")
    left: str = msgspec.field(name="sz")
    oid: Id
    placed_ms: TimeMs = msgspec.field(name="timestamp")
    size: str = msgspec.field(name="origSz")
    cloid: str | None = None
    reduce_only: bool | None = msgspec.field(default=None, name="reduceOnly")


class _Update(msgspec.Struct):
    order: _Order
    status: str
    status_ms: TimeMs = msgspec.field(name="statusTimestamp")


class _Liquidated(msgspec.Struct):
    method: str


class _Fill(msgspec.Struct):
    coin: str
    price: str = msgspec.field(name="px")
    size: str = msgspec.field(name="sz")
    side: Letter
    time: TimeMs
    start: str = msgspec.field(name="startPosition")
    direction: str = msgspec.field(name="dir")
    closed: str = msgspec.field(name="closedPnl")
    hash: str
    oid: Id
    crossed: bool
    fee: str
    tid: Id
    fee_token: str = msgspec.field(name="feeToken")
    cloid: str | None = None
    liquidation: _Liquidated | None = None


class _Fills(msgspec.Struct):
    user: str
    fills: list[_Fill]
    is_snapshot: bool = msgspec.field(default=False, name="isSnapshot")


class _Paid(msgspec.Struct):
    coin: str
    amount: str = msgspec.field(name="usdc")
    position: str = msgspec.field(name="szi")
    rate: str = msgspec.field(name="fundingRate")


class _Funding(_Paid):
    time: TimeMs


class _Fundings(msgspec.Struct):
    user: str
    fundings: list[_Funding]
    is_snapshot: bool = msgspec.field(default=False, name="isSnapshot")


class _Past(msgspec.Struct):
    time: TimeMs
    delta: _Paid


class _Transfers(msgspec.Struct):
    user: str
    updates: list[ToldTransfer] = msgspec.field(name="nonFundingLedgerUpdates")
    is_snapshot: bool = msgspec.field(default=False, name="isSnapshot")


class _Ended(msgspec.Struct):
    coin: str
    oid: Id


class _User(msgspec.Struct):
    fills: list[_Fill] | None = None
    funding: _Funding | None = None
    liquidation: Liquidation | None = None
    ended: list[_Ended] | None = msgspec.field(default=None, name="nonUserCancel")


_TEXT = msgspec.json.Decoder(str)
_ACKNOWLEDGED = msgspec.json.Decoder(Acknowledged)
_UPDATES = msgspec.json.Decoder(list[_Update])
_FILLS = msgspec.json.Decoder(_Fills)
_FUNDINGS = msgspec.json.Decoder(_Fundings)
_FILL_LIST = msgspec.json.Decoder(list[_Fill])
_FUNDING_LIST = msgspec.json.Decoder(list[_Past])
_TRANSFERS = msgspec.json.Decoder(_Transfers)
_USER = msgspec.json.Decoder(_User)


class Reader:
    """Reads the channels that are no market data, of which `channels` holds the names."""

    channels = frozenset(
        {"subscriptionResponse", "error", "pong", "post", "orderUpdates", "userFills", "userFundings", "user"}
        | {"userNonFundingLedgerUpdates"}
    )

    def __init__(self, markets: Sequence[Market]) -> None:
        """A market's number is its place in `markets`."""
        self._items = ItemReader(markets)

    def read(self, channel: str, data: bytes | msgspec.Raw) -> Message | Fault:
        """The message that `data`, its JSON, carries. `channel` is one of `channels`."""
        try:
            return self._read(channel, data)
        except UNDECODABLE:
            return Fault.WRONG_SHAPE

    def fills(self, body: bytes) -> tuple[Fill, ...]:
        """The fills of an answer to `userFills` or `userFillsByTime`. Raises one of UNDECODABLE."""
        return tuple(map(self._fill, _FILL_LIST.decode(body)))

    def fundings(self, body: bytes) -> tuple[Funding, ...]:
        """The payments of an answer to `userFunding`. Raises one of UNDECODABLE."""
        return tuple(self._funding(past.delta, past.time) for past in _FUNDING_LIST.decode(body))

    def _read(self, channel: str, data: bytes | msgspec.Raw) -> Message | Fault:
        if channel == "post":
            return posted(data)
        if channel == "orderUpdates":
            return OrderUpdates(updates=tuple(map(self._update, _UPDATES.decode(data))))
        if channel == "userFills":
            told = _FILLS.decode(data)
            return Fills(fills=tuple(map(self._fill, told.fills)), is_snapshot=told.is_snapshot, user=told.user)
        if channel == "userFundings":
            paid = _FUNDINGS.decode(data)
            payments = tuple(self._funding(one, one.time) for one in paid.fundings)
            return Fundings(payments=payments, is_snapshot=paid.is_snapshot, user=paid.user)
        if channel == "userNonFundingLedgerUpdates":
            moved = _TRANSFERS.decode(data)
            transfers = tuple(transfer_of(one, moved.user) for one in moved.updates)
            return Transfers(transfers=transfers, is_snapshot=moved.is_snapshot, user=moved.user)
        if channel == "user":
            return self._user(_USER.decode(data))
        if channel == "subscriptionResponse":
            return _ACKNOWLEDGED.decode(data)
        if channel == "error":
            return Complaint(_TEXT.decode(data)[:TEXT_MAX])
        assert channel == "pong", "the caller asks for channels of this reader only"
        return Pong()

    def _user(self, told: _User) -> Message | Fault:
        if told.fills is not None:
            return Fills(fills=tuple(map(self._fill, told.fills)))
        if told.funding is not None:
            return Fundings(payments=(self._funding(told.funding, told.funding.time),))
        if told.ended is not None:
            return NonUserCancels(
                orders=tuple(Ended(coin=one.coin, market=self._items.row(one.coin), oid=one.oid) for one in told.ended)
            )
        return Fault.WRONG_SHAPE if told.liquidation is None else told.liquidation

    def _update(self, told: _Update) -> OrderUpdate:
        order = told.order
        row, numbers, fault = self._items.numbers(
            order.coin, (order.price, _TICKS), (order.left, _LOTS), (order.size, _LOTS)
        )
        return OrderUpdate(
            coin=order.coin, market=row, side=side_of(order.side),
            price_ticks=numbers[0], left_lots=numbers[1], size_lots=numbers[2],
            oid=order.oid, cloid=cloid_or_none(order.cloid), reduce_only=bool(order.reduce_only),
            status=told.status, placed_ns=ns_of(order.placed_ms), status_ns=ns_of(told.status_ms),
            price_text=order.price, left_text=order.left, size_text=order.size, fault=fault,
        )  # fmt: skip

    def _fill(self, told: _Fill) -> Fill:
        row, numbers, fault = self._items.numbers(
            told.coin,
            (told.price, _TICKS),
            (told.size, _LOTS),
            (told.start, _HELD),
            (told.fee, _MICRO),
            (told.closed, _MICRO),
        )
        return Fill(
            coin=told.coin, market=row, side=side_of(told.side), price_ticks=numbers[0], size_lots=numbers[1],
            start_lots=numbers[2], fee_micro=numbers[3], closed_micro=numbers[4], fee_token=told.fee_token,
            oid=told.oid, tid=told.tid, cloid=cloid_or_none(told.cloid), is_taker=told.crossed,
            is_liquidation=told.liquidation is not None, direction=told.direction, hash=told.hash,
            ts_ns=ns_of(told.time), price_text=told.price, size_text=told.size, fault=fault,
        )  # fmt: skip

    def _funding(self, told: _Paid, time_ms: int) -> Funding:
        row, numbers, fault = self._items.numbers(
            told.coin, (told.amount, _MICRO), (told.position, _HELD), (told.rate, _RATE)
        )
        return Funding(
            coin=told.coin, market=row, amount_micro=numbers[0], position_lots=numbers[1], rate_e12=numbers[2],
            ts_ns=ns_of(time_ms), amount_text=told.amount, fault=fault,
        )  # fmt: skip


def side_of(letter: str) -> int:
    """1 for a buy, "B", -1 for a sell, "A"."""
    return 1 if letter == "B" else -1
