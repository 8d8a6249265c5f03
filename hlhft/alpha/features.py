"""The one definition of the model's features: training, backtest and live compute their rows here.

`update` is called after the core has stepped over the same frame. It reads the book without our own resting size, so
that adding or removing a quote of ours neither changes a feature nor makes a row, and keeps for each market what the
formulas remember. A frame that leaves the book as it was and tells no trade makes no row; one that leaves it one-sided
or crossed repeats the last whole book in a row that is not valid.

Formulas, beyond those of `hlhft.core.features` (micro-price, VAMP, order-flow imbalance, volatility) whose functions
they share: order-flow imbalance per level at two half-lives and their mean over all levels, which stands in for the
first principal component (Cont, Cucuringu and Zhang, 2023) without anything to fit; trend: the mid less its decayed
average; trade surprise: signs less what the signs before let expect, decayed; ages: since the book changed, and of the
newest fast and full frame by block time. Names, units and order are `hlhft.alpha.schema`'s.

A segment begins with the first whole book after a start, after a silence of a market longer than GAP_NS, after a clear
of both sides, which is how recordings mark a new session, and after a change of a market's state, which is how a live
session marks a lost or silent feed. Nothing is remembered across. Trades that are older than a segment's first book,
or flagged so, are what the venue repeats on every subscription, and are passed over.

State is allocated once and owned by the caller; float64 inside, float32 out. Time is each event's `ts_local_ns` alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hlhft.alpha.schema import AGE_NS_MAX, GAP_NS, ROW_DTYPE, SIGN_SHARE, FeatureSchema
from hlhft.compiled import JIT_DISABLED, array_at, compiled, compiled_views
from hlhft.core.book import read_levels
from hlhft.core.brain import Brain, data_at, lane_at
from hlhft.core.features import averaged, decay_over, deviation, level_flow, micro_price
from hlhft.core.state import LEVEL_DTYPE
from hlhft.core.view import next_free
from hlhft.units import grid_step

_CLEAR, _TRADE, _CONTEXT, _MARKET_STATE = 2, 6, 7, 70  # event kinds
_FLAG_BACKFILL = 32
_TOLD_BOOK, _TOLD_TRADE = 1, 2
_VALID, _RESET = 1, 2
_FAST, _MIDDLE, _SLOW = 0, 1, 2

SETTINGS_DTYPE = np.dtype(
    [
        ("levels", np.int64),
        ("imbalances", np.int64),
        ("columns", np.int64),
        ("clock_ns", np.int64),
        ("warm_ns", np.int64),
        ("half_life_s", np.float64, (3,)),
    ]
)

# What is remembered of one market. Prices in ticks, sizes in lots.
MEMORY_DTYPE = np.dtype(
    [
        ("ended", np.int64),  # 1: the next whole book begins a segment
        ("untold", np.int64),  # 1 until the segment's first row is written
        ("broken", np.int64),  # 1 while the book is one-sided or crossed
        ("sequence", np.int64),  # of the newest row
        ("depth", np.int64),  # levels that both sides of the last whole book had
        ("begin_ns", np.int64),  # the segment's first book was here
        ("begin_exch_ns", np.int64),
        ("heard_ns", np.int64),  # newest market data of any kind but contexts
        ("changed_ns", np.int64),  # newest change of the book without our own size
        ("book_ns", np.int64),  # up to when sizes, trends and flows are averaged
        ("moved_ns", np.int64),  # since when `moved_mid` holds
        ("row_ns", np.int64),
        ("trade_ns", np.int64),  # newest trade, 0 none in the segment
        ("trades_ns", np.int64),  # up to when what trades tell is decayed
        ("due_ns", np.int64),  # before then no row, where there is a clock
        ("told", np.int64),  # what the frame tells so far: bits
        ("told_exch_ns", np.int64),
        ("told_local_ns", np.int64),
        ("mid", np.float64),
        ("moved_mid", np.float64),
        ("row_mid", np.float64),  # of the newest row
        ("size", np.float64),  # decayed mean size of a level, above 0
        ("observed_s", np.float64),
        ("variance", np.float64, (3,)),  # of the mid, per second
        ("trend", np.float64, (3,)),  # decayed average of the mid
        ("volume", np.float64, (3,)),  # signed
        ("count", np.float64, (3,)),  # signed
        ("expected_sign", np.float64),
        ("surprise", np.float64),
    ]
)


class FeatureState(NamedTuple):
    """All that `update` reads and writes besides the core's state. M markets, L levels, F columns, R rows."""

    settings: np.ndarray  # SETTINGS_DTYPE[1]
    memory: np.ndarray  # MEMORY_DTYPE[M]
    previous: np.ndarray  # float64[M, 2 sides, L, 2: price, size]: the last whole book, without our own size
    flows: np.ndarray  # float64[M, 2 scales, L]: decayed order-flow imbalance
    current: np.ndarray  # float64[2, L, 2], scratch
    levels: np.ndarray  # LEVEL_DTYPE[2, L], scratch
    touched: np.ndarray  # int64[M], scratch: markets of the frame, in order
    heads: np.ndarray  # ROW_DTYPE[R]
    values: np.ndarray  # float32[R, F]


def new_state(schema: FeatureSchema, markets: int, rows_max: int) -> FeatureState:
    """The state before the first frame. Raises ValueError when `rows_max` rows do not hold one row of each market."""
    if markets < 1 or rows_max < markets:
        raise ValueError(f"feature state: {rows_max} rows do not hold a frame of {markets} markets, give one a market")
    levels, columns = schema.levels, schema.columns
    settings = np.zeros(1, SETTINGS_DTYPE)
    settings[0] = (levels, schema.imbalances, columns, schema.clock_ms * 1_000_000, schema.warm_ns, schema.half_lives_s)
    memory = np.zeros(markets, MEMORY_DTYPE)
    memory["ended"] = 1
    return FeatureState(
        settings=settings,
        memory=memory,
        previous=np.zeros((markets, 2, levels, 2)),
        flows=np.zeros((markets, 2, levels)),
        current=np.zeros((2, levels, 2)),
        levels=np.zeros((2, levels), LEVEL_DTYPE),
        touched=np.zeros(markets, np.int64),
        heads=np.zeros(rows_max, ROW_DTYPE),
        values=np.zeros((rows_max, columns), np.float32),
    )


@compiled
def _signed_log(value):
    return math.log1p(value) if value >= 0.0 else -math.log1p(-value)


@compiled
def _seconds(later_ns, earlier_ns):
    """Seconds between two times, never below 0."""
    return float(max(later_ns - earlier_ns, 0)) * 1e-9


@compiled
def _log_ms(age_ns):
    """log(1 + milliseconds) of an age, which counts as 0 below that and as AGE_NS_MAX above."""
    return math.log1p(float(min(max(age_ns, 0), AGE_NS_MAX)) * 1e-6)


# What a frame tells.


@compiled
def _age_trades(settings, memory, now_ns):
    """Brings what trades tell to `now_ns`."""
    elapsed_s = _seconds(now_ns, memory["trades_ns"])
    memory["trades_ns"] = now_ns
    for scale in range(3):
        decay = decay_over(elapsed_s, settings["half_life_s"][scale])
        memory["volume"][scale] *= decay
        memory["count"][scale] *= decay
        if scale == _FAST:
            memory["surprise"] *= decay


@compiled
def _on_trade(settings, memory, side, lots, now_ns):
    _age_trades(settings, memory, now_ns)
    for scale in range(3):
        memory["volume"][scale] += side * float(lots)
        memory["count"][scale] += side
    memory["surprise"] += side - memory["expected_sign"]
    memory["expected_sign"] += SIGN_SHARE * (side - memory["expected_sign"])
    memory["trade_ns"] = now_ns


@compiled
def _hear(settings, memory, event, kind):
    """One event of a market: notes what it tells; a trade is counted at once."""
    now_ns = event["ts_local_ns"]
    if memory["heard_ns"] != 0 and now_ns - memory["heard_ns"] > GAP_NS:
        memory["ended"] = 1
    memory["heard_ns"] = max(memory["heard_ns"], now_ns)
    if kind == _TRADE:
        if memory["ended"] != 0 or event["flags"] & _FLAG_BACKFILL != 0:
            return
        if event["ts_exch_ns"] < memory["begin_exch_ns"]:
            return
        _on_trade(settings, memory, float(event["side"]), event["size_lots"], now_ns)
        memory["told"] |= _TOLD_TRADE
    else:
        if kind == _CLEAR and event["side"] == 0 and event["price_ticks"] == 0:
            memory["ended"] = 1
        memory["told"] |= _TOLD_BOOK
    memory["told_exch_ns"] = max(memory["told_exch_ns"], event["ts_exch_ns"])
    memory["told_local_ns"] = max(memory["told_local_ns"], now_ns)


# The book after it.


@compiled
def _read_side(state, data, lane, market, row):
    """Writes a side of the book without our own size into `state.current`, zeros behind it; returns its levels."""
    levels, out = state.settings[0]["levels"], state.current[row]
    count = 0
    if data.books[market]["contains_own"] == 0:
        found = state.levels[row]
        count = read_levels(data, market, row, found)
        for level in range(count):
            out[level, 0] = float(found[level]["price_ticks"])
            out[level, 1] = float(found[level]["size_lots"])
    else:
        place, ticks, lots = next_free(data, lane, market, row, 0, 0)
        while count < levels and ticks != 0:
            out[count, 0] = float(ticks)
            out[count, 1] = float(lots)
            count += 1
            if count < levels:
                place, ticks, lots = next_free(data, lane, market, row, place, ticks)
    for level in range(count, levels):
        out[level, 0] = 0.0
        out[level, 1] = 0.0
    return count


@compiled
def _differs(current, previous, levels):
    for row in range(2):
        for level in range(levels):
            if current[row, level, 0] != previous[row, level, 0] or current[row, level, 1] != previous[row, level, 1]:
                return True
    return False


@compiled
def _mean_size(current, levels):
    """Mean size of the levels that there are; both sides have one."""
    total = count = 0.0
    for row in range(2):
        for level in range(levels):
            if current[row, level, 1] > 0.0:
                total += current[row, level, 1]
                count += 1.0
    return total / count


@compiled
def _begin(state, market, mid, now_ns, exch_ns):
    """A segment begins with the book in `state.current`: nothing of what was before is left but the sequence."""
    memory = state.memory[market]
    memory["ended"] = memory["broken"] = memory["depth"] = 0
    memory["untold"] = 1
    memory["begin_ns"] = memory["book_ns"] = memory["moved_ns"] = memory["row_ns"] = memory["trades_ns"] = now_ns
    memory["begin_exch_ns"] = exch_ns
    memory["trade_ns"] = memory["due_ns"] = 0
    memory["mid"] = memory["moved_mid"] = memory["row_mid"] = mid
    memory["size"] = _mean_size(state.current, state.settings[0]["levels"])
    memory["observed_s"] = memory["expected_sign"] = memory["surprise"] = 0.0
    for scale in range(3):
        memory["variance"][scale] = memory["volume"][scale] = memory["count"][scale] = 0.0
        memory["trend"][scale] = mid
    for level in range(state.settings[0]["levels"]):
        state.flows[market, _FAST, level] = state.flows[market, _MIDDLE, level] = 0.0


@compiled
def _update_variance(settings, memory, mid, now_ns):
    """As the core's: several frames of one time are one move, which the next time sees whole."""
    elapsed_s = _seconds(now_ns, memory["moved_ns"])
    if elapsed_s == 0.0:
        return
    move = mid - memory["moved_mid"]
    rate = move * move / elapsed_s
    memory["moved_ns"] = now_ns
    memory["moved_mid"] = mid
    memory["observed_s"] += elapsed_s
    for scale in range(3):
        half_life_s = settings["half_life_s"][scale]
        memory["variance"][scale] = averaged(memory["variance"][scale], rate, elapsed_s, half_life_s)


@compiled
def _update_flows(settings, flows, previous, current, known, depth, elapsed_s):
    """Decays the flows of all levels and adds the change of those that both books have."""
    fast = decay_over(elapsed_s, settings["half_life_s"][_FAST])
    middle = decay_over(elapsed_s, settings["half_life_s"][_MIDDLE])
    for level in range(settings["levels"]):
        flow = 0.0
        if level < known and level < depth:
            flow = level_flow(current[0, level, 0], current[0, level, 1], previous[0, level, 0], previous[0, level, 1])
            flow -= level_flow(
                -current[1, level, 0], current[1, level, 1], -previous[1, level, 0], previous[1, level, 1]
            )
        flows[_FAST, level] = flows[_FAST, level] * fast + flow
        flows[_MIDDLE, level] = flows[_MIDDLE, level] * middle + flow


@compiled
def _take(state, market, mid, depth, now_ns):
    """Takes the whole book in `state.current` into everything that is remembered."""
    settings, memory = state.settings[0], state.memory[market]
    elapsed_s = _seconds(now_ns, memory["book_ns"])
    memory["book_ns"] = now_ns
    for scale in range(3):
        # The mid that stood until now.
        half_life_s = settings["half_life_s"][scale]
        memory["trend"][scale] = averaged(memory["trend"][scale], memory["mid"], elapsed_s, half_life_s)
    size = _mean_size(state.current, settings["levels"])
    memory["size"] = averaged(memory["size"], size, elapsed_s, settings["half_life_s"][_SLOW])
    _update_variance(settings, memory, mid, now_ns)
    _update_flows(
        settings, state.flows[market], state.previous[market], state.current, memory["depth"], depth, elapsed_s
    )
    memory["mid"] = mid
    memory["depth"] = depth
    for row in range(2):
        for level in range(settings["levels"]):
            state.previous[market, row, level, 0] = state.current[row, level, 0]
            state.previous[market, row, level, 1] = state.current[row, level, 1]


# A row.


@compiled
def _write_book(settings, memory, book, values):
    """The patches; a level that is not there has the price of the one before it and no size. Returns the next
    column."""
    column = 0
    scale = 1e4 / memory["mid"]
    for row in range(2):
        offset = 0.0
        for level in range(settings["levels"]):
            if book[row, level, 1] > 0.0:
                offset = (book[row, level, 0] - memory["mid"]) * scale
            values[column] = offset
            values[column + 1] = math.log1p(book[row, level, 1] / memory["size"])
            column += 2
    return column


@compiled
def _write_flows(settings, memory, flows, values, column):
    levels = settings["levels"]
    for scale in range(2):
        for level in range(levels):
            values[column] = _signed_log(flows[scale, level] / memory["size"])
            column += 1
    for scale in range(2):
        total = 0.0
        for level in range(levels):
            total += flows[scale, level]
        values[column] = _signed_log(total / (levels * memory["size"]))
        column += 1
    return column


@compiled
def _write_touch(settings, memory, book, market_row, values, column):
    """Imbalances, micro-price, VAMP, spread and the move since the last row; returns the next column."""
    bid_total = ask_total = weighted = 0.0
    for level in range(settings["imbalances"]):
        if level < memory["depth"]:
            bid_total += book[0, level, 1]
            ask_total += book[1, level, 1]
            weighted += book[0, level, 0] * book[1, level, 1] + book[1, level, 0] * book[0, level, 1]
        values[column] = (bid_total - ask_total) / (bid_total + ask_total)
        column += 1
    mid, bid, ask = memory["mid"], book[0, 0, 0], book[1, 0, 0]
    scale = 1e4 / mid
    step = grid_step(
        max(int(bid), 1), market_row["grid_rule"], market_row["grid_step_ticks"], market_row["whole_unit_ticks"]
    )
    values[column] = (micro_price(bid, book[0, 0, 1], ask, book[1, 0, 1]) - mid) * scale
    values[column + 1] = (weighted / (bid_total + ask_total) - mid) * scale
    values[column + 2] = (ask - bid) * scale
    values[column + 3] = math.log1p((ask - bid) / float(step))
    values[column + 4] = (mid - memory["row_mid"]) * scale
    return column + 5


@compiled
def _write_averages(settings, memory, values, column):
    scale = 1e4 / memory["mid"]
    for index in range(3):
        values[column + index] = (memory["mid"] - memory["trend"][index]) * scale
        values[column + 3 + index] = _signed_log(memory["volume"][index] / memory["size"])
        values[column + 6 + index] = _signed_log(memory["count"][index])
        sigma = deviation(memory["variance"][index], memory["observed_s"], settings["half_life_s"][index]) * scale
        values[column + 10 + index] = math.log1p(sigma)
    values[column + 9] = _signed_log(memory["surprise"])
    return column + 13


@compiled
def _channel_age_ns(book, source, exch_ns, book_age_ns):
    """How old the newest frame of a channel that keeps a beat is at `exch_ns`, by block time; a ladder has its own age.

    Frames that our own orders cause come on neither channel, so they make no depth look younger.
    """
    if book["kind"] == 0:
        return book_age_ns
    if book["source_count"][source, 0] == 0 and book["source_count"][source, 1] == 0:
        return AGE_NS_MAX
    return exch_ns - book["source_time_ns"][source]


@compiled
def _write_times(memory, book, now_ns, exch_ns, values, column):
    book_age_ns = now_ns - memory["changed_ns"]
    values[column] = _log_ms(now_ns - memory["row_ns"])
    values[column + 1] = _log_ms(now_ns - memory["trade_ns"] if memory["trade_ns"] != 0 else AGE_NS_MAX)
    values[column + 2] = _log_ms(book_age_ns)
    values[column + 3] = _log_ms(_channel_age_ns(book, 1, exch_ns, book_age_ns))
    values[column + 4] = _log_ms(_channel_age_ns(book, 0, exch_ns, book_age_ns))
    values[column + 5] = float(book["funding_rate_e12"]) * 1e-8
    values[column + 6] = float(book["premium_e12"]) * 1e-8
    oracle = float(book["oracle_ticks"])
    values[column + 7] = (oracle - memory["mid"]) * 1e4 / memory["mid"] if oracle > 0.0 else 0.0


@compiled
def _tell(state, data, market, now_ns, exch_ns, row):
    """Writes the row of a market, unless its clock says that it is too early; returns how many rows there are."""
    settings, memory, book = state.settings[0], state.memory[market], state.previous[market]
    if settings["clock_ns"] > 0:
        if now_ns < memory["due_ns"]:
            return row
        memory["due_ns"] = (now_ns // settings["clock_ns"] + 1) * settings["clock_ns"]
    _age_trades(settings, memory, now_ns)
    head, values = state.heads[row], state.values[row]
    mid = memory["mid"]
    memory["sequence"] += 1
    head["ts_exch_ns"] = exch_ns
    head["ts_local_ns"] = now_ns
    head["sequence"] = memory["sequence"]
    head["market"] = market
    head["mid_ticks"] = mid
    head["micro_ticks"] = micro_price(book[0, 0, 0], book[0, 0, 1], book[1, 0, 0], book[1, 0, 1])
    head["half_spread_ticks"] = 0.5 * (book[1, 0, 0] - book[0, 0, 0])
    slow_s = settings["half_life_s"][_SLOW]
    head["sigma_bp"] = deviation(memory["variance"][_SLOW], memory["observed_s"], slow_s) * 1e4 / mid
    is_valid = memory["broken"] == 0 and now_ns - memory["begin_ns"] >= settings["warm_ns"]
    head["flags"] = (_VALID if is_valid else 0) | (_RESET if memory["untold"] != 0 else 0)
    column = _write_book(settings, memory, book, values)
    column = _write_flows(settings, memory, state.flows[market], values, column)
    column = _write_touch(settings, memory, book, data.markets[market], values, column)
    column = _write_averages(settings, memory, values, column)
    _write_times(memory, data.books[market], now_ns, exch_ns, values, column)
    memory["untold"] = 0
    memory["row_ns"] = now_ns
    memory["row_mid"] = mid
    return row + 1


@compiled
def _finish(state, data, lane, market, row):
    """The market after a frame that told something of it; returns how many rows there are."""
    memory = state.memory[market]
    told, exch_ns, now_ns = memory["told"], memory["told_exch_ns"], memory["told_local_ns"]
    memory["told"] = memory["told_exch_ns"] = memory["told_local_ns"] = 0
    bids = _read_side(state, data, lane, market, 0)
    asks = _read_side(state, data, lane, market, 1)
    bid, ask = state.current[0, 0, 0], state.current[1, 0, 0]
    broken = bids == 0 or asks == 0 or bid >= ask
    mid = 0.5 * (bid + ask)
    if broken:
        changed = memory["broken"] == 0
        memory["broken"] = 1
        if memory["ended"] != 0:
            return row
    else:
        changed = memory["broken"] != 0
        if memory["ended"] != 0:
            changed = True
            _begin(state, market, mid, now_ns, exch_ns)
        memory["broken"] = 0
        changed = changed or _differs(state.current, state.previous[market], state.settings[0]["levels"])
    if changed:
        memory["changed_ns"] = now_ns
    elif told & _TOLD_TRADE == 0:
        return row
    if not broken:
        _take(state, market, mid, min(bids, asks), now_ns)
    return _tell(state, data, market, now_ns, exch_ns, row)


@compiled
def update_from(state, data, lane, events, first, end, row):
    """As `update`, over events `first` to `end` of a longer array, with rows written from `row` on; returns how many
    rows there are then. There must be room for one of each market."""
    settings = state.settings[0]
    touched = 0
    for index in range(first, end):
        event = events[index]
        kind, market = int(event["kind"]), int(event["market"])
        if market >= len(state.memory):
            continue
        memory = state.memory[market]
        if kind == _MARKET_STATE:
            memory["ended"] = 1
        if kind < 1 or kind >= _CONTEXT:
            continue
        before = memory["told"]
        _hear(settings, memory, event, kind)
        if before == 0 and memory["told"] != 0:
            state.touched[touched] = market
            touched += 1
    for index in range(touched):
        row = _finish(state, data, lane, state.touched[index], row)
    return row


@compiled
def update(state, data, lane, events, count):
    """The rows of one frame, written into `state.heads` and `state.values` from the first on; returns how many.

    `state` a FeatureState, `data` and `lane` the core's state after it stepped over the first `count` of EVENT_DTYPE
    `events`, one frame. At most one row a market, in the order in which the frame first names them.
    """
    return update_from(state, data, lane, events, 0, count, 0)


# Places in the handle: four sizes, then the addresses of FeatureState's arrays.
_MARKETS, _LEVELS, _COLUMNS, _ROWS, _ARRAYS = 0, 1, 2, 3, 4
_FLOAT64, _FLOAT32, _INT64 = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.int64)


@compiled_views
def _state_at(handle):  # pragma: no cover - only compiled code follows addresses
    markets, levels, columns, rows = handle[_MARKETS], handle[_LEVELS], handle[_COLUMNS], handle[_ROWS]
    return FeatureState(
        array_at(handle[_ARRAYS], (1,), SETTINGS_DTYPE),
        array_at(handle[_ARRAYS + 1], (markets,), MEMORY_DTYPE),
        array_at(handle[_ARRAYS + 2], (markets, 2, levels, 2), _FLOAT64),
        array_at(handle[_ARRAYS + 3], (markets, 2, levels), _FLOAT64),
        array_at(handle[_ARRAYS + 4], (2, levels, 2), _FLOAT64),
        array_at(handle[_ARRAYS + 5], (2, levels), LEVEL_DTYPE),
        array_at(handle[_ARRAYS + 6], (markets,), _INT64),
        array_at(handle[_ARRAYS + 7], (rows,), ROW_DTYPE),
        array_at(handle[_ARRAYS + 8], (rows, columns), _FLOAT32),
    )


@compiled
def _update_at(handle, brain, events, count):  # pragma: no cover - only compiled code follows addresses
    return update(_state_at(handle), data_at(brain), lane_at(brain), events, count)


class Features:
    """The features of one brain's markets: a call a frame that costs few arguments, as the brain's own does."""

    def __init__(self, schema: FeatureSchema, brain: Brain) -> None:
        """Allocates all that it will ever need; `brain` is kept and read."""
        self.schema = schema
        markets = len(brain.data.books)
        self.state = new_state(schema, markets, markets)
        self._brain = brain
        sizes = (markets, schema.levels, schema.columns, markets)
        self._handle = np.array([*sizes, *(array.ctypes.data for array in self.state)], np.int64)

    def follow(self, brain: Brain) -> None:
        """Goes on with another object that stands where the brain did, over the same markets."""
        assert len(brain.data.books) == len(self.state.memory), "the markets are the same"
        self._brain = brain

    def end_segments(self) -> None:
        """Something was missed: the next whole book of each market begins a segment."""
        self.state.memory["ended"] = 1

    @property
    def heads(self) -> np.ndarray:
        """ROW_DTYPE[M]; the first rows are those of the newest frame."""
        return self.state.heads

    @property
    def values(self) -> np.ndarray:
        """float32[M, F], the same rows."""
        return self.state.values

    def update(self, events: np.ndarray, count: int) -> int:
        """`update` of the frame that the brain stepped over last; returns how many rows it made."""
        if JIT_DISABLED:
            return int(update(self.state, self._brain.data, self._brain.lane, events, count))
        return int(_update_at(self._handle, self._brain.handle, events, count))  # pragma: no cover - as above
