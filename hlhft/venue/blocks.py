"""When the venue executes actions: the block clock, and the order of actions inside a block.

Source: venue reference section 8. A block has three classes: actions without a GTC or IOC order, then cancels, then
everything with a GTC or IOC; inside a class the order of arrival stands. So cancels and post-only orders are ahead of
takers, and an action that mixes post-only with GTC or IOC loses its place.

Block times are drawn from a quantile table with a small integer generator, or taken from a recording. The draw is
integer arithmetic only, so that it is the same with and without compilation.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import MODULUS_1, MODULUS_2, drawn, next_state
from hlhft.venue.priority import mark_mixed

BLOCK_NONE = 2**62  # no further block: the given times are used up
QUANTILE_STEPS = 1024

# ActionKind; the compiled subset wants plain constants.
_PLACE, _CANCEL, _MODIFY, _BACKGROUND_LEVEL = 0, 1, 2, 17
_LAYER = 2**20  # interpolation steps between two quantiles; steps x layer stays below the generator's range
_MICROSECOND_NS = 1000
_REACH_DEVIATIONS = 12  # a gamma distribution has less than one step of the table beyond


class ActionKind(IntEnum):
    """What a leg of an action does. Values are written to disk: append, never renumber."""

    PLACE = 0
    CANCEL = 1
    MODIFY = 2
    # Orders that wait, and what ends them (venue reference sections 4.1 to 4.3).
    PLACE_TRIGGER = 3
    SCHEDULE_CANCEL = 4
    PLACE_TWAP = 5
    CANCEL_TWAP = 6
    NOOP = 7
    # The account (venue reference section 4.3).
    UPDATE_LEVERAGE = 8
    UPDATE_ISOLATED_MARGIN = 9
    TRANSFER_COLLATERAL = 10
    TRANSFER_CLASS = 11
    TRANSFER_TOKEN = 12
    # What comes from outside the exchange.
    DEPOSIT = 13
    WITHDRAW = 14
    ORACLE_PRICE = 15
    EXTERNAL_MARK = 16
    BACKGROUND_LEVEL = 17
    BACKGROUND_TRADE = 18


class Grouping(IntEnum):
    """How the orders of one action belong together (venue reference section 4.1)."""

    NONE = 0
    NORMAL_TPSL = 1
    POSITION_TPSL = 2


class TriggerKind(IntEnum):
    """What a trigger order is for."""

    NONE = 0
    TAKE_PROFIT = 1
    STOP_LOSS = 2


class TimeInForce(IntEnum):
    """How long an order lives; the first three as in the commands of the core."""

    ALO = 0  # rests or is rejected, never takes
    GTC = 1  # takes up to its limit, the rest rests
    IOC = 2  # takes up to its limit, the rest is dropped
    MARKET = 3  # as IOC, but told that there is no liquidity where the other side is empty


# One leg of an action. The legs of one action are adjacent and share `action`.
ACTION_DTYPE = np.dtype(
    [
        ("action", np.int64),  # number of the action, ascending by arrival
        ("arrival_ns", np.int64),
        ("expires_ns", np.int64),  # the action is void in a block later than this; 0 never
        ("account", np.int64),
        ("market", np.int64),
        ("kind", np.int64),  # ActionKind
        ("target_id", np.int64),  # CANCEL, MODIFY: the order meant
        ("target_is_client_id", np.int64),  # 1: target_id is the account's own id, 0: the venue's
        ("client_id", np.int64),  # PLACE, MODIFY: the account's id of the new order, 0 none
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("time_in_force", np.int64),  # TimeInForce
        ("reduce_only", np.int64),
        ("always_place", np.int64),  # MODIFY: place the new order even when the old one is gone
        ("fast", np.int64),  # CANCEL: ahead in the mempool, refused for trigger orders
        ("priority_rate_e8", np.int64),  # PLACE: share of the notional paid for priority, 0 none
        ("builder", np.int64),  # PLACE: account that gets the builder fee, plus 1; 0 none
        ("builder_rate_e9", np.int64),
        ("grouping", np.int64),  # Grouping, the same on all legs of an action
        ("trigger_kind", np.int64),  # PLACE_TRIGGER, and a MODIFY to one: TriggerKind
        ("trigger_ticks", np.int64),
        ("trigger_is_market", np.int64),  # 1: as a market order, `price_ticks` is its worst price
        ("duration_ns", np.int64),  # PLACE_TWAP
        ("randomize", np.int64),  # PLACE_TWAP
        # What else a leg says; which of these, hlhft.venue.chain's table of legs tells.
        ("amount", np.int64),
        ("counterparty", np.int64),  # account
        ("token", np.int64),
        ("block_class", np.int64),  # written by sort_actions
    ]
)

CLOCK_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),  # of the latest block
        ("height", np.int64),  # blocks so far
        ("given", np.int64),  # 1: block times are given, 0: drawn
        ("seed_1", np.int64),
        ("seed_2", np.int64),
    ]
)


def new_clock(*, start_ns: int, seed: int, given: bool = False) -> np.ndarray:
    """A block clock at `start_ns`, shape (1,), dtype CLOCK_DTYPE. Raises ValueError on a negative seed."""
    if seed < 0:
        raise ValueError(f"the seed of the block clock must be at least 0, not {seed}")
    clock = np.zeros(1, dtype=CLOCK_DTYPE)
    clock[0] = (start_ns, 0, int(given), seed % (MODULUS_1 - 1) + 1, seed // (MODULUS_1 - 1) % (MODULUS_2 - 1) + 1)
    # Neighbouring seeds begin alike; a few draws separate them.
    for _ in range(16):
        next_random(clock[0])
    return clock


def spacing_quantiles(*, mean_ns: int, deviation_ns: int, ns_min: int, ns_max: int) -> np.ndarray:
    """Quantiles of a gamma distribution cut to [ns_min, ns_max], int64[QUANTILE_STEPS + 1], whole microseconds.

    Whole microseconds keep the table the same where the mathematics library differs in the last digit. Raises
    ValueError unless 0 < ns_min <= mean_ns <= ns_max and deviation_ns > 0.
    """
    if not 0 < ns_min <= mean_ns <= ns_max or deviation_ns <= 0:
        raise ValueError(
            f"block spacing: expected 0 < minimum <= mean <= maximum and a deviation above 0, not {ns_min}, {mean_ns},"
            f" {ns_max} and {deviation_ns}"
        )
    shape = (mean_ns / deviation_ns) ** 2
    # The grid follows a narrow distribution, and the density is taken relative to that of the mean: a step wider than
    # the peak, or a difference of huge numbers, would lose it.
    reach = _REACH_DEVIATIONS * deviation_ns
    grid = np.linspace(max(ns_min, mean_ns - reach), min(ns_max, mean_ns + reach), 16 * QUANTILE_STEPS + 1)
    distance = (grid - mean_ns) / mean_ns
    exponent = (shape - 1.0) * np.log1p(distance) - shape * distance
    density = np.exp(exponent - exponent.max())
    cumulative = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) * 0.5)))
    wanted = np.linspace(0.0, cumulative[-1], QUANTILE_STEPS + 1)
    microseconds = np.rint(np.interp(wanted, cumulative, grid) / _MICROSECOND_NS).astype(np.int64)
    return np.clip(microseconds * _MICROSECOND_NS, ns_min, ns_max)


@compiled
def next_random(clock):
    """The next whole number of the clock's generator, uniform in 0 .. 2147483561."""
    first, second = next_state(clock["seed_1"], clock["seed_2"])
    clock["seed_1"] = first
    clock["seed_2"] = second
    return drawn(first, second)


@compiled
def next_block_time(clock, table):
    """Moves the clock to the next block and returns its time in ns, or BLOCK_NONE when given times are used up.

    `table` is int64: ascending block times when the clock is given them, else the quantiles of the spacing.
    """
    if clock["given"] != 0:
        if clock["height"] >= len(table):
            return BLOCK_NONE
        clock["time_ns"] = table[clock["height"]]
    else:
        draw = next_random(clock) % ((len(table) - 1) * _LAYER)
        low = table[draw // _LAYER]
        high = table[draw // _LAYER + 1]
        clock["time_ns"] += low + (high - low) * (draw % _LAYER) // _LAYER
    clock["height"] += 1
    return clock["time_ns"]


@compiled
def block_including(clock, table, arrival_ns):
    """Moves the clock to the first block at or after `arrival_ns` and returns its time; the latest block counts."""
    time_ns = clock["time_ns"] if clock["height"] > 0 else -BLOCK_NONE
    while time_ns < arrival_ns:
        time_ns = next_block_time(clock, table)
    return time_ns


@compiled
def _takes(leg):
    """Whether the leg places a GTC or IOC order at once. A modify counts as its new order, also where it is made
    post-only; an order that waits for its trigger, and one in parts, take nothing yet. What a feed says is what the
    block was like at its end."""
    if leg["kind"] >= _BACKGROUND_LEVEL:
        return True
    if leg["kind"] == _MODIFY and leg["trigger_kind"] != 0:
        return False
    return (leg["kind"] == _PLACE or leg["kind"] == _MODIFY) and leg["time_in_force"] != 0


@compiled
def sort_actions(actions, count, order_out):
    """Writes to order_out[:count] the rows of actions[:count] in the order in which a block executes them.

    `actions` is ACTION_DTYPE in order of arrival, the legs of one action adjacent; they stay together and in order.
    Each leg's `block_class` becomes that of its action: 0 no GTC or IOC, 1 cancels, 2 at least one GTC or IOC. Legs of
    an action whose orders cannot have priority together lose their rate (hlhft.venue.priority).
    """
    first = 0
    while first < count:
        last = first
        block_class = 1
        while last < count and actions[last]["action"] == actions[first]["action"]:
            leg = actions[last]
            if _takes(leg):
                block_class = 2
            elif leg["kind"] != _CANCEL and block_class == 1:
                block_class = 0
            last += 1
        for row in range(first, last):
            actions[row]["block_class"] = block_class
        mark_mixed(actions, first, last)
        first = last
    written = 0
    for block_class in range(3):
        for row in range(count):
            if actions[row]["block_class"] == block_class:
                order_out[written] = row
                written += 1
