"""Oracle, external mid and mark: what positions are valued at.

Source: venue reference section 10. The mark is the median of three prices: the oracle plus a 150 s average of how far
the book's mid lies from it; the median of best bid, best ask and last trade; and the mid of the perpetual elsewhere.
Where only two of them exist a 30 s average of the second one is added. The average: numerator and denominator both
decay by exp(-t / constant), then sample x t and t are added to them; it is kept as their quotient and the denominator.

Prices in between are whole 1e-6 ticks, decays whole 2^-30; every division truncates, so that all is the same
everywhere. The mark itself is a whole tick.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.arithmetic import multiply_divide

DECAY_SCALE = 2**30
BASIS_CONSTANT_NS = 150_000_000_000
BOOK_CONSTANT_NS = 30_000_000_000
PRICE_NONE = -(2**62)

_E6 = 1_000_000
_INVERSE_E = 395_007_542  # exp(-1) in 2^-30
_TERMS = 13  # of the exponential series: the next one is below 2^-30
_CONSTANTS_MAX = 21  # exp(-21) is below 2^-30


@compiled
def decay(elapsed_ns, constant_ns):
    """exp(-elapsed / constant) in 2^-30, to within a few units; 2^30 when nothing has elapsed."""
    if elapsed_ns <= 0:
        return DECAY_SCALE
    whole = elapsed_ns // constant_ns
    if whole >= _CONSTANTS_MAX:
        return 0
    part = multiply_divide(elapsed_ns % constant_ns, DECAY_SCALE, constant_ns)
    result = DECAY_SCALE
    for term in range(_TERMS, 0, -1):
        result = DECAY_SCALE - part * result // (DECAY_SCALE * term)
    for _ in range(whole):
        result = result * _INVERSE_E // DECAY_SCALE
    return result


@compiled
def average(value, weight_ns, sample, elapsed_ns, constant_ns):
    """A decaying average after a sample: (value, weight). A weight of 0 means that there was none before.

    |value| and |sample| below 2^61, what has elapsed since the last sample below 2^62.
    """
    if weight_ns <= 0:
        return sample, 1
    # What is older than the whole memory weighs nothing, and a gap is not a sample that lasted.
    added = max(min(elapsed_ns, constant_ns), 1)
    weight = multiply_divide(weight_ns, decay(elapsed_ns, constant_ns), DECAY_SCALE) + added
    return value + multiply_divide(sample - value, added, weight), weight


@compiled
def median_of_three(first, second, third):
    """The one in the middle."""
    return first + second + third - min(first, second, third) - max(first, second, third)


@compiled
def book_price_e6(header, last_trade_ticks):
    """The median of best bid, best ask and last trade, of those that there are, in 1e-6 ticks; PRICE_NONE of none."""
    bid, ask = header["best_bid_ticks"], header["best_ask_ticks"]
    count = 0
    total = 0
    if bid != BID_NONE:
        count += 1
        total += bid
    if ask != ASK_NONE:
        count += 1
        total += ask
    if last_trade_ticks > 0:
        count += 1
        total += last_trade_ticks
    if count == 3:
        return median_of_three(bid, ask, last_trade_ticks) * _E6
    return total * _E6 // count if count > 0 else PRICE_NONE


@compiled
def middle_e6(header):
    """The middle of the book in 1e-6 ticks; PRICE_NONE when a side is empty."""
    if header["best_bid_ticks"] == BID_NONE or header["best_ask_ticks"] == ASK_NONE:
        return PRICE_NONE
    return (header["best_bid_ticks"] + header["best_ask_ticks"]) * _E6 // 2


@compiled
def mark_e6(price, book):
    """The mark in 1e-6 ticks from a PRICE_DTYPE record and the book's price; PRICE_NONE when nothing is known."""
    oracle = PRICE_NONE
    if price["oracle_ticks"] > 0:
        oracle = price["oracle_ticks"] * _E6 + price["basis_e6"]
    external = price["external_ticks"] * _E6 if price["external_ticks"] > 0 else PRICE_NONE
    known = 0
    total = 0
    for candidate in (oracle, book, external):
        if candidate != PRICE_NONE:
            known += 1
            total += candidate
    if known == 3:
        return median_of_three(oracle, book, external)
    if known == 2 and price["book_weight_ns"] > 0:
        # Of the two known ones, which add up to the total, and the average.
        first = oracle if oracle != PRICE_NONE else book
        return median_of_three(first, total - first, price["book_e6"])
    return total // known if known > 0 else PRICE_NONE


@compiled
def observe_book(price, header, ts_ns):
    """Takes a sample of the book into both averages of a PRICE_DTYPE record; returns the book's price."""
    elapsed = ts_ns - price["mark_ns"]
    book = book_price_e6(header, price["last_trade_ticks"])
    if book != PRICE_NONE:
        value, weight = average(price["book_e6"], price["book_weight_ns"], book, elapsed, BOOK_CONSTANT_NS)
        price["book_e6"] = value
        price["book_weight_ns"] = weight
    middle = middle_e6(header)
    if middle != PRICE_NONE and price["oracle_ticks"] > 0:
        basis = middle - price["oracle_ticks"] * _E6
        value, weight = average(price["basis_e6"], price["basis_weight_ns"], basis, elapsed, BASIS_CONSTANT_NS)
        price["basis_e6"] = value
        price["basis_weight_ns"] = weight
    return book


@compiled
def update_mark(price, header, mark_ticks, ts_ns):
    """Samples the book and returns the new mark in ticks, at least 1; the old one when nothing is known.

    `price` is the market's PRICE_DTYPE record, `header` its ladder's, `mark_ticks` the mark until now, 0 none.
    """
    book = observe_book(price, header, ts_ns)
    price["mark_ns"] = ts_ns
    mark = mark_e6(price, book)
    price["previous_mark_ticks"] = mark_ticks
    if mark == PRICE_NONE:
        return mark_ticks
    return max((mark + _E6 // 2) // _E6, 1)
