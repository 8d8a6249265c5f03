"""Which markets a live scan watches: all that the venue lists, the busiest first, or those that were named. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

import msgspec

from hlhft.hyperliquid.markets import MarketError, Meta
from hlhft.hyperliquid.reading import UNDECODABLE, Fault
from hlhft.units import PERPETUAL_MAX_DECIMALS, Market

REQUEST = b'{"type":"metaAndAssetCtxs"}'
WEIGHT = 20  # on the IP address that asks (venue reference section 7)


class Listed(msgspec.Struct, frozen=True):
    """A perpetual that trades, its volume of the last day in USDC, and its context as the venue wrote it."""

    market: Market
    volume_usdc: float
    context: msgspec.Raw


class _Volume(msgspec.Struct):
    text: str = msgspec.field(default="0", name="dayNtlVlm")


_ANSWER = msgspec.json.Decoder(tuple[Meta, list[msgspec.Raw]])
_VOLUME = msgspec.json.Decoder(_Volume)


def read_listing(body: bytes) -> tuple[Listed, ...] | Fault:
    """The answer to `metaAndAssetCtxs` (venue reference section 3.1): the main dex without what is delisted."""
    try:
        meta, contexts = _ANSWER.decode(body)
        if len(contexts) != len(meta.universe):
            return Fault.WRONG_SHAPE
        volumes = [float(_VOLUME.decode(context).text) for context in contexts]
    except (*UNDECODABLE, ValueError):
        return Fault.WRONG_SHAPE
    if not all(math.isfinite(volume) and volume >= 0.0 for volume in volumes):
        return Fault.OUT_OF_RANGE
    if any(entry.size_decimals > PERPETUAL_MAX_DECIMALS for entry in meta.universe):
        return Fault.OUT_OF_RANGE
    return tuple(
        Listed(
            Market.perpetual(
                entry.name,
                asset_id=number,
                size_decimals=entry.size_decimals,
                maximum_leverage=entry.maximum_leverage,
            ),
            volume,
            # Of its own: it would keep all of the answer.
            context.copy(),
        )
        for number, (entry, context, volume) in enumerate(zip(meta.universe, contexts, volumes, strict=True))
        if not entry.is_delisted
    )


def chosen(listed: Sequence[Listed], coins: Sequence[str], markets_max: int) -> tuple[Listed, ...]:
    """The named ones in the order of their volume, or without names the busiest, at most `markets_max`.

    Raises MarketError for names that are not listed, and for more names than that.
    """
    by_name = {one.market.name: one for one in listed}
    faults = []
    for coin in coins:
        if coin not in by_name:
            near = difflib.get_close_matches(coin, by_name, n=1, cutoff=0.0)
            faults.append(f"{coin} is not listed" + (f", the nearest is {near[0]}" if near else ""))
    if faults:
        raise MarketError("; ".join(faults))
    wanted = [by_name[coin] for coin in dict.fromkeys(coins)] if coins else list(listed)
    if coins and len(wanted) > markets_max:
        raise MarketError(
            f"{len(wanted)} markets are named, and the tools' share of the venue's limits (limits.share) is enough for "
            f"{markets_max}: name fewer"
        )
    wanted.sort(key=lambda one: (-one.volume_usdc, one.market.name))
    return tuple(wanted[:markets_max])
