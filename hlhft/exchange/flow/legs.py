"""Writing legs: what the order flow wants is a row of hlhft.venue.blocks.ACTION_DTYPE, each an action of its own."""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.order_index import find_order

# As in hlhft.venue.blocks; the compiled subset wants plain constants.
_PLACE, _CANCEL, _MODIFY = 0, 1, 2
_UPDATE_LEVERAGE, _DEPOSIT = 8, 13
_ALO, _IOC = 0, 2
_CROSS = 1

# The flow's own order ids lie above this, so that no other part of an exchange uses one of them.
CLIENT_ID_BASE = 2**61


@compiled
def level_client_id(account, market, side, ticks):
    """The id of an account's one order of a side at a price. account < 2^16, market < 2^12, ticks < 2^31."""
    return CLIENT_ID_BASE + (account << 44) + (market << 32) + ((1 if side > 0 else 0) << 31) + ticks


@compiled
def has_order(venue, account, market, side, ticks):
    """Whether the account's order of that id rests."""
    return find_order(venue, account, market, level_client_id(account, market, side, ticks), True) != 0


@compiled
def _leg(flow, legs, row, kind, account, market, ts_ns):
    legs[row] = flow.blank[0]
    leg = legs[row]
    leg["action"] = legs[row - 1]["action"] + 1 if row > 0 else 1
    leg["arrival_ns"] = ts_ns
    leg["account"] = account
    leg["market"] = market
    leg["kind"] = kind
    return leg


@compiled
def add_price(flow, legs, row, kind, market, ticks, ts_ns):
    """A price from outside (ORACLE_PRICE or EXTERNAL_MARK); returns the next row."""
    leg = _leg(flow, legs, row, kind, 0, market, ts_ns)
    leg["price_ticks"] = ticks
    return row + 1


@compiled
def add_deposit(flow, legs, row, account, amount_micro, ts_ns):
    """Collateral from outside; returns the next row."""
    leg = _leg(flow, legs, row, _DEPOSIT, account, 0, ts_ns)
    leg["amount"] = amount_micro
    return row + 1


@compiled
def add_leverage(flow, legs, row, account, market, leverage, ts_ns):
    """A cross leverage for an account in a market; returns the next row."""
    leg = _leg(flow, legs, row, _UPDATE_LEVERAGE, account, market, ts_ns)
    leg["amount"] = leverage
    leg["side"] = _CROSS
    return row + 1


@compiled
def add_order(flow, legs, row, account, market, client_id, side, ticks, lots, time_in_force, ts_ns):
    """An order that may rest; returns the next row."""
    leg = _leg(flow, legs, row, _PLACE, account, market, ts_ns)
    leg["client_id"] = client_id
    leg["side"] = side
    leg["price_ticks"] = ticks
    leg["size_lots"] = lots
    leg["time_in_force"] = time_in_force
    return row + 1


@compiled
def add_post(flow, legs, row, account, market, client_id, side, ticks, lots, ts_ns):
    """A post-only order; returns the next row."""
    return add_order(flow, legs, row, account, market, client_id, side, ticks, lots, _ALO, ts_ns)


@compiled
def add_take(flow, legs, row, account, market, side, ticks, lots, ts_ns):
    """An order that takes up to `ticks` and does not rest; returns the next row."""
    leg = _leg(flow, legs, row, _PLACE, account, market, ts_ns)
    leg["side"] = side
    leg["price_ticks"] = ticks
    leg["size_lots"] = lots
    leg["time_in_force"] = _IOC
    return row + 1


@compiled
def add_cancel(flow, legs, row, account, market, client_id, ts_ns):
    """A cancel by the order's own id; returns the next row."""
    leg = _leg(flow, legs, row, _CANCEL, account, market, ts_ns)
    leg["target_id"] = client_id
    leg["target_is_client_id"] = 1
    return row + 1


@compiled
def add_modify(flow, legs, row, account, market, old_id, client_id, side, ticks, lots, ts_ns):
    """A post-only order in the place of another; returns the next row."""
    leg = _leg(flow, legs, row, _MODIFY, account, market, ts_ns)
    leg["target_id"] = old_id
    leg["target_is_client_id"] = 1
    leg["client_id"] = client_id
    leg["side"] = side
    leg["price_ticks"] = ticks
    leg["size_lots"] = lots
    leg["time_in_force"] = _ALO
    return row + 1
