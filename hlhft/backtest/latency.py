"""How long orders take to the venue and answers take back.

- CONSTANT: one figure for placements, one for cancels, one for answers, one for fills.
- SAMPLED: drawn from tables of quantiles (lognormal, or measured), one for each of the four, with a seed.
- INTERPOLATED: from recorded (request, exchange, response) times; a missing exchange time is a lost request, which
  shows as a rejection after the recorded time, as hftbacktest's interpolated model has it (tests/bench).
- BLOCKS: Hyperliquid's way (venue reference section 8): the sampled way to the venue, then inclusion at the next block;
  the kernel orders the classes inside a block.

A line is first in, first out: nothing overtakes what was sent before, except inside a block by class. Blocks are a
function of the seed and the time alone, and the n-th message of every lane draws the same latency, so that lanes differ
by what they do and not by luck.

A model is one LATENCY_DTYPE record and a table, int64[5, n]. Sampled: quantiles of the way there for placements, of the
way back for answers, of the block spacing, of the way there for cancels, of the way back for fills. Interpolated:
request, exchange and response times, then exchange and response times without the lost requests, in whose places those
of the request before stand.
"""

from __future__ import annotations

import math
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import MODULUS_1, MODULUS_2, drawn, next_state

QUANTILES = 4096
MINUTE_NS = 60_000_000_000


class LatencyKind(IntEnum):
    """Which model a replay uses."""

    CONSTANT = 0
    SAMPLED = 1
    INTERPOLATED = 2
    BLOCKS = 3


LATENCY_DTYPE = np.dtype(
    [
        ("kind", np.int64),
        ("entry_ns", np.int64),
        ("cancel_entry_ns", np.int64),
        ("reply_ns", np.int64),
        ("fill_reply_ns", np.int64),
        ("block_mean_ns", np.int64),
        ("seed", np.int64),
    ]
)

# Per lane: both directions of its line, ring positions, generator and block clock.
LINE_DTYPE = np.dtype(
    [
        ("request_head", np.int64),
        ("request_tail", np.int64),
        ("request_last_ns", np.int64),
        ("reply_head", np.int64),
        ("reply_tail", np.int64),
        ("reply_last_ns", np.int64),
        ("entry_row", np.int64),
        ("reply_row", np.int64),
        ("random_a", np.int64),
        ("random_b", np.int64),
        ("block_seed_a", np.int64),
        ("block_seed_b", np.int64),
        ("block_a", np.int64),
        ("block_b", np.int64),
        ("block_minute", np.int64),  # the minute for which the block clock was wound, -1 none yet
        ("block_ns", np.int64),  # the latest block looked at
        ("lost", np.int64),
    ]
)

_MINUTE_STEP_A, _MINUTE_STEP_B = 48271, 69621  # far apart, so that neighbouring minutes share nothing


@compiled
def _draw(line):
    """The next draw of the line's generator, uniform in 0 .. MODULUS_1 - 2."""
    a, b = next_state(line["random_a"], line["random_b"])
    line["random_a"] = a
    line["random_b"] = b
    return drawn(a, b)


@compiled
def _draw_block(line):
    """The same generator with the block clock's own state."""
    a, b = next_state(line["block_a"], line["block_b"])
    line["block_a"] = a
    line["block_b"] = b
    return drawn(a, b)


@compiled
def _next_block(line, latency, table, ts_ns):
    """The first block at or after `ts_ns`, or the latest one looked at when that is later.

    The clock is wound anew each minute, from the seed and the minute alone: whatever a lane sent before, and whenever
    it began, it meets the same blocks as every other.
    """
    minute = max(ts_ns // MINUTE_NS, line["block_minute"])
    while True:
        if minute > line["block_minute"]:
            line["block_minute"] = minute
            line["block_a"] = (line["block_seed_a"] + minute * _MINUTE_STEP_A) % (MODULUS_1 - 1) + 1
            line["block_b"] = (line["block_seed_b"] + minute * _MINUTE_STEP_B) % (MODULUS_2 - 1) + 1
            line["block_ns"] = minute * MINUTE_NS + _draw_block(line) % latency["block_mean_ns"]
        while line["block_ns"] < ts_ns:
            line["block_ns"] += table[2, _draw_block(line) % QUANTILES]
        if line["block_ns"] < (minute + 1) * MINUTE_NS:
            return line["block_ns"]
        minute += 1


@compiled
def _interpolate(x, x1, y1, x2, y2):
    # The grouping and the truncation are the rule set's; parity to the nanosecond needs both.
    return int(float(y2 - y1) / float(x2 - x1) * float(x - x1)) + y1


@compiled
def _recorded_once(table, row):
    """What one recorded request says, before the first and after the last."""
    if table[1, row] <= 0:
        return table[0, row] - table[2, row]
    return table[1, row] - table[0, row]


@compiled
def _recorded_entry(line, table, ts_ns):
    """Interpolated way to the venue in ns; negative: lost, and its magnitude is when we learn of it."""
    rows = table.shape[1]
    if ts_ns < table[0, 0]:
        return _recorded_once(table, 0)
    row = line["entry_row"]
    while row + 1 < rows and not (table[0, row] <= ts_ns and ts_ns < table[0, row + 1]):
        row += 1
    line["entry_row"] = row
    if row + 1 >= rows:
        return _recorded_once(table, row)
    requested, following = table[0, row], table[0, row + 1]
    if table[1, row] <= 0 or table[1, row + 1] <= 0:
        return -_interpolate(ts_ns, requested, table[2, row] - requested, following, table[2, row + 1] - following)
    return _interpolate(ts_ns, requested, table[1, row] - requested, following, table[1, row + 1] - following)


@compiled
def _recorded_reply(line, table, ts_ns):
    rows = table.shape[1]
    if ts_ns < table[3, 0]:
        return table[4, 0] - table[3, 0]
    row = line["reply_row"]
    while row + 1 < rows and not (table[3, row] <= ts_ns and ts_ns < table[3, row + 1]):
        row += 1
    line["reply_row"] = row
    if row + 1 >= rows:
        return table[4, row] - table[3, row]
    at, following = table[3, row], table[3, row + 1]
    return _interpolate(ts_ns, at, table[4, row] - at, following, table[4, row + 1] - following)


@compiled
def entry_delay(line, latency, table, ts_ns, is_cancel):
    """Nanoseconds from sending at `ts_ns` to the venue acting on it; negative when the request is lost."""
    kind = latency["kind"]
    if kind == 0:
        return latency["cancel_entry_ns"] if is_cancel else latency["entry_ns"]
    if kind == 2:
        return _recorded_entry(line, table, ts_ns)
    delay = table[3 if is_cancel else 0, _draw(line) % QUANTILES]
    if kind == 3:
        return _next_block(line, latency, table, ts_ns + delay) - ts_ns
    return delay


@compiled
def reply_delay(line, latency, table, ts_ns, is_fill):
    """Nanoseconds from the venue acting at `ts_ns` to our knowing."""
    kind = latency["kind"]
    if kind == 0:
        return latency["fill_reply_ns"] if is_fill else latency["reply_ns"]
    if kind == 2:
        return _recorded_reply(line, table, ts_ns)
    return table[4 if is_fill else 1, _draw(line) % QUANTILES]


def constant(
    *, entry_ns: int, reply_ns: int, cancel_entry_ns: int | None = None, fill_reply_ns: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The record and table of a constant latency; cancels and fills take as long as the rest when None.

    Raises ValueError when a figure is negative.
    """
    cancel_ns = entry_ns if cancel_entry_ns is None else cancel_entry_ns
    fill_ns = reply_ns if fill_reply_ns is None else fill_reply_ns
    if min(entry_ns, reply_ns, cancel_ns, fill_ns) < 0:
        raise ValueError(
            f"latency must not be negative, not {entry_ns} and {cancel_ns} ns there, {reply_ns} and {fill_ns} ns back"
        )
    record = np.zeros(1, LATENCY_DTYPE)
    record["entry_ns"], record["cancel_entry_ns"] = entry_ns, cancel_ns
    record["reply_ns"], record["fill_reply_ns"] = reply_ns, fill_ns
    return record, np.zeros((5, 1), np.int64)


def lognormal_quantiles(median_ns: int, p99_ns: int) -> np.ndarray:
    """int64[QUANTILES] mid-quantiles of the lognormal with this median and 99th percentile (p99 at least the
    median)."""
    if median_ns <= 0 or p99_ns < median_ns:
        raise ValueError(f"a latency needs 0 < median <= p99, not {median_ns} and {p99_ns} ns")
    sigma = math.log(p99_ns / median_ns) / NormalDist().inv_cdf(0.99)
    normal = NormalDist()
    scores = [normal.inv_cdf((index + 0.5) / QUANTILES) for index in range(QUANTILES)]
    return np.array([int(median_ns * math.exp(sigma * score)) for score in scores], np.int64)


def empirical_quantiles(samples_ns: np.ndarray) -> np.ndarray:
    """int64[QUANTILES] mid-quantiles of measured latencies (int64[n], n >= 1, none negative)."""
    if len(samples_ns) == 0 or int(samples_ns.min()) < 0:
        raise ValueError("measured latencies must be at least one figure, none negative")
    ordered = np.sort(samples_ns)
    return ordered[((np.arange(QUANTILES) + 0.5) / QUANTILES * len(ordered)).astype(np.int64)]


def block_quantiles(*, mean_ns: int, deviation_ns: int, minimum_ns: int, maximum_ns: int) -> np.ndarray:
    """int64[QUANTILES] quantiles of a block spacing: normal, clipped (venue reference section 8: 78, 30, 1 and 215
    ms)."""
    if not 0 < minimum_ns <= mean_ns <= maximum_ns:
        raise ValueError("block spacing needs 0 < minimum <= mean <= maximum")
    normal = NormalDist(mean_ns, max(deviation_ns, 1))
    quantiles = [int(normal.inv_cdf((index + 0.5) / QUANTILES)) for index in range(QUANTILES)]
    return np.clip(np.array(quantiles, np.int64), minimum_ns, maximum_ns)


def sampled(
    entry: np.ndarray,
    reply: np.ndarray,
    *,
    seed: int,
    cancel_entry: np.ndarray | None = None,
    fill_reply: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The record and table of a sampled latency from quantile tables; cancels and fills as the rest when None."""
    record = np.zeros(1, LATENCY_DTYPE)
    record["kind"] = LatencyKind.SAMPLED
    record["seed"] = seed
    cancels = entry if cancel_entry is None else cancel_entry
    fills = reply if fill_reply is None else fill_reply
    return record, np.stack([entry, reply, np.zeros(QUANTILES, np.int64), cancels, fills])


def blocks(
    entry: np.ndarray,
    reply: np.ndarray,
    spacing: np.ndarray,
    *,
    mean_ns: int,
    seed: int,
    cancel_entry: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The record and table of the block model: way there, way back and block spacing as quantile tables.

    `mean_ns` is the spacing's mean, above 0: where in a minute its first block lies is drawn from 0 .. mean_ns - 1.
    """
    record, table = sampled(entry, reply, seed=seed, cancel_entry=cancel_entry)
    record["kind"] = LatencyKind.BLOCKS
    record["block_mean_ns"] = mean_ns
    table[2] = spacing
    return record, table


def interpolated(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The record and table of an interpolated latency; `history` int64[n, 3]: request, exchange, response time, sorted.

    An exchange time of 0 or less marks a lost request. Raises ValueError when the shape is another, request times do
    not increase, a time runs backwards within a row, or every request was lost.
    """
    if history.ndim != 2 or history.shape[1] != 3 or len(history) == 0:
        raise ValueError(f"a latency history has three columns and at least one row, not shape {history.shape}")
    request, exchange, response = history.T
    if np.any(np.diff(request) <= 0):
        raise ValueError("a latency history's request times must increase")
    arrived = exchange > 0
    backwards = np.where(arrived, (exchange < request) | (response < exchange), response <= request)
    if np.any(backwards):
        raise ValueError(
            f"a latency history needs request <= exchange <= response, row {int(np.argmax(backwards)) + 1} has it not"
        )
    if not np.any(arrived):
        raise ValueError("a latency history needs a request that arrived, all exchange times are missing")
    record = np.zeros(1, LATENCY_DTYPE)
    record["kind"] = LatencyKind.INTERPOLATED
    # The row of the last request that arrived at or before each row, of the first one before that.
    known = np.maximum.accumulate(np.where(arrived, np.arange(len(history)), int(np.argmax(arrived))))
    return record, np.stack([request, exchange, response, exchange[known], response[known]])


def new_lines(lanes: int, seed: int) -> np.ndarray:
    """LINE_DTYPE[lanes]: every lane draws the same latencies and meets the same blocks (common random numbers)."""
    lines = np.zeros(lanes, LINE_DTYPE)
    lines["random_a"] = seed % (MODULUS_1 - 1) + 1
    lines["random_b"] = seed * 7919 % (MODULUS_2 - 1) + 1
    lines["block_seed_a"] = seed * 104729 % (MODULUS_1 - 1)
    lines["block_seed_b"] = seed * 1299709 % (MODULUS_2 - 1)
    lines["block_minute"] = -1
    return lines
