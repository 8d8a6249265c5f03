"""What the venue lets us send, as integer ledgers in the lane's state (venue reference section 7).

- IP weight: a token bucket a minute wide; a batch of n costs 1 + n // 40.
- Messages: the same, one each.
- Posts in flight: a count of actions that nobody answered yet.
- Address actions: 10,000 plus one per USDC traded, a batch of n costs n; cancels may go on to min(limit + 100,000, 2 x
  limit), and placements leave `address_reserve` of the plain limit untouched.

Who may use the last of a budget depends on the urgency: placements leave a tenth of the first three, and the address's
reserve, to orders that reduce the position and to cancels.

Commands are checked one by one when they are made and spent action by action when they leave, so `check` counts with
everything that has not left yet and with the most actions that it can become: what passed never overdraws a budget.
Token buckets count thousandths of a token, so that a nanosecond clock fills them exactly.
"""

from __future__ import annotations

from enum import IntEnum

from hlhft.compiled import compiled

MINUTE_NS = 60_000_000_000
CANCEL_EXTRA = 100_000  # venue reference section 7
LEGS_PER_WEIGHT = 40
# Cancels now; post-only and other orders, each now and after a wait: more actions than classes at once there are not.
ACTIONS_AT_ONCE = 5
RESERVE_PART = 10  # placements leave one part in so many


class BudgetCode(IntEnum):
    """Which budget refused."""

    NONE = 0
    IP_WEIGHT = 1
    MESSAGES = 2
    POSTS = 3
    ADDRESS = 4


class Urgency(IntEnum):
    """What a command is for; the more urgent, the deeper it may reach into a budget."""

    PLACEMENT = 0
    REDUCTION = 1
    CANCEL = 2


@compiled
def _fill(tokens_e3, time_ns, per_minute, now_ns):
    """The bucket's thousandths at `now_ns` and the time they are exact for; never more than a minute's worth."""
    if time_ns == 0 or per_minute <= 0:
        return max(per_minute, 0) * 1000, now_ns
    elapsed = min(now_ns - time_ns, MINUTE_NS)
    if elapsed <= 0:
        return tokens_e3, time_ns
    if elapsed == MINUTE_NS:
        return per_minute * 1000, now_ns
    thousandth_ns = MINUTE_NS // 1000
    gained = elapsed * per_minute // thousandth_ns
    # Only the time that bought whole thousandths is consumed, rounded up: small steps lose nothing and win nothing.
    used = (gained * thousandth_ns + per_minute - 1) // per_minute
    return min(tokens_e3 + gained, per_minute * 1000), time_ns + used


@compiled
def refresh(lane, limits, now_ns):
    """Brings both token buckets up to `now_ns`."""
    lane["ip_weight_e3"], lane["ip_time_ns"] = _fill(
        lane["ip_weight_e3"], lane["ip_time_ns"], limits["ip_weight_per_minute"], now_ns
    )
    lane["messages_e3"], lane["messages_time_ns"] = _fill(
        lane["messages_e3"], lane["messages_time_ns"], limits["messages_per_minute"], now_ns
    )


@compiled
def weight_of(legs):
    """IP weight of an action with this many orders or cancels."""
    return 1 + legs // LEGS_PER_WEIGHT


@compiled
def address_room(lane, limits, urgency):
    """Actions the address may still send at this Urgency; placements stop at the reserve."""
    allowance = lane["address_allowance"]
    if urgency >= 2:
        return min(allowance + CANCEL_EXTRA, 2 * allowance) - lane["address_actions"]
    if urgency == 1:
        return allowance - lane["address_actions"]
    return allowance - limits["address_reserve"] - lane["address_actions"]


@compiled
def check(lane, limits, legs, urgency):
    """The budget that refuses one more command now, 0 when all allow it. Buckets must be fresh.

    `legs` counts every command that has not left yet, this one included; `urgency` is this one's Urgency.
    """
    if limits["address_enforced"] == 0:
        return 0
    if address_room(lane, limits, urgency) < legs:
        return 4
    actions = ACTIONS_AT_ONCE
    if legs >= limits["legs_max"]:
        actions += legs // max(limits["legs_max"], 1)
    weight_e3 = (actions + legs // LEGS_PER_WEIGHT) * 1000
    messages_e3 = actions * 1000
    posts = lane["posts_in_flight"] + actions
    if urgency == 0:
        weight_e3 += limits["ip_weight_per_minute"] * 1000 // RESERVE_PART
        messages_e3 += limits["messages_per_minute"] * 1000 // RESERVE_PART
        posts += limits["posts_in_flight_max"] // RESERVE_PART
    if lane["ip_weight_e3"] < weight_e3:
        return 1
    if lane["messages_e3"] < messages_e3:
        return 2
    if posts > limits["posts_in_flight_max"]:
        return 3
    return 0


@compiled
def is_scarce(lane, limits):
    """Whether less than a quarter of a token bucket or half of the posts is left: then fewer, larger actions pay."""
    if limits["address_enforced"] == 0:
        return False
    return (
        lane["ip_weight_e3"] < limits["ip_weight_per_minute"] * 250
        or lane["messages_e3"] < limits["messages_per_minute"] * 250
        or 2 * lane["posts_in_flight"] > limits["posts_in_flight_max"]
    )


@compiled
def spend(lane, limits, legs):
    """Takes an action of `legs` out of the budgets."""
    if limits["address_enforced"] == 0:
        return
    lane["address_actions"] += legs
    lane["ip_weight_e3"] -= weight_of(legs) * 1000
    lane["messages_e3"] -= 1000
    lane["posts_in_flight"] += 1


@compiled
def on_refused(lane, limits):
    """A command did not leave: the venue never counted it. Its message and its weight come back by time."""
    if limits["address_enforced"] != 0:
        lane["address_actions"] -= 1


@compiled
def on_answer(lane, limits):
    """An action was answered: it is no longer in flight."""
    if limits["address_enforced"] != 0 and lane["posts_in_flight"] > 0:
        lane["posts_in_flight"] -= 1


@compiled
def on_volume(lane, volume_micro):
    """Every USDC traded since the start buys one action; `volume_micro` is the whole of it, fractions wait."""
    lane["volume_micro"] = volume_micro
    lane["address_allowance"] = lane["address_initial"] + volume_micro // 1_000_000


@compiled
def on_actions(lane, actions):
    """Actions of the address that this core did not make, or that `on_account` could not know of."""
    lane["address_actions"] += actions


@compiled
def on_account(lane, actions, allowance):
    """The venue says how many actions are used and allowed; what is traded from now on adds to the latter."""
    lane["address_actions"] = actions
    lane["address_allowance"] = allowance
    lane["address_initial"] = allowance - lane["volume_micro"] // 1_000_000
