"""The exchange's memory as plain values, and back: what a state file keeps of it.

Lists, texts and whole numbers only, so that any encoding carries it. An order that several histories name is written
once and named by its place.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hlhft.exchange.candles import Candle, Candles
from hlhft.exchange.fill_records import (
    Entry,
    FillRecord,
    FundingRecord,
    LedgerRecord,
    LiquidationNote,
    TradeRecord,
    TwapRequest,
    TwapStatus,
)
from hlhft.exchange.listing import Listing
from hlhft.exchange.memory import AccountRecords, MarketRecords
from hlhft.exchange.order_records import OrderRecord, OrderUpdate
from hlhft.exchange.records import Records
from hlhft.exchange.volumes import DayVolumes, MarketDay

_LEFT_OUT = frozenset({"listed", "children", "_json", "liquidation", "request"})
_CANDLE = ("start_ms", "open", "high", "low", "close", "volume_lots", "trades")


def _values(record: Any) -> list[Any]:
    """The plain fields of a dataclass, in their order."""
    return [getattr(record, one.name) for one in fields(record) if one.name not in _LEFT_OUT]


def _named(kind: Any, values: list[Any]) -> dict[str, Any]:
    names = [one.name for one in fields(kind) if one.name not in _LEFT_OUT]
    return dict(zip(names, values, strict=True))


class _Orders:
    """The orders that were named so far, each with a place."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._places: dict[int, int] = {}

    def place(self, order: OrderRecord) -> int:
        """The order's place; it and its children are written down when they are new."""
        key = id(order)
        if key not in self._places:
            place = self._places[key] = len(self.rows)
            row: list[Any] = [_values(order), []]
            self.rows.append(row)
            row[1] = [self.place(child) for child in order.children]
            return place
        return self._places[key]


def state_of(records: Records) -> dict[str, Any]:
    """All that `records` remembers."""
    orders = _Orders()
    accounts = {str(account): _account_state(one, orders) for account, one in records.accounts.items()}
    return {
        "accounts": accounts,
        "markets": [_market_state(market) for market in records.markets],
        "known": [orders.place(order) for order in records.orders.values()],
        "clients": [[client_id, oid] for client_id, oid in records.order_of_client_id.items()],
        "orders": orders.rows,
        "volumes": _days_state(records.volumes),
        "counts": [records.forgotten, records.liquidations],
    }


def restore(records: Records, state: dict[str, Any]) -> None:
    """Makes `records`, which were never used, remember `state`."""
    listing = records.listing
    orders: list[OrderRecord] = []
    for values, _ in state["orders"]:
        named = _named(OrderRecord, values)
        orders.append(OrderRecord(listed=listing.markets[named["row"]], **named))
    for order, (_, children) in zip(orders, state["orders"], strict=True):
        order.children = [orders[place] for place in children]
    for account, one in state["accounts"].items():
        _restore_account(records.account_records(int(account)), one, orders, listing)
    for market, one in zip(records.markets, state["markets"], strict=True):
        _restore_market(market, one, listing)
    records.orders.update((orders[place].oid, orders[place]) for place in state["known"])
    records.order_of_client_id.update((client_id, oid) for client_id, oid in state["clients"])
    _restore_days(records.volumes, state["volumes"])
    records.forgotten, records.liquidations = state["counts"]


def _account_state(one: AccountRecords, orders: _Orders) -> dict[str, Any]:
    return {
        "open": [orders.place(order) for order in one.open.values()],
        "finished": [orders.place(order) for order in one.finished],
        "statuses": [[orders.place(told.order), told.status, told.lots, told.time_ms] for told in one.statuses],
        "fills": [
            [_values(fill), None if fill.liquidation is None else _values(fill.liquidation)] for fill in one.fills
        ],
        "fundings": [[payment.listed.market.name, _values(payment)] for payment in one.fundings],
        "ledger": [_values(update) for update in one.ledger],
        "requests": [[request.listed.market.name, _values(request)] for request in _requests(one)],
        "twaps": [[status.request.twap_id, _values(status)] for status in one.twaps],
        "latest": [[twap_id, _values(status)] for twap_id, status in one.latest_twaps.items()],
        "running": list(one.running),
        "volumes": _days_state(one.volumes),
        "entries": [[row, _values(entry)] for row, entry in one.entries.items()],
        "deposited": one.deposited_micro,
    }


def _requests(one: AccountRecords) -> list[TwapRequest]:
    """The TWAPs that the account's histories name, each once."""
    named = [status.request for status in one.twaps] + list(one.running.values())
    return list({request.twap_id: request for request in named}.values())


def _restore_account(one: AccountRecords, state: dict[str, Any], orders: list[OrderRecord], listing: Listing) -> None:
    one.open.update((orders[place].oid, orders[place]) for place in state["open"])
    one.finished.extend(orders[place] for place in state["finished"])
    one.statuses.extend(OrderUpdate(orders[place], *told) for place, *told in state["statuses"])
    for values, note in state["fills"]:
        named = _named(FillRecord, values)
        liquidation = None if note is None else LiquidationNote(**_named(LiquidationNote, note))
        one.fills.append(FillRecord(listed=listing.markets[named["row"]], liquidation=liquidation, **named))
    for name, values in state["fundings"]:
        one.fundings.append(FundingRecord(listed=_listed(listing, name), **_named(FundingRecord, values)))
    one.ledger.extend(LedgerRecord(**_named(LedgerRecord, values)) for values in state["ledger"])
    requests = {}
    for name, values in state["requests"]:
        request = TwapRequest(listed=_listed(listing, name), **_named(TwapRequest, values))
        requests[request.twap_id] = request
    one.running.update((twap_id, requests[twap_id]) for twap_id in state["running"])
    for twap_id, values in state["twaps"]:
        one.twaps.append(TwapStatus(request=requests[twap_id], **_named(TwapStatus, values)))
    for twap_id, values in state["latest"]:
        one.latest_twaps[twap_id] = TwapStatus(request=requests[twap_id], **_named(TwapStatus, values))
    _restore_days(one.volumes, state["volumes"])
    one.entries.update((row, Entry(**_named(Entry, values))) for row, values in state["entries"])
    one.deposited_micro = state["deposited"]


def _listed(listing: Listing, name: str) -> Any:
    row = listing.row_of(name)
    assert row is not None, f"a state file names {name}, which is not listed"
    return listing.markets[row]


def _market_state(market: MarketRecords) -> dict[str, Any]:
    return {
        "trades": [_values(trade) for trade in market.trades],
        "rates": [list(rate) for rate in market.rates],
        "latest": [market.rate_ns, market.last_ticks],
        "day": [list(minute) for minute in market.day.minutes],
        "candles": _candles_state(market.candles),
    }


def _restore_market(market: MarketRecords, state: dict[str, Any], listing: Listing) -> None:
    for values in state["trades"]:
        named = _named(TradeRecord, values)
        market.trades.append(TradeRecord(listed=listing.markets[named["row"]], **named))
    market.rates.extend(tuple(rate) for rate in state["rates"])
    market.rate_ns, market.last_ticks = state["latest"]
    _restore_day(market.day, state["day"])
    _restore_candles(market.candles, state["candles"])


def _restore_day(day: MarketDay, minutes: list[list[int]]) -> None:
    day.minutes.extend(list(minute) for minute in minutes)
    day.quanta = sum(minute[1] for minute in minutes)
    day.lots = sum(minute[2] for minute in minutes)


def _days_state(volumes: DayVolumes) -> list[Any]:
    return [volumes.total_micro, [list(day) for day in volumes.days]]


def _restore_days(volumes: DayVolumes, state: list[Any]) -> None:
    volumes.total_micro = state[0]
    volumes.days.extend(list(day) for day in state[1])


def _candle(candle: Candle) -> list[int]:
    return [int(getattr(candle, name)) for name in _CANDLE]


def _candle_of(values: list[int]) -> Candle:
    candle = Candle(values[0], values[1])
    for name, value in zip(_CANDLE, values, strict=True):
        setattr(candle, name, value)
    return candle


def _candles_state(candles: Candles) -> dict[str, Any]:
    return {
        "minute": None if candles.minute is None else _candle(candles.minute),
        "open": [[interval, _candle(candle)] for interval, candle in candles.open.items()],
        "closed": [[interval, [_candle(candle) for candle in closed]] for interval, closed in candles.closed.items()],
    }


def _restore_candles(candles: Candles, state: dict[str, Any]) -> None:
    candles.minute = None if state["minute"] is None else _candle_of(state["minute"])
    candles.open.update((interval, _candle_of(values)) for interval, values in state["open"])
    for interval, closed in state["closed"]:
        candles.closed[interval].extend(_candle_of(values) for values in closed)
