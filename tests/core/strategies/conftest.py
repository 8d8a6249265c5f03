"""Views to quote on, and a way to ask a strategy that checks the form of what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from hlhft.compiled import call_strategy
from hlhft.core.quotes import validate
from hlhft.core.state import MEMORY_BYTES, QUOTE_DTYPE, QUOTES_MAX, VIEW_DTYPE
from hlhft.strategies import load
from hlhft.units import GridRule, Market

BTCUSDT = Market(name="BTCUSDT", asset_id=0, price_decimals=1, size_decimals=3, grid_rule=GridRule.FIXED)
_FROM_MARKET = ("tick_size", "lot_size", "grid_rule", "grid_step_ticks", "whole_unit_ticks")


class Quote(NamedTuple):
    """One answered quote, without what is the same in all: market 0, post-only, not reduce-only."""

    side: int
    price_ticks: int
    size_lots: int


def build_view(
    of: Market = BTCUSDT,
    *,
    bid: int = 618_000,
    ask: int = 618_001,
    features: Mapping[str, Any] | None = None,
    **fields: Any,
) -> np.ndarray:
    """VIEW_DTYPE[1] of the market `of` without fees, position, funding and signal unless `fields` say otherwise."""
    view = np.zeros(1, VIEW_DTYPE)
    record = of.record()
    for name in _FROM_MARKET:
        view[name] = record[name]
    view["now_ns"] = 1_723_161_256_000_000_000
    view["best_bid_ticks"], view["best_ask_ticks"] = bid, ask
    for name, value in fields.items():
        view[name] = value
    for name, value in (features or {}).items():
        view["features"][name] = value
    return view


def ask_strategy(
    name: str, view: np.ndarray, *, memory: np.ndarray | None = None, **params: float
) -> tuple[list[Quote], list[Quote]]:
    """Bids and asks that the strategy called `name` answers, each from the touch outward as it wrote them."""
    strategy = load(name)
    quotes = np.zeros(QUOTES_MAX, QUOTE_DTYPE)
    memory = np.zeros(MEMORY_BYTES, np.uint8) if memory is None else memory
    answered = call_strategy(strategy.address(), view, strategy.params_bytes(params), memory, quotes)
    assert answered > 0
    assert validate(quotes, answered - 1, len(view)) == 0
    written = quotes[: answered - 1]
    assert not written["market"].any() and not written["time_in_force"].any() and not written["reduce_only"].any()
    answers = [Quote(int(row["side"]), int(row["price_ticks"]), int(row["size_lots"])) for row in written]
    return [quote for quote in answers if quote.side > 0], [quote for quote in answers if quote.side < 0]


@pytest.fixture(scope="session")
def view() -> Callable[..., np.ndarray]:
    """`build_view`."""
    return build_view


@pytest.fixture(scope="session")
def ask() -> Callable[..., tuple[list[Quote], list[Quote]]]:
    """`ask_strategy`."""
    return ask_strategy
