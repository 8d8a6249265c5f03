"""Why the venue refuses, cancels or expires: one code each, with the venue's own text where it has one.

Source: venue reference sections 3.2 (order statuses) and 4.4 (error texts). Codes are written to disk: append only.
"""

from enum import IntEnum


class Refusal(IntEnum):
    """Codes carried by ORDER_REJECTED, ORDER_CANCELLED and CANCEL_REJECTED events."""

    NONE = 0
    TICK = 1
    MINIMUM_NOTIONAL = 2
    MARGIN = 3
    REDUCE_ONLY = 4
    BAD_ALO_PRICE = 5
    IOC_NO_MATCH = 6
    PRICE_BAND = 7
    ORDER_TOO_LARGE = 8
    ZERO_SIZE = 9
    INVALID_PRICE = 10
    NEVER_PLACED = 11
    CANNOT_MODIFY = 12
    ACTION_EXPIRED = 13
    TOO_MANY_OPEN_ORDERS = 14
    POST_ONLY_WINDOW = 15
    NO_LIQUIDITY = 16
    SELF_TRADE = 17
    REDUCE_ONLY_CANCELLED = 18
    MARGIN_CANCELLED = 19
    LIQUIDATED = 20
    REQUESTED = 21
    REQUEST_LOST = 22


TEXT: dict[Refusal, str] = {
    Refusal.NONE: "",
    Refusal.TICK: "Price must be divisible by tick size.",
    Refusal.MINIMUM_NOTIONAL: "Order must have minimum value of $10.",
    Refusal.MARGIN: "Insufficient margin to place order.",
    Refusal.REDUCE_ONLY: "Reduce only order would increase position.",
    Refusal.BAD_ALO_PRICE: "Post only order would have immediately matched",
    Refusal.IOC_NO_MATCH: "Order could not immediately match against any resting orders.",
    Refusal.PRICE_BAND: "Order price cannot be more than 95% away from the reference price",
    Refusal.ORDER_TOO_LARGE: "Order value too large.",
    Refusal.ZERO_SIZE: "Order has zero size.",
    Refusal.INVALID_PRICE: "Order has invalid price.",
    Refusal.NEVER_PLACED: "Order was never placed, already canceled, or filled.",
    Refusal.CANNOT_MODIFY: "Cannot modify canceled or filled order",
    Refusal.ACTION_EXPIRED: "Action already expired",
    Refusal.TOO_MANY_OPEN_ORDERS: "Too many open orders",
    Refusal.POST_ONLY_WINDOW: "Only post-only orders allowed immediately after a network upgrade",
    Refusal.NO_LIQUIDITY: "No liquidity available for market order.",
    Refusal.SELF_TRADE: "selfTradeCanceled",
    Refusal.REDUCE_ONLY_CANCELLED: "reduceOnlyCanceled",
    Refusal.MARGIN_CANCELLED: "marginCanceled",
    Refusal.LIQUIDATED: "liquidatedCanceled",
    Refusal.REQUESTED: "canceled",
    Refusal.REQUEST_LOST: "the request never reached the venue",
}
