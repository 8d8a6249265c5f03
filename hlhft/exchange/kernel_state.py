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
    places = _places(flat)
    return [list(array.shape), kind, places.tobytes(), flat[places].tobytes()]


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
        words = flat.view(np.bool_)  # byte by byte: records take twenty times as long
        if words.any():  # what is new is empty, and has no memory yet
            words[:] = False
        flat[np.frombuffer(places, np.int64)] = values


def _places(flat: np.ndarray) -> np.ndarray:
    """Where elements are not zero, int64. Looked at closely are only those stretches that hold anything: a test of
    bytes for any takes a fraction of the time."""
    found = []
    for first in range(0, flat.size, SPARSE_FROM):
        stretch = flat[first : first + SPARSE_FROM]
        words = stretch.view(np.bool_)
        if words.any():
            found.append(first + np.flatnonzero(words.reshape(stretch.size, -1).any(axis=1)))
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)
