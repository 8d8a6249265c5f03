"""What the exchange lists: perpetuals, spot pairs, tokens, and the names by which the wire knows them.

A market's place in `Listing.markets` is its row in the kernel. On the wire a perpetual is its place in `meta.universe`
and a spot pair is 10000 plus its index (venue reference section 2), so the perpetuals come first and their asset ids
are their places.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from hlhft.units import MARKET_DTYPE, Market, MarketKind

SPOT_ASSET_BASE = 10_000
USDC_TOKEN = 0
# Venue reference section 3.1: a table below this number is flat, at the leverage that is its number.
LISTED_TABLES_FROM = 50


class MarginMode(Enum):
    """Which kinds of margin a perpetual allows; the value is the text of the wire, "" is not said."""

    ANY = ""
    NO_CROSS = "noCross"
    STRICT_ISOLATED = "strictIsolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of the spot ledger. Balances are whole 10^-8."""

    name: str
    index: int
    size_decimals: int = 8
    wei_decimals: int = 8

    @property
    def token_id(self) -> str:
        """The token's id on the wire: 0x and 32 hexadecimal digits, a function of its index."""
        return (
            f"0x{(self.index * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 0x6D1E7CDE53BA9467B783CB7C530CE054) % 2**128:032x}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One market as it is listed. `tiers` are (lower bound in micro-USDC, maximum leverage); empty: one flat tier."""

    market: Market
    tiers: tuple[tuple[int, int], ...] = ()
    margin_mode: MarginMode = MarginMode.ANY
    is_delisted: bool = False  # it is shown, and takes no orders
    base_token: int = USDC_TOKEN
    quote_token: int = USDC_TOKEN

    @property
    def is_spot(self) -> bool:
        """Whether it is a pair of tokens."""
        return self.market.kind is MarketKind.SPOT

    @property
    def spot_index(self) -> int:
        """A spot pair's index on the wire."""
        return self.market.asset_id - SPOT_ASSET_BASE

    @property
    def quanta_decimals(self) -> int:
        """Decimals of ticks x lots as an amount of the quote currency."""
        return self.market.price_decimals + self.market.size_decimals


class Listing:
    """All markets and tokens. Immutable."""

    def __init__(self, markets: tuple[Listed, ...], *, tokens: tuple[Token, ...] = ()) -> None:
        """Raises ValueError when names repeat, or when asset ids are not places as the module says."""
        self.markets = markets
        self.tokens = tokens or (Token(name="USDC", index=USDC_TOKEN),)
        self.names = tuple(listed.market.name for listed in markets)
        self.perpetuals = tuple(row for row, listed in enumerate(markets) if not listed.is_spot)
        self.spots = tuple(row for row, listed in enumerate(markets) if listed.is_spot)
        self._row_of_name = {name: row for row, name in enumerate(self.names)}
        self._row_of_asset = {listed.market.asset_id: row for row, listed in enumerate(markets)}
        if len(self._row_of_name) != len(markets) or len(self._row_of_asset) != len(markets):
            raise ValueError(f"a listing needs names and asset ids that differ, not {self.names}")
        if self.perpetuals != tuple(range(len(self.perpetuals))):
            raise ValueError("a listing has its perpetuals first, then its spot pairs")
        for row in self.perpetuals:
            if markets[row].market.asset_id != row:
                raise ValueError(f"perpetual {self.names[row]}: its asset id must be its place {row}")
        if [token.index for token in self.tokens] != list(range(len(self.tokens))):
            raise ValueError("a listing has its tokens in the order of their indices, USDC first")

    def row_of(self, coin: str) -> int | None:
        """The kernel's row of the market that the wire calls `coin`; None when it is not listed."""
        return self._row_of_name.get(coin)

    def row_of_asset(self, asset_id: int) -> int | None:
        """The kernel's row of an asset id; None when it is not listed."""
        return self._row_of_asset.get(asset_id)

    def records(self) -> np.ndarray:
        """The compiled form of all markets, shape (M,), dtype MARKET_DTYPE."""
        if not self.markets:
            return np.zeros(0, MARKET_DTYPE)
        return np.concatenate([listed.market.record() for listed in self.markets])

    def margin_tables(self) -> list[tuple[int, int, tuple[tuple[int, int], ...]]]:
        """(row, id, tiers) of every perpetual: flat ones are numbered by their leverage, the others from 50 on in the
        order in which their tiers first appear."""
        numbers: dict[tuple[tuple[int, int], ...], int] = {}
        tables = []
        for row in self.perpetuals:
            tiers = self.markets[row].tiers
            if len(tiers) > 1:
                number = numbers.setdefault(tiers, LISTED_TABLES_FROM + len(numbers))
                tables.append((row, number, tiers))
            else:
                leverage = self.markets[row].market.maximum_leverage
                tables.append((row, leverage, ((0, leverage),)))
        return tables
