"""Client order ids: the documented layout, read back exactly, and foreign ids are nobody of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.cloids import ORDER_ID_MAX, OWNER_MAX, SESSION_MAX, Cloid, CloidError, parse, require
from hlhft.hyperliquid.wire import CLOID_MAX, cloid_text, read_cloid

CLOIDS = st.builds(
    Cloid,
    st.integers(1, OWNER_MAX),
    st.integers(1, SESSION_MAX),
    st.integers(1, ORDER_ID_MAX),
    st.integers(0, 255),
)


def test_the_layout() -> None:
    cloid = Cloid(owner=0xA11CE, session=0x1234, order_id=0x401, revision=0xFE)
    assert cloid_text(cloid.number()) == "0x" + "0a11ce" + "00001234" + "fe" + "0000000000000401"


@given(CLOIDS)
def test_what_is_written_is_read_back(cloid: Cloid) -> None:
    assert parse(read_cloid(cloid_text(cloid.number()))) == cloid


@given(CLOIDS, CLOIDS)
def test_two_orders_never_have_one_id(one: Cloid, other: Cloid) -> None:
    assert (one.number() == other.number()) == (one == other)


@given(st.integers(0, CLOID_MAX))
def test_every_id_that_is_read_is_the_one_that_was_written(number: int) -> None:
    read = parse(number)
    assert read is None or read.number() == number


@pytest.mark.parametrize(
    "number",
    [
        -1,
        0,
        1,
        0xA001,
        2**104 - 1,  # no owner
        (1 << 104) + 5,  # no session
        (1 << 104) + (1 << 72),  # no order
        (1 << 104) + (1 << 72) + (1 << 63),  # an order id that the core cannot have
        CLOID_MAX,
        CLOID_MAX + 1,
    ],
)
def test_others_are_foreign(number: int) -> None:
    assert parse(number) is None


@pytest.mark.parametrize(
    "cloid",
    [
        Cloid(0, 1, 1),
        Cloid(OWNER_MAX + 1, 1, 1),
        Cloid(1, 0, 1),
        Cloid(1, SESSION_MAX + 1, 1),
        Cloid(1, 1, 0),
        Cloid(1, 1, ORDER_ID_MAX + 1),
        Cloid(1, 1, 1, -1),
        Cloid(1, 1, 1, 256),
    ],
)
def test_fields_out_of_range_are_no_id(cloid: Cloid) -> None:
    with pytest.raises(CloidError, match="lies in"):
        cloid.number()


def test_owner_and_session_can_be_judged_alone() -> None:
    require(owner=OWNER_MAX, session=SESSION_MAX)
    with pytest.raises(CloidError, match="an owner"):
        require(owner=0, session=1)
