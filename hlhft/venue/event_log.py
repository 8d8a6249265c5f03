"""Appending to what the venue tells: one VENUE_EVENT_DTYPE row an event, in the order of execution.

The caller drains `venue.events` by setting `event_count` to 0. An event that finds no room takes the place of the
latest one and is counted in `dropped`: the caller's capacity is wrong.
"""

from __future__ import annotations

from hlhft.compiled import compiled

_VISIBLE = 1  # hlhft.events.EventFlag; the compiled subset wants plain constants


@compiled
def append_event(venue, kind, account, market, client_id, order_id, side, ticks, lots, aux0, aux1, ts_ns):
    """Tells an event of hlhft.events.EventKind in the leg that is being executed.

    `client_id` is the account's own id of the order and `order_id` the venue's, 0 none; what the fields of a kind hold
    is hlhft.events.FIELDS. What only fills and some refusals have is zero and the caller's to set, in the last of
    `venue.events`.
    """
    engine = venue.engine[0]
    if engine["event_count"] >= len(venue.events):
        engine["dropped"] += 1
        engine["event_count"] -= 1
    event = venue.events[engine["event_count"]]
    engine["event_count"] += 1
    event["account"] = account
    event["ts_exch_ns"] = ts_ns
    event["ts_local_ns"] = 0
    event["price_ticks"] = ticks
    event["size_lots"] = lots
    event["order_id"] = client_id
    event["aux0"] = aux0
    event["aux1"] = aux1
    event["kind"] = kind
    event["flags"] = _VISIBLE
    event["market"] = market
    event["side"] = side
    event["venue_order_id"] = order_id
    event["trade_id"] = 0
    event["start_position_lots"] = 0
    event["leg"] = engine["leg"]
    event["builder_fee_micro"] = 0
    event["twap_id"] = 0
    event["bid_ticks"] = 0
    event["ask_ticks"] = 0


@compiled
def tell_order(venue, kind, order, lots, aux0, aux1, ts_ns):
    """Tells an event of an order: an ORDER_DTYPE or WAITING_DTYPE record, at its limit price."""
    append_event(
        venue, kind, order["account"], order["market"], order["client_id"], order["order_id"], order["side"],
        order["price_ticks"], lots, aux0, aux1, ts_ns,
    )  # fmt: skip
    venue.events[venue.engine[0]["event_count"] - 1]["twap_id"] = order["twap_id"]


@compiled
def tell_leg(venue, kind, leg, aux0, aux1, ts_ns):
    """Tells the outcome of an ACTION_DTYPE leg that concerns no order: ACTION_DONE or ACTION_REFUSED."""
    append_event(venue, kind, leg["account"], leg["market"], leg["client_id"], 0, 0, 0, 0, aux0, aux1, ts_ns)
