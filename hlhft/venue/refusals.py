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
    FAST_CANCEL_OF_TRIGGER = 23
    BAD_TRIGGER_PRICE = 24
    TRIGGER_COUNT = 25
    SIBLING_FILLED = 26
    PARENT_CANCELLED = 27
    SCHEDULED_CANCEL = 28
    SCHEDULE_VOLUME = 29
    SCHEDULE_TOO_SOON = 30
    SCHEDULE_TOO_MANY = 31
    TWAP_DURATION = 32
    TWAP_UNKNOWN = 33
    TOO_MANY_TRIGGERS = 34
    PRIORITY_NOT_ALLOWED = 35
    INVALID_LEVERAGE = 36
    LEVERAGE_TYPE_OPEN = 37
    NOT_ISOLATED = 38
    STRICT_ISOLATED = 39
    INSUFFICIENT_MARGIN_TRANSFER = 40
    INSUFFICIENT_SPOT_BALANCE = 41
    INSUFFICIENT_BALANCE = 42
    INVALID_AMOUNT = 43
    BUILDER_NOT_APPROVED = 44
    POSITION_TIER_LIMIT = 45
    ORACLE_DISTANCE = 46
    CROSS_NOT_ALLOWED = 47
    UNKNOWN_ACTION = 48


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
    Refusal.FAST_CANCEL_OF_TRIGGER: "Fast cancel cannot cancel trigger orders.",
    Refusal.BAD_TRIGGER_PRICE: "Invalid TP/SL price.",
    Refusal.TRIGGER_COUNT: "Unexpected number of trigger orders",
    Refusal.SIBLING_FILLED: "siblingFilledCanceled",
    Refusal.PARENT_CANCELLED: "canceled",
    Refusal.SCHEDULED_CANCEL: "scheduledCancel",
    Refusal.SCHEDULE_VOLUME: "Cannot set scheduled cancel time until enough volume traded.",
    Refusal.SCHEDULE_TOO_SOON: "Scheduled cancel time too early, must be at least 5 seconds from now.",
    Refusal.SCHEDULE_TOO_MANY: "Cannot set scheduled cancel time, too many scheduled cancels triggered today.",
    Refusal.TWAP_DURATION: "Invalid TWAP duration",
    Refusal.TWAP_UNKNOWN: "TWAP was never placed, already canceled, or filled.",
    Refusal.TOO_MANY_TRIGGERS: "Too many trigger orders",
    Refusal.PRIORITY_NOT_ALLOWED: "Priority is only for actions of IOC or of post-only orders that are not reduce-only",
    Refusal.INVALID_LEVERAGE: "Invalid leverage value",
    Refusal.LEVERAGE_TYPE_OPEN: "Cannot switch leverage type with open position.",
    Refusal.NOT_ISOLATED: "Position does not use isolated margin.",
    Refusal.STRICT_ISOLATED: "Cannot remove margin from a strictly isolated position.",
    Refusal.INSUFFICIENT_MARGIN_TRANSFER: "Insufficient margin to transfer.",
    Refusal.INSUFFICIENT_SPOT_BALANCE: "Order has insufficient spot balance to trade",
    Refusal.INSUFFICIENT_BALANCE: "Insufficient balance for token transfer.",
    Refusal.INVALID_AMOUNT: "Invalid amount",
    Refusal.BUILDER_NOT_APPROVED: "Builder fee has not been approved.",
    Refusal.POSITION_TIER_LIMIT: "Order would cause position to exceed margin tier limit at current leverage",
    Refusal.ORACLE_DISTANCE: "Order price too far from oracle",
    Refusal.CROSS_NOT_ALLOWED: "Cross margin is not allowed for this asset.",
    Refusal.UNKNOWN_ACTION: "Unknown action",
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
    Refusal.FAST_CANCEL_OF_TRIGGER: "cancel rejected: a fast cancel does not reach trigger orders",
    Refusal.BAD_TRIGGER_PRICE: "rejected: the mark is already beyond the trigger price, or it is no price",
    Refusal.TRIGGER_COUNT: "rejected: the orders of a group do not fit it",
    Refusal.SIBLING_FILLED: "cancelled: the other order of its pair was executed",
    Refusal.PARENT_CANCELLED: "cancelled with the order that it waited for",
    Refusal.SCHEDULED_CANCEL: "cancelled: its owner's scheduled cancel was due",
    Refusal.SCHEDULE_VOLUME: "refused: a scheduled cancel needs a traded volume first",
    Refusal.SCHEDULE_TOO_SOON: "refused: the scheduled time is less than five seconds ahead",
    Refusal.SCHEDULE_TOO_MANY: "refused: all scheduled cancels of the day are used",
    Refusal.TWAP_DURATION: "refused: the duration of the TWAP is too short or too long",
    Refusal.TWAP_UNKNOWN: "refused: no such TWAP runs",
    Refusal.TOO_MANY_TRIGGERS: "rejected: no room for another waiting order",
    Refusal.PRIORITY_NOT_ALLOWED: "rejected: the order cannot have priority",
    Refusal.INVALID_LEVERAGE: "refused: the leverage is not a whole number in the market's range",
    Refusal.LEVERAGE_TYPE_OPEN: "refused: an open position keeps its kind of margin",
    Refusal.NOT_ISOLATED: "refused: only an isolated position has margin of its own",
    Refusal.STRICT_ISOLATED: "refused: the market's margin can only grow",
    Refusal.INSUFFICIENT_MARGIN_TRANSFER: "refused: what would be left does not cover the positions",
    Refusal.INSUFFICIENT_SPOT_BALANCE: "rejected: the spot balance does not cover the order",
    Refusal.INSUFFICIENT_BALANCE: "refused: the account does not hold the amount",
    Refusal.INVALID_AMOUNT: "refused: the amount is not positive",
    Refusal.BUILDER_NOT_APPROVED: "rejected: the account has not approved the builder's fee",
    Refusal.POSITION_TIER_LIMIT: "rejected: the position would reach a tier that does not allow its leverage",
    Refusal.ORACLE_DISTANCE: "rejected: the price is too far from the oracle",
    Refusal.CROSS_NOT_ALLOWED: "refused: the market is isolated only",
    Refusal.UNKNOWN_ACTION: "refused: nobody executes this kind of leg",
}


def refusals_table() -> str:
    """The refusals as a Markdown table in the order of their codes, for the documentation; ends with a newline."""
    rows = ["| code | name | meaning | the venue's text |", "| ---: | --- | --- | --- |"]
    for refusal in Refusal:
        text = f"`{TEXT[refusal]}`" if TEXT[refusal] else ""
        rows.append(f"| {refusal.value} | `{refusal.name}` | {MEANING[refusal]} | {text} |")
    return "\n".join(rows) + "\n"
