"""The border check of what a strategy returned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.quotes import MEANING, QuoteFault, free_quote, is_wanted, near_quote, resting_quote, validate
from hlhft.core.state import QUOTE_DTYPE, TimeInForce
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.core.tables import Table

INT_MIN = -(2**63)


def good(count: int = 3) -> np.ndarray:
    quotes = np.zeros(count, QUOTE_DTYPE)
    quotes["price_ticks"], quotes["size_lots"], quotes["side"] = 100, 1, 1
    return quotes


def test_well_formed_quotes_pass():
    assert validate(good(), 3, 1) == QuoteFault.NONE
    assert validate(good(), 0, 1) == QuoteFault.NONE


@pytest.mark.parametrize("count", [-1, -(2**62), 4, 2**62])
def test_a_count_outside_the_array_is_refused(count):
    assert validate(good(), count, 1) == QuoteFault.COUNT


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("price_ticks", 1, QuoteFault.NONE),
        ("price_ticks", TICKS_MAX, QuoteFault.NONE),
        ("price_ticks", 0, QuoteFault.PRICE),
        ("price_ticks", -1, QuoteFault.PRICE),
        ("price_ticks", TICKS_MAX + 1, QuoteFault.PRICE),
        ("price_ticks", INT_MIN, QuoteFault.PRICE),
        ("size_lots", 0, QuoteFault.NONE),
        ("size_lots", LOTS_MAX, QuoteFault.NONE),
        ("size_lots", -1, QuoteFault.SIZE),
        ("size_lots", LOTS_MAX + 1, QuoteFault.SIZE),
        ("size_lots", INT_MIN, QuoteFault.SIZE),
        ("side", -1, QuoteFault.NONE),
        ("side", 0, QuoteFault.SIDE),
        ("side", 2, QuoteFault.SIDE),
        ("market", 1, QuoteFault.NONE),
        ("market", -1, QuoteFault.MARKET),
        ("market", 2, QuoteFault.MARKET),
        ("time_in_force", TimeInForce.IOC, QuoteFault.NONE),
        ("time_in_force", -1, QuoteFault.TIME_IN_FORCE),
        ("time_in_force", 3, QuoteFault.TIME_IN_FORCE),
    ],
)
def test_each_field_is_checked_at_its_borders_in_every_quote(field, value, fault):
    for index in range(3):
        quotes = good()
        quotes[field][index] = value
        assert validate(quotes, 3, 2) == fault
        # What lies behind the count was not said.
        assert validate(quotes, index, 2) == QuoteFault.NONE


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(INT_MIN, 2**63 - 1), min_size=6, max_size=6), st.integers(1, 4))
def test_what_passes_is_within_all_borders(values, markets):
    quotes = np.zeros(1, QUOTE_DTYPE)
    quotes[0] = tuple(values)
    if validate(quotes, 1, markets) == QuoteFault.NONE:
        assert 0 < values[0] <= TICKS_MAX
        assert 0 <= values[1] <= LOTS_MAX
        assert 0 <= values[2] < markets
        assert values[3] in (1, -1)
        assert values[4] in set(TimeInForce)


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ((0, 1, 100, TimeInForce.ALO), True),
        ((0, 1, 100, TimeInForce.GTC), True),
        ((0, 1, 100, TimeInForce.IOC), False),
        ((0, 1, 101, TimeInForce.ALO), False),
        ((0, -1, 100, TimeInForce.ALO), False),
        ((1, 1, 100, TimeInForce.ALO), False),
        ((0, -1, 105, TimeInForce.IOC), True),
        ((0, -1, 105, TimeInForce.ALO), False),
        ((0, 1, 90, TimeInForce.ALO), False),
    ],
)
def test_a_price_is_wanted_on_its_side_of_its_market_to_rest_or_at_once(sought, found):
    quotes = good()
    quotes["price_ticks"], quotes["side"] = [90, 105, 100], [1, -1, 1]
    quotes["time_in_force"], quotes["size_lots"] = [TimeInForce.ALO, TimeInForce.IOC, TimeInForce.ALO], [0, 5, 5]
    assert is_wanted(quotes, 3, *map(int, sought)) == found
    assert not is_wanted(quotes, 0, *map(int, sought))


@pytest.mark.parametrize(
    ("start", "market", "side", "ticks", "found"),
    [
        (0, 0, 1, 100, 1),
        (1, 0, 1, 100, 1),
        (2, 0, 1, 100, 1),  # round to the beginning
        (3, 0, 1, 100, 1),
        (0, 0, -1, 105, -1),  # an immediate quote wants nothing to rest
        (0, 0, 1, 90, -1),  # a size of nothing neither
        (0, 1, 1, 100, -1),
        (0, 0, -1, 100, -1),
        (0, 0, 1, 101, -1),
    ],
)
def test_the_quote_that_an_order_may_rest_for_is_found_from_anywhere(start, market, side, ticks, found):
    quotes = good()
    quotes["price_ticks"], quotes["side"] = [90, 100, 105], [1, 1, -1]
    quotes["time_in_force"], quotes["size_lots"] = [TimeInForce.ALO, TimeInForce.ALO, TimeInForce.IOC], [0, 5, 5]
    assert resting_quote(quotes, 3, start, market, side, ticks) == found
    assert resting_quote(quotes, 0, start, market, side, ticks) == -1
    quotes["size_lots"] = -quotes["size_lots"]
    assert resting_quote(quotes, 3, start, market, side, ticks) == found


def test_every_fault_has_its_sentence():
    assert set(MEANING) == set(QuoteFault)


def test_time_in_force_has_the_numbers_that_the_core_uses():
    assert [int(value) for value in (TimeInForce.ALO, TimeInForce.GTC, TimeInForce.IOC)] == [0, 1, 2]


def near(prices: list[int], ticks: int, distance: int, *, standing: tuple[int, ...] = (), **fields: int) -> int:
    """The place of the quote among `prices` that an order at `ticks` may hold; ours stand at `standing`."""
    table, quotes = Table(), good(len(prices))
    quotes["price_ticks"] = prices
    for name, value in fields.items():
        quotes[name][0] = value
    for price in standing:
        table.create(ticks=price)
    return int(near_quote(quotes, len(prices), 0, 1, ticks, distance, table.orders, table.active, len(standing)))


def test_the_nearest_quote_within_the_distance_is_near():
    assert near([90, 98, 103], 100, 3) == 1
    assert near([90, 98, 103], 100, 1) == -1
    assert near([97, 103], 100, 3) == 0
    assert near([95, 101], 100, 5) == 1


def test_a_quote_that_is_held_or_meant_for_another_is_not_near():
    assert near([99, 102], 100, 3) == 0
    for fields in ({"size_lots": -1}, {"size_lots": 0}, {"side": -1}, {"market": 1}, {"time_in_force": 2}):
        assert near([99, 102], 100, 3, **fields) == 1
    assert near([99, 102], 100, 3, standing=(99, 100)) == 1
    assert near([99, 102], 100, 3, standing=(99, 100, 102)) == -1


def test_a_free_quote_is_post_only_held_by_nobody_and_not_too_large():
    table, quotes = Table(), good()
    quotes["price_ticks"], quotes["size_lots"] = (99, 98, 97), 5
    order = table.create(ticks=99)

    def free(lots: int = 5, side: int = 1, market: int = 0) -> int:
        return int(free_quote(quotes, 3, market, side, lots, table.orders, table.active, 1))

    assert (free(), free(4), free(side=-1), free(market=1)) == (1, -1, -1, -1)
    # Where a modification leads is taken, too.
    table.order(order)["replacement_ticks"] = 98
    assert free() == 2
    quotes["time_in_force"][2] = TimeInForce.GTC
    assert free() == -1
    quotes["time_in_force"][2], quotes["size_lots"][2] = TimeInForce.ALO, -5
    assert free() == -1
