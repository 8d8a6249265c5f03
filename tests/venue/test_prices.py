"""The mark: its three prices, the averages, and what stands when one of them is missing."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.ladder import new_cells, new_header, set_ask, set_bid
from hlhft.venue.chain_state import PRICE_DTYPE
from hlhft.venue.prices import (
    BASIS_CONSTANT_NS,
    BOOK_CONSTANT_NS,
    DECAY_SCALE,
    PRICE_NONE,
    average,
    book_price_e6,
    decay,
    mark_e6,
    median_of_three,
    middle_e6,
    observe_book,
    update_mark,
)

E6 = 10**6
SECOND = 10**9
START = 10**18


def header(bid: int = 0, ask: int = 0):
    book, cells = new_header(1, 100_000), new_cells(100_000)
    if bid:
        set_bid(book[0], cells, bid, 1)
    if ask:
        set_ask(book[0], cells, ask, 1)
    return book[0]


def price(**fields: int):
    row = np.zeros(1, PRICE_DTYPE)
    for name, value in fields.items():
        row[name] = value
    return row[0]


# The decay.


@settings(max_examples=60)
@given(st.integers(0, 21 * 150 * SECOND), st.sampled_from([BASIS_CONSTANT_NS, BOOK_CONSTANT_NS]))
def test_the_decay_is_the_exponential(elapsed, constant):
    exact = math.exp(-elapsed / constant) * DECAY_SCALE
    assert abs(decay(elapsed, constant) - exact) <= 40


def test_the_decay_at_its_ends():
    assert decay(0, 30 * SECOND) == DECAY_SCALE
    assert decay(-1, 30 * SECOND) == DECAY_SCALE
    assert decay(30 * SECOND, 30 * SECOND) == 395_007_542
    assert decay(21 * 30 * SECOND, 30 * SECOND) == 0
    assert decay(2**61, 30 * SECOND) == 0


# The average.


def test_the_first_sample_is_the_average():
    assert average(0, 0, -7, 3 * SECOND, BOOK_CONSTANT_NS) == (-7, 1)


def test_a_sample_pulls_by_its_share_of_the_time():
    """After 3 s of 30 the weight 10 s becomes 10 x exp(-0.1) + 3 = 12.048374 s, the new sample's share 0.2489962."""
    value, weight = average(1_000_000, 10 * SECOND, 2_000_000, 3 * SECOND, BOOK_CONSTANT_NS)
    assert abs(weight - 12_048_374_180) <= 10
    assert value == 1_248_996


def test_after_a_long_gap_only_the_new_sample_counts():
    value, weight = average(5, 10 * SECOND, 2_000_000, 700 * SECOND, BOOK_CONSTANT_NS)
    assert (value, weight) == (2_000_000, BOOK_CONSTANT_NS)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(SECOND, 60 * SECOND)), min_size=1, max_size=8))
def test_the_average_is_numerator_over_denominator(samples):
    """As the venue says it: both decay, then sample x t and t are added; in fractions of seconds and floats here."""
    numerator = denominator = 0.0
    value = weight = 0
    samples = [(0, 60 * SECOND), *samples]
    for sample, elapsed in samples:
        t = min(elapsed, BOOK_CONSTANT_NS) if denominator else 1
        factor = math.exp(-elapsed / BOOK_CONSTANT_NS)
        numerator, denominator = numerator * factor + sample * t, denominator * factor + t
        value, weight = average(value, weight, sample, elapsed, BOOK_CONSTANT_NS)
    largest = max(abs(sample) for sample, _ in samples)
    assert abs(value - numerator / denominator) <= 1e-6 * largest + 20


# The book's price.


def test_medians():
    assert [median_of_three(*p) for p in ((1, 2, 3), (3, 1, 2), (2, 2, 9), (-5, 0, -9))] == [2, 2, 2, -5]


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        (100, 104, 102, 102 * E6),
        (100, 104, 99, 100 * E6),
        (100, 104, 120, 104 * E6),
        (100, 103, 0, 101_500_000),
        (100, 0, 103, 101_500_000),
        (0, 104, 0, 104 * E6),
        (100, 0, 0, 100 * E6),
        (0, 0, 102, 102 * E6),
        (0, 0, 0, PRICE_NONE),
    ],
)
def test_the_books_price_is_the_median_of_what_there_is(bid, ask, last, expected):
    assert book_price_e6(header(bid, ask), last) == expected


def test_the_middle_needs_both_sides():
    assert middle_e6(header(100, 103)) == 101_500_000
    assert middle_e6(header(100)) == PRICE_NONE
    assert middle_e6(header(ask=103)) == PRICE_NONE


# The mark.


@pytest.mark.parametrize(
    ("fields", "book", "expected"),
    [
        ({"oracle_ticks": 100, "basis_e6": -2 * E6, "external_ticks": 105}, 101 * E6, 101 * E6),
        ({"oracle_ticks": 100, "basis_e6": 2 * E6, "external_ticks": 105}, 101 * E6, 102 * E6),
        ({"oracle_ticks": 100, "external_ticks": 90}, 101 * E6, 100 * E6),
        # Two inputs: the 30 s average of the book is the third.
        ({"oracle_ticks": 100, "book_e6": 103 * E6, "book_weight_ns": 1}, 110 * E6, 103 * E6),
        ({"oracle_ticks": 100, "book_e6": 99 * E6, "book_weight_ns": 1}, 110 * E6, 100 * E6),
        ({"oracle_ticks": 100, "external_ticks": 110, "book_e6": 103 * E6, "book_weight_ns": 1}, PRICE_NONE, 103 * E6),
        ({"external_ticks": 110, "book_e6": 103 * E6, "book_weight_ns": 1}, 105 * E6, 105 * E6),
        # Two inputs and no average: their mean. One: itself. None: none.
        ({"oracle_ticks": 100, "external_ticks": 111}, PRICE_NONE, 105_500_000),
        ({"oracle_ticks": 100}, PRICE_NONE, 100 * E6),
        ({"external_ticks": 111}, PRICE_NONE, 111 * E6),
        ({}, 107 * E6, 107 * E6),
        ({}, PRICE_NONE, PRICE_NONE),
    ],
)
def test_the_mark_is_the_median_of_what_is_known(fields, book, expected):
    assert mark_e6(price(**fields), book) == expected


@settings(max_examples=40)
@given(st.integers(1, 10**9), st.integers(-(10**9), 10**9), st.integers(1, 10**9), st.integers(1, 10**15))
def test_three_prices_have_their_median(oracle, basis, external, book):
    row = price(oracle_ticks=oracle, basis_e6=basis, external_ticks=external)
    assert mark_e6(row, book) == statistics.median([oracle * E6 + basis, external * E6, book])


def test_observing_moves_both_averages():
    row = price(oracle_ticks=1_000, mark_ns=START)
    assert observe_book(row, header(990, 1_000), START + 3 * SECOND) == 995 * E6
    assert (row["book_e6"], row["basis_e6"]) == (995 * E6, -5 * E6)
    row["mark_ns"] = START + 3 * SECOND
    observe_book(row, header(1_010, 1_020), START + 6 * SECOND)
    # The first sample stands for a nanosecond only.
    assert row["book_e6"] == 1_015 * E6
    assert row["basis_e6"] == 15 * E6


def test_a_side_that_is_empty_moves_no_basis_and_an_empty_book_nothing():
    row = price(oracle_ticks=1_000)
    observe_book(row, header(990), START)
    assert (row["book_e6"], row["basis_weight_ns"]) == (990 * E6, 0)
    assert observe_book(price(), header(), START) == PRICE_NONE
    without_oracle = price()
    observe_book(without_oracle, header(990, 1_000), START)
    assert without_oracle["basis_weight_ns"] == 0


def test_the_mark_is_a_whole_tick_and_the_one_before_is_kept():
    row = price(oracle_ticks=1_000, external_ticks=1_001)
    assert update_mark(row, header(), 990, START) == 1_001, "1000.5 is rounded up"
    assert (row["mark_ns"], row["previous_mark_ticks"]) == (START, 990)
    row["external_ticks"] = 0
    assert update_mark(row, header(), 1_001, START + 1) == 1_000
    assert row["previous_mark_ticks"] == 1_001
    nothing = price()
    assert update_mark(nothing, header(), 0, START) == 0
    assert update_mark(nothing, header(), 77, START) == 77
    assert update_mark(price(oracle_ticks=1, basis_e6=-5 * E6), header(), 77, START) == 1
