"""Many replays side by side, paused at the same pace: the compiled half of the environment.

A slot is one replay of one lane over one path: the core and the venue kernel of `hlhft.backtest`, nothing in their
place. At each pause a slot is told its action as a POLICY event, runs on by one decision interval, and says what it
sees and what it earned. One compiled call does so for all slots; they share nothing but their rows.

What a step earned, in basis points of one order's value: the change in equity, fees and funding in it; less
eta q^2 sigma^2 dt, q in orders and sigma^2 dt the path's true variance where it is known, else as measured; less
`drawdown_weight` times what it added to the deepest drawdown of the episode. An episode ends with its path. What is
held then was valued at the mid all along, and `close_bp` of its value is taken off: nothing is flattened for nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.alpha.action import write_policy
from hlhft.alpha.observation import earned_micro, lots_per, observe
from hlhft.backtest.accounts import Accounts
from hlhft.backtest.bus import BUS_DTYPE, REQUEST_DTYPE, RING, Bus
from hlhft.backtest.latency import LATENCY_DTYPE, LINE_DTYPE
from hlhft.backtest.loop import LOOP_DTYPE, RECORD_DTYPE, advance, lane_of
from hlhft.backtest.replay import Replay
from hlhft.backtest.rows import ROW_DTYPE
from hlhft.compiled import array_at, compiled, compiled_views
from hlhft.core.state import (
    BOOK_DTYPE,
    COMMAND_DTYPE,
    FEATURES_DTYPE,
    LANE_DTYPE,
    LEVEL_DTYPE,
    LEVELS,
    LIMITS_DTYPE,
    MEMORY_BYTES,
    ORDER_DTYPE,
    ORDERS_PER_MARKET,
    PARAMS_BYTES,
    POSITION_DTYPE,
    QUOTE_DTYPE,
    QUOTES_MAX,
    VIEW_DTYPE,
    WAITING_MAX,
    Lane,
    MarketData,
)
from hlhft.events import EVENT_DTYPE
from hlhft.ladder import LADDER_DTYPE
from hlhft.units import MARKET_DTYPE
from hlhft.venue.holding import HOLDING_DTYPE
from hlhft.venue.liquidation import INTENT_DTYPE, LIQUIDATION_DTYPE
from hlhft.venue.margin import MARGIN_DTYPE, TIER_DTYPE, TIERS_MAX
from hlhft.venue.recorded import (
    CONTEXT_DTYPE,
    EDGE_DTYPE,
    ORDER_INDEX,
    REPLY_DTYPE,
    VENUE_DTYPE,
    VENUE_LANE_DTYPE,
    VENUE_ORDER_DTYPE,
    RecordedVenue,
)
from hlhft.venue.rules import RULES_DTYPE

COMMANDS_MAX = 512
REST, BEGIN, STEP, FINISH = 0, 1, 2, 3  # duties of a slot
FILLS_MAX = 2 * RING  # of an episode, the newest; what is older gives way when the next would not fit
RECORDS_MAX = 16
_FEATURE_MEMORY = 128
_DONE, _FILLS_FULL, _RECORDS_FULL, _PAUSED = 0, 2, 3, 6  # hlhft.backtest.loop.Status
_UINT8, _INT16, _INT32 = np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.int32)
_INT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)

# What is the same for all slots.
TASK_DTYPE = np.dtype(
    [
        ("interval_ns", np.int64),  # between decisions
        ("delay_ns", np.int64),  # from a decision to its arrival in the core
        ("valid_ns", np.int64),  # how long an action stands from its arrival on
        ("order_usdc", np.float64),
        ("position_usdc", np.float64),
        ("eta", np.float64),  # per bp
        ("drawdown_weight", np.float64),
        ("close_bp", np.float64),
    ]
)

# One slot's episode.
EPISODE_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),  # the pause that the slot stands at
        ("begin_ns", np.int64),
        ("end_ns", np.int64),  # no decision later than one interval before this
        ("signals", np.int64),  # events in the slot's buffer
        ("heard", np.int64),  # of the path's own signals, those among them
        ("steps", np.int64),
        ("status", np.int64),  # of the replay, hlhft.backtest.loop.Status
        ("earned_micro", np.int64),
        ("peak_micro", np.int64),
        ("drawdown_micro", np.int64),  # the deepest so far
        ("inventory", np.float64),  # in orders, signed
        ("rows", np.int64),  # walked by the venue's side
    ]
)

# What one step came to, in bp of an order but for the last two.
OUTCOME_DTYPE = np.dtype(
    [
        ("reward", np.float64),
        ("profit", np.float64),
        ("risk", np.float64),  # eta q^2 sigma^2 dt
        ("drawdown", np.float64),  # what the step added to the deepest drawdown, unweighted
        ("closing", np.float64),
        ("inventory", np.float64),  # in orders, at the end
        ("done", np.int64),
    ]
)


class Slot(NamedTuple):
    """The arrays of one slot. C signal events at most, S signals of its path, V seconds of known variance."""

    loop: np.ndarray  # LOOP_DTYPE[1]
    limits: np.ndarray  # LIMITS_DTYPE[1]
    data: MarketData
    lanes: Lane  # of one lane
    venue: RecordedVenue
    accounts: Accounts
    bus: Bus
    rows: np.ndarray  # ROW_DTYPE[1, n]
    cursors: np.ndarray  # int64[1, 2]
    ends: np.ndarray  # int64[1]
    finished: np.ndarray  # int64[1]
    fills: np.ndarray  # REPLY_DTYPE[FILLS_MAX]
    records: np.ndarray  # RECORD_DTYPE[RECORDS_MAX]
    woken: np.ndarray  # int64[1]
    signals: np.ndarray  # EVENT_DTYPE[C]
    path_signals: np.ndarray  # EVENT_DTYPE[S]
    variance: np.ndarray  # float64[V + 1]: bp^2 since the path's begin at each second; [0] alone: unknown


def slot_of(replay: Replay, signals: np.ndarray, variance: np.ndarray, decisions_max: int) -> Slot:
    """A prepared replay of one lane in one market as a slot; `signals` EVENT_DTYPE[S] of its path in order of arrival.

    Its rows must be to be had whole, as those of a RowArray are. `variance` float64[V + 1], empty where unknown.
    """
    windows = replay.windows
    assert windows.whole is not None and len(replay.plan.params) == 1 == len(replay.plan.markets)
    return Slot(
        loop=replay.loop,
        limits=replay.plan.limits,
        data=replay.data,
        lanes=replay.lanes,
        venue=replay.venue,
        accounts=replay.accounts,
        bus=replay.bus,
        rows=windows.rows,
        cursors=windows.cursors,
        ends=np.array([len(windows.whole)], np.int64),
        finished=np.ones(1, np.int64),
        fills=np.zeros(FILLS_MAX, REPLY_DTYPE),
        records=np.zeros(RECORDS_MAX, RECORD_DTYPE),
        woken=np.zeros(1, np.int64),
        signals=np.zeros(len(signals) + decisions_max, EVENT_DTYPE),
        path_signals=signals,
        variance=variance if len(variance) else np.zeros(1),
    )


def handle_of(slot: Slot) -> np.ndarray:
    """int64[HANDLE]: the sizes and addresses by which compiled code finds a slot; its caller keeps the slot alive."""
    sizes = (
        len(slot.data.ladders), slot.data.cells.shape[2], len(slot.venue.orders), slot.venue.cells.shape[2],
        len(slot.accounts.table), slot.bus.table.shape[1], slot.rows.shape[1], len(slot.signals),
        len(slot.path_signals), len(slot.variance),
    )  # fmt: skip
    arrays = [slot.loop, slot.limits]
    for part in (slot.data, slot.lanes, slot.venue, slot.accounts, slot.bus):
        arrays += part
    arrays += slot[7:]
    assert all(array.flags["C_CONTIGUOUS"] for array in arrays)
    return np.array([*sizes, *(array.ctypes.data for array in arrays)], np.int64)


_LADDERS, _WIDTH, _SLOTS, _BAND, _TABLE, _QUANTILES, _ROWS, _SIGNALS, _PATH_SIGNALS, _SECONDS = range(10)
_LOOP = 10
_DATA = _LOOP + 2
_LANE = _DATA + len(MarketData._fields)
_VENUE = _LANE + len(Lane._fields)
_ACCOUNTS = _VENUE + len(RecordedVenue._fields)
_BUS = _ACCOUNTS + len(Accounts._fields)
_REST = _BUS + len(Bus._fields)
HANDLE = _REST + 10


@compiled_views
def _data_at(handle):  # pragma: no cover - only compiled code follows addresses
    ladders = handle[_LADDERS]
    return MarketData(
        array_at(handle[_DATA], (1,), MARKET_DTYPE),
        array_at(handle[_DATA + 1], (1,), BOOK_DTYPE),
        array_at(handle[_DATA + 2], (1, 2, 2, LEVELS), LEVEL_DTYPE),
        array_at(handle[_DATA + 3], (1, 3, 2, LEVELS), LEVEL_DTYPE),
        array_at(handle[_DATA + 4], (1,), FEATURES_DTYPE),
        array_at(handle[_DATA + 5], (1, _FEATURE_MEMORY), _FLOAT64),
        array_at(handle[_DATA + 6], (ladders,), LADDER_DTYPE),
        array_at(handle[_DATA + 7], (ladders, 2, handle[_WIDTH]), _INT64),
    )


@compiled_views
def _lanes_at(handle):  # pragma: no cover - only compiled code follows addresses
    return Lane(
        array_at(handle[_LANE], (1, 1), LANE_DTYPE),
        array_at(handle[_LANE + 1], (1, 1), POSITION_DTYPE),
        array_at(handle[_LANE + 2], (1, 1, ORDERS_PER_MARKET), ORDER_DTYPE),
        array_at(handle[_LANE + 3], (1, 1, ORDERS_PER_MARKET), _INT16),
        array_at(handle[_LANE + 4], (1, PARAMS_BYTES), _UINT8),
        array_at(handle[_LANE + 5], (1, MEMORY_BYTES), _UINT8),
        array_at(handle[_LANE + 6], (1, 1), VIEW_DTYPE),
        array_at(handle[_LANE + 7], (1, QUOTES_MAX), QUOTE_DTYPE),
        array_at(handle[_LANE + 8], (1, WAITING_MAX), COMMAND_DTYPE),
    )


@compiled_views
def _venue_at(handle):  # pragma: no cover - only compiled code follows addresses
    slots, band = handle[_SLOTS], handle[_BAND]
    return RecordedVenue(
        array_at(handle[_VENUE], (1,), RULES_DTYPE),
        array_at(handle[_VENUE + 1], (1,), VENUE_DTYPE),
        array_at(handle[_VENUE + 2], (1,), MARKET_DTYPE),
        array_at(handle[_VENUE + 3], (1,), EDGE_DTYPE),
        array_at(handle[_VENUE + 4], (1,), LADDER_DTYPE),
        array_at(handle[_VENUE + 5], (1, 2, band), _INT64),
        array_at(handle[_VENUE + 6], (1, 2, band), _INT32),
        array_at(handle[_VENUE + 7], (slots,), VENUE_ORDER_DTYPE),
        array_at(handle[_VENUE + 8], (1, 1, ORDER_INDEX), _INT32),
        array_at(handle[_VENUE + 9], (1, 1), HOLDING_DTYPE),
        array_at(handle[_VENUE + 10], (1,), VENUE_LANE_DTYPE),
        array_at(handle[_VENUE + 11], (slots + ORDER_INDEX,), REPLY_DTYPE),
        array_at(handle[_VENUE + 12], (1,), CONTEXT_DTYPE),
    )


@compiled_views
def _accounts_at(handle):  # pragma: no cover - only compiled code follows addresses
    return Accounts(
        array_at(handle[_ACCOUNTS], (1,), _INT64),
        array_at(handle[_ACCOUNTS + 1], (1,), MARGIN_DTYPE),
        array_at(handle[_ACCOUNTS + 2], (1, TIERS_MAX), TIER_DTYPE),
        array_at(handle[_ACCOUNTS + 3], (1,), LIQUIDATION_DTYPE),
        array_at(handle[_ACCOUNTS + 4], (handle[_TABLE], 2), _INT64),
        array_at(handle[_ACCOUNTS + 5], (1,), HOLDING_DTYPE),
        array_at(handle[_ACCOUNTS + 6], (2,), INTENT_DTYPE),
        array_at(handle[_ACCOUNTS + 7], (1,), _INT64),
    )


@compiled_views
def _bus_at(handle):  # pragma: no cover - only compiled code follows addresses
    return Bus(
        array_at(handle[_BUS], (1,), BUS_DTYPE),
        array_at(handle[_BUS + 1], (1,), LATENCY_DTYPE),
        array_at(handle[_BUS + 2], (5, handle[_QUANTILES]), _INT64),
        array_at(handle[_BUS + 3], (1,), LINE_DTYPE),
        array_at(handle[_BUS + 4], (1, RING), REQUEST_DTYPE),
        array_at(handle[_BUS + 5], (1, RING), REPLY_DTYPE),
    )


@compiled_views
def _slot_at(handle):  # pragma: no cover - only compiled code follows addresses
    return Slot(
        array_at(handle[_LOOP], (1,), LOOP_DTYPE),
        array_at(handle[_LOOP + 1], (1,), LIMITS_DTYPE),
        _data_at(handle),
        _lanes_at(handle),
        _venue_at(handle),
        _accounts_at(handle),
        _bus_at(handle),
        array_at(handle[_REST], (1, handle[_ROWS]), ROW_DTYPE),
        array_at(handle[_REST + 1], (1, 2), _INT64),
        array_at(handle[_REST + 2], (1,), _INT64),
        array_at(handle[_REST + 3], (1,), _INT64),
        array_at(handle[_REST + 4], (FILLS_MAX,), REPLY_DTYPE),
        array_at(handle[_REST + 5], (RECORDS_MAX,), RECORD_DTYPE),
        array_at(handle[_REST + 6], (1,), _INT64),
        array_at(handle[_REST + 7], (handle[_SIGNALS],), EVENT_DTYPE),
        array_at(handle[_REST + 8], (handle[_PATH_SIGNALS],), EVENT_DTYPE),
        array_at(handle[_REST + 9], (handle[_SECONDS],), _FLOAT64),
    )


@compiled
def run_slot(slot, episode, until_ns, scratch, out):
    """Runs a slot until our side has nothing left up to `until_ns` (0: to the end of its path)."""
    loop = slot.loop[0]
    loop["until_ns"] = until_ns
    while True:
        status = advance(
            slot.loop, slot.data, slot.lanes, slot.limits, slot.venue, slot.accounts, slot.bus, slot.rows,
            slot.cursors, slot.ends, slot.finished, scratch, out, slot.fills, slot.records, slot.woken,
            slot.signals[: episode["signals"]],
        )  # fmt: skip
        if status == _FILLS_FULL:
            loop["fill_count"] = 0
        elif status == _RECORDS_FULL:
            loop["record_count"] = 0
        else:
            episode["status"] = status
            episode["rows"] = loop["venue_rows"]
            return


@compiled
def _tell(slot, episode, task, action):
    """Puts the action among the slot's signals, and after it what its path says before the next one arrives."""
    arrival_ns = episode["now_ns"] + 1 + task["delay_ns"]
    if episode["signals"] < len(slot.signals):
        event = slot.signals[episode["signals"]]
        write_policy(event, action, 0, episode["now_ns"], arrival_ns, arrival_ns + task["valid_ns"])
        episode["signals"] += 1
    _pass_on(slot, episode, arrival_ns + task["interval_ns"])


@compiled
def _pass_on(slot, episode, before_ns):
    """Copies the path's own signals that arrive before a time."""
    while episode["heard"] < len(slot.path_signals) and episode["signals"] < len(slot.signals):
        if slot.path_signals[episode["heard"]]["ts_local_ns"] >= before_ns:
            return
        slot.signals[episode["signals"]] = slot.path_signals[episode["heard"]]
        episode["signals"] += 1
        episode["heard"] += 1


@compiled
def variance_until(slot, episode, ts_ns):
    """The path's variance from its begin to a time, bp^2: linear between whole seconds, 0 where it is unknown."""
    last = len(slot.variance) - 1
    if last < 1:
        return 0.0
    elapsed_s = min(max(float(ts_ns - episode["begin_ns"]) * 1e-9, 0.0), float(last))
    second = min(int(elapsed_s), last - 1)
    share = elapsed_s - float(second)
    return slot.variance[second] * (1.0 - share) + slot.variance[second + 1] * share


@compiled
def _variance(slot, episode, from_ns, to_ns):
    """bp^2 between two pauses, where it is unknown by the core's volatility of 10 s at the later one."""
    if len(slot.variance) > 1:
        return variance_until(slot, episode, to_ns) - variance_until(slot, episode, from_ns)
    features = slot.data.features[0]
    if features["ready"] & 16 == 0 or not features["mid_price"] > 0.0:
        return 0.0
    sigma = features["volatility"][1] / features["mid_price"] * 1e4
    return sigma * sigma * float(to_ns - from_ns) * 1e-9


@compiled
def _settle(slot, episode, task, from_ns, outcome):
    """Writes what a step from one pause to the present one came to."""
    inventory = _inventory(slot, task)
    earned = earned_micro(slot.data, lane_of(slot.lanes, 0))
    unit = 100.0 * task["order_usdc"]  # micro-USDC in a basis point of an order
    before = episode["inventory"]
    # Between pauses the square of what was held is taken as the mean of its ends: right on average.
    held = 0.5 * (before * before + inventory * inventory)
    outcome["profit"] = float(earned - episode["earned_micro"]) / unit
    outcome["risk"] = task["eta"] * held * _variance(slot, episode, from_ns, episode["now_ns"])
    episode["peak_micro"] = max(episode["peak_micro"], earned)
    fallen = max(episode["peak_micro"] - earned, episode["drawdown_micro"])
    outcome["drawdown"] = float(fallen - episode["drawdown_micro"]) / unit
    episode["drawdown_micro"] = fallen
    episode["earned_micro"] = earned
    episode["inventory"] = inventory
    outcome["inventory"] = inventory
    outcome["done"] = 1 if episode["status"] != _PAUSED else 0
    if episode["now_ns"] + task["interval_ns"] > episode["end_ns"]:
        outcome["done"] = 1
    outcome["closing"] = abs(inventory) * task["close_bp"] if outcome["done"] != 0 else 0.0
    outcome["reward"] = (
        outcome["profit"] - outcome["risk"] - task["drawdown_weight"] * outcome["drawdown"] - outcome["closing"]
    )


@compiled
def _begin(slot, episode, memory, task, observation, scratch, out):
    """Runs a fresh slot to its first pause, `episode["now_ns"]`, without a policy, and writes what it sees there."""
    _pass_on(slot, episode, episode["now_ns"] + 1 + task["delay_ns"])
    run_slot(slot, episode, episode["now_ns"], scratch, out)
    # What was earned before the first decision is nobody's.
    episode["earned_micro"] = episode["peak_micro"] = earned_micro(slot.data, lane_of(slot.lanes, 0))
    episode["inventory"] = _inventory(slot, task)
    _look(slot, episode, memory, task, observation)


@compiled
def _inventory(slot, task):
    """What is held, in orders, signed."""
    order_lots = lots_per(slot.data.markets[0], slot.data.features[0]["mid_price"], task["order_usdc"])
    return float(slot.lanes.positions[0, 0]["position_lots"]) / order_lots


@compiled
def _look(slot, episode, memory, task, observation):
    observe(
        slot.data, lane_of(slot.lanes, 0), 0, memory, task["order_usdc"], task["position_usdc"], episode["now_ns"],
        observation,
    )  # fmt: skip


@compiled
def _step(slot, episode, memory, task, action, observation, outcome, scratch, out):
    """Tells a slot its action and runs it on by one interval; writes what it sees then and what the step came to."""
    from_ns = episode["now_ns"]
    _tell(slot, episode, task, action)
    episode["now_ns"] = from_ns + task["interval_ns"]
    episode["steps"] += 1
    run_slot(slot, episode, episode["now_ns"], scratch, out)
    _settle(slot, episode, task, from_ns, outcome)
    _look(slot, episode, memory, task, observation)


@compiled
def play_slot(duty, slot, episode, memory, task, action, observation, outcome, scratch, out):
    """Does its duty with a slot: REST, BEGIN, STEP, or FINISH, which goes on to the last row of its path."""
    if duty == STEP:
        _step(slot, episode, memory, task, action, observation, outcome, scratch, out)
    elif duty == BEGIN:
        _begin(slot, episode, memory, task, observation, scratch, out)
    elif duty == FINISH:
        run_slot(slot, episode, 0, scratch, out)


@compiled
def play_slots(
    duties, handles, first, last, episodes, memories, tasks, actions, observations, outcomes, scratch, out
):  # pragma: no cover - only compiled code follows addresses
    """`play_slot` for slots first..last - 1: `duties` int64[N], `handles` int64[N, HANDLE], `episodes`
    EPISODE_DTYPE[N], `memories` MEMORY_DTYPE[N], `tasks` TASK_DTYPE[1], `actions` float32[N, 4], `observations`
    float32[N, O], `outcomes` OUTCOME_DTYPE[N], `scratch` LEVEL_DTYPE[2, LEVELS], `out` COMMAND_DTYPE[n].

    One function for all duties: whatever calls the replay's loop is compiled with it.
    """
    for number in range(first, last):
        if duties[number] != REST:
            play_slot(
                duties[number], _slot_at(handles[number]), episodes[number], memories[number], tasks[0],
                actions[number], observations[number], outcomes[number], scratch, out,
            )  # fmt: skip
