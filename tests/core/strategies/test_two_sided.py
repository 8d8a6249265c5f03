"""The baseline: fixed distances, a linear skew, the cap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hlhft.core.state import Feature
from hlhft.core.strategies import two_sided

MID = 618_000.5
BP = MID * 1e-4


def prices(answer):
    bids, asks = answer
    return bids[0].price_ticks, asks[0].price_ticks


def test_it_needs_no_features():
    assert two_sided.FEATURES == Feature.NONE


def test_flat_it_quotes_the_half_spread_around_the_mid(view, ask):
    for half_bp in (0.5, 1.0, 7.0):
        expected = (math.floor(MID - half_bp * BP), math.ceil(MID + half_bp * BP))
        assert prices(ask("two_sided", view(), half_spread_bp=half_bp)) == expected


@pytest.mark.parametrize(("position", "share"), [(40, 0.5), (-40, -0.5), (60, 0.75)])
def test_the_skew_is_linear_in_the_position(view, ask, position, share):
    bid, offer = prices(ask("two_sided", view(position_lots=position), half_spread_bp=5.0, skew_bp=4.0))
    assert bid == math.floor(MID - (5.0 + 4.0 * share) * BP)
    assert offer == math.ceil(MID + (5.0 - 4.0 * share) * BP)


def test_a_position_beyond_the_cap_skews_no_further(view, ask):
    _, at_cap = ask("two_sided", view(position_lots=80), half_spread_bp=5.0)
    _, beyond = ask("two_sided", view(position_lots=800), half_spread_bp=5.0)
    assert at_cap[0].price_ticks == beyond[0].price_ticks == math.ceil(MID + 4.0 * BP)


def test_the_cap_and_reducing_take_sides_away(view, ask):
    assert ask("two_sided", view(position_lots=80))[0] == []
    assert ask("two_sided", view(position_lots=-80))[1] == []
    bids, asks = ask("two_sided", view(position_lots=-3, mode=1))
    assert [quote.size_lots for quote in bids] == [3] and asks == []


def test_levels_stand_apart(view, ask):
    bids, asks = ask("two_sided", view(), levels=3, level_gap_bp=2.0)
    assert [quote.price_ticks for quote in bids] == [math.floor(MID - bp * BP) for bp in (1.0, 3.0, 5.0)]
    assert [quote.price_ticks for quote in asks] == [math.ceil(MID + bp * BP) for bp in (1.0, 3.0, 5.0)]


def test_fees_count_only_when_asked(view, ask):
    free = prices(ask("two_sided", view()))
    assert prices(ask("two_sided", view(maker_rate_e9=150_000))) == free
    covered = prices(ask("two_sided", view(maker_rate_e9=150_000), fee_coverage=2.0))
    assert covered == (math.floor(MID - 3.0 * BP), math.ceil(MID + 3.0 * BP))


@pytest.mark.parametrize(("bid", "offer"), [(0, 0), (0, 618_001), (618_000, 0), (618_001, 618_000)])
def test_without_a_usable_book_there_are_no_quotes(view, ask, bid, offer):
    assert ask("two_sided", view(bid=bid, ask=offer)) == ([], [])


def test_without_unit_sizes_there_are_no_quotes(view, ask):
    assert ask("two_sided", view(tick_size=0.0)) == ([], [])


def test_memory_counts_decisions(view, ask):
    memory = np.zeros(4096, np.uint8)
    for _ in range(2):
        ask("two_sided", view(bid=0), memory=memory)
    assert memory[:8].view(np.int64)[0] == 2
