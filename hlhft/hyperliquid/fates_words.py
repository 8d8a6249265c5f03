"""The venue's words about orders: status words and error texts, each with what it says and the code for the core.

Sources: venue reference sections 3.2 (statuses), 4.2 and 4.4 (texts). Texts are matched by how they begin: the venue
puts the asset, prices or amounts behind them. What the reference does not name is told as such and never guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class Code(IntEnum):
    """Refusal codes that orders' events carry, as `hlhft.venue.refusals` numbers them; a test holds the two equal."""

    NONE = 0  # the venue's reason has no code: the word or text is all there is
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
    SCHEDULED_CANCEL = 28
    TOO_MANY_TRIGGERS = 34
    PRIORITY_NOT_ALLOWED = 35
    INSUFFICIENT_SPOT_BALANCE = 41
    BUILDER_NOT_APPROVED = 44
    POSITION_TIER_LIMIT = 45
    ORACLE_DISTANCE = 46


class Says(IntEnum):
    """What a status word says of an order."""

    OPEN = 0
    FILLED = 1
    ENDED = 2
    REJECTED = 3
    TRIGGERED = 4  # only of orders that wait for a price, and none of ours does


class Word(NamedTuple):
    """The meaning of a status word."""

    says: Says
    code: Code


_ENDED, _REJECTED = Says.ENDED, Says.REJECTED
# Every status of the reference; one that is missing here halts its order loudly.
STATUSES: Mapping[str, Word] = {
    "open": Word(Says.OPEN, Code.NONE),
    "filled": Word(Says.FILLED, Code.NONE),
    "triggered": Word(Says.TRIGGERED, Code.NONE),
    "canceled": Word(_ENDED, Code.REQUESTED),
    "marginCanceled": Word(_ENDED, Code.MARGIN_CANCELLED),
    "vaultWithdrawalCanceled": Word(_ENDED, Code.NONE),
    "openInterestCapCanceled": Word(_ENDED, Code.NONE),
    "selfTradeCanceled": Word(_ENDED, Code.SELF_TRADE),
    "reduceOnlyCanceled": Word(_ENDED, Code.REDUCE_ONLY_CANCELLED),
    "siblingFilledCanceled": Word(_ENDED, Code.SIBLING_FILLED),
    "delistedCanceled": Word(_ENDED, Code.NONE),
    "liquidatedCanceled": Word(_ENDED, Code.LIQUIDATED),
    "outcomeSettledCanceled": Word(_ENDED, Code.NONE),
    "scheduledCancel": Word(_ENDED, Code.SCHEDULED_CANCEL),
    "internalCancel": Word(_ENDED, Code.NONE),
    "rejected": Word(_REJECTED, Code.NONE),
    "tickRejected": Word(_REJECTED, Code.TICK),
    "minTradeNtlRejected": Word(_REJECTED, Code.MINIMUM_NOTIONAL),
    "perpMarginRejected": Word(_REJECTED, Code.MARGIN),
    "reduceOnlyRejected": Word(_REJECTED, Code.REDUCE_ONLY),
    "badAloPxRejected": Word(_REJECTED, Code.BAD_ALO_PRICE),
    "iocCancelRejected": Word(_REJECTED, Code.IOC_NO_MATCH),
    "badTriggerPxRejected": Word(_REJECTED, Code.BAD_TRIGGER_PRICE),
    "marketOrderNoLiquidityRejected": Word(_REJECTED, Code.NO_LIQUIDITY),
    "positionIncreaseAtOpenInterestCapRejected": Word(_REJECTED, Code.NONE),
    "positionFlipAtOpenInterestCapRejected": Word(_REJECTED, Code.NONE),
    "tooAggressiveAtOpenInterestCapRejected": Word(_REJECTED, Code.NONE),
    "openInterestIncreaseRejected": Word(_REJECTED, Code.NONE),
    "insufficientSpotBalanceRejected": Word(_REJECTED, Code.INSUFFICIENT_SPOT_BALANCE),
    "oracleRejected": Word(_REJECTED, Code.ORACLE_DISTANCE),
    "perpMaxPositionRejected": Word(_REJECTED, Code.POSITION_TIER_LIMIT),
    "tooManyOpenOrdersRejected": Word(_REJECTED, Code.TOO_MANY_OPEN_ORDERS),
}

DURING_MODIFY = "Error placing new order during modify: "  # of a single modify: the old order was cancelled
_LAYER = "L1 error: "
# How the texts begin, in an order in which no text stands behind one that it begins with.
ERRORS: tuple[tuple[str, Code], ...] = (
    ("Price must be divisible by tick size", Code.TICK),
    ("Order must have minimum value of", Code.MINIMUM_NOTIONAL),
    ("Insufficient margin to place order", Code.MARGIN),
    ("Reduce only order would increase position", Code.REDUCE_ONLY),
    ("Post only order would have immediately matched", Code.BAD_ALO_PRICE),
    ("Order could not immediately match against any resting orders", Code.IOC_NO_MATCH),
    ("Invalid TP/SL price", Code.BAD_TRIGGER_PRICE),
    ("No liquidity available for market order", Code.NO_LIQUIDITY),
    ("Order would increase open interest", Code.NONE),
    ("Order rejected due to price more aggressive than oracle while at open interest cap", Code.NONE),
    ("Order has insufficient spot balance to trade", Code.INSUFFICIENT_SPOT_BALANCE),
    ("Order price too far from oracle", Code.ORACLE_DISTANCE),
    ("Order would cause position to exceed margin tier limit", Code.POSITION_TIER_LIMIT),
    ("Order price cannot be more than", Code.PRICE_BAND),
    ("Order value too large", Code.ORDER_TOO_LARGE),
    ("Order has zero size", Code.ZERO_SIZE),
    ("Order has invalid size", Code.ZERO_SIZE),
    ("Order has invalid price", Code.INVALID_PRICE),
    ("Too many open orders", Code.TOO_MANY_OPEN_ORDERS),
    ("Only post-only orders allowed immediately after a network upgrade", Code.POST_ONLY_WINDOW),
    ("Order was never placed, already canceled, or filled", Code.NEVER_PLACED),
    ("Cannot modify canceled or filled order", Code.CANNOT_MODIFY),
    ("Attempted to modify to invalid new order", Code.CANNOT_MODIFY),
    ("Fast cancel cannot cancel trigger orders", Code.FAST_CANCEL_OF_TRIGGER),
    ("Unexpected number of trigger orders", Code.TRIGGER_COUNT),
    ("Too many trigger orders", Code.TOO_MANY_TRIGGERS),
    ("Priority is only for", Code.PRIORITY_NOT_ALLOWED),
    ("Builder fee has not been approved", Code.BUILDER_NOT_APPROVED),
    ("Action already expired", Code.ACTION_EXPIRED),
    ("User or API Wallet", Code.NONE),
    ("Must deposit before performing actions", Code.NONE),
    ("Unable to recover signer", Code.NONE),
    ("Vault not registered", Code.NONE),
    ("Too many cumulative requests sent", Code.NONE),
    ("Signed action over weight limit", Code.NONE),
)


def error_code(text: str) -> Code | None:
    """The code of an error text; None for one that the reference does not name."""
    plain = text.removeprefix(_LAYER).removeprefix(DURING_MODIFY)
    return next((code for beginning, code in ERRORS if plain.startswith(beginning)), None)


def says_used(text: str) -> bool:
    """Whether the refusal of a whole action is about its nonce: it proves nothing of an action that may have been there
    before (its wording is unverified, so any text that names a nonce counts; venue reference section 4.4)."""
    return "nonce" in text.lower()
