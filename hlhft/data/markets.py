"""Which markets there are: the shipped table, a user's own specification, or the venue's `meta` answer.

A specification file is TOML or JSON with the lists `perpetual` and `fixed` (see universe/markets.toml), or the venue's
`meta` JSON with `universe` (venue reference section 3), where the asset id is the place in the list.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec

from hlhft.data.errors import DataError
from hlhft.units import GridRule, Market, MarketKind, UnitsError

SPECIFICATION_BYTES_MAX = 64 * 1024 * 1024


class Perpetual(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A perpetual under the venue's five-significant-figures rule."""

    name: str
    asset_id: int
    size_decimals: int
    maximum_leverage: int = 10


class Fixed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An instrument with a fixed price step and no minimum order value."""

    name: str
    asset_id: int
    price_decimals: int
    size_decimals: int
    grid_step_ticks: int = 1
    maximum_leverage: int = 1
    spot: bool = False


class Specification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The contents of a specification file."""

    perpetual: list[Perpetual] = []
    fixed: list[Fixed] = []


class MetaMarket(msgspec.Struct):
    """One entry of the venue's universe; other fields are not read."""

    name: str
    szDecimals: int  # noqa: N815 - the venue's name
    maxLeverage: int  # noqa: N815


class Meta(msgspec.Struct):
    """The venue's `meta` answer."""

    universe: list[MetaMarket]


@functools.cache
def known() -> Mapping[str, Market]:
    """The shipped markets by name."""
    text = resources.files("hlhft.data.universe").joinpath("markets.toml").read_bytes()
    return _markets(msgspec.toml.decode(text, type=Specification))


def load(path: Path | str) -> Mapping[str, Market]:
    """The markets of a specification file by name. Raises DataError when it has none of the shapes above."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            text = stream.read(SPECIFICATION_BYTES_MAX + 1)
    except OSError as error:
        raise DataError(
            file, None, f"the market specification cannot be read ({error.strerror}), give a readable file"
        ) from None
    if len(text) > SPECIFICATION_BYTES_MAX:
        raise DataError(
            file, None, f"a market specification has at most {SPECIFICATION_BYTES_MAX} bytes, give a smaller one"
        )
    try:
        if file.suffix == ".toml":
            return _markets(msgspec.toml.decode(text, type=Specification))
        if isinstance(probe := msgspec.json.decode(text), dict) and "universe" in probe:
            return _from_meta(msgspec.json.decode(text, type=Meta))
        return _markets(msgspec.json.decode(text, type=Specification))
    except (msgspec.MsgspecError, UnitsError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            file,
            None,
            f"{error}, expected a market specification (perpetual and fixed lists) or the venue's meta answer",
        ) from None


def find(name: str, markets: Mapping[str, Market] | None = None) -> Market:
    """The market of that name, exact or in other letter case; from `markets`, else the shipped table.

    Raises KeyError's kin LookupError with the nearest known name.
    """
    table = known() if markets is None else markets
    if name in table:
        return table[name]
    for candidate, market in table.items():
        if candidate.casefold() == name.casefold():
            return market
    near = difflib.get_close_matches(name.casefold(), [candidate.casefold() for candidate in table], n=1, cutoff=0.0)
    nearest = next((candidate for candidate in table if near and candidate.casefold() == near[0]), None)
    hint = f"the nearest known market is {nearest}" if nearest is not None else "the specification holds no market"
    raise LookupError(f"market {name} is not in the specification; {hint}; name one with a market specification file")


def named_by_file(path: Path, markets: Mapping[str, Market] | None = None) -> Market | None:
    """The market whose name the file's name begins with, in any letter case, the longest such; None when none is."""
    table = known() if markets is None else markets
    names = [name for name in table if path.name.casefold().startswith(name.casefold())]
    return table[max(names, key=len)] if names else None


def _markets(specification: Specification) -> dict[str, Market]:
    found: dict[str, Market] = {}
    for entry in specification.perpetual:
        _add(
            found,
            Market.perpetual(
                entry.name,
                asset_id=entry.asset_id,
                size_decimals=entry.size_decimals,
                maximum_leverage=entry.maximum_leverage,
            ),
        )
    for fixed in specification.fixed:
        _add(
            found,
            Market(
                name=fixed.name,
                asset_id=fixed.asset_id,
                price_decimals=fixed.price_decimals,
                size_decimals=fixed.size_decimals,
                kind=MarketKind.SPOT if fixed.spot else MarketKind.PERPETUAL,
                grid_rule=GridRule.FIXED,
                grid_step_ticks=fixed.grid_step_ticks,
                maximum_leverage=fixed.maximum_leverage,
                minimum_notional_micro=0,
            ),
        )
    return found


def _from_meta(meta: Meta) -> dict[str, Market]:
    found: dict[str, Market] = {}
    for index, entry in enumerate(meta.universe):
        _add(
            found,
            Market.perpetual(
                entry.name, asset_id=index, size_decimals=entry.szDecimals, maximum_leverage=entry.maxLeverage
            ),
        )
    return found


def _add(found: dict[str, Market], market: Market) -> None:
    if market.name in found:
        raise UnitsError(f"market {market.name} is given twice")
    found[market.name] = market
