"""What rests and waits at the venue as a node shows it: every order of everybody, each in its place in the queue.

Sources: venue reference section 12 (the snapshot `l4Snapshots`) and 3.2 (the shape of an order). Pure: read from the
kernel's state between two blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hlhft.exchange.listing import Listing
from hlhft.exchange.memory import Names
from hlhft.exchange.order_records import TIF_TEXT, OrderRecord, trigger_condition, trigger_text
from hlhft.venue.blocks import Grouping, TimeInForce, TriggerKind
from hlhft.venue.chain_state import Chain

MILLISECOND_NS = 1_000_000
BIDS, ASKS = 0, 1


def queue(chain: Chain, row: int, side: int) -> Iterator[np.void]:
    """The ORDER_DTYPE records that rest in a market, `side` BIDS or ASKS, the one that would be filled first first."""
    venue = chain.exchange
    cells = np.flatnonzero(venue.heads[row, side])
    for cell in (cells[::-1] if side == BIDS else cells).tolist():
        slot = int(venue.heads[row, side, cell])
        while slot != 0:
            order = venue.orders[slot - 1]
            yield order
            slot = int(order["next"])


def waiting(chain: Chain) -> Iterator[np.void]:
    """The WAITING_DTYPE records of all markets, the oldest first."""
    venue = chain.exchange
    slot = int(venue.engine[0]["waiting_head"])
    while slot != 0:
        order = venue.waiting[slot - 1]
        yield order
        slot = int(order["next"])


def records_of(chain: Chain, listing: Listing, names: Names) -> dict[int, OrderRecord]:
    """Every order that rests or waits, by the venue's id; of a market the bids first, each as `queue` has them, those
    that wait last."""
    found: dict[int, OrderRecord] = {}
    for row in range(len(listing.markets)):
        for side in (BIDS, ASKS):
            for order in queue(chain, row, side):
                record = _record(order, listing, names, lots=int(order["remaining_lots"]))
                record.lots_original = int(order["original_lots"])
                found[record.oid] = record
    for order in waiting(chain):
        record = _record(order, listing, names, lots=int(order["size_lots"]))
        _describe_trigger(record, order)
        found[record.oid] = record
        parent = found.get(int(order["parent_id"]))
        if parent is not None and not order["armed"]:
            parent.children.append(record)
    return found


def l4_snapshot(
    chain: Chain, listing: Listing, names: Names, *, with_users: bool = True, with_triggers: bool = False
) -> list[Any]:
    """`[[coin, [[bids], [asks]]], …]`, best price first, oldest first inside a level, triggers last.

    An order is its object, or with `with_users` `[user, order]`.
    """
    books: list[tuple[list[Any], list[Any]]] = [([], []) for _ in listing.markets]
    for record in records_of(chain, listing, names).values():
        if record.is_trigger and not with_triggers:
            continue
        shape: Any = record.frontend(record.lots)
        if with_users:
            shape = [names.address_of(record.account), shape]
        books[record.row][BIDS if record.side > 0 else ASKS].append(shape)
    return [[name, list(sides)] for name, sides in zip(listing.names, books)]


def _record(order: np.void, listing: Listing, names: Names, *, lots: int) -> OrderRecord:
    row, client_id = int(order["market"]), int(order["client_id"])
    time_in_force = int(order["time_in_force"])
    return OrderRecord(
        account=int(order["account"]),
        row=row,
        listed=listing.markets[row],
        oid=int(order["order_id"]),
        side=int(order["side"]),
        limit_ticks=int(order["price_ticks"]),
        lots=lots,
        lots_original=lots,
        placed_ms=int(order["placed_ns"]) // MILLISECOND_NS,
        tif=TIF_TEXT[time_in_force],
        cloid=names.cloid_of(client_id),
        client_id=client_id,
        reduce_only=bool(order["reduce_only"]),
        order_type="Market" if time_in_force == TimeInForce.MARKET else "Limit",
        status_ms=int(order["placed_ns"]) // MILLISECOND_NS,
    )


def _describe_trigger(record: OrderRecord, order: np.void) -> None:
    is_take_profit = int(order["trigger_kind"]) == TriggerKind.TAKE_PROFIT
    record.tif = None
    record.is_trigger = True
    record.is_position_tpsl = int(order["grouping"]) == Grouping.POSITION_TPSL
    record.trigger_ticks = int(order["trigger_ticks"])
    record.order_type = trigger_text(is_take_profit=is_take_profit, is_market=bool(order["is_market"]))
    record.trigger_condition = trigger_condition(
        side=record.side,
        is_take_profit=is_take_profit,
        price=record.listed.market.price_text(record.trigger_ticks),
    )
