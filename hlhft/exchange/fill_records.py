"""A fill, a trade, a payment as the exchange remembers and shows them, and the entry prices behind `closedPnl`.

Sources: venue reference sections 3.2 and 6, and the recorded messages of 2026. Each is turned into JSON once, however
many are told of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from hlhft.exchange.listing import Listed
from hlhft.exchange.order_records import SIDE_TEXT
from hlhft.hyperliquid.wire import answer_number

HASH_NONE = "0x" + 64 * "0"
MICRO_DECIMALS = 6
RATE_DECIMALS = 10  # the venue publishes rates and premiums with ten decimals (recorded)

# A trade id is a number of 50 bits that does not ascend (venue reference section 6.3). Multiplying by an odd number
# makes one from the kernel's counter, and no two alike.
_TRADE_ID_FACTOR = 0x2545F4914F6CD
_TRADE_ID_MODULUS = 2**50


def trade_id_shown(trade_id: int) -> int:
    """The wire's number of the kernel's trade `trade_id`."""
    return trade_id * _TRADE_ID_FACTOR % _TRADE_ID_MODULUS


def rate_text(rate_e12: int) -> str:
    """A rate of whole 1e-12 as the wire shows it: ten decimals, the rest cut off."""
    sign = -1 if rate_e12 < 0 else 1
    return answer_number(sign * (abs(rate_e12) // 100), RATE_DECIMALS)


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """What an account holds in a market and what it cost: `basis_quanta` is price x |lots| summed over what is open.

    Funding paid is positive, received negative, in micro-USDC: the recorded account's `sinceChange` is negative over
    hours in which its long position received.
    """

    lots: int = 0
    basis_quanta: int = 0
    funding_paid_micro: int = 0
    funding_since_open_micro: int = 0
    funding_since_change_micro: int = 0

    def fill(self, side: int, ticks: int, lots: int) -> int:
        """Books a fill and returns the profit in quanta that it realised, 0 for what opens.

        A part that is closed takes its share of the basis with it, rounded down, so basis and profits together are
        exactly what was paid and received.
        """
        before = self.lots
        self.lots = before + side * lots
        self.funding_since_change_micro = 0
        if before * self.lots <= 0:
            self.funding_since_open_micro = 0
        if before * side >= 0:
            self.basis_quanta += ticks * lots
            return 0
        closed = min(lots, abs(before))
        released = self.basis_quanta * closed // abs(before)
        self.basis_quanta -= released
        if lots > closed:
            self.basis_quanta = ticks * (lots - closed)
        return -side * (ticks * closed - released)

    def pay(self, received_micro: int) -> None:
        """Books a payment of funding, negative when paid."""
        self.funding_paid_micro -= received_micro
        self.funding_since_open_micro -= received_micro
        self.funding_since_change_micro -= received_micro

    def adjust(self, lots: int, ticks: int) -> None:
        """Makes it `lots` where something other than a fill moved it: what is left keeps its price, what is new has
        `ticks`."""
        if self.lots * lots > 0 and abs(lots) <= abs(self.lots):
            self.basis_quanta = self.basis_quanta * abs(lots) // abs(self.lots)
        elif self.lots * lots > 0:
            self.basis_quanta += ticks * (abs(lots) - abs(self.lots))
        else:
            self.basis_quanta = ticks * abs(lots)
        self.lots = lots


def direction(start_lots: int, side: int, lots: int, *, is_spot: bool) -> str:
    """What a fill did to the position, in the venue's words."""
    if is_spot:
        return "Buy" if side > 0 else "Sell"
    if start_lots * side >= 0:
        return "Open Long" if side > 0 else "Open Short"
    if lots <= abs(start_lots):
        return "Close Short" if side > 0 else "Close Long"
    return "Short > Long" if side > 0 else "Long > Short"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationNote:
    """That a fill came of a liquidation."""

    user: str
    mark_text: str
    method: str  # "market" or "backstop"

    def shape(self) -> dict[str, object]:
        """The shape inside a fill."""
        return {"liquidatedUser": self.user, "markPx": self.mark_text, "method": self.method}


@dataclass(slots=True, kw_only=True, eq=False)
class FillRecord:
    """One side of a trade."""

    account: int
    row: int
    listed: Listed
    oid: int
    side: int
    ticks: int
    lots: int
    time_ms: int
    start_lots: int
    closed_quanta: int
    fee_micro: int
    builder_fee_micro: int
    crossed: bool
    trade_id: int
    hash: str
    cloid: str | None = None
    twap_id: int | None = None
    liquidation: LiquidationNote | None = None
    _json: msgspec.Raw | None = field(default=None, repr=False)

    def shape(self) -> dict[str, object]:
        """The shape of `userFills`."""
        market = self.listed.market
        shape: dict[str, object] = {
            "coin": market.name,
            "px": answer_number(self.ticks, market.price_decimals),
            "sz": answer_number(self.lots, market.size_decimals),
            "side": SIDE_TEXT[self.side],
            "time": self.time_ms,
            "startPosition": answer_number(self.start_lots, market.size_decimals),
            "dir": direction(self.start_lots, self.side, self.lots, is_spot=self.listed.is_spot),
            "closedPnl": answer_number(self.closed_quanta, self.listed.quanta_decimals),
            "hash": self.hash,
            "oid": self.oid,
            "crossed": self.crossed,
            "fee": answer_number(self.fee_micro, MICRO_DECIMALS),
            "tid": trade_id_shown(self.trade_id),
        }
        if self.cloid is not None:
            shape["cloid"] = self.cloid
        if self.liquidation is not None:
            shape["liquidation"] = self.liquidation.shape()
        shape["feeToken"] = "USDC"
        if self.builder_fee_micro:
            shape["builderFee"] = answer_number(self.builder_fee_micro, MICRO_DECIMALS)
        shape["twapId"] = self.twap_id
        return shape

    def json(self) -> msgspec.Raw:
        """The shape as JSON, made once: call it only when the block is done with the fill."""
        if self._json is None:
            self._json = msgspec.Raw(msgspec.json.encode(self.shape()))
        return self._json


@dataclass(slots=True, kw_only=True, eq=False)
class TradeRecord:
    """One trade of a market."""

    row: int
    listed: Listed
    aggressor: int
    ticks: int
    lots: int
    time_ms: int
    hash: str
    trade_id: int
    buyer: str
    seller: str
    _json: msgspec.Raw | None = field(default=None, repr=False)

    def shape(self) -> dict[str, object]:
        """The shape of the `trades` channel and of `recentTrades`."""
        market = self.listed.market
        return {
            "coin": market.name,
            "side": SIDE_TEXT[self.aggressor],
            "px": answer_number(self.ticks, market.price_decimals),
            "sz": answer_number(self.lots, market.size_decimals),
            "time": self.time_ms,
            "hash": self.hash,
            "tid": trade_id_shown(self.trade_id),
            "users": [self.buyer, self.seller],
        }

    def json(self) -> msgspec.Raw:
        """The shape as JSON, made once."""
        if self._json is None:
            self._json = msgspec.Raw(msgspec.json.encode(self.shape()))
        return self._json


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRecord:
    """One payment of funding to one account; `amount_micro` is negative when paid."""

    listed: Listed
    time_ms: int
    amount_micro: int
    lots: int
    rate_e12: int

    def flat(self) -> dict[str, object]:
        """The shape of the channels `user` and `userFundings`."""
        return {
            "time": self.time_ms,
            "coin": self.listed.market.name,
            "usdc": answer_number(self.amount_micro, MICRO_DECIMALS),
            "szi": answer_number(self.lots, self.listed.market.size_decimals),
            "fundingRate": rate_text(self.rate_e12),
            "nSamples": None,
        }

    def delta(self) -> dict[str, object]:
        """The shape of the request `userFunding`."""
        flat = self.flat()
        time_ms = flat.pop("time")
        return {"time": time_ms, "hash": HASH_NONE, "delta": {"type": "funding", **flat}}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """One change of an account's money other than by trading and funding."""

    time_ms: int
    hash: str
    delta: dict[str, object]

    def shape(self) -> dict[str, object]:
        """The shape of `userNonFundingLedgerUpdates`."""
        return {"time": self.time_ms, "hash": self.hash, "delta": self.delta}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapRequest:
    """What the owner of a TWAP asked for."""

    twap_id: int
    listed: Listed
    user: str
    side: int
    lots: int
    minutes: int
    reduce_only: bool
    randomize: bool
    time_ms: int


# As the event TWAP_STATE counts them.
TWAP_STATES = ("activated", "finished", "terminated", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapStatus:
    """How far a TWAP has come at a moment; `state` is a place in TWAP_STATES."""

    request: TwapRequest
    time_ms: int
    state: int
    executed_lots: int
    executed_micro: int

    def running(self) -> dict[str, object]:
        """The shape inside `twapStates` (documentation, unverified)."""
        request = self.request
        decimals = request.listed.market.size_decimals
        return {
            "coin": request.listed.market.name,
            "user": request.user,
            "side": SIDE_TEXT[request.side],
            "sz": answer_number(request.lots, decimals),
            "executedSz": answer_number(self.executed_lots, decimals),
            "executedNtl": answer_number(self.executed_micro, MICRO_DECIMALS),
            "minutes": request.minutes,
            "reduceOnly": request.reduce_only,
            "randomize": request.randomize,
            "timestamp": request.time_ms,
        }

    def history(self) -> dict[str, object]:
        """The shape of `twapHistory` (documentation, unverified)."""
        status = {"status": TWAP_STATES[self.state]}
        return {
            "time": self.time_ms // 1000,
            "state": self.running(),
            "status": status,
            "twapId": self.request.twap_id,
        }
