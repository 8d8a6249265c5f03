"""What a block tells beside the fates of orders: the events of accounts, prices and the venue's own doing.

They stand in `venue.events` among those of `hlhft.venue.matching`, in the order of execution, and name the leg that
caused them. A field that a kind does not use is zero (hlhft.events.FIELDS).
"""

from __future__ import annotations

from hlhft.compiled import compiled

# As in hlhft.events; the compiled subset wants plain constants.
ACTION_DONE, ACTION_REFUSED = 53, 54
_VISIBLE = 1


@compiled
def tell(venue, kind, account, market, price_ticks, size_lots, aux0, aux1, ts_ns):
    """Appends an event without side and order; returns its row. A full array loses its last event, and counts it."""
    engine = venue.engine[0]
    if engine["event_count"] >= len(venue.events):
        engine["dropped"] += 1
        engine["event_count"] -= 1
    row = engine["event_count"]
    engine["event_count"] += 1
    event = venue.events[row]
    event["account"] = account
    event["ts_exch_ns"] = ts_ns
    event["ts_local_ns"] = 0
    event["price_ticks"] = price_ticks
    event["size_lots"] = size_lots
    event["order_id"] = 0
    event["aux0"] = aux0
    event["aux1"] = aux1
    event["kind"] = kind
    event["flags"] = _VISIBLE
    event["market"] = market
    event["side"] = 0
    event["padding"] = 0
    event["venue_order_id"] = 0
    event["trade_id"] = 0
    event["start_position_lots"] = 0
    event["leg"] = engine["leg"]
    event["builder_fee_micro"] = 0
    return row


@compiled
def tell_outcome(venue, leg, code, ts_ns):
    """That the ACTION_DTYPE leg was done, or with a code of hlhft.venue.refusals why it was refused."""
    if code == 0:
        tell(venue, ACTION_DONE, leg["account"], leg["market"], 0, 0, leg["kind"], 0, ts_ns)
    else:
        tell(venue, ACTION_REFUSED, leg["account"], leg["market"], 0, 0, code, leg["kind"], ts_ns)
