"""The rows that models are judged on, cut into cells of time, and what a model says of them. All of it is numpy.

A cell is a short stretch of time with everything in it, of all coins: what happens to them at once is one piece of
evidence. A metric adds up its parts by cell, so that a resample of the time is a weighted sum of cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DOWN, FLAT, UP = 0, 1, 2
CLASSES = 3
HOUR_NS = 3_600 * 1_000_000_000
HOURS = 24
DAY_NS = HOURS * HOUR_NS
HOURS_MIN = 6  # of a day that counts as one
DAYS_MIN = 20  # from so many on, a block of the bootstrap is a day
CELLS_A_BLOCK = 8
BLOCKS_MIN = 10  # with fewer, an interval would say more than it knows
LIVES_A_BLOCK_MIN = 2.0
CELLS_MAX = 10_000  # bounds a resample's weights; longer times are cut into wider cells


class Truth(NamedTuple):
    """What happened, n rows in order of segment, then time."""

    classes: np.ndarray  # int8[n] 0, 1, 2
    move_bp: np.ndarray  # float64[n], of the price, to the end of the label
    half_spread_bp: np.ndarray  # float64[n], at the row, >= 0
    segment: np.ndarray  # int64[n]; a round trip stays within one
    cell: np.ndarray  # int64[n], 0..cells-1 in order of time
    cells: int
    prior: np.ndarray  # float64[3] class shares of the train block, or [n, 3] of each row's own
    cost_bp: float  # fee of a deal, >= 0 or a rebate below
    markouts_bp: dict[str, np.ndarray]  # by name: move of the price, float64[n]; NaN where the recording ends before


class Calls(NamedTuple):
    """What a model says of the same n rows."""

    p: np.ndarray  # float64[n, 3], each row sums to 1
    mu_bp: np.ndarray  # float64[n], the move that it expects
    calls: np.ndarray  # int8[n], the class that it would name
    balanced: np.ndarray  # int8[n], the class whose probability is raised most above its share in the train block


def calls_of(p: np.ndarray, mu_bp: np.ndarray, prior: np.ndarray, calls: np.ndarray | None = None) -> Calls:
    """Calls of probabilities. `calls` are those of a rule that names classes by itself, else the likeliest is named.

    `prior` are class shares as in `Truth`.
    Raises ValueError, as a sentence, when the probabilities are none.
    """
    p = np.asarray(p, dtype=np.float64)
    mu_bp = np.asarray(mu_bp, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != CLASSES or mu_bp.shape != p.shape[:1]:
        raise ValueError(f"probabilities of shape {p.shape} with {mu_bp.shape} moves: give [n, {CLASSES}] and [n]")
    if not (np.isfinite(p).all() and np.isfinite(mu_bp).all()):
        raise ValueError("a model gave a probability or a move that is no number: it cannot be judged")
    if (p < -1e-6).any() or (np.abs(p.sum(axis=1) - 1.0) > 1e-3).any():
        raise ValueError("a model gave probabilities below 0 or whose sum is not 1: it cannot be judged")
    p = np.clip(p, 0.0, 1.0)
    p /= p.sum(axis=1, keepdims=True)
    if calls is not None:
        named = np.asarray(calls, dtype=np.int8)
        return Calls(p, mu_bp, named, named)
    raised = p / np.maximum(prior, 1e-9)
    return Calls(p, mu_bp, p.argmax(axis=1).astype(np.int8), raised.argmax(axis=1).astype(np.int8))


class Cells(NamedTuple):
    """How time is cut for the bootstrap."""

    cell: np.ndarray  # int64[n] of each row
    cells: int
    a_block: int  # cells a block
    blocks: int  # of the whole; 0 when they are too few for intervals


def days_of(ts_ns: np.ndarray) -> int:
    """UTC days with rows in HOURS_MIN of their hours at least: a minute on each side of midnight is no two days."""
    hours = np.unique(np.asarray(ts_ns, dtype=np.int64) // HOUR_NS)
    _, held = np.unique(hours // HOURS, return_counts=True)
    return int((held >= HOURS_MIN).sum())


def cut(ts_ns: np.ndarray, horizon_ns: int) -> Cells:
    """Cuts the time of int64[n] rows into cells, and says how many cells are a block.

    With DAYS_MIN days or more a block is a day. Else it is as long as max(2, m^(1/3)) lives of a label, m of them
    passing in the time that holds rows: the order that balances bias and variance (Hall, Horowitz and Jing 1995), and
    never shorter than what overlapping labels share. Cells without a row are left out.
    """
    ts_ns = np.asarray(ts_ns, dtype=np.int64)
    if not len(ts_ns):
        return Cells(np.zeros(0, dtype=np.int64), 0, 1, 0)
    if days_of(ts_ns) >= DAYS_MIN:
        _, cell = np.unique(ts_ns // DAY_NS, return_inverse=True)
        cells = int(cell.max()) + 1
        return Cells(cell, cells, 1, cells)
    lives = max(1, len(np.unique(ts_ns // max(horizon_ns, 1))))
    block_ns = max(horizon_ns, 1) * max(LIVES_A_BLOCK_MIN, lives ** (1.0 / 3.0))
    width_ns = max(1, int(block_ns / CELLS_A_BLOCK))
    span_ns = int(ts_ns.max() - ts_ns.min()) + 1
    width_ns = max(width_ns, span_ns // CELLS_MAX)
    _, cell = np.unique(ts_ns // width_ns, return_inverse=True)
    cells = int(cell.max()) + 1
    # Where rows are rarer than cells, as many cells with rows span more time than a block: never less.
    a_block = min(CELLS_A_BLOCK, cells)
    blocks = cells // a_block
    return Cells(cell, cells, a_block, blocks if blocks >= BLOCKS_MIN else 0)
