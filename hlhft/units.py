"""Markets, prices and sizes as whole numbers, and the one place where floats and strings become them.

A tick is the constant unit 10^-price_decimals of a market, a lot is 10^-size_decimals; on a Hyperliquid perpetual the
two add up to six decimals, so ticks x lots is exact micro-USDC. Which ticks are valid prices is the market's grid rule
(venue reference section 2): at most five significant figures (whole numbers always pass), or a fixed step.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from enum import IntEnum

import numpy as np

PERPETUAL_MAX_DECIMALS = 6  # venue reference section 2: MAX_DECIMALS for perps
SPOT_MAX_DECIMALS = 8  # the same for spot
SIGNIFICANT_FIGURES = 5  # venue reference section 2
MICRO = 1_000_000  # micro-USDC in one USDC
RATE_SCALE = 1_000_000_000  # fee rates are whole 1e-9
FUNDING_SCALE = 1_000_000_000_000  # funding rates are whole 1e-12
TICKS_MAX = 2**31 - 1  # a replay row holds a price in 32 bits
LOTS_MAX = 2**46 - 1  # and a size in 46
# The default context would round a text of more than 28 digits.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


class GridRule(IntEnum):
    """Which prices are valid."""

    SIGNIFICANT_FIGURES = 0
    FIXED = 1


class MarketKind(IntEnum):
    """What is traded."""

    PERPETUAL = 0
    SPOT = 1


class UnitsError(ValueError):
    """A number that is not a valid price, size or amount of this market."""


MARKET_DTYPE = np.dtype(
    [
        ("asset_id", np.int64),
        ("price_decimals", np.int64),
        ("size_decimals", np.int64),
        ("grid_rule", np.int64),
        ("grid_step_ticks", np.int64),  # FIXED only
        ("whole_unit_ticks", np.int64),  # ticks in a price of 1
        ("kind", np.int64),
        ("maximum_leverage", np.int64),
        ("minimum_notional_micro", np.int64),
        ("micro_numerator", np.int64),  # micro-USDC = ticks * lots * numerator // denominator
        ("micro_denominator", np.int64),
        ("maker_rate_e9", np.int64),
        ("taker_rate_e9", np.int64),
        ("tick_size", np.float64),
        ("lot_size", np.float64),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One market's specification. Immutable; every other module derives what it needs from this."""

    name: str
    asset_id: int
    price_decimals: int
    size_decimals: int
    kind: MarketKind = MarketKind.PERPETUAL
    grid_rule: GridRule = GridRule.SIGNIFICANT_FIGURES
    grid_step_ticks: int = 1
    maximum_leverage: int = 10
    minimum_notional_micro: int = 10 * MICRO
    maker_rate_e9: int = 150_000
    taker_rate_e9: int = 450_000

    def __post_init__(self) -> None:
        if not 0 <= self.price_decimals <= 12 or not 0 <= self.size_decimals <= 12:
            raise UnitsError(
                f"market {self.name}: decimals must lie in 0..12, not {self.price_decimals} and {self.size_decimals}"
            )
        if self.grid_step_ticks < 1:
            raise UnitsError(f"market {self.name}: grid_step_ticks must be at least 1, not {self.grid_step_ticks}")

    @classmethod
    def perpetual(cls, name: str, *, asset_id: int, size_decimals: int, maximum_leverage: int = 10) -> Market:
        """A Hyperliquid perpetual: six decimals shared between price and size, five significant figures."""
        return cls(
            name=name,
            asset_id=asset_id,
            price_decimals=PERPETUAL_MAX_DECIMALS - size_decimals,
            size_decimals=size_decimals,
            maximum_leverage=maximum_leverage,
        )

    @classmethod
    def spot(cls, name: str, *, asset_id: int, size_decimals: int) -> Market:
        """A Hyperliquid spot pair: eight decimals shared; money in micro-USDC is truncated toward zero."""
        return cls(
            name=name,
            asset_id=asset_id,
            price_decimals=SPOT_MAX_DECIMALS - size_decimals,
            size_decimals=size_decimals,
            kind=MarketKind.SPOT,
            maximum_leverage=1,
        )

    def record(self) -> np.ndarray:
        """The compiled form, shape (1,), dtype MARKET_DTYPE."""
        exponent = 6 - self.price_decimals - self.size_decimals
        row = np.zeros(1, dtype=MARKET_DTYPE)
        row[0] = (
            self.asset_id,
            self.price_decimals,
            self.size_decimals,
            int(self.grid_rule),
            self.grid_step_ticks,
            10**self.price_decimals,
            int(self.kind),
            self.maximum_leverage,
            self.minimum_notional_micro,
            10 ** max(exponent, 0),
            10 ** max(-exponent, 0),
            self.maker_rate_e9,
            self.taker_rate_e9,
            10.0**-self.price_decimals,
            10.0**-self.size_decimals,
        )
        return row

    def ticks(self, price: str | Decimal) -> int:
        """The price in ticks, exact; 0 stands for none. Raises UnitsError when it is no whole number of ticks, negative
        or above TICKS_MAX."""
        return _scaled(price, self.price_decimals, what=f"{self.name} price", maximum=TICKS_MAX)

    def lots(self, size: str | Decimal) -> int:
        """The size in lots, exact. Raises UnitsError when it is no whole number of lots, negative or above LOTS_MAX."""
        return _scaled(size, self.size_decimals, what=f"{self.name} size", maximum=LOTS_MAX)

    def price_text(self, ticks: int) -> str:
        """The price as the wire wants it: plain notation, no trailing zeros."""
        return decimal_text(ticks, self.price_decimals)

    def size_text(self, lots: int) -> str:
        """The size as the wire wants it: plain notation, no trailing zeros."""
        return decimal_text(lots, self.size_decimals)

    def micro(self, ticks: int, lots: int) -> int:
        """ticks x lots in micro-USDC; exact on perpetuals, truncated toward zero where the market is finer."""
        exponent = 6 - self.price_decimals - self.size_decimals
        product = ticks * lots
        if exponent >= 0:
            return product * int(10**exponent)
        sign = -1 if product < 0 else 1
        return sign * (abs(product) // int(10**-exponent))

    def grid_step(self, ticks: int) -> int:
        """Distance in ticks between valid prices at this price. `ticks` must be positive."""
        return grid_step(ticks, int(self.grid_rule), self.grid_step_ticks, 10**self.price_decimals)

    def is_valid_price(self, ticks: int) -> bool:
        """Whether the venue accepts this price (grid rule only, not bands)."""
        return ticks > 0 and ticks % self.grid_step(ticks) == 0

    def quantise(self, ticks: float, *, side: int) -> int:
        """The nearest valid price that is not more aggressive: down for a buy (+1), up for a sell (-1); at least one
        step."""
        return quantise(ticks, side, int(self.grid_rule), self.grid_step_ticks, 10**self.price_decimals)


def grid_step(ticks: int, grid_rule: int, grid_step_ticks: int, whole_unit_ticks: int) -> int:
    """Distance in ticks between valid prices at `ticks` > 0: a power of ten, at most one whole unit, or the fixed step.

    Part of the compiled subset: plain integer arithmetic, used by core and venue through `hlhft.compiled`.
    """
    if grid_rule == 1:
        return grid_step_ticks
    step = 1
    while ticks >= step * 100_000 and step < whole_unit_ticks:
        step *= 10
    return step


def quantise(ticks: float, side: int, grid_rule: int, grid_step_ticks: int, whole_unit_ticks: int) -> int:
    """`ticks` rounded to a valid price away from the touch: down for side +1, up for side -1; never below one step.

    Finite input below 2^31; the caller refuses NaN and infinities. Rounding up across a power of ten lands on the
    power, which is valid on both grids.
    """
    floor = int(np.floor(ticks))
    if floor < 1:
        return grid_step(1, grid_rule, grid_step_ticks, whole_unit_ticks)
    step = grid_step(floor, grid_rule, grid_step_ticks, whole_unit_ticks)
    down = floor - floor % step
    if side > 0:
        return max(down, step)
    return down if down == ticks else down + step


def decimal_text(units: int, decimals: int) -> str:
    """`units` x 10^-decimals in plain notation without trailing zeros; the inverse of reading it back."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return sign + whole + ("." + fraction if fraction else "")


def _scaled(text: str | Decimal, decimals: int, *, what: str, maximum: int) -> int:
    try:
        value = text if isinstance(text, Decimal) else Decimal(text)
    except InvalidOperation:
        raise UnitsError(f"{what}: {text!r} is not a number") from None
    if not value.is_finite():
        raise UnitsError(f"{what}: {text!r} is not finite")
    # Comparing is exact and costs nothing. Only then is it safe to write the number out: "1e999999999" would not fit
    # into memory.
    if value < 0 or value > maximum or value.scaleb(decimals, _EXACT) > maximum:
        raise UnitsError(f"{what}: {text} is outside 0..{decimal_text(maximum, decimals)}")
    scaled = value.scaleb(decimals, _EXACT)
    whole = int(scaled)
    if whole != scaled:
        raise UnitsError(f"{what}: {text} has more than {decimals} decimals")
    return whole
