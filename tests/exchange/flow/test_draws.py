"""What the order flow draws: tables, generators, shares."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hlhft.exchange.flow.draws import (
    ONE,
    QUANTILES,
    exponential_table,
    log_normal_table,
    new_generators,
    next_from,
    next_number,
    next_place,
    next_share,
    next_wait_ns,
    normal_table,
    value_at,
)


def draws(table: np.ndarray, count: int = 4_000) -> np.ndarray:
    generator = new_generators(5, 1)
    return np.array([next_from(generator[0], table) for _ in range(count)])


def test_the_normal_table_is_symmetric_and_has_its_moments():
    table = normal_table()
    assert len(table) == QUANTILES
    assert (table == -table[::-1]).all()
    assert (np.diff(table) > 0).all()
    found = draws(table) / ONE
    assert abs(found.mean()) < 0.05
    assert 0.95 < found.std() < 1.05


def test_the_exponential_table_has_mean_one_and_its_median():
    table = exponential_table()
    assert table[QUANTILES // 2] == round(math.log(2) * ONE)
    assert abs(draws(table).mean() / ONE - 1) < 0.05


def test_a_log_normal_table_is_cut_where_it_says():
    table = log_normal_table(100.0, 1.0, 12.5, 900.9)
    assert table[QUANTILES // 2] == 100
    assert (table.min(), table.max()) == (13, 900)
    assert set(log_normal_table(100.0, 1.0, 12.5, 3.0)) == {13}, "the least wins over the most"


def test_a_draw_lies_between_neighbouring_quantiles():
    table = np.full(QUANTILES, 1_000)
    table[512:] = 3_000
    found = draws(table)
    assert found.min() == 1_000
    assert found.max() == 3_000
    assert abs((found == 3_000).mean() - 0.5) < 0.03


def test_one_place_in_two_tables_draws_what_belongs_together():
    table = exponential_table()
    generator = new_generators(6, 1)[0]
    for _ in range(200):
        place = next_place(generator)
        assert abs(value_at(3 * table, place) - 3 * value_at(table, place)) <= 3
    assert value_at(table, 0) == table[0]


def test_generators_are_apart_and_a_seed_says_all():
    first, second = new_generators(9, 2), new_generators(9, 2)
    assert first.tobytes() == second.tobytes()
    numbers = [[next_number(row) for _ in range(50)] for row in first]
    assert not set(numbers[0]) & set(numbers[1])
    assert numbers[0] == [next_number(second[0]) for _ in range(50)]
    assert numbers[0] != [next_number(new_generators(10, 1)[0]) for _ in range(50)]


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"the seed of the order flow must be at least 0, not -1"):
        new_generators(-1, 1)


def test_a_share_is_below_one_and_a_wait_has_its_mean():
    generator = new_generators(3, 1)[0]
    shares = [next_share(generator) for _ in range(2_000)]
    assert min(shares) >= 0
    assert max(shares) < ONE
    assert abs(np.mean(shares) / ONE - 0.5) < 0.02
    waits = [next_wait_ns(generator, exponential_table(), 1_000_000_000) for _ in range(2_000)]
    assert abs(np.mean(waits) / 1e9 - 1) < 0.08
    assert next_wait_ns(generator, np.zeros(QUANTILES, np.int64), 1_000_000_000) == 1, "time goes on"
