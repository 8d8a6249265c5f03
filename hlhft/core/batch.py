"""Commands become actions: one class each, at once when nothing of the class is in flight, else after a short wait.

The venue orders the classes differently inside a block and a mixed action loses its priority (venue reference section
8),
so an action holds only cancels, only post-only orders, or only orders that may take. Leading edge: with nothing of the
class in flight the commands of one step leave at once. What follows while an action is unanswered collects for at most
`batch_window_ns`, or until the answer is due by the newest measured acknowledgement time. Cancels and orders that
reduce the position never wait. An action has at most `legs_max` legs.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.budgets import spend

NEVER = 2**62
_CLASS_CANCEL, _CLASS_ALO, _CLASS_OTHER = 0, 1, 2


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
def _seal(lane, limits, commands, first, count, command_class, now_ns):
    """Numbers the actions of one class among commands[first:count] and takes them out of the budgets."""
    legs = 0
    total = 0
    for index in range(first, count):
        if commands[index]["command_class"] != command_class:
            continue
        if legs == 0:
            lane["batch_sequence"] += 1
        commands[index]["batch_id"] = lane["batch_sequence"]
        commands[index]["ts_ns"] = now_ns
        legs += 1
        total += 1
        if legs == limits["legs_max"]:
            spend(lane, limits, legs)
            legs = 0
    if legs > 0:
        spend(lane, limits, legs)
    if total > 0:
        busy = min(lane["acknowledgement_ns"], limits["batch_busy_ns_max"])
        lane["batch_busy_until_ns"][command_class] = now_ns + busy
    return total


@compiled
def seal_all(lane, limits, commands, first, count, now_ns):
    """Numbers the actions of commands[first:count], class by class."""
    for command_class in range(3):
        _seal(lane, limits, commands, first, count, command_class, now_ns)


@compiled
def _must_wait(lane, limits, command, now_ns):
    command_class = command["command_class"]
    if command_class == _CLASS_CANCEL or command["reduce_only"] != 0:
        return False
    if lane["batch_waiting_since_ns"][command_class] != 0:
        return True
    return now_ns < lane["batch_busy_until_ns"][command_class]


@compiled
def collect(lane, waiting, limits, commands, count, now_ns):
    """Keeps what leaves now in commands[0:n], in order, holds the rest back in `waiting`; returns n.

    Call `release_due` first: what waits is older than what comes.
    """
    if count == 0:
        return 0
    if limits["batch_window_ns"] == 0:
        seal_all(lane, limits, commands, 0, count, now_ns)
        return count
    kept = 0
    for index in range(count):
        command = commands[index]
        if _must_wait(lane, limits, command, now_ns) and lane["waiting_count"] < len(waiting):
            _copy(command, waiting[lane["waiting_count"]])
            lane["waiting_count"] += 1
            if lane["batch_waiting_since_ns"][command["command_class"]] == 0:
                lane["batch_waiting_since_ns"][command["command_class"]] = now_ns
        else:
            if kept != index:
                _copy(command, commands[kept])
            kept += 1
    seal_all(lane, limits, commands, 0, kept, now_ns)
    return kept


@compiled
def deadline_ns(lane, limits, command_class):
    """When what waits in a class must leave: the window's end or the due answer, whichever is first; NEVER when
    none."""
    since = lane["batch_waiting_since_ns"][command_class]
    if since == 0:
        return NEVER
    return min(since + limits["batch_window_ns"], max(lane["batch_busy_until_ns"][command_class], since))


@compiled
def next_deadline_ns(lane, limits):
    """The earliest deadline over the classes, NEVER when nothing waits."""
    if lane["waiting_count"] == 0:
        return NEVER
    return min(deadline_ns(lane, limits, _CLASS_ALO), deadline_ns(lane, limits, _CLASS_OTHER))


@compiled
def release_due(lane, waiting, limits, out, now_ns):
    """Moves what is due from `waiting` into `out`; returns how many."""
    if lane["waiting_count"] == 0:
        return 0
    due_alo = deadline_ns(lane, limits, _CLASS_ALO) <= now_ns
    due_other = deadline_ns(lane, limits, _CLASS_OTHER) <= now_ns
    released = 0
    kept = 0
    for index in range(lane["waiting_count"]):
        command = waiting[index]
        due = due_alo if command["command_class"] == _CLASS_ALO else due_other
        if due and released < len(out):
            _copy(command, out[released])
            released += 1
        else:
            if kept != index:
                _copy(command, waiting[kept])
            kept += 1
    lane["waiting_count"] = kept
    if due_alo:
        lane["batch_waiting_since_ns"][_CLASS_ALO] = 0
    if due_other:
        lane["batch_waiting_since_ns"][_CLASS_OTHER] = 0
    seal_all(lane, limits, out, 0, released, now_ns)
    return released
