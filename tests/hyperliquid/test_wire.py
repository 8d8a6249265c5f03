"""The wire's texts: numbers both ways, what is refused and why, addresses, client order ids, times."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hyperliquid.utils.signing import float_to_wire
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.wire import (
    CLOID_MAX,
    MS_MAX,
    PADDED,
    STRICT,
    ZERO_ADDRESS,
    NumberRules,
    WireError,
    WireFault,
    answer_number,
    cloid_text,
    ms_of,
    ns_of,
    read_address,
    read_cloid,
    read_number,
)
from hlhft.units import decimal_text

MAXIMUM = 2**46 - 1
LENIENT = NumberRules(padded=True, exponents=True)


@pytest.mark.parametrize(
    ("units", "decimals", "request_text", "answer_text"),
    [
        (1500, 0, "1500", "1500.0"),
        (15000, 1, "1500", "1500.0"),
        (15005, 1, "1500.5", "1500.5"),
        (1, 5, "0.00001", "0.00001"),
        (0, 6, "0", "0.0"),
        (-1_250_000, 6, "-1.25", "-1.25"),
        (-3_000_000, 6, "-3", "-3.0"),
    ],
)
def test_requests_drop_trailing_zeros_and_answers_keep_a_decimal(
    units: int, decimals: int, request_text: str, answer_text: str
) -> None:
    assert decimal_text(units, decimals) == request_text
    assert answer_number(units, decimals) == answer_text


@given(st.integers(0, MAXIMUM), st.integers(0, 8))
def test_numbers_of_requests_round_trip(units: int, decimals: int) -> None:
    text = decimal_text(units, decimals)
    assert read_number(text, decimals, maximum=MAXIMUM) == units
    assert Decimal(text).scaleb(decimals) == units
    assert read_number(answer_number(units, decimals), decimals, maximum=MAXIMUM, rules=LENIENT) == units


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, WireFault.NOT_TEXT),
        (1.5, WireFault.NOT_TEXT),
        (True, WireFault.NOT_TEXT),
        ("1" * 49, WireFault.TOO_LONG),
        ("0." + "0" * 46 + "1", WireFault.TOO_LONG),
        ("", WireFault.MALFORMED),
        ("NaN", WireFault.MALFORMED),
        ("Infinity", WireFault.MALFORMED),
        ("-", WireFault.MALFORMED),
        (".", WireFault.MALFORMED),
        ("1,5", WireFault.MALFORMED),
        ("1_000", WireFault.MALFORMED),
        (" 1", WireFault.MALFORMED),
        ("1\n", WireFault.MALFORMED),
        ("0x10", WireFault.MALFORMED),
        ("1e9999", WireFault.MALFORMED),
        ("\u0663", WireFault.MALFORMED),  # a digit, but no ASCII one
        ("1.0", WireFault.PADDED),
        ("1.", WireFault.PADDED),
        ("01", WireFault.PADDED),
        ("+1", WireFault.PADDED),
        (".5", WireFault.PADDED),
        ("1e3", WireFault.EXPONENT),
        ("1E-7", WireFault.EXPONENT),
        ("-1", WireFault.NEGATIVE),
        ("-0.5", WireFault.NEGATIVE),
        ("1.25", WireFault.TOO_FINE),
        ("10000000000000", WireFault.TOO_LARGE),
        ("7036874417766.4", WireFault.TOO_LARGE),
    ],
)
def test_a_number_is_refused_for_its_first_fault(text: object, fault: WireFault) -> None:
    with pytest.raises(WireError) as caught:
        read_number(text, 1, maximum=MAXIMUM)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1.0", 10),
        ("1.", 10),
        ("01.50", 15),
        ("+1", 10),
        (".5", 5),
        ("1e3", 10_000),
        ("12E-1", 12),
        ("1.5e1", 150),
        ("-0", 0),
        ("-0.0", 0),
        ("0e5", 0),
        ("00", 0),
        ("7036874417766.3", MAXIMUM),
    ],
)
def test_other_forms_are_taken_where_the_rules_say_so(text: str, units: int) -> None:
    assert read_number(text, 1, maximum=MAXIMUM, rules=LENIENT) == units


def test_each_rule_stands_alone() -> None:
    assert read_number("1.0", 1, maximum=10, rules=PADDED) == 10
    assert read_number("1e0", 1, maximum=10, rules=NumberRules(exponents=True)) == 10
    for text, rules, fault in [
        ("1e0", PADDED, WireFault.EXPONENT),
        ("1.0", NumberRules(exponents=True), WireFault.PADDED),
        ("-1e0", LENIENT, WireFault.NEGATIVE),
        ("1e-9", LENIENT, WireFault.TOO_FINE),
        ("1e300", LENIENT, WireFault.TOO_LARGE),
        ("123", NumberRules(characters_max=2), WireFault.TOO_LONG),
    ]:
        with pytest.raises(WireError) as caught:
            read_number(text, 1, maximum=10, rules=rules)
        assert caught.value.fault is fault


def test_a_negative_zero_is_zero() -> None:
    """The official SDK sends "-0" for -0.0; as a size it is the venue's "zero size", not a malformed number."""
    assert read_number("-0", 3, maximum=1) == 0


@given(st.text(max_size=60), st.integers(0, 8), st.sampled_from([STRICT, LENIENT]))
@settings(max_examples=200)
def test_any_text_is_read_exactly_or_refused(text: str, decimals: int, rules: NumberRules) -> None:
    try:
        units = read_number(text, decimals, maximum=MAXIMUM, rules=rules)
    except WireError:
        return
    assert Decimal(text).scaleb(decimals) == units


@given(st.from_regex(r"\A[+-]?[0-9]{0,5}\.?[0-9]{0,5}([eE][+-]?[0-9]{1,3})?\Z"), st.integers(0, 8))
@settings(max_examples=200)
def test_texts_that_look_like_numbers_are_read_exactly_or_refused(text: str, decimals: int) -> None:
    try:
        units = read_number(text, decimals, maximum=MAXIMUM, rules=LENIENT)
    except WireError as error:
        if error.fault is WireFault.TOO_FINE:
            assert Decimal(text).scaleb(decimals) % 1 != 0
        elif error.fault is WireFault.TOO_LARGE:
            assert Decimal(text).scaleb(decimals) > MAXIMUM
        elif error.fault is WireFault.NEGATIVE:
            assert Decimal(text) < 0
        else:
            mantissa = text.lower().partition("e")[0]
            assert error.fault is WireFault.MALFORMED and not any(digit.isdigit() for digit in mantissa)
        return
    assert Decimal(text).scaleb(decimals) == units


def eight_decimals(value: float) -> int:
    """A float in whole 10^-8, exactly rounded."""
    return int(round(Decimal(value), 8).scaleb(8))


@given(st.integers(-(10**15), 10**15), st.integers(0, 8))
def test_floats_are_written_as_the_official_sdk_writes_them(units: int, decimals: int) -> None:
    value = units / 10**decimals
    assert decimal_text(eight_decimals(value), 8) == float_to_wire(value)


def test_recorded_floats(recordings: Path) -> None:
    data = json.loads((recordings / "hyperliquid" / "api" / "signing_vectors.json").read_text())
    for value, text in data["float_to_wire"]:
        assert decimal_text(eight_decimals(value), 8) == ("0" if text == "-0" else text)


def test_addresses_are_told_apart_by_their_digits_alone() -> None:
    mixed = "0x14791697260E4c9A71f18484C9f997B308e59325"
    assert read_address(mixed) == mixed.lower() and read_address(ZERO_ADDRESS) == ZERO_ADDRESS


@pytest.mark.parametrize(
    "value", ["", "0x", "0x" + 39 * "1", "0x" + 41 * "1", 42 * "1", "0X" + 40 * "1", "0x" + 40 * "g"]
)
def test_what_is_no_address(value: str) -> None:
    with pytest.raises(WireError) as caught:
        read_address(value)
    assert caught.value.fault is WireFault.MALFORMED


@given(st.integers(0, CLOID_MAX))
def test_client_order_ids_round_trip(cloid: int) -> None:
    text = cloid_text(cloid)
    assert len(text) == 34 and read_cloid(text) == read_cloid("0x" + text[2:].upper()) == cloid


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (1, WireFault.NOT_TEXT),
        (None, WireFault.NOT_TEXT),
        ("0x" + 31 * "1", WireFault.MALFORMED),
        ("0x" + 33 * "1", WireFault.MALFORMED),
        (34 * "1", WireFault.MALFORMED),
        ("0x" + 32 * "1" + "\n", WireFault.MALFORMED),
    ],
)
def test_what_is_no_client_order_id(value: object, fault: WireFault) -> None:
    with pytest.raises(WireError) as caught:
        read_cloid(value)
    assert caught.value.fault is fault


@pytest.mark.parametrize("cloid", [-1, CLOID_MAX + 1])
def test_a_client_order_id_has_128_bits(cloid: int) -> None:
    with pytest.raises(AssertionError):
        cloid_text(cloid)


def test_milliseconds_and_nanoseconds() -> None:
    assert ns_of(MS_MAX) < 2**63 and ms_of(ns_of(1770381849400)) == 1770381849400
    assert ms_of(1_999_999) == 1
