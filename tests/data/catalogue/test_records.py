from __future__ import annotations

import numpy as np

from hlhft.data.catalogue.records import fill_records
from hlhft.events import EVENT_DTYPE


def test_each_record_is_written_whole_over_whatever_was_there() -> None:
    out = np.zeros(4, EVENT_DTYPE)
    out.view(np.uint8)[:] = 0xFF
    before = out[[0, 3]].copy()
    wide = [np.array([1, -2], np.int64) * 10**place for place in range(6)]
    narrow = np.array([5, 6], np.uint8), np.array([7, 63], np.uint8), np.array([1, -1], np.int8)
    ticks = np.array([2**31 - 1, 0], np.int32)
    exch, local, lots, orders, aux0, aux1 = wide
    fill_records(out, 1, 3, exch, local, *narrow, ticks, lots, orders, aux0, aux1)
    assert out[1].tolist() == (1, 10, 2**31 - 1, 100, 1000, 10_000, 100_000, 5, 7, 3, 1, 0)
    assert out[2].tolist() == (-2, -20, 0, -200, -2000, -20_000, -200_000, 6, 63, 3, -1, 0)
    assert (out[[0, 3]] == before).all()
