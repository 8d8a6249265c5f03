"""Why the venue refuses, cancels or expires: one code each, with the venue's own text where it has one.

Source: venue reference sections 3.2 (order statuses) and 4.4 (error texts). Codes are written to disk: append only.
"""

from __future__ import annotations

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

MEANING: dict[Refusal, str] = {
    Refusal.NONE: "no refusal",
    Refusal.TICK: "rejected: the price is not on the market's grid",
    Refusal.MINIMUM_NOTIONAL: "rejected: worth less than the least, and not only closing a position",
    Refusal.MARGIN: "rejected: free collateral does not cover the order's initial margin, or there is no mark price",
    Refusal.REDUCE_ONLY: "rejected: reduce-only with nothing to reduce on that side",
    Refusal.BAD_ALO_PRICE: "rejected: post-only at a price that would have taken",
    Refusal.IOC_NO_MATCH: "rejected: nothing rested within the limit of an immediate order",
    Refusal.PRICE_BAND: "rejected: the price is too far from the reference, or outside what the book can hold",
    Refusal.ORDER_TOO_LARGE: "rejected: worth more than the market's largest order",
    Refusal.ZERO_SIZE: "rejected: the size is not positive",
    Refusal.INVALID_PRICE: "rejected without an order id: the price is not positive or too large",
    Refusal.NEVER_PLACED: "cancel rejected: the account has no such order resting",
    Refusal.CANNOT_MODIFY: "modify rejected: no such order is resting, or the new one is immediate-or-cancel",
    Refusal.ACTION_EXPIRED: "rejected: the block was later than the action allowed",
    Refusal.TOO_MANY_OPEN_ORDERS: "rejected: the account has as many open orders as it may",
    Refusal.POST_ONLY_WINDOW: "rejected: only post-only orders are taken for a while",
    Refusal.NO_LIQUIDITY: "rejected: a market order found an empty book",
    Refusal.SELF_TRADE: "cancelled: an order of the same account would have traded with it",
    Refusal.REDUCE_ONLY_CANCELLED: "cancelled: the position that it would reduce is gone",
    Refusal.MARGIN_CANCELLED: "cancelled when it was about to trade: its owner had lost the margin for it",
    Refusal.LIQUIDATED: "cancelled: its account was liquidated",
    Refusal.REQUESTED: "cancelled: its owner asked for it",
    Refusal.REQUEST_LOST: "the request was lost on its way",
}


def refusals_table() -> str:
    """The refusals as a Markdown table in the order of their codes, for the documentation; ends with a newline."""
    rows = ["| code | name | meaning | the venue's text |", "| ---: | --- | --- | --- |"]
    for refusal in Refusal:
        text = f"`{TEXT[refusal]}`" if TEXT[refusal] else ""
        rows.append(f"| {refusal.value} | `{refusal.name}` | {MEANING[refusal]} | {text} |")
    return "\n".join(rows) + "\n"
