"""Whole round trips: a forecast is worth something when both the way in and the way out of a deal are right.

Forecasting power alone does not make a signal that can be acted on (Briola, Bartolucci and Aste, 2024, LOBFrame); the
chance that a round trip is right as a whole is nearer to it.
"""

from __future__ import annotations

import numpy as np

from hlhft.alpha.evaluation.rows import FLAT


def round_trips(classes: np.ndarray, calls: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The finished round trips of calls int8[n] within segments int64[n] (rows of one stand together).

    One opens at the first call of a direction and ends at the first call of the other, where the next one opens;
    calls of the same direction in between and flat ones change nothing. Returns the rows that open, int64[k], and
    float64[k]: 1 where the labels at both ends are what was called, else 0. One that a segment's end cuts off does not
    count.
    """
    spoken = np.flatnonzero(calls != FLAT)
    if not len(spoken):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    said, where = calls[spoken], segment[spoken]
    turns = np.ones(len(spoken), dtype=bool)
    turns[1:] = (said[1:] != said[:-1]) | (where[1:] != where[:-1])
    ends = spoken[turns]
    opens, closes = ends[:-1], ends[1:]
    together = segment[opens] == segment[closes]
    opens, closes = opens[together], closes[together]
    right = (classes[opens] == calls[opens]) & (classes[closes] == calls[closes])
    return opens.astype(np.int64), right.astype(np.float64)
