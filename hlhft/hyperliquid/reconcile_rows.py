"""What the readings of an account are to the core: rows of events (`hlhft.events`), without FRAME_END."""

from __future__ import annotations

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.account import AccountState, Fees, RateLimit
from hlhft.hyperliquid.messages import Funding
from hlhft.hyperliquid.reconcile_events import Row
from hlhft.hyperliquid.wire import ns_of
from hlhft.units import Market, MarketKind

_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
START, CHECK = 1, 0  # of equity


def account_state(states: list[AccountState], limit: RateLimit, block_ms: int, now_ns: int) -> Row:
    """Margin over all dexs, and the budget of actions."""
    return _row(
        EventKind.ACCOUNT_STATE,
        block_ms,
        now_ns,
        price_ticks=sum(state.account_value_micro for state in states),
        size_lots=sum(state.margin_used_micro for state in states),
        order_id=sum(state.maintenance_micro for state in states),
        aux0=limit.used,
        aux1=limit.allowed,
    )


def fee_change(market: int, listed: Market, fees: Fees, block_ms: int, now_ns: int) -> Row:
    """The rates of a market of the main dex or the spot ledger."""
    is_spot = listed.kind is MarketKind.SPOT
    maker = fees.spot_maker_rate_e9 if is_spot else fees.maker_rate_e9
    taker = fees.spot_taker_rate_e9 if is_spot else fees.taker_rate_e9
    return _row(EventKind.FEE_CHANGE, block_ms, now_ns, market=market, aux0=maker, aux1=taker)


def leverage_change(market: int, leverage: int, is_cross: bool, block_ms: int, now_ns: int) -> Row:
    """The leverage setting of a market."""
    return _row(EventKind.LEVERAGE_CHANGE, block_ms, now_ns, market=market, aux0=leverage, aux1=int(is_cross))


def position_state(market: int, lots: int, mark_ticks: int, block_ms: int, now_ns: int) -> Row:
    """What a session begins with in a market."""
    return _row(EventKind.POSITION_STATE, block_ms, now_ns, market=market, price_ticks=mark_ticks, size_lots=lots)


def equity_state(equity_micro: int, which: int, block_ms: int, now_ns: int) -> Row:
    """Account value and spot at mark."""
    return _row(EventKind.EQUITY_STATE, block_ms, now_ns, aux0=equity_micro, aux1=which)


def restored_peak(peak_micro: int, peak_ns: int, block_ms: int, now_ns: int) -> Row:
    """The highest equity of earlier sessions, as if all that was moved since had been moved before."""
    return _row(EventKind.RESTORED, block_ms, now_ns, size_lots=peak_micro, order_id=peak_ns)


def ledger_transfer(amount_micro: int, ts_ns: int, now_ns: int) -> Row:
    """Money that entered or left."""
    return _row(EventKind.LEDGER_TRANSFER, 0, now_ns, ts_ns=ts_ns, aux0=amount_micro)


def funding_payment(payment: Funding, now_ns: int) -> Row:
    """A payment in one of our markets."""
    return _row(
        EventKind.FUNDING_PAYMENT,
        0,
        now_ns,
        ts_ns=payment.ts_ns,
        market=payment.market,
        size_lots=payment.position_lots,
        aux0=payment.amount_micro,
        aux1=payment.rate_e12,
    )


def _row(
    kind: EventKind,
    block_ms: int,
    now_ns: int,
    *,
    ts_ns: int = 0,
    market: int = 0,
    price_ticks: int = 0,
    size_lots: int = 0,
    order_id: int = 0,
    aux0: int = 0,
    aux1: int = 0,
) -> Row:
    times = (ts_ns or ns_of(block_ms), now_ns)
    return (*times, price_ticks, size_lots, order_id, aux0, aux1, int(kind), _VISIBLE, market, 0, 0)
