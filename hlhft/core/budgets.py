"""What the venue lets us send, as integer ledgers in the lane's state (venue reference section 7).

- IP weight: a token bucket a minute wide; a batch of n costs 1 + n // 40.
- Messages: the same, one each.
- Posts in flight: a count.
- Address actions: 10,000 plus one per USDC traded, a batch of n costs n; cancels may go on to min(limit + 100,000, 2 x
  limit), and placements leave `address_reserve` of the plain limit untouched.

Token buckets count thousandths of a token, so that a nanosecond clock fills them exactly.
"""

from __future__ import annotations

from enum import IntEnum

from hlhft.compiled import compiled

MINUTE_NS = 60_000_000_000
CANCEL_EXTRA = 100_000  # venue reference section 7
LEGS_PER_WEIGHT = 40


class BudgetCode(IntEnum):
    """Which budget refused."""

    NONE = 0
    IP_WEIGHT = 1
    MESSAGES = 2
    POSTS = 3
    ADDRESS = 4


@compiled
def _fill(tokens_e3, time_ns, per_minute, now_ns):
    """The bucket's thousandths at `now_ns` and the time they are exact for; never more than a minute's worth."""
    if time_ns == 0:
        return per_minute * 1000, now_ns
    elapsed = min(now_ns - time_ns, MINUTE_NS)
    if elapsed <= 0:
        return tokens_e3, time_ns
    gained = elapsed * per_minute // (MINUTE_NS // 1000)
    # Only the time that bought whole thousandths is consumed, so small steps lose nothing.
    used = gained * (MINUTE_NS // 1000) // per_minute
    if elapsed == MINUTE_NS:
        used = now_ns - time_ns
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
def address_room(lane, limits, is_cancel):
    """Actions the address may still send; placements stop at the reserve."""
    allowance = lane["address_allowance"]
    if is_cancel:
        return min(allowance + CANCEL_EXTRA, 2 * allowance) - lane["address_actions"]
    return allowance - limits["address_reserve"] - lane["address_actions"]


@compiled
def check(lane, limits, legs, is_cancel):
    """The budget that refuses an action of `legs` now, 0 when all allow it. Buckets must be fresh."""
    if limits["address_enforced"] == 0:
        return 0
    if address_room(lane, limits, is_cancel) < legs:
        return 4
    if lane["ip_weight_e3"] < weight_of(legs) * 1000:
        return 1
    if lane["messages_e3"] < 1000:
        return 2
    if lane["posts_in_flight"] >= limits["posts_in_flight_max"]:
        return 3
    return 0


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
def on_answer(lane, limits):
    """An action was answered: it is no longer in flight."""
    if limits["address_enforced"] != 0 and lane["posts_in_flight"] > 0:
        lane["posts_in_flight"] -= 1


@compiled
def on_volume(lane, notional_micro):
    """Every USDC traded buys one action; fractions are kept."""
    lane["volume_micro"] += notional_micro
    lane["address_allowance"] = lane["address_initial"] + lane["volume_micro"] // 1_000_000
