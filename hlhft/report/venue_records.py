"""What the venue tells of an account's past, as exact records: fills, funding, transfers, what it held and was worth.

Shapes of `userFillsByTime`, `userFunding`, `userNonFundingLedgerUpdates`, `clearinghouseState`,
`spotClearinghouseState` and `candleSnapshot` (venue reference section 3). Nothing here is rounded: prices, sizes and
money are whole 1e-12, which is finer than any of the venue's numbers; a number that is finer still is an error.

A coin with "@" or "/" in its name is a spot pair. A fee of it that is not in USDC is taken out of what was traded, so
that a rebate adds to it (recorded by a node in October 2025, every chain of positions agrees).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from hlhft.hyperliquid.reading import UNDECODABLE, Id, TimeMs, cloid_or_none, whole_units
from hlhft.hyperliquid.transfers import ToldTransfer, transfer_of
from hlhft.hyperliquid.wire import ns_of
from hlhft.units import Market

DECIMALS = 12
UNIT: int = 10**DECIMALS  # of these in 1 USDC, one coin, or a price of 1
GRAINS_PER_UNIT: int = 2 * UNIT  # a grain is price x size of 1e-12 each, halved: twice a mid is whole
GRAINS_PER_MICRO: int = 2 * 10**18
USDC = "USDC"
_LARGEST = 10**32  # a number of this many units is none of the venue's
_T = TypeVar("_T")


class HistoryError(ValueError):
    """A record of a history that is none, or a file of it that is not what was written: where and what it is."""


def is_spot(coin: str) -> bool:
    """Whether a position in it is a balance, not a contract."""
    return coin.startswith("@") or "/" in coin


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFill:
    """One side of a trade. Numbers in 1e-12; `fee` has the builder's in it and is a rebate below 0; `tid` is 0 for
    what was no trade, `side` 1 for a buy and -1 for a sell, `start` the signed position before it."""

    coin: str
    ts_ns: int
    side: int
    price: int
    size: int
    start: int
    closed: int
    fee: int
    fee_token: str = USDC
    builder_fee: int = 0
    tid: int = 0
    oid: int = 0
    cloid: int | None = None
    is_taker: bool = False
    is_liquidation: bool = False
    direction: str = ""
    hash: str = ""

    @property
    def is_fee_in_coin(self) -> bool:
        """Whether the fee is taken from what was traded, and not from USDC."""
        return self.fee_token != USDC and is_spot(self.coin)

    @property
    def change(self) -> int:
        """What it adds to the position."""
        return self.side * self.size - (self.fee if self.is_fee_in_coin else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFunding:
    """A payment of funding: `amount` below 0 when paid, `position` signed, `rate` of the hour; all 1e-12."""

    coin: str
    ts_ns: int
    amount: int
    position: int
    rate: int
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What came in or left other than by trading and funding. `amount` is in 1e-12 USDC and None where the venue does
    not say it; what is a token of a pair has its `coin` and signed `size`, and counts at the mid."""

    ts_ns: int
    kind: str
    amount: int | None
    coin: str = ""
    size: int = 0
    hash: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position at a reading. `mark_double` is twice the mark, 0 unknown; `unrealised` None where nobody says it."""

    size: int
    mark_double: int = 0
    unrealised: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the account held and was worth at a time. `cash` is the perpetuals' account value and the USDC of the spot
    side; the tokens of `held` are worth their marks beside it."""

    ts_ns: int
    cash: int
    held: Mapping[str, Held] = field(default_factory=dict)

    @property
    def equity_grains(self) -> int:
        """The account's worth in grains."""
        tokens = sum(one.size * one.mark_double for coin, one in self.held.items() if is_spot(coin))
        return self.cash * GRAINS_PER_UNIT + tokens


@dataclass(frozen=True, slots=True)
class Mids:
    """A market's mids: twice each, and since when it was known, in order of time."""

    ts_ns: tuple[int, ...] = ()
    double: tuple[int, ...] = ()

    def at(self, ts_ns: int) -> int:
        """The last known one at a time, before all of them the first, 0 without any."""
        if not self.ts_ns:
            return 0
        return self.double[max(bisect_right(self.ts_ns, ts_ns) - 1, 0)]


@dataclass(frozen=True, kw_only=True)
class History:
    """An account's past over a stretch of time.

    `opening` is what it had at the start, None where that is not known; `readings` are later ones in order of time. An
    account whose past is known from its first deposit on has an empty opening. `cuts` says what the venue no longer has
    or was not asked, a sentence each.
    """

    address: str
    fills: Sequence[PastFill]
    fundings: Sequence[PastFunding] = ()
    flows: Sequence[Flow] = ()
    opening: Reading | None = None
    readings: Sequence[Reading] = ()
    mids: Mapping[str, Mids] = field(default_factory=dict)
    mids_from: str = "nothing"  # what the mids are, in words
    mids_every_ns: int = 0  # how far apart they are: nothing is said of what is shorter
    markets: Mapping[str, Market] = field(default_factory=dict)  # those whose ticks and lots are known
    cuts: Sequence[str] = ()


# The venue's shapes. Those of 2023 lack what has a default.


class _Liquidated(msgspec.Struct):
    method: str = ""


class _Fill(msgspec.Struct):
    coin: str
    price: str = msgspec.field(name="px")
    size: str = msgspec.field(name="sz")
    side: str
    time: TimeMs
    start: str = msgspec.field(name="startPosition")
    direction: str = msgspec.field(name="dir")
    closed: str = msgspec.field(name="closedPnl")
    hash: str
    oid: Id
    crossed: bool
    fee: str
    tid: Id = 0
    fee_token: str = msgspec.field(default=USDC, name="feeToken")
    builder_fee: str | None = msgspec.field(default=None, name="builderFee")
    cloid: str | None = None
    liquidation: _Liquidated | None = None


class _Delta(msgspec.Struct):
    coin: str
    amount: str = msgspec.field(name="usdc")
    position: str = msgspec.field(name="szi")
    rate: str = msgspec.field(name="fundingRate")


class _Funding(msgspec.Struct):
    time: TimeMs
    hash: str
    delta: _Delta


class _Token(msgspec.Struct):
    type: str
    amount: str | None = None
    user: str = ""
    destination: str = ""
    token: str = USDC
    fee: str = "0"


class _Position(msgspec.Struct):
    coin: str
    size: str = msgspec.field(name="szi")
    value: str = msgspec.field(name="positionValue")
    unrealised: str = msgspec.field(name="unrealizedPnl")


class _Entry(msgspec.Struct):
    position: _Position


class _Summary(msgspec.Struct):
    value: str = msgspec.field(name="accountValue")


class _State(msgspec.Struct):
    margin: _Summary = msgspec.field(name="marginSummary")
    positions: list[_Entry] = msgspec.field(name="assetPositions")
    time: TimeMs


class _Balance(msgspec.Struct):
    coin: str
    total: str


class _Balances(msgspec.Struct):
    balances: list[_Balance]


class _Candle(msgspec.Struct):
    end_ms: TimeMs = msgspec.field(name="T")
    close: str = msgspec.field(name="c")


_FILL, _FUNDING = msgspec.json.Decoder(_Fill), msgspec.json.Decoder(_Funding)
_TOLD, _TOKEN = msgspec.json.Decoder(ToldTransfer), msgspec.json.Decoder(_Token)
_STATE, _BALANCES = msgspec.json.Decoder(_State), msgspec.json.Decoder(_Balances)
_CANDLES = msgspec.json.Decoder(list[_Candle])


def units(text: str, what: str, *, signed: bool = True) -> int:
    """A decimal text in whole 1e-12, exactly. Raises HistoryError naming `what`."""
    number, fault = whole_units(text, DECIMALS, _LARGEST, signed=signed)
    if fault:
        raise HistoryError(f"{what}: {text[:40]} is no number of at most {DECIMALS} decimals ({fault.name.lower()})")
    return number


def read_fill(line: bytes | msgspec.Raw, where: str) -> PastFill:
    """A fill as the venue writes it. Raises HistoryError, which begins with `where`."""
    told = _decoded(_FILL, line, where)
    if told.side not in ("A", "B"):
        raise HistoryError(f"{where}: side {told.side[:8]} of a fill is neither A nor B")
    return PastFill(
        coin=told.coin, ts_ns=ns_of(told.time), side=1 if told.side == "B" else -1,
        price=units(told.price, where, signed=False), size=units(told.size, where, signed=False),
        start=units(told.start, where), closed=units(told.closed, where), fee=units(told.fee, where),
        fee_token=told.fee_token, builder_fee=units(told.builder_fee or "0", where), tid=told.tid, oid=told.oid,
        cloid=cloid_or_none(told.cloid), is_taker=told.crossed, is_liquidation=told.liquidation is not None,
        direction=told.direction, hash=told.hash,
    )  # fmt: skip


def read_funding(line: bytes | msgspec.Raw, where: str) -> PastFunding:
    """A payment as the venue writes it. Raises HistoryError."""
    told = _decoded(_FUNDING, line, where)
    return PastFunding(
        coin=told.delta.coin,
        ts_ns=ns_of(told.time),
        amount=units(told.delta.amount, where),
        position=units(told.delta.position, where),
        rate=units(told.delta.rate, where),
        hash=told.hash,
    )


def read_flow(line: bytes | msgspec.Raw, where: str, *, address: str, coins: Mapping[str, str]) -> Flow:
    """An entry of the ledger; `coins` gives the pair by the name of its token. Raises HistoryError."""
    told = _decoded(_TOLD, line, where)
    token = _decoded(_TOKEN, told.delta, where)
    transfer = transfer_of(told, address)
    amount = None if transfer.amount_micro is None else transfer.amount_micro * (UNIT // 10**6)
    coin, size = coins.get(token.token, "") if token.token != USDC else "", 0
    if coin and token.amount is not None:
        moved, own = units(token.amount, where), address.lower()
        comes = token.destination.lower() == own or not token.user
        leaves = token.user.lower() == own
        size, amount = moved * (comes - leaves), -leaves * units(token.fee, where)  # the sender pays it in USDC
    return Flow(
        ts_ns=transfer.ts_ns, kind=transfer.kind, amount=amount, coin=coin, size=size, hash=transfer.hash,
        text=transfer.text,
    )  # fmt: skip


def read_reading(
    states: Iterable[bytes | msgspec.Raw],
    spot: bytes | msgspec.Raw,
    where: str,
    *,
    coins: Mapping[str, str],
    mids: Mapping[str, Mids],
) -> Reading:
    """What an account holds: its state on each dex, the time of the first, and its spot balances, whose tokens count at
    the mid of their pair. Raises HistoryError."""
    cash, ts_ns, held = 0, 0, {}
    for body in states:
        state = _decoded(_STATE, body, where)
        ts_ns = ts_ns or ns_of(state.time)
        cash += units(state.margin.value, where)
        for entry in state.positions:
            position = entry.position
            size, value = units(position.size, where), units(position.value, where)
            if size:
                mark = (4 * value * UNIT // abs(size) + 1) // 2
                held[position.coin] = Held(
                    size=size, mark_double=mark, unrealised=units(position.unrealised, where)
                )  # fmt: skip
    for balance in _decoded(_BALANCES, spot, where).balances:
        total = units(balance.total, where)
        coin = coins.get(balance.coin, f"{balance.coin}/?")  # a token that no pair in USDC trades
        if balance.coin == USDC:
            cash += total
        elif total:
            held[coin] = Held(size=total, mark_double=mids.get(coin, Mids()).at(ts_ns))
    return Reading(ts_ns=ts_ns, cash=cash, held=held)


def read_candles(body: bytes | msgspec.Raw, where: str) -> Mids:
    """The last trade of each candle stands for the mid from the candle's end on. Raises HistoryError."""
    found = {ns_of(one.end_ms + 1): 2 * units(one.close, where) for one in _decoded(_CANDLES, body, where)}
    times = tuple(sorted(found))
    return Mids(times, tuple(found[time] for time in times))


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes | msgspec.Raw, where: str) -> _T:
    try:
        return decoder.decode(body)
    except UNDECODABLE as error:
        raise HistoryError(f"{where}: not what the venue writes ({error}), ask for the history again") from None
