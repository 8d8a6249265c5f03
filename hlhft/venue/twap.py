"""Orders in parts: a TWAP sends an immediate order every 30 seconds until its size is executed or its time is up.

Source: venue reference section 4.3 (an order every 30 s, 3 % slippage, catching up at most threefold). Where it is
silent: the first part leaves in the block of the placement and the last one when the time is up; slippage is measured
from the middle of the book; a part is what is missing to the share of the size that is due by then; a random part
differs from that by a fifth at most, the last one not at all. Parts skip the checks of an order by itself, for the TWAP
is checked as a whole. One that only reduces ends when there is nothing left to reduce.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.arithmetic import MODULUS_1, MODULUS_2, drawn, multiply_divide, next_state
from hlhft.venue.event_log import append_event, tell_leg
from hlhft.venue.fees import notional_micro
from hlhft.venue.placing import prepare, reference_ticks, submit
from hlhft.venue.triggers import worst_ticks
from hlhft.venue.validation import check_value

TWAP_DTYPE = np.dtype(
    [
        ("twap_id", np.int64),  # the venue's, ascending by placement; 0 for a free slot
        ("account", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("size_lots", np.int64),
        ("executed_lots", np.int64),
        ("executed_quanta", np.int64),  # sum of ticks x lots
        ("reduce_only", np.int64),
        ("randomize", np.int64),
        ("start_ns", np.int64),
        ("parts", np.int64),
        ("next_ns", np.int64),  # when the next part is due
        ("seed_1", np.int64),
        ("seed_2", np.int64),
    ]
)

# As in hlhft.events, hlhft.venue.refusals and hlhft.venue.blocks; the compiled subset wants plain constants.
_TWAP_STATE, _ACTION_REFUSED = 25, 54
_MARGIN, _REDUCE_ONLY, _ZERO_SIZE, _TWAP_DURATION, _TWAP_UNKNOWN, _TOO_MANY = 3, 4, 9, 32, 33, 34
_IOC = 2
_RUNNING, _FINISHED, _ENDED_BY_OWNER, _ENDED_BY_VENUE = 0, 1, 2, 3  # aux0 of TWAP_STATE
_WARM_UP = 16  # neighbouring ids begin alike; a few draws separate them
_E6 = 1_000_000


def new_twaps(slots: int) -> np.ndarray:
    """Room for `slots` TWAPs, dtype TWAP_DTYPE. Raises ValueError when that is below 1."""
    if slots < 1:
        raise ValueError(f"the room for TWAPs must be at least 1, not {slots}")
    return np.zeros(slots, TWAP_DTYPE)


@compiled
def _tell(venue, twap, state, ts_ns):
    market = twap["market"]
    notional = notional_micro(venue.markets[market], twap["executed_quanta"], 1)
    append_event(
        venue, _TWAP_STATE, twap["account"], market, twap["twap_id"], 0, twap["side"], 0, twap["executed_lots"], state,
        notional, ts_ns,
    )  # fmt: skip
    venue.events[venue.engine[0]["event_count"] - 1]["twap_id"] = twap["twap_id"]


@compiled
def _usual_lots(twap_lots, parts):
    return (twap_lots + parts - 1) // parts


@compiled
def _refusal(venue, leg, parts):
    """Why the TWAP is refused, 0 when it is not; each part has to be worth the least that an order may."""
    rules, market = venue.rules[0], leg["market"]
    if leg["duration_ns"] < rules["twap_ns_min"] or leg["duration_ns"] > rules["twap_ns_max"]:
        return _TWAP_DURATION
    if leg["size_lots"] <= 0:
        return _ZERO_SIZE
    position = venue.holdings[leg["account"], market]["position_lots"]
    if leg["reduce_only"] != 0 and leg["side"] * position >= 0:
        return _REDUCE_ONLY
    ticks = reference_ticks(venue, market)
    if rules["enforce_validation"] == 0:
        return 0
    if ticks <= 0:
        return _MARGIN  # nobody opens without a price to judge by
    lots = _usual_lots(leg["size_lots"], parts)
    return check_value(venue.markets[market], leg["side"], ticks, lots, leg["reduce_only"], position, rules)


@compiled
def place_twap(venue, twaps, leg, ts_ns):
    """A PLACE_TWAP leg arrives in the block at `ts_ns`; returns the venue's id of the TWAP, 0 when it was refused."""
    parts = leg["duration_ns"] // venue.rules[0]["twap_interval_ns"] + 1
    code = _refusal(venue, leg, parts)
    free = 0
    while free < len(twaps) and twaps[free]["twap_id"] != 0:
        free += 1
    if code == 0 and free == len(twaps):
        code = _TOO_MANY
    if code != 0:
        tell_leg(venue, _ACTION_REFUSED, leg, code, leg["kind"], ts_ns)
        return 0
    twap_id = venue.engine[0]["next_twap_id"]
    venue.engine[0]["next_twap_id"] += 1
    twap = twaps[free]
    twap["twap_id"] = twap_id
    twap["account"] = leg["account"]
    twap["market"] = leg["market"]
    twap["side"] = leg["side"]
    twap["size_lots"] = leg["size_lots"]
    twap["executed_lots"] = 0
    twap["executed_quanta"] = 0
    twap["reduce_only"] = leg["reduce_only"]
    twap["randomize"] = leg["randomize"]
    twap["start_ns"] = ts_ns
    twap["parts"] = parts
    twap["next_ns"] = ts_ns
    twap["seed_1"] = twap_id % (MODULUS_1 - 1) + 1
    twap["seed_2"] = twap_id % (MODULUS_2 - 1) + 1
    for _ in range(_WARM_UP):
        _draw(twap)
    _tell(venue, twap, _RUNNING, ts_ns)
    return twap_id


@compiled
def cancel_twap(venue, twaps, leg, ts_ns):
    """A CANCEL_TWAP leg arrives: the account's TWAP `target_id` of the market ends, or the leg is refused; returns
    whether it ended."""
    for slot in range(len(twaps)):
        twap = twaps[slot]
        if twap["twap_id"] != 0 and twap["twap_id"] == leg["target_id"]:
            if twap["account"] == leg["account"] and twap["market"] == leg["market"]:
                _tell(venue, twap, _ENDED_BY_OWNER, ts_ns)
                twap["twap_id"] = 0
                return True
    tell_leg(venue, _ACTION_REFUSED, leg, _TWAP_UNKNOWN, leg["kind"], ts_ns)
    return False


@compiled
def _draw(twap):
    first, second = next_state(twap["seed_1"], twap["seed_2"])
    twap["seed_1"] = first
    twap["seed_2"] = second
    return drawn(first, second)


@compiled
def _part_lots(twap, part, rules):
    """Size of the part with this number, from 1: what is missing to what is due by then, within bounds; 0 none."""
    due = multiply_divide(twap["size_lots"], part, twap["parts"]) - twap["executed_lots"]
    if twap["randomize"] != 0 and part < twap["parts"]:
        spread = rules["twap_random_e6"]
        due = multiply_divide(due, _E6 - spread + _draw(twap) % (2 * spread + 1), _E6)
    due = min(due, rules["twap_catch_up"] * _usual_lots(twap["size_lots"], twap["parts"]))
    return max(min(due, twap["size_lots"] - twap["executed_lots"]), 0)


@compiled
def _middle_ticks(venue, market):
    """The middle of the book, else what bands are measured from."""
    ladder = venue.ladders[market]
    if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
        return (ladder["best_bid_ticks"] + ladder["best_ask_ticks"]) // 2
    return reference_ticks(venue, market)


@compiled
def _send_part(venue, twap, lots, ts_ns):
    """Places one part and counts what it executed."""
    account, market, side = twap["account"], twap["market"], twap["side"]
    ticks = worst_ticks(side, _middle_ticks(venue, market), venue.rules[0]["twap_slippage_e6"])
    order = prepare(venue, account, market, 0, side, ticks, lots, _IOC, twap["reduce_only"])
    order["order_id"] = venue.engine[0]["next_order_id"]
    venue.engine[0]["next_order_id"] += 1
    order["twap_id"] = twap["twap_id"]
    holding = venue.holdings[account, market]
    # Nothing of the account trades meanwhile but the part: its own resting orders give way to it.
    lots_before, quanta_before = holding["traded_lots"], holding["taker_quanta"]
    submit(venue, ts_ns)
    twap["executed_lots"] += holding["traded_lots"] - lots_before
    twap["executed_quanta"] += holding["taker_quanta"] - quanta_before


@compiled
def _run(venue, twap, ts_ns):
    """Does what is due of one TWAP."""
    rules = venue.rules[0]
    position = venue.holdings[twap["account"], twap["market"]]["position_lots"]
    if twap["reduce_only"] != 0 and twap["side"] * position >= 0:
        _tell(venue, twap, _ENDED_BY_VENUE, ts_ns)
        twap["twap_id"] = 0
        return
    # Parts for which there was no block in time are made up for like those that found nobody.
    part = min((ts_ns - twap["start_ns"]) // rules["twap_interval_ns"] + 1, twap["parts"])
    lots = _part_lots(twap, part, rules)
    if lots > 0:
        _send_part(venue, twap, lots, ts_ns)
    twap["next_ns"] = twap["start_ns"] + part * rules["twap_interval_ns"]
    ends = part == twap["parts"] or twap["executed_lots"] == twap["size_lots"]
    if ends or lots > 0:
        _tell(venue, twap, _FINISHED if ends else _RUNNING, ts_ns)
    if ends:
        twap["twap_id"] = 0


@compiled
def run_twaps(venue, twaps, ts_ns):
    """Sends the parts that are due in the block at `ts_ns`, those of the oldest TWAP first, at most one of each."""
    venue.engine[0]["leg"] = -1
    seen = 0
    while True:
        found = -1
        for slot in range(len(twaps)):
            twap = twaps[slot]
            if twap["twap_id"] > seen and twap["next_ns"] <= ts_ns:
                if found < 0 or twap["twap_id"] < twaps[found]["twap_id"]:
                    found = slot
        if found < 0:
            return
        seen = twaps[found]["twap_id"]
        _run(venue, twaps[found], ts_ns)
