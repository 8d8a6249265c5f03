"""The highest equity of the last hour, by minute: sixty whole minutes and the running one.

The breaker on drawdown is judged by it (`hlhft.core.risk`). It survives a restart: what an earlier session reached
counts until its hour is over.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.state import PEAK_BUCKETS

MINUTE_NS = 60_000_000_000


@compiled
def _take_over_peak(lane, now_ns):
    """Puts the peak of an earlier session into the minute in which it was reached; it counts until that hour is over.

    Waits for the session's equity: without it every peak would be a loss.
    """
    if lane["starting_equity_micro"] == 0:
        return
    age = 0 if lane["restored_peak_ns"] == 0 else max(now_ns - lane["restored_peak_ns"], 0) // MINUTE_NS
    if age < PEAK_BUCKETS:
        place = lane["peak_bucket"] - age
        place = place if place >= 0 else place + PEAK_BUCKETS
        lane["peak_micro"][place] = max(lane["peak_micro"][place], lane["restored_peak_micro"])
        lane["peak_max_micro"] = max(lane["peak_max_micro"], lane["restored_peak_micro"])
    lane["restored_peak_micro"] = 0


@compiled
def update_peak(lane, now_ns):
    """Brings `peak_max_micro` up to date with the lane's equity at `now_ns`."""
    equity = lane["equity_micro"]
    if now_ns >= lane["peak_next_ns"]:
        if lane["peak_next_ns"] == 0:
            lane["peak_next_ns"] = now_ns - now_ns % MINUTE_NS + MINUTE_NS
            # What was lost before the first decision counts.
            for index in range(PEAK_BUCKETS):
                lane["peak_micro"][index] = max(equity, lane["starting_equity_micro"])
        rolled = 0
        while now_ns >= lane["peak_next_ns"] and rolled < PEAK_BUCKETS:
            lane["peak_bucket"] = lane["peak_bucket"] + 1 if lane["peak_bucket"] + 1 < PEAK_BUCKETS else 0
            lane["peak_micro"][lane["peak_bucket"]] = equity
            lane["peak_next_ns"] += MINUTE_NS
            rolled += 1
        if now_ns >= lane["peak_next_ns"]:
            lane["peak_next_ns"] = now_ns - now_ns % MINUTE_NS + MINUTE_NS
        highest = equity
        for index in range(PEAK_BUCKETS):
            highest = max(highest, lane["peak_micro"][index])
        lane["peak_max_micro"] = highest
    if lane["restored_peak_micro"] != 0:
        _take_over_peak(lane, now_ns)
    if equity > lane["peak_micro"][lane["peak_bucket"]]:
        lane["peak_micro"][lane["peak_bucket"]] = equity
        lane["peak_max_micro"] = max(lane["peak_max_micro"], equity)


@compiled
def restart_peak(lane):
    """Forgets every peak: it starts again from the present equity."""
    for index in range(PEAK_BUCKETS):
        lane["peak_micro"][index] = lane["equity_micro"]
    lane["peak_max_micro"] = lane["equity_micro"]
    lane["restored_peak_micro"] = 0
