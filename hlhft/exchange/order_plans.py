"""Orders, cancels and modifications as legs.

Source: venue reference sections 4.1, 4.2, 4.4 and 9. What is wrong with an order before it reaches the book is said
here in the venue's words; what the book says is another module's. Texts marked unverified are our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.exchange.actions import BatchModify, Cancel, CancelByCloid, Modify, Order, PlaceOrders, Priority
from hlhft.exchange.plans import Form, Leg, Plan, Refused, Scope
from hlhft.hyperliquid.wire import NumberRules, WireError, WireFault, read_number
from hlhft.units import LOTS_MAX, TICKS_MAX, Market
from hlhft.venue.blocks import ActionKind, Grouping, TimeInForce, TriggerKind
from hlhft.venue.refusals import TEXT, Refusal

LEGS_MAX = 200  # venue reference section 4.1, measured
OVER_WEIGHT = "Signed action over weight limit of 200."
NO_ORDERS = "Action has no orders."  # unverified
UNKNOWN_ASSET = "Asset {} does not exist."  # unverified
GROUP_NOT_REDUCING = "TP/SL orders of a group must be reduce-only."  # unverified; one error for the whole batch
INVALID_PRICE = "Order has invalid price."
INVALID_SIZE = "Order has invalid size."
DELISTED = "Trading is halted."  # unverified
INVALID_MODIFY = "Attempted to modify to invalid new order"
BUILDER_FEE_MAX = 100  # tenths of a basis point on perpetuals (venue reference section 4.1)
BUILDER_FEE_SPOT_MAX = 1000
BUILDER_FEE_TOO_HIGH = "Builder fee is too high."  # unverified

TENTH_BASIS_POINT_E9 = 10_000
# What breaks the signature has been refused before (hlhft.exchange.actions.hashed).
NUMBERS = NumberRules(padded=True)

TIMES_IN_FORCE = {
    "Alo": TimeInForce.ALO,
    "Gtc": TimeInForce.GTC,
    "Ioc": TimeInForce.IOC,
    "FrontendMarket": TimeInForce.MARKET,
}
_RESTING = (TimeInForce.ALO, TimeInForce.GTC)
GROUPINGS = {"na": Grouping.NONE, "normalTpsl": Grouping.NORMAL_TPSL, "positionTpsl": Grouping.POSITION_TPSL}
TRIGGERS = {"tp": TriggerKind.TAKE_PROFIT, "sl": TriggerKind.STOP_LOSS}


# Recorded in 2026 without the asset behind them.
_BARE = ("Order price cannot be more than", "Order value too large", "Attempted to modify to invalid new order")


def asset_suffix(text: str, asset: int) -> str:
    """The error of one order or cancel: behind most of its texts the venue names the asset (venue reference section
    4.4)."""
    return text if text.startswith(_BARE) else f"{text} asset={asset}"


def plan_orders(action: PlaceOrders, scope: Scope) -> Plan | Refused:
    """The legs of an `order` action; one item for each order, or one error for them all."""
    refused = _refused_batch([order.a for order in action.orders], scope)
    if refused is not None:
        return refused
    rate = 0
    if isinstance(action.grouping, Priority):
        grouping = Grouping.NONE
        rate = action.grouping.p
        if not _may_have_priority(action.orders):
            return Plan(form=Form.ORDER, items=[TEXT[Refusal.PRIORITY_NOT_ALLOWED]])
    else:
        grouping = GROUPINGS[action.grouping]
    group_fault = _group_fault(action.orders, grouping)
    if group_fault is not None:
        return group_fault
    builder = _builder(action, scope)
    if isinstance(builder, Refused):
        return builder
    legs: list[Leg] = []
    items: list[int | str] = []
    for order in action.orders:
        leg = order_leg(order, scope)
        if isinstance(leg, str):
            items.append(asset_suffix(leg, order.a))
            continue
        items.append(len(legs))
        legs.append({**leg, **builder, "grouping": grouping, "priority_rate_e8": rate})
    if grouping != Grouping.NONE and len(legs) < len(items):
        # What belongs together is not placed in part.
        return Plan(form=Form.ORDER, items=[next(item for item in items if isinstance(item, str))])
    return Plan(form=Form.ORDER, legs=legs, items=items)


def plan_cancels(action: Cancel | CancelByCloid, scope: Scope) -> Plan | Refused:
    """The legs of a `cancel` or `cancelByCloid` action, one item for each cancel."""
    if isinstance(action, Cancel):
        targets = [(one.a, one.o, 0) for one in action.cancels]
    else:
        targets = [(one.asset, scope.client_ids.find(scope.account, int(one.cloid, 16)), 1) for one in action.cancels]
    refused = _refused_batch([asset for asset, _, _ in targets], scope)
    if refused is not None:
        return refused
    legs: list[Leg] = []
    items: list[int | str] = []
    for asset, target, is_client_id in targets:
        if target == 0:
            items.append(asset_suffix(TEXT[Refusal.NEVER_PLACED], asset))
            continue
        items.append(len(legs))
        legs.append(_cancel_leg(place_of(asset, scope), target, is_client_id, fast=action.f))
    return Plan(form=Form.CANCEL, legs=legs, items=items)


def plan_modify(action: Modify, scope: Scope) -> Plan | Refused:
    """The legs of a single `modify`."""
    refused = _refused_batch([action.order.a], scope)
    if refused is not None:
        return refused
    legs, item = _modification(action.oid, action.order, scope, always=action.a, first=0)
    return Plan(form=Form.MODIFY, legs=legs, items=[item])


def plan_modifies(action: BatchModify, scope: Scope) -> Plan | Refused:
    """The legs of a `batchModify`, one item for each modification."""
    refused = _refused_batch([one.order.a for one in action.modifies], scope)
    if refused is not None:
        return refused
    legs: list[Leg] = []
    items: list[int | str] = []
    for one in action.modifies:
        more, item = _modification(one.oid, one.order, scope, always=action.a, first=len(legs))
        legs += more
        items.append(asset_suffix(item, one.order.a) if isinstance(item, str) else item)
    return Plan(form=Form.ORDER, legs=legs, items=items)


def place_of(asset: int, scope: Scope) -> int:
    """The kernel's row of a market that is known to be there."""
    place = scope.listing.row_of_asset(asset)
    assert place is not None, f"asset {asset} was looked up before"
    return place


def order_leg(order: Order, scope: Scope) -> Leg | str:
    """The leg that places the order, or what is wrong with its numbers. The order's asset is known."""
    place = place_of(order.a, scope)
    listed = scope.listing.markets[place]
    if listed.is_delisted:
        return DELISTED
    if scope.post_only and (order.t.limit is None or order.t.limit.tif != "Alo"):
        return TEXT[Refusal.POST_ONLY_WINDOW]
    market = listed.market
    ticks = read_price(order.p, market)
    lots = read_size(order.s, market)
    if isinstance(ticks, str):
        return ticks
    if isinstance(lots, str):
        return lots
    leg: dict[str, int] = {
        "kind": ActionKind.PLACE,
        "market": place,
        "client_id": 0,
        "side": 1 if order.b else -1,
        "price_ticks": ticks,
        "size_lots": lots,
        "reduce_only": int(order.r),
    }
    if order.t.trigger is not None:
        trigger = order.t.trigger
        trigger_ticks = read_price(trigger.trigger_px, market)
        if isinstance(trigger_ticks, str):
            return TEXT[Refusal.BAD_TRIGGER_PRICE]
        leg["kind"] = ActionKind.PLACE_TRIGGER
        leg["trigger_kind"] = TRIGGERS[trigger.tpsl]
        leg["trigger_ticks"] = trigger_ticks
        leg["trigger_is_market"] = int(trigger.is_market)
    elif order.t.limit is not None:
        leg["time_in_force"] = TIMES_IN_FORCE[order.t.limit.tif]
    if order.c is not None:
        leg["client_id"] = scope.client_ids.use(scope.account, int(order.c, 16))
    return leg


def read_price(text: str, market: Market) -> int | str:
    """The price in ticks, above 0, or the venue's words for what is wrong with it."""
    try:
        ticks = read_number(text, market.price_decimals, maximum=TICKS_MAX, rules=NUMBERS)
    except WireError as error:
        return TEXT[Refusal.TICK] if error.fault == WireFault.TOO_FINE else INVALID_PRICE
    return ticks if ticks > 0 else INVALID_PRICE


def read_size(text: str, market: Market) -> int | str:
    """The size in lots, above 0, or the venue's words for what is wrong with it."""
    try:
        lots = read_number(text, market.size_decimals, maximum=LOTS_MAX, rules=NUMBERS)
    except WireError:
        return INVALID_SIZE
    return lots if lots > 0 else TEXT[Refusal.ZERO_SIZE]


def _refused_batch(assets: Sequence[int], scope: Scope) -> Refused | None:
    """What refuses a whole batch: nothing in it, too much in it, or a market that does not exist."""
    if not assets:
        return Refused(NO_ORDERS)
    if len(assets) > LEGS_MAX:
        return Refused(OVER_WEIGHT)
    unknown = next((asset for asset in assets if scope.listing.row_of_asset(asset) is None), None)
    return None if unknown is None else Refused(UNKNOWN_ASSET.format(unknown))


def _may_have_priority(orders: Sequence[Order]) -> bool:
    """Only IOC orders, or only post-only orders that are not reduce-only (venue reference section 9)."""
    kinds = {order.t.limit.tif if order.t.limit is not None else "trigger" for order in orders}
    return kinds == {"Ioc"} or (kinds == {"Alo"} and not any(order.r for order in orders))


def _group_fault(orders: Sequence[Order], grouping: Grouping) -> Plan | Refused | None:
    """Whether the orders fit their grouping: an entry and what waits for it, or only what waits."""
    if grouping == Grouping.NONE:
        return None
    waiting = orders[1:] if grouping == Grouping.NORMAL_TPSL else orders
    has_parent = grouping == Grouping.POSITION_TPSL or orders[0].t.trigger is None
    if not has_parent or not 1 <= len(waiting) <= 2 or any(order.t.trigger is None for order in waiting):
        return Refused(TEXT[Refusal.TRIGGER_COUNT])
    if not all(order.r for order in waiting):
        return Plan(form=Form.ORDER, items=[GROUP_NOT_REDUCING])
    return None


def _builder(action: PlaceOrders, scope: Scope) -> Leg | Refused:
    """The builder's fields of each leg."""
    if action.builder is None:
        return {}
    spot = any(scope.listing.markets[place_of(order.a, scope)].is_spot for order in action.orders)
    if action.builder.f > (BUILDER_FEE_SPOT_MAX if spot else BUILDER_FEE_MAX):
        return Refused(BUILDER_FEE_TOO_HIGH)
    if action.builder.f == 0:
        return {}  # named for its statistics only: nobody is to be paid, so nothing had to be approved
    address = action.builder.b.lower()
    builder = scope.addresses.number(address)
    # A sub-account's orders pay what its master has approved.
    approved = scope.addresses.builder_rate_max(scope.signer_account, address)
    if builder is None or action.builder.f > approved:
        return Refused(TEXT[Refusal.BUILDER_NOT_APPROVED])
    return {"builder": builder + 1, "builder_rate_e9": action.builder.f * TENTH_BASIS_POINT_E9}


def _cancel_leg(place: int, target: int, is_client_id: int, *, fast: bool) -> Leg:
    return {
        "kind": ActionKind.CANCEL,
        "market": place,
        "target_id": target,
        "target_is_client_id": is_client_id,
        "fast": int(fast),
    }


def _modification(
    oid: int | str, order: Order, scope: Scope, *, always: bool, first: int
) -> tuple[list[Leg], int | str]:
    """The legs of one modification, numbered from `first`, and its item.

    Without `always` the new order must be one that rests (venue reference section 4.2).
    """
    is_client_id = int(isinstance(oid, str))
    target = scope.client_ids.find(scope.account, int(oid, 16)) if isinstance(oid, str) else oid
    if not always and (order.t.limit is None or TIMES_IN_FORCE[order.t.limit.tif] not in _RESTING):
        return [], INVALID_MODIFY
    if not always and target == 0:
        return [], TEXT[Refusal.CANNOT_MODIFY]
    leg = order_leg(order, scope)
    if isinstance(leg, str):
        return [], leg
    place = place_of(order.a, scope)
    if order.t.trigger is not None:
        cancel = [] if target == 0 else [_cancel_leg(place, target, is_client_id, fast=False)]
        return [*cancel, leg], first + len(cancel)
    if target == 0:
        return [leg], first
    return [
        {
            **leg,
            "kind": ActionKind.MODIFY,
            "target_id": target,
            "target_is_client_id": is_client_id,
            "always_place": int(always),
        }
    ], first
