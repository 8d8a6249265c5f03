"""Finding an account's resting order by the venue's id or by its own: two hash tables chained through the order slab.

`venue` is a `hlhft.venue.state.Exchange`; a slot is counted from 1, so that 0 is none.
"""

from __future__ import annotations

from hlhft.compiled import compiled


@compiled
def _bucket(venue, row, account, identity):
    return (identity + row * 31 * account) & (venue.buckets.shape[1] - 1)


@compiled
def find_order(venue, account, market, identity, is_client_id):
    """Slot of the account's resting order in the market under the venue's id or its own; 0 when there is none.

    An own id that is used twice finds the order that came to rest last; an own id of 0 is none and finds nothing.
    """
    slot = venue.buckets[1 if is_client_id else 0, _bucket(venue, 1 if is_client_id else 0, account, identity)]
    while slot != 0:
        order = venue.orders[slot - 1]
        known = order["client_id"] if is_client_id else order["order_id"]
        if known == identity and order["account"] == account and order["market"] == market:
            return int(slot)
        slot = order["next_by_client_id"] if is_client_id else order["next_by_order_id"]
    return 0


@compiled
def index_order(venue, slot):
    """Makes the resting order in `slot` findable by its ids. One without an own id is in the venue's table only."""
    order = venue.orders[slot - 1]
    bucket = _bucket(venue, 0, order["account"], order["order_id"])
    order["next_by_order_id"] = venue.buckets[0, bucket]
    venue.buckets[0, bucket] = slot
    if order["client_id"] != 0:
        bucket = _bucket(venue, 1, order["account"], order["client_id"])
        order["next_by_client_id"] = venue.buckets[1, bucket]
        venue.buckets[1, bucket] = slot


@compiled
def unindex_order(venue, slot):
    """Undoes `index_order`, before any of the order's ids changes."""
    order = venue.orders[slot - 1]
    bucket = _bucket(venue, 0, order["account"], order["order_id"])
    at = venue.buckets[0, bucket]
    if at == slot:
        venue.buckets[0, bucket] = order["next_by_order_id"]
    else:
        while venue.orders[at - 1]["next_by_order_id"] != slot:
            at = venue.orders[at - 1]["next_by_order_id"]
        venue.orders[at - 1]["next_by_order_id"] = order["next_by_order_id"]
    if order["client_id"] == 0:
        return
    bucket = _bucket(venue, 1, order["account"], order["client_id"])
    at = venue.buckets[1, bucket]
    if at == slot:
        venue.buckets[1, bucket] = order["next_by_client_id"]
    else:
        while venue.orders[at - 1]["next_by_client_id"] != slot:
            at = venue.orders[at - 1]["next_by_client_id"]
        venue.orders[at - 1]["next_by_client_id"] = order["next_by_client_id"]
