"""What a block tells beside the fates of orders: the events of accounts, prices and the venue's own doing.

They stand in `venue.events` among those of `hlhft.venue.matching`, in the order of execution, and name the leg that
caused them. A field that a kind does not use is zero (hlhft.events.FIELDS).
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.event_log import append_event

# As in hlhft.events; the compiled subset wants plain constants.
ACTION_DONE, ACTION_REFUSED = 53, 54


@compiled
def tell(venue, kind, account, market, price_ticks, size_lots, aux0, aux1, ts_ns):
    """Appends an event without side and order; returns its row. A full array loses its last event, and counts it."""
    append_event(venue, kind, account, market, 0, 0, 0, price_ticks, size_lots, aux0, aux1, ts_ns)
    return venue.engine[0]["event_count"] - 1


@compiled
def tell_outcome(venue, leg, code, ts_ns):
    """That the ACTION_DTYPE leg was done, or with a code of hlhft.venue.refusals why it was refused."""
    if code == 0:
        tell(venue, ACTION_DONE, leg["account"], leg["market"], 0, 0, leg["kind"], 0, ts_ns)
    else:
        tell(venue, ACTION_REFUSED, leg["account"], leg["market"], 0, 0, code, leg["kind"], ts_ns)
