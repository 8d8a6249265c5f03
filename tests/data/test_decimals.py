"""Text to whole numbers without a float in between; hypothesis holds it against Decimal."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.decimals import DIGITS_MAX, DecimalError, finer, read, scale


def values(text: bytes) -> list[tuple[int, int]]:
    digits, decimals = read(text)
    return list(zip(digits.tolist(), decimals.tolist(), strict=True))


def test_known_numbers() -> None:
    assert values(b"61800.10,0.003,-5,7.,0,-0.0,123456789012345678") == [
        (6180010, 2), (3, 3), (-5, 0), (7, 0), (0, 0), (0, 1), (123456789012345678, 0),
    ]  # fmt: skip


def test_exponents_are_written_out() -> None:
    assert values(b"1e-05,2.5E3,1.25") == [(1, 5), (2500, 0), (125, 2)]


PLAIN = st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{0,9})?", fullmatch=True)
EXPONENT = st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{1,4})?[eE][+-]?[0-9]", fullmatch=True)


@given(st.lists(PLAIN | EXPONENT, min_size=1, max_size=9))
@settings(max_examples=40)
def test_every_number_has_the_value_that_decimal_gives_it(tokens: list[str]) -> None:
    found = values(",".join(tokens).encode())
    assert [Decimal(digits).scaleb(-decimals) for digits, decimals in found] == [Decimal(token) for token in tokens]


@pytest.mark.parametrize(
    "token",
    [b"", b"-", b".", b"-.5", b".5", b"1.2.3", b"--1", b"1-2", b"1-", b"+1", b"NaN", b"inf", b"0x10", b" 1", b"1_000",
     b"1" * 19, b"1.5e", b"e5", b"1e9999", b"1e200", b"9" * 30 + b"e1", "\uff11".encode(), b"\xff", b"1\n"],
)  # fmt: skip
def test_what_is_no_number_is_named_by_its_place(token: bytes) -> None:
    with pytest.raises(DecimalError, match=r"is not a decimal number of at most 18 digits") as caught:
        read(b"1.5," + token + b",7")
    assert caught.value.index == 1


@given(st.binary(max_size=30))
@settings(max_examples=60)
def test_any_bytes_give_numbers_or_the_error(text: bytes) -> None:
    try:
        digits, decimals = read(text)
    except DecimalError as error:
        assert 0 <= error.index <= text.count(b",")
    else:
        assert len(digits) == len(decimals) == text.count(b",") + 1


def test_scaling_is_exact_both_ways() -> None:
    digits, decimals = read(b"61800.10,0.5,3,-2.50")
    assert scale(digits, decimals, 1).tolist() == [618001, 5, 30, -25]


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 9)), min_size=1, max_size=9), st.integers(0, 9))
@settings(max_examples=60)
def test_scaling_gives_the_same_value_or_an_error_at_the_first_that_is_finer(
    numbers: list[tuple[int, int]], wanted: int
) -> None:
    digits, decimals = (np.array(column, dtype=np.int64) for column in zip(*numbers, strict=True))
    exact = [Decimal(number).scaleb(wanted - places) for number, places in numbers]
    fine = [value != int(value) for value in exact]
    assert finer(digits, decimals, wanted).tolist() == fine
    if any(fine):
        with pytest.raises(DecimalError, match=rf"price .* has more than {wanted} decimals") as caught:
            scale(digits, decimals, wanted, what="price")
        assert caught.value.index == fine.index(True)
    else:
        assert scale(digits, decimals, wanted).tolist() == exact


def test_what_is_finer_is_cut_only_where_allowed() -> None:
    digits, decimals = read(b"25.426189,0.000001,7")
    assert scale(digits, decimals, 5, cut=np.array([True, True, False])).tolist() == [2542618, 0, 700000]
    with pytest.raises(DecimalError, match=r"number 25.426189 has more than 5 decimals"):
        scale(digits, decimals, 5, cut=np.array([False, True, True]))


def test_too_many_digits_are_an_error() -> None:
    digits, decimals = read(b"1," + b"9" * DIGITS_MAX)
    with pytest.raises(DecimalError, match=r"size 9{18} has too many digits") as caught:
        scale(digits, decimals, 5, what="size")
    assert caught.value.index == 1


def test_a_tiny_number_is_finer_than_any_unit() -> None:
    assert finer(np.array([1, 0]), np.array([40, 40]), 2).tolist() == [True, False]
