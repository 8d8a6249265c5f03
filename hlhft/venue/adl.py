"""Auto-deleveraging: whose positions end when a loser can no longer pay.

Source: venue reference section 10. The counterparties of a position, those on the other side, are ranked by
(mark / entry) x (notional / account value), for shorts (entry / mark); the first are closed against it at the previous
mark until it is gone, without fees. Both sides are told a fill without an order.

`adl` works on hlhft.venue.chain_state.Chain.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import multiply_divide
from hlhft.venue.fees import notional_micro
from hlhft.venue.margin import ISOLATED, cross_equity_micro, isolated_equity_micro, isolated_transfer_micro
from hlhft.venue.outcomes import tell
from hlhft.venue.resting import trim_reduce_only

INTO_BOOK, TAKEN_OVER, DELEVERAGED, DELEVERAGES = 0, 1, 2, 3  # aux0 of LIQUIDATION

_FILLED, _LIQUIDATION = 18, 55  # hlhft.events.EventKind
_RATIO_SCALE = 1_000_000_000
_PROFIT_MAX = 10**12  # of mark over entry in 1e-9
_LEVERAGE_MAX = 10**14  # of notional over account value in 1e-9: more is as bad


@compiled
def equity_micro(venue, account, bucket):
    """Equity of the account's cross positions (`bucket` -1) or of an isolated one, by its market."""
    if bucket < 0:
        return cross_equity_micro(
            venue.collateral[account], venue.holdings[account], venue.margins[account], venue.markets, venue.marks
        )
    return isolated_equity_micro(
        venue.holdings[account, bucket], venue.margins[account, bucket], venue.markets[bucket], venue.marks[bucket]
    )


@compiled
def bucket_of(venue, account, market):
    """What stands behind the account's position: the market when it is isolated, else -1."""
    return market if venue.margins[account, market]["isolated"] == ISOLATED else -1


@compiled
def _ratio(numerator, denominator, limit):
    """numerator / denominator in 1e-9, at most `limit`; both positive, numerator below 2^62."""
    if numerator // denominator >= limit // _RATIO_SCALE:
        return limit
    return min(multiply_divide(numerator, _RATIO_SCALE, denominator), limit)


@compiled
def rank_of(chain, account, market):
    """How early the account is deleveraged, in 1e-9: profit x leverage; its position is not zero."""
    venue = chain.exchange
    position, mark = venue.holdings[account, market]["position_lots"], venue.marks[market]
    lots = abs(position)
    value = max(mark * lots, 1)
    entry = max(chain.entries[account, market], 1)
    profit = _ratio(value, entry, _PROFIT_MAX) if position > 0 else _ratio(entry, value, _PROFIT_MAX)
    equity = max(equity_micro(venue, account, bucket_of(venue, account, market)), 1)
    leverage = _ratio(notional_micro(venue.markets[market], mark, lots), equity, _LEVERAGE_MAX)
    return multiply_divide(profit, leverage, _RATIO_SCALE)


@compiled
def first_counterparty(chain, account, market):
    """The account that is deleveraged next against the account's position, -1 when nobody is on the other side."""
    venue = chain.exchange
    position = venue.holdings[account, market]["position_lots"]
    found, best = -1, -1
    for other in range(len(venue.collateral)):
        held = venue.holdings[other, market]["position_lots"]
        if held == 0 or (held > 0) == (position > 0):
            continue
        rank = rank_of(chain, other, market)
        if rank > best:
            found, best = other, rank
    return found


@compiled
def move_position(venue, account, market, side, ticks, lots):
    """Books `lots` bought (`side` +1) or sold at `ticks` without fee, volume or order; returns the position before."""
    holding = venue.holdings[account, market]
    start = holding["position_lots"]
    holding["position_lots"] += side * lots
    holding["cash_quanta"] -= side * lots * ticks
    return start


@compiled
def tell_fill(venue, account, market, side, ticks, lots, start_lots, ts_ns):
    """A fill without an order; the caller counts the trade."""
    row = tell(venue, _FILLED, account, market, ticks, lots, 0, 0, ts_ns)
    event = venue.events[row]
    event["side"] = side
    event["trade_id"] = venue.engine[0]["next_trade_id"]
    event["start_position_lots"] = start_lots


@compiled
def move_between(venue, account, other, market, ticks, lots, ts_ns):
    """Moves `lots` of the account's position to the other account at `ticks`; both are told a fill, the buyer first."""
    side = -1 if venue.holdings[account, market]["position_lots"] > 0 else 1
    start = move_position(venue, account, market, side, ticks, lots)
    other_start = move_position(venue, other, market, -side, ticks, lots)
    if side > 0:
        tell_fill(venue, account, market, 1, ticks, lots, start, ts_ns)
        tell_fill(venue, other, market, -1, ticks, lots, other_start, ts_ns)
    else:
        tell_fill(venue, other, market, 1, ticks, lots, other_start, ts_ns)
        tell_fill(venue, account, market, -1, ticks, lots, start, ts_ns)
    venue.engine[0]["next_trade_id"] += 1


@compiled
def deleverage(chain, account, market, ticks, ts_ns):
    """Closes the account's whole position at `ticks` against those on the other side; returns the lots left, 0 as
    positions add up to zero.

    An isolated counterparty's margin is released as by any fill; what the account's own margin is worth afterwards is
    the caller's business.
    """
    venue = chain.exchange
    while venue.holdings[account, market]["position_lots"] != 0:
        other = first_counterparty(chain, account, market)
        if other < 0:
            break
        position = venue.holdings[account, market]["position_lots"]
        held = venue.holdings[other, market]["position_lots"]
        lots = min(abs(position), abs(held))
        before = equity_micro(venue, other, bucket_of(venue, other, market))
        own = equity_micro(venue, account, bucket_of(venue, account, market))
        closed = lots if held > 0 else -lots
        tell(venue, _LIQUIDATION, account, market, ticks, -closed, DELEVERAGES, own, ts_ns)
        tell(venue, _LIQUIDATION, other, market, ticks, closed, DELEVERAGED, before, ts_ns)
        move_between(venue, account, other, market, ticks, lots, ts_ns)
        margin = venue.margins[other, market]
        if margin["isolated"] == ISOLATED:
            moved = isolated_transfer_micro(venue.holdings[other, market], margin, venue.markets[market], held, ticks)
            margin["bucket_micro"] += moved
            venue.collateral[other] -= moved
        trim_reduce_only(venue, other, market, ts_ns)
        trim_reduce_only(venue, account, market, ts_ns)
    return abs(venue.holdings[account, market]["position_lots"])
