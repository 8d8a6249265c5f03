"""A simulated market whose next move is known in law: snapshots as the venue's fast channel sends them, and trades.

It knows nothing of features, labels or models: it draws a latent state, then from it the class of each row's next move,
and writes both down as event frames. Whoever learns from the frames can be held against the probabilities that the
classes were drawn with. Three plants say what a move depends on:

- LINEAR: its log odds are linear in the touch's imbalance now;
- CROSSED: it goes with the sign of (imbalance of a deep level now) x (touch imbalance `lag` rows ago). Each factor is
  symmetric and independent of the other, so that neither alone says anything;
- NONE: it depends on nothing. Books are as before, and trades follow the moves that have happened.

Row r is the snapshot at `START_NS + r * step_ns` of the venue's time. Its class is that of the move of the mid to row
r + 1: 0 down, 1 none, 2 up, by `move_ticks`, which is wider than the touch, so that the size-weighted mid tells it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side

Float64 = NDArray[np.float64]

START_NS = 1_760_000_000_000_000_000
LATENCY_NS = 20_000_000  # from the venue to here
LEVELS = 5  # a side, as the fast channel has
MID_TICKS = 50_000  # five figures: every tick is a valid price
MOVE_SHARE = 3e-4  # of the mid: what is farther is a move, in every regime and for mids of 31,000 to 84,000 ticks
LOTS = 2_000.0  # of both sides of a level together, in the median
EVENTS_A_ROW = 2 * LEVELS + 3  # the snapshot between its marks, and a trade halfway to the next
IMBALANCE_MIN, IMBALANCE_MAX = 0.25, 0.75
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


class Plant(Enum):
    """What the next move depends on."""

    LINEAR = "linear"
    CROSSED = "crossed"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class World:
    """The law of a market; with a seed and a number of rows it makes one path."""

    plant: Plant
    step_ns: int = 500_000_000
    strength: float = 5.0  # LINEAR: log odds of up against down, halved, for each unit of imbalance
    calm: float = 2.0  # LINEAR: log odds of no move against either at an imbalance of 0
    hit: float = 0.75  # CROSSED: share of moves that go with the sign; the rest but `flat` goes against it
    flat: float = 0.15  # CROSSED and NONE: share of rows without a move
    lag: int = 3  # rows
    deep_level: int = 3  # from the touch, 0
    memory: float = 0.85  # autocorrelation of the state behind each level's imbalance from row to row
    deep_memory: float = 0.0  # that of the deep level: without any, past moves of CROSSED say nothing of the next one
    move_ticks: int = 30
    shift_row: int | None = None  # from here on lots, ticks between levels and moves are larger; None never
    lots_factor: float = 8.0
    ticks_factor: int = 2


@dataclass(frozen=True)
class Path:
    """One path of R rows: `events` EVENT_DTYPE[R * EVENTS_A_ROW] in order of arrival, one market, number 0.

    `classes` int8[R], the last one -1 as its move is not seen; `probabilities` float64[R, 3] that they were drawn
    with; `imbalance` float64[R, LEVELS] of lots, -1..1; `mid_ticks` int64[R].
    """

    world: World
    events: NDArray[np.void]
    classes: NDArray[np.int8]
    probabilities: Float64
    imbalance: Float64
    mid_ticks: NDArray[np.int64]


def imbalances(world: World, rows: int, draws: np.random.Generator) -> Float64:
    """float64[rows, LEVELS]: levels independent of each other, symmetric, autocorrelated, never near 0.

    Behind each is a Gaussian chain of first order; its sign is kept and its size spread evenly over the allowed range.
    """
    noise = draws.standard_normal((rows, LEVELS))
    state = np.empty((rows, LEVELS))
    state[0] = noise[0]
    memory = np.full(LEVELS, world.memory)
    memory[world.deep_level] = world.deep_memory
    share = np.sqrt(1.0 - memory**2)
    for row in range(1, rows):
        state[row] = memory * state[row - 1] + share * noise[row]
    # The distribution of |state| is that of erf: its own image under it is uniform.
    uniform = np.vectorize(math.erf)(np.abs(state) / math.sqrt(2.0))
    return np.sign(state) * (IMBALANCE_MIN + (IMBALANCE_MAX - IMBALANCE_MIN) * uniform)


def class_probabilities(world: World, imbalance: Float64) -> Float64:
    """float64[rows, 3] of down, none, up given everything that the latent state says: the Bayes rule of this world."""
    rows = len(imbalance)
    if world.plant is Plant.LINEAR:
        odds = np.zeros((rows, 3))
        odds[:, 2] = world.strength * imbalance[:, 0]
        odds[:, 0] = -odds[:, 2]
        odds[:, 1] = world.calm
        weights = np.exp(odds)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    moves = (1.0 - world.flat) / 2.0
    probabilities = np.full((rows, 3), (moves, world.flat, moves))
    if world.plant is Plant.CROSSED:
        # The first rows have no row so long ago: they move by chance.
        sign = np.sign(imbalance[world.lag :, world.deep_level] * imbalance[: rows - world.lag, 0])
        probabilities[world.lag :, 2] = np.where(sign > 0, world.hit, 1.0 - world.flat - world.hit)
        probabilities[world.lag :, 0] = 1.0 - world.flat - probabilities[world.lag :, 2]
    return probabilities


def drawn(probabilities: Float64, draws: np.random.Generator) -> NDArray[np.int8]:
    """int8[rows]: one class a row with these probabilities."""
    edges = np.cumsum(probabilities, axis=1)[:, :2]
    return (draws.random((len(edges), 1)) > edges).sum(axis=1).astype(np.int8)


def simulate(world: World, rows: int, seed: int) -> Path:
    """One path; equal arguments give equal bytes."""
    draws = np.random.default_rng([seed, rows])
    imbalance = imbalances(world, rows, draws)
    probabilities = class_probabilities(world, imbalance)
    classes = drawn(probabilities, draws)
    shifted = np.arange(rows) >= (rows if world.shift_row is None else world.shift_row)
    factor = np.where(shifted, world.ticks_factor, 1)
    moves = (classes[:-1].astype(np.int64) - 1) * world.move_ticks * factor[:-1]
    mid_ticks = MID_TICKS + np.concatenate([[0], np.cumsum(moves)])
    events = _events(world, imbalance, classes, mid_ticks, factor, np.where(shifted, world.lots_factor, 1.0), draws)
    classes[-1] = -1
    return Path(world, events, classes, probabilities, imbalance, mid_ticks)


def _events(
    world: World,
    imbalance: Float64,
    classes: NDArray[np.int8],
    mid_ticks: NDArray[np.int64],
    factor: NDArray[np.int64],
    lots_factor: Float64,
    draws: np.random.Generator,
) -> NDArray[np.void]:
    """The frames: of each row a snapshot, then half a step later a trade on the side of the move that comes with it.

    The trade is read after its row and before the next one, whose book shows the move: it tells nothing in advance.
    """
    rows = len(imbalance)
    out = np.zeros((rows, EVENTS_A_ROW), EVENT_DTYPE)
    out["flags"] = _VISIBLE
    out["ts_exch_ns"] = (START_NS + np.arange(rows, dtype=np.int64) * world.step_ns)[:, None]
    out["kind"] = int(EventKind.DEPTH_LEVEL)
    out["kind"][:, 0], out["aux0"][:, 0], out["aux1"][:, 0] = int(EventKind.SNAPSHOT_BEGIN), LEVELS, 1
    end = 2 * LEVELS + 1
    out["kind"][:, end], out["aux0"][:, end], out["aux1"][:, end] = int(EventKind.SNAPSHOT_END), LEVELS, 1
    total = LOTS * lots_factor[:, None] * np.exp(0.3 * draws.standard_normal((rows, LEVELS)))
    for side in (Side.BUY, Side.SELL):
        gaps = draws.integers(1, 4, (rows, LEVELS)) * factor[:, None]
        first = 1 if side is Side.BUY else 1 + LEVELS
        levels = out[:, first : first + LEVELS]
        levels["side"] = int(side)
        levels["price_ticks"] = mid_ticks[:, None] - int(side) * np.cumsum(gaps, axis=1)
        levels["size_lots"] = np.maximum(np.round(0.5 * total * (1.0 + int(side) * imbalance)), 1).astype(np.int64)
    trade = out[:, -1]
    trade["kind"] = int(EventKind.TRADE)
    trade["ts_exch_ns"] += world.step_ns // 2
    aggressor = classes.astype(np.int64) - 1
    trade["side"] = np.where(aggressor == 0, draws.integers(0, 2, rows) * 2 - 1, aggressor)
    trade["price_ticks"] = np.where(trade["side"] > 0, out["price_ticks"][:, 1 + LEVELS], out["price_ticks"][:, 1])
    trade["size_lots"] = np.maximum(draws.exponential(0.1 * LOTS, rows) * lots_factor, 1).astype(np.int64)
    trade["order_id"] = np.arange(1, rows + 1)
    out["flags"][:, end:] |= int(EventFlag.FRAME_END)
    out["ts_local_ns"] = out["ts_exch_ns"] + LATENCY_NS
    return out.reshape(-1)


def row_of(world: World, ts_exch_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64: the row whose snapshot has this time of the venue."""
    return (ts_exch_ns - START_NS) // world.step_ns
