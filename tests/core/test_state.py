"""The state: records without holes, one buffer a part, bytes that bring everything back."""

from __future__ import annotations

import hashlib
from enum import IntEnum, IntFlag

import numpy as np
import pytest

from hlhft.core import state
from hlhft.core.features import FEATURE_MEMORY
from hlhft.core.state import (
    LEVELS,
    MEMORY_BYTES,
    ORDERS_PER_MARKET,
    PARAMS_BYTES,
    QUOTES_MAX,
    SLOT_BITS,
    VIEW_LEVELS,
    WAITING_MAX,
    Feature,
    Lane,
    MarketData,
    allocate,
    lane_fields,
    market_data_fields,
    new_lane,
    new_lanes,
    new_market_data,
)
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import Market

DTYPES = {name: value for name, value in vars(state).items() if isinstance(value, np.dtype)}
MARKETS = np.concatenate([Market.perpetual(name, asset_id=0, size_decimals=2).record() for name in ("A", "B", "C")])


def test_the_schema_is_raised_with_every_change_of_a_record() -> None:
    """A journal names the schema of its snapshots. When this fails, raise STATE_SCHEMA and pin the new layout."""
    digest = hashlib.blake2b(digest_size=8)
    for fields in (market_data_fields(1, 1, 1), lane_fields(1)):
        for name, (dtype, shape) in fields.items():
            digest.update(repr((name, dtype.descr, shape)).encode())
    assert (state.STATE_SCHEMA, digest.hexdigest()) == (2, "0616056de857283d")


def words(dtype: np.dtype) -> int:
    """How many machine words the fields take; every field must be whole words."""
    total = 0
    for name in dtype.names or ():
        base, shape = dtype[name].base, dtype[name].shape
        count = int(np.prod(shape)) if shape else 1
        total += count * (words(base) if base.names else 1)
        assert base.names or base in (np.dtype(np.int64), np.dtype(np.float64)), name
    return total


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_records_are_words_without_holes(name: str) -> None:
    """A hole would hold bytes that nobody wrote, and two equal states would differ in their snapshots."""
    assert DTYPES[name].itemsize == 8 * words(DTYPES[name])


def test_a_market_data_part_is_one_buffer_in_the_order_of_its_fields() -> None:
    buffer, data = new_market_data(MARKETS, 2, 64)
    shapes = {name: array.shape for name, array in data._asdict().items()}
    assert shapes == {
        "markets": (3,),
        "books": (3,),
        "levels": (3, 2, 2, LEVELS),
        "sources": (3, 3, 2, LEVELS),
        "features": (3,),
        "feature_memory": (3, FEATURE_MEMORY),
        "ladders": (2,),
        "cells": (2, 2, 64),
    }
    assert tuple(market_data_fields(3, 2, 64)) == MarketData._fields
    check_one_buffer(buffer, list(data))


def test_a_lane_is_one_buffer_in_the_order_of_its_fields() -> None:
    buffer, lane = new_lane(3)
    shapes = {name: array.shape for name, array in lane._asdict().items()}
    assert shapes == {
        "lane": (1,),
        "positions": (3,),
        "orders": (3, ORDERS_PER_MARKET),
        "active": (3, ORDERS_PER_MARKET),
        "params": (PARAMS_BYTES,),
        "memory": (MEMORY_BYTES,),
        "views": (3,),
        "quotes": (QUOTES_MAX,),
        "waiting": (WAITING_MAX,),
    }
    assert tuple(lane_fields(3)) == Lane._fields
    assert not buffer.any()
    check_one_buffer(buffer, list(lane))


def check_one_buffer(buffer: np.ndarray, arrays: list[np.ndarray]) -> None:
    """Every array lies in the buffer, none overlaps the one before, each begins on a cache line of it."""
    start, end = buffer.ctypes.data, 0
    for array in arrays:
        offset = array.ctypes.data - start
        assert array.flags.c_contiguous and offset % 64 == 0 and offset >= end
        assert offset - end < 64, "nothing lies between two arrays but the rest of a line"
        end = offset + array.nbytes
    assert end <= buffer.nbytes < end + 64


def test_a_new_part_holds_markets_and_nothing_else() -> None:
    _, data = new_market_data(MARKETS, 2, 64)
    assert np.array_equal(data.markets, MARKETS)
    assert data.books["ladder_index"].tolist() == data.books["writing"].tolist() == [-1, -1, -1]
    assert data.ladders["best_bid_ticks"].tolist() == [BID_NONE] * 2
    assert data.ladders["best_ask_ticks"].tolist() == [ASK_NONE] * 2
    assert data.ladders["width"].tolist() == [64] * 2
    for name in ("levels", "sources", "features", "feature_memory", "cells"):
        assert not np.ascontiguousarray(getattr(data, name)).view(np.uint8).any(), name


@pytest.mark.parametrize("part", ["market data", "lane"])
def test_a_snapshot_brings_everything_back(part: str) -> None:
    """Each array is filled with its own bytes; a copy of the buffer alone restores all of them."""

    def new() -> tuple[np.ndarray, MarketData | Lane]:
        return new_market_data(MARKETS, 2, 64) if part == "market data" else new_lane(3)

    buffer, filled = new()
    for number, array in enumerate(filled, start=1):
        array.reshape(-1).view(np.uint8)[:] = number
    snapshot = buffer.tobytes()
    other_buffer, restored = new()
    other_buffer[:] = np.frombuffer(snapshot, np.uint8)
    for number, array in enumerate(restored, start=1):
        assert set(array.reshape(-1).view(np.uint8).tolist()) == {number}
    assert other_buffer.tobytes() == snapshot


def test_an_allocation_of_nothing_is_still_a_buffer() -> None:
    buffer, views = allocate({"none": (np.dtype(np.int64), (0, 4))})
    assert buffer.nbytes == 64 and views[0].shape == (0, 4)


def test_many_lanes_are_single_lanes_behind_one_axis() -> None:
    lanes = new_lanes(5, 3)
    assert [array.shape[1:] for array in lanes] == [shape for _, shape in lane_fields(3).values()]
    assert [array.dtype for array in lanes] == [dtype for dtype, _ in lane_fields(3).values()]
    assert {array.shape[0] for array in lanes} == {5}


def test_an_order_s_slot_fits_its_bits_and_active_its_index() -> None:
    assert ORDERS_PER_MARKET <= 1 << SLOT_BITS
    assert np.iinfo(np.int16).max >= ORDERS_PER_MARKET - 1
    assert VIEW_LEVELS <= LEVELS


def test_features_are_single_bits_and_all_of_them_is_all() -> None:
    bits = [feature.value for feature in Feature if feature not in (Feature.NONE, Feature.ALL)]
    assert bits == [1 << place for place in range(len(bits))]
    assert sum(bits) == Feature.ALL


ENUMERATIONS: dict[str, dict[str, int]] = {
    "Mode": {"ACTIVE": 0, "REDUCING": 1, "HALTED": 2},
    "TimeInForce": {"ALO": 0, "GTC": 1, "IOC": 2},
    "CommandKind": {"NONE": 0, "PLACE": 1, "CANCEL": 2, "MODIFY": 3},
    "CommandClass": {"CANCEL": 0, "ALO": 1, "OTHER": 2},
    "BookKind": {"LADDER": 0, "SNAPSHOT": 1},
    "MarketState": {"FRESH": 0, "STALE": 1, "CLOSED": 2},
}


@pytest.mark.parametrize("name", sorted(ENUMERATIONS))
def test_numbers_that_states_and_journals_hold_stay(name: str) -> None:
    kind = vars(state)[name]
    assert issubclass(kind, IntEnum | IntFlag)
    assert {member.name: member.value for member in kind} == ENUMERATIONS[name]
