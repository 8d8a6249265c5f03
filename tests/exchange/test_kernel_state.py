from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.kernel_state import SPARSE_FROM, packed, unpack

PAIR = np.dtype([("a", np.int64), ("b", np.int32)])


@given(st.integers(0, 2 * SPARSE_FROM), st.lists(st.integers(1, 2**31 - 1), max_size=5), st.booleans())
def test_arrays_come_back(size: int, values: list[int], has_fields: bool) -> None:
    array = np.zeros((size, 2), PAIR if has_fields else np.int64)
    for value in values[:size]:
        array[value % size, value % 2] = (value, 0) if has_fields else value
    content = msgspec.msgpack.decode(msgspec.msgpack.encode(packed(array)))
    again = np.full_like(array, 7)
    unpack(content, again, "it")
    assert again.tobytes() == array.tobytes()
    new = np.zeros_like(array)
    unpack(content, new, "it")
    assert new.tobytes() == array.tobytes()


def test_what_is_mostly_empty_takes_no_room() -> None:
    array = np.zeros(1 << 20, np.int64)
    array[77] = 5
    assert len(msgspec.msgpack.encode(packed(array))) < 100


def test_another_shape_is_refused() -> None:
    content = packed(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="the state's it has shape"):
        unpack(content, np.zeros(4, np.int64), "it")
    with pytest.raises(ValueError, match="or other fields"):
        unpack(content, np.zeros(3, np.int32), "it")
