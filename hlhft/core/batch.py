"""Commands become actions: one class each, at once when nothing of the class is in flight, else after a short wait.

The venue orders the classes differently inside a block and a mixed action loses its priority (venue reference section
8), so an action holds only cancels, only post-only orders, or only orders that may take. Leading edge: with nothing of
the class in flight the commands of one step leave at once. What follows while an action is unanswered collects for at
most `batch_window_ns`. The newest measured acknowledgement time cuts that wait, when the answer is due earlier, and
stretches it to the due answer while a budget is scarce, to at most `batch_busy_ns_max`. Cancels and orders that reduce
the position never wait. An action has at most `legs_max` legs. When the queue of what waits is full, the rest leaves at
once.

A placement that waits is NEW and has not left: when trading stops, its market's data grow old or the strategy no longer
quotes its price, it never does (`withdraw`). No more does a modification, whose order then rests as it did.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.budgets import is_scarce, spend
from hlhft.core.orders import apply, is_new, is_replacing, mark_sent
from hlhft.core.quotes import is_wanted
from hlhft.core.risk import is_stale

NEVER = 2**62
_CLASS_CANCEL, _CLASS_ALO, _CLASS_OTHER = 0, 1, 2
_KIND_SEND_FAILED = 33
_MODIFY = 3  # hlhft.core.state.CommandKind


@compiled
def _copy(source, target):
    target["ts_ns"] = source["ts_ns"]
    target["order_id"] = source["order_id"]
    target["price_ticks"] = source["price_ticks"]
    target["size_lots"] = source["size_lots"]
    target["expires_ns"] = source["expires_ns"]
    target["batch_id"] = source["batch_id"]
    target["market"] = source["market"]
    target["kind"] = source["kind"]
    target["command_class"] = source["command_class"]
    target["side"] = source["side"]
    target["time_in_force"] = source["time_in_force"]
    target["reduce_only"] = source["reduce_only"]


@compiled
def _seal(lane, limits, commands, count, command_class, modifies, now_ns):
    """Numbers the actions of one class among commands[:count], marks their orders and takes them out of the budgets.

    Modifications are an action of their own beside the placements of their class (venue reference section 4.2).
    """
    lane_row = lane.lane[0]
    legs = 0
    total = 0
    for index in range(count):
        command = commands[index]
        if command["command_class"] != command_class or (command["kind"] == _MODIFY) != modifies:
            continue
        if legs == 0:
            lane_row["batch_sequence"] += 1
        command["batch_id"] = lane_row["batch_sequence"]
        command["ts_ns"] = now_ns
        mark_sent(lane.orders[command["market"]], command["order_id"], command["batch_id"], now_ns)
        legs += 1
        total += 1
        if legs == limits["legs_max"]:
            spend(lane_row, limits, legs)
            legs = 0
    if legs > 0:
        spend(lane_row, limits, legs)
    if total > 0:
        busy = min(lane_row["acknowledgement_ns"], limits["batch_busy_ns_max"])
        lane_row["batch_busy_until_ns"][command_class] = now_ns + busy


@compiled
def seal_all(lane, limits, commands, count, now_ns):
    """Numbers the actions of commands[:count], class by class: they leave now."""
    for command_class in range(3):
        _seal(lane, limits, commands, count, command_class, False, now_ns)
    # By what was made, not by the limit: it may be turned off while one waits.
    if lane.lane[0]["amended"] != 0:
        _seal(lane, limits, commands, count, _CLASS_ALO, True, now_ns)


@compiled
def _must_wait(lane_row, command, now_ns):
    command_class = command["command_class"]
    if command_class == _CLASS_CANCEL or command["reduce_only"] != 0:
        return False
    if lane_row["batch_waiting_since_ns"][command_class] != 0:
        return True
    return now_ns < lane_row["batch_busy_until_ns"][command_class]


@compiled
def collect(lane, limits, commands, count, now_ns):
    """Keeps what leaves now in commands[0:n], in order, holds the rest back in `lane.waiting`; returns n.

    Call `release_due` first: what waits is older than what comes.
    """
    if count == 0:
        return 0
    if limits["batch_window_ns"] == 0:
        seal_all(lane, limits, commands, count, now_ns)
        return count
    lane_row = lane.lane[0]
    kept = 0
    for index in range(count):
        command = commands[index]
        if _must_wait(lane_row, command, now_ns) and lane_row["waiting_count"] < len(lane.waiting):
            _copy(command, lane.waiting[lane_row["waiting_count"]])
            lane_row["waiting_count"] += 1
            if lane_row["batch_waiting_since_ns"][command["command_class"]] == 0:
                lane_row["batch_waiting_since_ns"][command["command_class"]] = now_ns
        else:
            if kept != index:
                _copy(command, commands[kept])
            kept += 1
    seal_all(lane, limits, commands, kept, now_ns)
    return kept


@compiled
def deadline_ns(lane_row, limits, command_class):
    """When what waits in a class must leave; NEVER when nothing does.

    The window's end or the due answer, whichever is first, but the due answer while a budget is scarce.
    """
    since = lane_row["batch_waiting_since_ns"][command_class]
    if since == 0:
        return NEVER
    answer_ns = max(lane_row["batch_busy_until_ns"][command_class], since)
    if is_scarce(lane_row, limits):
        return answer_ns
    return min(since + limits["batch_window_ns"], answer_ns)


@compiled
def next_deadline_ns(lane_row, limits):
    """The earliest deadline over the classes, NEVER when nothing waits."""
    if lane_row["waiting_count"] == 0:
        return NEVER
    return min(deadline_ns(lane_row, limits, _CLASS_ALO), deadline_ns(lane_row, limits, _CLASS_OTHER))


@compiled
def _end_waits(lane):
    """Ends the wait of each class of which nothing waits any more."""
    lane_row = lane.lane[0]
    for command_class in range(_CLASS_ALO, _CLASS_OTHER + 1):
        held = False
        for index in range(lane_row["waiting_count"]):
            held = held or lane.waiting[index]["command_class"] == command_class
        if not held:
            lane_row["batch_waiting_since_ns"][command_class] = 0


@compiled
def release_due(lane, limits, out, now_ns):
    """Moves what is due from `lane.waiting` into `out`, as far as it has room; returns how many."""
    lane_row = lane.lane[0]
    if lane_row["waiting_count"] == 0:
        return 0
    due_alo = deadline_ns(lane_row, limits, _CLASS_ALO) <= now_ns
    due_other = deadline_ns(lane_row, limits, _CLASS_OTHER) <= now_ns
    if not due_alo and not due_other:
        return 0
    released = 0
    kept = 0
    for index in range(lane_row["waiting_count"]):
        command = lane.waiting[index]
        due = due_alo if command["command_class"] == _CLASS_ALO else due_other
        if due and released < len(out):
            _copy(command, out[released])
            released += 1
        else:
            if kept != index:
                _copy(command, lane.waiting[kept])
            kept += 1
    lane_row["waiting_count"] = kept
    _end_waits(lane)
    seal_all(lane, limits, out, released, now_ns)
    return released


@compiled
def _take_back(lane_row, command):
    if command["kind"] == _MODIFY:
        lane_row["amended"] -= 1
    else:
        lane_row["placed"] -= 1


@compiled
def withdraw(lane, books, limits, quote_count, now_ns):
    """Takes back placements that wait and must not leave any more; their orders end without ever having been sent.

    `quote_count` quotes are wanted now, -1 when trading has stopped: then all go. Else those go that no quote wants any
    more and those of a market whose data is too old.
    """
    lane_row = lane.lane[0]
    kept = 0
    for index in range(lane_row["waiting_count"]):
        command = lane.waiting[index]
        market = command["market"]
        order_id = command["order_id"]
        is_waiting = is_new(lane.orders[market], order_id) or is_replacing(lane.orders[market], order_id)
        stays = quote_count >= 0 and is_waiting and not is_stale(books[market], limits, now_ns)
        if stays and is_wanted(
            lane.quotes, quote_count, market, command["side"], command["price_ticks"], command["time_in_force"]
        ):
            if kept != index:
                _copy(command, lane.waiting[kept])
            kept += 1
        elif is_waiting:
            _take_back(lane_row, command)
            apply(
                lane_row, lane.positions[market], lane.orders[market], lane.active[market], _KIND_SEND_FAILED, order_id,
                0, 0, 0, 0, 0, 0, now_ns,
            )  # fmt: skip
    lane_row["waiting_count"] = kept
    _end_waits(lane)
