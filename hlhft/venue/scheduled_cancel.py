"""The venue's dead man's switch: an account's time at which all its orders end, unless it moves that time on.

Source: venue reference section 4.2, scheduleCancel: at least 5 s ahead, 10 firings a UTC day, and only for accounts
that have traded $1,000,000. Setting a time is free; it replaces the one before, and fires once.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.venue.event_log import tell_leg
from hlhft.venue.matching import cancel_all

# One account's.
SCHEDULE_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),  # 0 none
        ("day", np.int64),  # UTC day, since 1970, of the firings that are counted
        ("firings", np.int64),
    ]
)

# As in hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_ACTION_DONE, _ACTION_REFUSED = 53, 54
_SCHEDULED_CANCEL, _VOLUME, _TOO_SOON, _FIRED_TOO_OFTEN = 28, 29, 30, 31
_DAY_NS = 86_400 * 1_000_000_000


def new_schedules(accounts: int) -> np.ndarray:
    """Nobody's time is set: shape (accounts,), dtype SCHEDULE_DTYPE. Raises ValueError when `accounts` is below 1."""
    if accounts < 1:
        raise ValueError(f"scheduled cancels need at least 1 account, not {accounts}")
    return np.zeros(accounts, SCHEDULE_DTYPE)


@compiled
def _refusal(venue, schedule, time_ns, traded_micro, ts_ns):
    rules = venue.rules[0]
    if traded_micro < rules["schedule_volume_micro_min"]:
        return _VOLUME
    if time_ns < ts_ns + rules["schedule_ahead_ns_min"]:
        return _TOO_SOON
    fired = schedule["firings"] if schedule["day"] == ts_ns // _DAY_NS else 0
    return _FIRED_TOO_OFTEN if fired >= rules["schedule_firings_max"] else 0


@compiled
def set_schedule(venue, schedules, leg, traded_micro, ts_ns):
    """A SCHEDULE_CANCEL leg arrives: its `amount` is the time in ns, 0 takes the one that is set back; returns whether
    it was taken.

    `traded_micro` is what the account has traded since its inception; a refused leg leaves what was set.
    """
    schedule = schedules[leg["account"]]
    code = 0
    if leg["amount"] != 0:
        code = _refusal(venue, schedule, leg["amount"], traded_micro, ts_ns)
    if code != 0:
        tell_leg(venue, _ACTION_REFUSED, leg, code, leg["kind"], ts_ns)
        return False
    schedule["time_ns"] = leg["amount"]
    tell_leg(venue, _ACTION_DONE, leg, leg["kind"], 0, ts_ns)
    return True


@compiled
def fire_schedules(venue, schedules, ts_ns):
    """Ends all orders, resting and waiting, of every account whose time has come by the block at `ts_ns`."""
    venue.engine[0]["leg"] = -1
    for account in range(len(schedules)):
        schedule = schedules[account]
        if 0 < schedule["time_ns"] <= ts_ns:
            schedule["time_ns"] = 0
            if schedule["day"] != ts_ns // _DAY_NS:
                schedule["day"] = ts_ns // _DAY_NS
                schedule["firings"] = 0
            schedule["firings"] += 1
            cancel_all(venue, account, -1, _SCHEDULED_CANCEL, ts_ns)
