"""What the venue keeps of trades beside the holdings: entry prices, last prices, volumes, and the fees it was paid.

It reads the fills that a block told, each once, so that none of this depends on who caused them. Entry: the cost of the
lots that are open, where closing takes out its share and a flip begins anew; the entry price is cost over lots.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import multiply_divide
from hlhft.venue.fee_tiers import count_volume

_FILLED = 18  # hlhft.events.EventKind
_MAKER = 8  # hlhft.events.EventFlag


@compiled
def entry_after(entry_quanta, start_lots, side, ticks, lots):
    """The cost in quanta of what is open after a fill of `lots` > 0 at `ticks` on a signed position of `start_lots`."""
    if start_lots * side >= 0:
        return entry_quanta + ticks * lots
    closed = min(lots, abs(start_lots))
    left = entry_quanta - multiply_divide(entry_quanta, closed, abs(start_lots))
    return left + ticks * (lots - closed)


@compiled
def book_trades(chain, ts_ns):
    """Books the fills told since the last time in this block; returns how many events there were."""
    venue, state = chain.exchange, chain.state[0]
    first = state["events_booked"]
    last = venue.engine[0]["event_count"]
    for row in range(first, last):
        event = venue.events[row]
        if event["kind"] != _FILLED:
            continue
        account, market = event["account"], event["market"]
        ticks, lots = event["price_ticks"], event["size_lots"]
        entry = chain.entries[account, market]
        chain.entries[account, market] = entry_after(entry, event["start_position_lots"], event["side"], ticks, lots)
        state["trading_fees_micro"] += event["aux1"] - event["builder_fee_micro"]
        state["builder_fees_micro"] += event["builder_fee_micro"]
        # What is taken over or deleveraged is no order's: neither a market price nor volume.
        if event["venue_order_id"] != 0:
            chain.prices[market]["last_trade_ticks"] = ticks
            maker = 1 if event["flags"] & _MAKER != 0 else 0
            count_volume(chain.fees, venue.markets[market], account, ticks, lots, maker, ts_ns)
    state["events_booked"] = last
    return last - first
