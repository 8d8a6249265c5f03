"""What all readers of the venue's JSON share: faults, the kinds of whole numbers, decimal texts as whole units.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated

import msgspec

from hlhft.hyperliquid.wire import WireError, read_cloid
from hlhft.units import FUNDING_SCALE, LOTS_MAX, TICKS_MAX, Market

TIME_MS_MAX = 9_000_000_000_000  # the last millisecond that the event record takes for one
TEXT_MAX = 500  # characters kept of an error
DIGITS_MAX = 40  # characters of a number
INT64_MAX = 2**63 - 1
# What decoding JSON of any content may raise; the last is for thousands of nested brackets.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_POWERS = tuple(10**power for power in range(20))

Id = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
TimeMs = Annotated[int, msgspec.Meta(gt=0, lt=TIME_MS_MAX)]


class Fault(IntEnum):
    """Why a frame, or one item of it, says nothing that could be acted upon; `MEANING` says it in words."""

    NONE = 0
    TOO_LONG = 1
    UNREADABLE = 2
    WRONG_SHAPE = 3
    NO_NUMBER = 4
    NEGATIVE = 5
    TOO_FINE = 6
    OUT_OF_RANGE = 7
    DISORDERED = 8
    TOO_MANY = 9
    OTHER_COIN = 10


MEANING: dict[Fault, str] = {
    Fault.NONE: "fine",
    Fault.TOO_LONG: "the frame is longer than any the venue sends",
    Fault.UNREADABLE: "the frame is no JSON, or names no channel",
    Fault.WRONG_SHAPE: "the data is not what its channel carries",
    Fault.NO_NUMBER: "a text is no plain decimal number; exponents, NaN and infinities are none",
    Fault.NEGATIVE: "a number is below zero where that means nothing",
    Fault.TOO_FINE: "a price or size is no whole number of the market's ticks or lots",
    Fault.OUT_OF_RANGE: "a price, or the size of a trade, is zero, or a number is more than its unit holds",
    Fault.DISORDERED: "a book's levels do not lead from the touch outward, or a bid is at or above an ask",
    Fault.TOO_MANY: "the frame would become more events than there is room for",
    Fault.OTHER_COIN: "an item is about a market that is not ours",
}
# Looking up a member of an enumeration costs as much as reading a number.
_NONE, _NO_NUMBER, _NEGATIVE = Fault.NONE, Fault.NO_NUMBER, Fault.NEGATIVE
_TOO_FINE, _OUT_OF_RANGE = Fault.TOO_FINE, Fault.OUT_OF_RANGE


def whole_units(
    text: str, decimals: int, maximum: int, *, signed: bool = False, cut: bool = False
) -> tuple[int, Fault]:
    """(the decimal number in units of 10^-decimals, NONE), or (0, the fault).

    Exact: what is finer is TOO_FINE, or dropped toward zero where `cut`. `maximum` bounds the absolute value, and
    `decimals` lies in 0 .. 19.
    """
    minus = text.startswith("-")
    whole, point, fraction = (text[1:] if minus else text).partition(".")
    if not (whole.isdigit() and (fraction.isdigit() or not point) and text.isascii() and len(text) <= DIGITS_MAX):
        return 0, _NO_NUMBER
    missing = decimals - len(fraction)
    if missing < 0:
        if not cut and fraction[missing:].strip("0"):
            return 0, _TOO_FINE
        units = int(whole + fraction[:missing])
    else:
        units = int(whole + fraction) * _POWERS[missing]
    if units > maximum:
        return 0, _OUT_OF_RANGE
    if minus and units:
        return (-units, _NONE) if signed else (0, _NEGATIVE)
    return units, _NONE


class Unit(IntEnum):
    """What a number of an item counts. The last three may be negative, and what is finer is cut off: a spot balance may
    hold dust, and the venue reckons profits finer than it pays them."""

    TICKS = 0
    LOTS = 1
    HELD = 2  # a signed position, in lots
    MICRO = 3  # money, in millionths
    RATE = 4  # in 1e-12


MICRO_DECIMALS = 6
RATE_DECIMALS = len(str(FUNDING_SCALE)) - 1
_LOOSE = Unit.HELD
_MAXIMA = (TICKS_MAX, LOTS_MAX, LOTS_MAX, INT64_MAX, INT64_MAX)


class ItemReader:
    """Reads the numbers of items that name a coin, as whole units of that market."""

    def __init__(self, markets: Sequence[Market]) -> None:
        """A market's number is its place in `markets`."""
        self._markets = {
            market.name: (
                row,
                (market.price_decimals, market.size_decimals, market.size_decimals, MICRO_DECIMALS, RATE_DECIMALS),
            )
            for row, market in enumerate(markets)
        }

    def row(self, coin: str) -> int:
        """The market's number, -1 for a coin that is not ours."""
        found = self._markets.get(coin)
        return -1 if found is None else found[0]

    def numbers(self, coin: str, *texts: tuple[str, Unit]) -> tuple[int, tuple[int, ...], Fault]:
        """(market, the numbers, fault) of an item; all numbers are 0 where there is a fault, and the market is -1 for a
        coin that is not ours."""
        nothing = (0,) * len(texts)
        found = self._markets.get(coin)
        if found is None:
            return -1, nothing, Fault.OTHER_COIN
        row, decimals = found
        numbers = []
        for text, unit in texts:
            loose = unit >= _LOOSE
            number, fault = whole_units(text, decimals[unit], _MAXIMA[unit], signed=loose, cut=loose)
            if fault:
                return row, nothing, fault
            numbers.append(number)
        return row, tuple(numbers), Fault.NONE


def cloid_or_none(text: str | None) -> int | None:
    """The client order id; None where there is none, or a text that is none."""
    if text is None:
        return None
    try:
        return read_cloid(text)
    except WireError:
        return None
