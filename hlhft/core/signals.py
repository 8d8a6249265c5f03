"""What models tell the core: an expected move, and how to quote. Bounded on arrival, whatever comes.

A model proposes, and nothing of what it says may do more than its bounds allow: a value outside them is brought to the
nearer one, a message that carries no number (float NaN and infinity become the ends of int64) or makes no sense changes
nothing. Both are counted in the lane. What is told stands until it expires or something newer replaces it; a flood only
replaces. Neither a signal nor a policy leads to a decision by itself: the next one sees it, live and in a replay alike.
"""

from __future__ import annotations

from hlhft.compiled import compiled

E6, E9 = 1_000_000, 1_000_000_000
# A policy multiplies what the closed form quotes with; these are the most and the least it can.
GAMMA_E6_MIN, GAMMA_E6_MAX = 250_000, 4_000_000
SIGNAL_E6_MAX = 2_000_000
SPREAD_E6_MIN, SPREAD_E6_MAX = 500_000, 2_000_000
ASYMMETRY_E6_MAX = 500_000
# The longest that a policy stands without being told again: it comes every few seconds, and whoever decides may die.
POLICY_LIFE_NS_MAX = 60_000_000_000
_LEAST, _MOST = -(2**63), 2**63 - 1
KIND_SIGNAL, KIND_POLICY = 64, 74


@compiled
def _is_number(value):
    """Whether an int64 was a finite float before it was made whole."""
    return value != _LEAST and value != _MOST


@compiled
def hear_signal(lane_row, position, move_e9, deviation_e9, until_ns):
    """A model's expected move in 1e-9 of the mid; ignored when larger than the mid or with a negative deviation."""
    if move_e9 < -E9 or move_e9 > E9 or deviation_e9 < 0 or not _is_number(deviation_e9):
        lane_row["signals_ignored"] += 1
        return
    position["signal_e9"] = move_e9
    position["signal_deviation_e9"] = deviation_e9
    position["signal_until_ns"] = until_ns


@compiled
def hear_policy(lane_row, position, gamma_e6, signal_e6, spread_e6, asymmetry_e6, until_ns, now_ns):
    """A policy's multipliers of risk aversion, signal weight and spread, and its share of the half-spread that moves
    the centre, all in 1e-6; ignored when it expired on its way or one of them is no number.
    """
    numbers = _is_number(gamma_e6) and _is_number(signal_e6) and _is_number(spread_e6) and _is_number(asymmetry_e6)
    if not numbers or until_ns <= now_ns:
        lane_row["policies_ignored"] += 1
        return
    gamma = min(max(gamma_e6, GAMMA_E6_MIN), GAMMA_E6_MAX)
    signal = min(max(signal_e6, 0), SIGNAL_E6_MAX)
    spread = min(max(spread_e6, SPREAD_E6_MIN), SPREAD_E6_MAX)
    asymmetry = min(max(asymmetry_e6, -ASYMMETRY_E6_MAX), ASYMMETRY_E6_MAX)
    if gamma != gamma_e6 or signal != signal_e6 or spread != spread_e6 or asymmetry != asymmetry_e6:
        lane_row["policies_clamped"] += 1
    position["policy_gamma_e6"] = gamma
    position["policy_signal_e6"] = signal
    position["policy_spread_e6"] = spread
    position["policy_asymmetry_e6"] = asymmetry
    position["policy_until_ns"] = min(until_ns, now_ns + POLICY_LIFE_NS_MAX)


@compiled
def hear(lane_row, position, event):
    """Applies a SIGNAL or a POLICY, a record of EVENT_DTYPE, to one lane's position in the event's market."""
    if event["kind"] == KIND_SIGNAL:
        hear_signal(lane_row, position, event["price_ticks"], event["size_lots"], event["aux0"])
    else:
        hear_policy(
            lane_row, position, event["price_ticks"], event["size_lots"], event["order_id"], event["aux1"],
            event["aux0"], event["ts_local_ns"],
        )  # fmt: skip
