"""Numbers are written one way: real minus signs, no "-0.00", a dash for what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report import numbers
from hlhft.report.numbers import DASH, MINUS

MS, SECOND = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234.5, 2, "1,234.50"),
        (-0.5, 2, f"{MINUS}0.50"),
        (-0.001, 2, "0.00"),
        (0.0, 0, "0"),
        (-1_000_000, 0, f"{MINUS}1,000,000"),
        (None, 2, DASH),
    ],
)
def test_plain(value: float | None, decimals: int, text: str) -> None:
    assert numbers.plain(value, decimals) == text


@pytest.mark.parametrize(("value", "text"), [(2, "+2.00"), (0.001, "0.00"), (-2, f"{MINUS}2.00"), (None, DASH)])
def test_signed(value: float | None, text: str) -> None:
    assert numbers.signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12.3456, "+12.35"), (-0.0012, f"{MINUS}0.0012"), (0.0, "0.00"), (None, DASH)]
)
def test_money_shows_small_amounts(value: float | None, text: str) -> None:
    assert numbers.money(value) == text


def test_shares_points_and_errors() -> None:
    assert numbers.percent(0.4567) == "45.7 %"
    assert numbers.percent(None) == DASH
    assert numbers.basis_points(-1.5) == f"{MINUS}1.50 bp"
    assert numbers.basis_points(None) == DASH
    assert numbers.plus_minus(1.0, 0.25) == "+1.00 ± 0.25"
    assert numbers.plus_minus(1.0, None) == "+1.00"
    assert numbers.count(None) == DASH
    assert [numbers.counted(value, "set") for value in (0, 1, 1200)] == ["0 sets", "1 set", "1,200 sets"]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ms"),
        (350 * MS, "350 ms"),
        (9_020_000, "9.02 ms"),
        (2_500 * MS, "2.5 s"),
        (345 * SECOND, "5 min 45 s"),
        (3600 * SECOND, "1 h"),
        (3600 * SECOND + SECOND, "1 h"),
        (2 * 86_400 * SECOND + 3 * 3600 * SECOND, "2 d 3 h"),
        (None, DASH),
    ],
)
def test_duration_in_its_two_largest_units(ns: int | None, text: str) -> None:
    assert numbers.duration(ns) == text


@given(st.integers(0, 10**18))
def test_every_duration_has_words(ns: int) -> None:
    assert numbers.duration(ns)


def test_times_are_utc_and_periods_name_a_day_once() -> None:
    start = 1_723_161_256_298_000_000
    assert numbers.moment(start) == "2024-08-08 23:54:16"
    assert numbers.moment(start, milliseconds=True) == "2024-08-08 23:54:16.298"
    assert numbers.period(start, start + SECOND) == "2024-08-08 23:54:16 to 23:54:17 UTC"
    assert numbers.period(start, start + 600 * SECOND) == "2024-08-08 23:54:16 to 2024-08-09 00:04:16 UTC"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("a.gz", "a.gz"),
        ("set/BTC", "set: BTC"),
        ("set/BTC+set/ETH", "set: BTC, ETH"),
        ("a.gz+b.gz", "a.gz+b.gz"),
        ("a.gz+b.gz+c/d", "a.gz and 2 more"),
    ],
)
def test_recordings_have_titles(name: str, title: str) -> None:
    assert numbers.recording_title(name) == title


def test_lists_of_words() -> None:
    assert [numbers.listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
