"""Arrays as plain values that MessagePack can write, and back.

Large arrays are mostly empty: a book has a million prices and hundreds of orders. Of those only what is not zero is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SPARSE_FROM = 4096  # elements; smaller arrays are kept as they are


def packed(array: np.ndarray) -> list[Any]:
    """Shape, dtype, and the bytes of what is not zero, with its places where the array is large."""
    kind = repr(array.dtype.descr)
    assert array.flags.c_contiguous, "a view of something else cannot be restored in place"
    flat = array.reshape(-1)
    if array.size <= SPARSE_FROM:
        return [list(array.shape), kind, b"", flat.tobytes()]
    words = flat.view(np.uint8).reshape(flat.size, flat.dtype.itemsize)
    places = np.flatnonzero(words.any(axis=1)) if flat.dtype.names else np.flatnonzero(flat)
    return [list(array.shape), kind, places.astype(np.int64).tobytes(), flat[places].tobytes()]


def unpack(content: Sequence[Any], array: np.ndarray, name: str) -> None:
    """Fills the array with what `packed` made of one like it. Raises ValueError when it was not like it."""
    shape, kind, places, values_bytes = content
    if list(array.shape) != list(shape) or repr(array.dtype.descr) != kind:
        raise ValueError(f"the state's {name} has shape {shape}, not {list(array.shape)}, or other fields")
    assert array.flags.c_contiguous, "a view of something else cannot be restored in place"
    flat = array.reshape(-1)
    values = np.frombuffer(values_bytes, array.dtype)
    if array.size <= SPARSE_FROM:
        flat[:] = values
    else:
        flat.view(np.uint8)[:] = 0  # records one by one take twenty times as long
        flat[np.frombuffer(places, np.int64)] = values
