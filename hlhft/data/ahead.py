"""One stage of a pipeline on a thread of its own, a bounded number of arrays ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from hlhft.data.merge import Events

ARRAYS_AHEAD = 2


def read_ahead(arrays: Iterator[Events]) -> Iterator[Events]:
    """The same arrays, the next ARRAYS_AHEAD of them being made while one is looked at. Raises what `arrays` raises.

    Worth it where making them does not hold the interpreter: reading Parquet and compiled passes do not.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        ahead = deque(pool.submit(next, arrays, None) for _ in range(ARRAYS_AHEAD))
        while (array := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(next, arrays, None))
            yield array
