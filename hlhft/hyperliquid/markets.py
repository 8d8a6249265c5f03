"""Which markets are traded: the names of the configuration, resolved with what the venue lists now.

By name and never by number: a testnet numbers its perpetuals otherwise (venue reference section 2). A market that is
unknown, delisted, named twice or of another currency than USDC is refused in a sentence, all refusals together. The
markets of builders' exchanges (HIP-3) are named `dex:COIN` and resolved only where their dex was asked for.

Needs no compiled code, so that the watchdog may use it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import msgspec

from hlhft.hyperliquid.reading import UNDECODABLE, Fault
from hlhft.units import PERPETUAL_MAX_DECIMALS, SPOT_MAX_DECIMALS, Market

# Venue reference section 2.
SPOT_BASE = 10_000
DEX_BASE, DEX_STRIDE = 100_000, 10_000
USDC_TOKEN = 0
NO_TOKEN = -1
BODY_BYTES_MAX = 1 << 24  # the spot markets of the testnet of 2026 have 400,000 bytes
# A builder may raise the fees of its markets to this many times those of the main dex (venue reference section 9, for a
# scale of 1), and `userFees` does not say.
DEX_FEE_FACTOR = 2

_T = TypeVar("_T")
Decimals = Annotated[int, msgspec.Meta(ge=0, le=18)]
Index = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class MarketError(ValueError):
    """Names that are no markets to trade, one sentence each."""


class Perpetual(msgspec.Struct, frozen=True, gc=False):
    """An entry of `meta`."""

    name: str
    size_decimals: Decimals = msgspec.field(name="szDecimals")
    maximum_leverage: Annotated[int, msgspec.Meta(ge=1, le=1000)] = msgspec.field(name="maxLeverage")
    is_delisted: bool = msgspec.field(default=False, name="isDelisted")


class Meta(msgspec.Struct, frozen=True):
    """The perpetuals of one dex. An entry's place is its number there."""

    universe: tuple[Perpetual, ...]
    collateral_token: int = msgspec.field(default=USDC_TOKEN, name="collateralToken")


class Token(msgspec.Struct, frozen=True, gc=False):
    """A token of the spot ledger."""

    name: str
    index: Index
    size_decimals: Decimals = msgspec.field(name="szDecimals")


class Pair(msgspec.Struct, frozen=True):
    """A spot market."""

    name: str
    index: Index
    tokens: tuple[Index, Index]  # base, quote


class SpotMeta(msgspec.Struct, frozen=True):
    """Spot pairs and their tokens; the places in either list say nothing."""

    tokens: tuple[Token, ...]
    universe: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Dex:
    """A builder's exchange that was asked for: its name, its place in `perpDexs`, and its perpetuals."""

    name: str
    place: int
    meta: Meta


class _Named(msgspec.Struct):
    name: str


_META = msgspec.json.Decoder(Meta)
_SPOT_META = msgspec.json.Decoder(SpotMeta)
_DEXS = msgspec.json.Decoder(list[_Named | None])


def read_meta(body: bytes) -> Meta | Fault:
    """The answer to `meta`."""
    return _decoded(_META, body)


def read_spot_meta(body: bytes) -> SpotMeta | Fault:
    """The answer to `spotMeta`."""
    return _decoded(_SPOT_META, body)


def read_dexs(body: bytes) -> tuple[str | None, ...] | Fault:
    """The answer to `perpDexs`: the names by place; the main dex, and one that is gone, is None."""
    told = _decoded(_DEXS, body)
    return told if isinstance(told, Fault) else tuple(None if one is None else one.name for one in told)


def asset_ids(meta: Meta, spot_meta: SpotMeta, dexs: Sequence[Dex] = ()) -> dict[str, int]:
    """The number of every market by the name that the wire gives it, delisted ones too."""
    found = {entry.name: place for place, entry in enumerate(meta.universe)}
    found |= {pair.name: SPOT_BASE + pair.index for pair in spot_meta.universe}
    for dex in dexs:
        base = DEX_BASE + DEX_STRIDE * dex.place
        found |= {entry.name: base + place for place, entry in enumerate(dex.meta.universe)}
    return found


def markets_of(meta: Meta, spot_meta: SpotMeta, names: Sequence[str], dexs: Sequence[Dex] = ()) -> list[Market]:
    """The markets of these names, in their order. A spot pair may also be named by its tokens, "HYPE/USDC".

    Raises MarketError, with a sentence for each name that is none to trade.
    """
    listing = _Listing(meta, spot_meta, dexs)
    markets: list[Market] = []
    refusals = [f"{name} is named {count} times, name it once" for name, count in Counter(names).items() if count > 1]
    for name in dict.fromkeys(names):
        found = listing.find(name)
        if isinstance(found, str):
            refusals.append(found)
        else:
            markets.append(found)
    numbers = Counter(market.asset_id for market in markets)
    refusals += [
        f"{market.name} is named twice, by its own name and by its tokens, name it once"
        for market in {market.asset_id: market for market in markets}.values()
        if numbers[market.asset_id] > 1
    ]
    if not names:
        refusals.append("no market is named, name at least one")
    if refusals:
        raise MarketError("; ".join(refusals))
    by_number = {number: name for name, number in asset_ids(meta, spot_meta, dexs).items()}
    for market in markets:
        assert by_number[market.asset_id] == market.name, "a market's number leads back to its name"
    return markets


def base_tokens(spot_meta: SpotMeta, markets: Iterable[Market]) -> tuple[int, ...]:
    """For each market the token that a position in it is a balance of; NO_TOKEN for a perpetual."""
    bases = {SPOT_BASE + pair.index: pair.tokens[0] for pair in spot_meta.universe}
    return tuple(bases.get(market.asset_id, NO_TOKEN) for market in markets)


class _Listing:
    """What is listed, by name."""

    def __init__(self, meta: Meta, spot_meta: SpotMeta, dexs: Sequence[Dex]) -> None:
        self._perpetuals: dict[str, tuple[int, Perpetual, Dex | None]] = {}
        for place, entry in enumerate(meta.universe):
            self._perpetuals[entry.name] = (place, entry, None)
        for dex in dexs:
            for place, entry in enumerate(dex.meta.universe):
                number = DEX_BASE + DEX_STRIDE * dex.place + place
                self._perpetuals[entry.name] = (number, entry, dex)
        self._dexs = frozenset(dex.name for dex in dexs)
        self._meta = meta
        self._tokens: Mapping[int, Token] = {token.index: token for token in spot_meta.tokens}
        self._pairs = {pair.name: pair for pair in spot_meta.universe}
        self._by_tokens: dict[str, list[Pair]] = {}
        for pair in spot_meta.universe:
            self._by_tokens.setdefault("/".join(map(self._token_name, pair.tokens)), []).append(pair)

    def find(self, name: str) -> Market | str:
        """The market, or why there is none to trade."""
        perpetual = self._perpetuals.get(name)
        if perpetual is not None:
            return self._perpetual(*perpetual)
        pair = self._pairs.get(name)
        if pair is not None:
            return self._spot(pair)
        pairs = self._by_tokens.get(name, [])
        if len(pairs) > 1:
            choices = ", ".join(pair.name for pair in pairs)
            return f"{name} are the tokens of several markets, name one of {choices}"
        return self._spot(pairs[0]) if pairs else self._unknown(name)

    def _perpetual(self, number: int, entry: Perpetual, dex: Dex | None) -> Market | str:
        if entry.is_delisted:
            return f"{entry.name} is delisted at the venue, remove it"
        collateral = (self._meta if dex is None else dex.meta).collateral_token
        if collateral != USDC_TOKEN:
            return f"{entry.name} is margined in {self._token_name(collateral)}, and only USDC is supported, remove it"
        if entry.size_decimals > PERPETUAL_MAX_DECIMALS:
            return _too_fine(entry.name, entry.size_decimals, PERPETUAL_MAX_DECIMALS)
        market = Market.perpetual(
            entry.name, asset_id=number, size_decimals=entry.size_decimals, maximum_leverage=entry.maximum_leverage
        )
        if dex is None:
            return market
        return replace(
            market,
            maker_rate_e9=DEX_FEE_FACTOR * market.maker_rate_e9,
            taker_rate_e9=DEX_FEE_FACTOR * market.taker_rate_e9,
        )

    def _spot(self, pair: Pair) -> Market | str:
        base = self._tokens.get(pair.tokens[0])
        if base is None:
            return f"{pair.name} has a base token, {pair.tokens[0]}, that the venue does not list, remove it"
        if pair.tokens[1] != USDC_TOKEN:
            quote = self._token_name(pair.tokens[1])
            return f"{pair.name} is quoted in {quote}, and only USDC is supported, remove it"
        if base.size_decimals > SPOT_MAX_DECIMALS:
            return _too_fine(pair.name, base.size_decimals, SPOT_MAX_DECIMALS)
        return Market.spot(pair.name, asset_id=SPOT_BASE + pair.index, size_decimals=base.size_decimals)

    def _token_name(self, index: int) -> str:
        token = self._tokens.get(index)
        return f"token {index}" if token is None else token.name

    def _unknown(self, name: str) -> str:
        dex, colon, _ = name.partition(":")
        if colon and dex not in self._dexs:
            return f"{name} belongs to the builder's dex {dex}, which was not asked for, allow that dex or remove it"
        known = {one.casefold(): one for one in (*self._by_tokens, *self._pairs, *self._perpetuals)}
        near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.0)
        hint = f", the nearest is {known[near[0]]}" if near else ""
        return f"{name} is no market of the venue{hint}"


def _too_fine(name: str, decimals: int, maximum: int) -> str:
    return f"{name} has sizes of {decimals} decimals, and more than {maximum} leave none for its price, remove it"


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T | Fault:
    if len(body) > BODY_BYTES_MAX:
        return Fault.TOO_LONG
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        return Fault.WRONG_SHAPE
    except UNDECODABLE:
        return Fault.UNREADABLE
