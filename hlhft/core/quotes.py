"""What a strategy returned: checked before anything is done with it, then matched with what already works."""

from __future__ import annotations

from enum import IntEnum

from hlhft.compiled import compiled
from hlhft.units import LOTS_MAX, TICKS_MAX


class QuoteFault(IntEnum):
    """Why a strategy's answer is refused as a whole; the strategy is halted."""

    NONE = 0
    EXCEPTION = 1  # it raised, or read or wrote out of bounds
    COUNT = 2
    PRICE = 3  # not positive or beyond the range, as a NaN becomes when it is made whole
    SIZE = 4
    SIDE = 5
    MARKET = 6
    TIME_IN_FORCE = 7


MEANING: dict[QuoteFault, str] = {
    QuoteFault.NONE: "fine",
    QuoteFault.EXCEPTION: "the strategy raised an error or left its arrays' bounds",
    QuoteFault.COUNT: "it returned a number of quotes outside 0..capacity",
    QuoteFault.PRICE: "a quote's price is not a positive whole number of ticks (a NaN, perhaps)",
    QuoteFault.SIZE: "a quote's size is negative or beyond the range",
    QuoteFault.SIDE: "a quote's side is neither +1 nor -1",
    QuoteFault.MARKET: "a quote names a market that the strategy was not given",
    QuoteFault.TIME_IN_FORCE: "a quote's time in force is unknown",
}


@compiled
def validate(quotes, count, markets):
    """The QuoteFault of the first `count` quotes, 0 when all are well-formed."""
    if count < 0 or count > len(quotes):
        return 2
    for index in range(count):
        quote = quotes[index]
        if quote["price_ticks"] <= 0 or quote["price_ticks"] > TICKS_MAX:
            return 3
        if quote["size_lots"] < 0 or quote["size_lots"] > LOTS_MAX:
            return 4
        if quote["side"] != 1 and quote["side"] != -1:
            return 5
        if quote["market"] < 0 or quote["market"] >= markets:
            return 6
        if quote["time_in_force"] < 0 or quote["time_in_force"] > 2:
            return 7
    return 0


@compiled
def resting_quote(quotes, count, start, market, side, ticks):
    """The place of a quote that wants an order to rest at this price, -1 when none does.

    The search begins at `start` and goes round: orders mostly stand in the order of their quotes. A quote that is
    already held has its size turned negative, and still wants the order.
    """
    index = start
    for _ in range(count):
        if index >= count:
            index = 0
        quote = quotes[index]
        if quote["price_ticks"] == ticks and quote["side"] == side and quote["market"] == market:
            if quote["time_in_force"] != 2 and quote["size_lots"] != 0:
                return index
        index += 1
    return -1


@compiled
def near_quote(quotes, count, market, side, ticks, distance, orders, active, active_count):
    """The place of the nearest resting quote that no order holds, at most `distance` ticks away, -1 when there is none.

    A quote at whose very price an order of ours stands, in whatever state, belongs to that order.
    """
    found = -1
    for index in range(count):
        quote = quotes[index]
        apart = abs(quote["price_ticks"] - ticks)
        if apart > distance or quote["side"] != side or quote["market"] != market:
            continue
        if quote["time_in_force"] == 2 or quote["size_lots"] <= 0:
            continue
        if works_at(orders, active, active_count, side, quote["price_ticks"]):
            continue
        if found < 0 or apart < abs(quotes[found]["price_ticks"] - ticks):
            found = index
    return found


@compiled
def free_quote(quotes, count, market, side, lots, orders, active, active_count):
    """The place of the first post-only quote of at most `lots` that no order holds or will, -1 when there is none."""
    for index in range(count):
        quote = quotes[index]
        if quote["market"] != market or quote["side"] != side or quote["time_in_force"] != 0:
            continue
        if quote["size_lots"] <= 0 or quote["size_lots"] > lots:
            continue
        if not works_at(orders, active, active_count, side, quote["price_ticks"]):
            return index
    return -1


@compiled
def works_at(orders, active, active_count, side, ticks):
    """Whether an order of ours, in any state, occupies this price, or a modification of one will."""
    for index in range(active_count):
        order = orders[active[index]]
        if order["side"] == side and (order["price_ticks"] == ticks or order["replacement_ticks"] == ticks):
            return True
    return False


@compiled
def is_wanted(quotes, count, market, side, ticks, time_in_force):
    """Whether the first `count` quotes hold one at this price; an immediate quote wants no resting order, and back."""
    for index in range(count):
        quote = quotes[index]
        if quote["price_ticks"] == ticks and quote["side"] == side and quote["market"] == market:
            if (quote["time_in_force"] == 2) == (time_in_force == 2) and quote["size_lots"] > 0:
                return True
    return False
