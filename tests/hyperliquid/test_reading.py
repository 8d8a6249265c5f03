"""Decimal texts as whole units, exact or refused; faults and their meanings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.reading import MEANING, Fault, ItemReader, Unit, cloid_or_none, whole_units
from hlhft.units import Market


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("1.5", {}, (150, Fault.NONE)),
        ("0001.50000", {}, (150, Fault.NONE)),
        ("10.0", {}, (1000, Fault.NONE)),
        ("10.01", {}, (0, Fault.OUT_OF_RANGE)),
        ("1.505", {}, (0, Fault.TOO_FINE)),
        ("1.505", {"cut": True}, (150, Fault.NONE)),
        ("-1.505", {"cut": True, "signed": True}, (-150, Fault.NONE)),
        ("-0.001", {"cut": True}, (0, Fault.NONE)),
        ("-0.0", {}, (0, Fault.NONE)),
        ("-1", {}, (0, Fault.NEGATIVE)),
        ("-10.01", {"signed": True}, (0, Fault.OUT_OF_RANGE)),
        ("1e2", {}, (0, Fault.NO_NUMBER)),
        ("NaN", {}, (0, Fault.NO_NUMBER)),
        ("Infinity", {}, (0, Fault.NO_NUMBER)),
        ("", {}, (0, Fault.NO_NUMBER)),
        ("1.", {}, (0, Fault.NO_NUMBER)),
        (".5", {}, (0, Fault.NO_NUMBER)),
        ("+1", {}, (0, Fault.NO_NUMBER)),
        ("1\n", {}, (0, Fault.NO_NUMBER)),
        ("\u0661", {}, (0, Fault.NO_NUMBER)),
        ("1" * 41, {}, (0, Fault.NO_NUMBER)),
        ("9" * 40, {}, (0, Fault.OUT_OF_RANGE)),
    ],
)
def test_numbers(text: str, options: dict[str, bool], expected: tuple[int, Fault]) -> None:
    assert whole_units(text, 2, 1000, **options) == expected


@given(st.decimals(min_value=-1000, max_value=1000, places=8), st.integers(0, 8))
def test_numbers_are_exact_or_refused(value: Decimal, decimals: int) -> None:
    scaled = value * 10**decimals
    units, fault = whole_units(f"{value:f}", decimals, 10**12, signed=True)
    if scaled == int(scaled):
        assert (units, fault) == (int(scaled), Fault.NONE)
    else:
        assert (units, fault) == (0, Fault.TOO_FINE)
        assert whole_units(f"{value:f}", decimals, 10**12, signed=True, cut=True) == (int(scaled), Fault.NONE)


def test_every_fault_has_a_meaning() -> None:
    assert list(MEANING) == list(Fault)


def test_a_text_that_is_no_client_order_id_is_none() -> None:
    assert cloid_or_none("0x" + 31 * "0" + "f") == 15
    assert cloid_or_none(None) is None and cloid_or_none("0x5") is None and cloid_or_none("") is None


def test_numbers_of_an_item_count_in_its_markets_units() -> None:
    reader = ItemReader(
        [Market.perpetual("BTC", asset_id=0, size_decimals=5), Market.spot("@1", asset_id=10_001, size_decimals=2)]
    )
    assert (reader.row("@1"), reader.row("ETH")) == (1, -1)
    texts = (
        ("1.5", Unit.TICKS),
        ("0.25", Unit.LOTS),
        ("-0.259", Unit.HELD),
        ("-0.0000019", Unit.MICRO),
        ("1.0", Unit.RATE),
    )
    assert reader.numbers("@1", *texts) == (1, (1_500_000, 25, -25, -1, 10**12), Fault.NONE)
    assert reader.numbers("BTC", ("1.55", Unit.TICKS), ("1.0", Unit.LOTS)) == (0, (0, 0), Fault.TOO_FINE)
    assert reader.numbers("BTC", ("-1.5", Unit.TICKS)) == (0, (0,), Fault.NEGATIVE)
    assert reader.numbers("ETH", ("1.5", Unit.TICKS)) == (-1, (0,), Fault.OTHER_COIN)
