"""The lines between a lane and the venue: rings of requests and of replies, bounded, first in first out.

A full ring is an error of the run (status BUS_FULL), never a silent loss: its capacity exceeds what the order table can
have in flight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.backtest.latency import LATENCY_DTYPE, LINE_DTYPE, entry_delay, reply_delay
from hlhft.compiled import compiled
from hlhft.venue.recorded import REPLY_DTYPE

RING = 1024
FAR = 2**62  # later than any time
# Event kinds, refusals and command kinds as in hlhft.events, hlhft.venue.refusals and hlhft.core.state.
_REJECTED, _FILLED, _CANCEL_REJECTED = 17, 18, 22
_REQUEST_LOST = 22
_CANCEL = 2

REQUEST_DTYPE = np.dtype(
    [
        ("arrival_ns", np.int64),
        ("sent_ns", np.int64),
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("expires_ns", np.int64),
        ("market", np.int64),
        ("kind", np.int64),
        ("command_class", np.int64),
        ("side", np.int64),
        ("time_in_force", np.int64),
        ("reduce_only", np.int64),
    ]
)

BUS_DTYPE = np.dtype(
    [
        ("next_request_ns", np.int64),  # earliest arrival at the venue over all lanes
        ("next_reply_ns", np.int64),  # earliest arrival at a lane over all lanes
        ("overflow", np.int64),
    ]
)


class Bus(NamedTuple):
    """All lines of a replay, L lanes."""

    bus: np.ndarray  # BUS_DTYPE[1]
    latency: np.ndarray  # LATENCY_DTYPE[1]
    table: np.ndarray  # int64[5, n]: quantiles or history
    lines: np.ndarray  # LINE_DTYPE[L]
    requests: np.ndarray  # REQUEST_DTYPE[L, RING]
    replies: np.ndarray  # REPLY_DTYPE[L, RING]


def new_bus(lanes: int, latency: np.ndarray, table: np.ndarray, lines: np.ndarray) -> Bus:
    """Empty lines with this latency (LATENCY_DTYPE[1] and its table) and LINE_DTYPE[lanes] `lines`."""
    assert latency.dtype == LATENCY_DTYPE and lines.dtype == LINE_DTYPE and len(lines) == lanes
    bus = Bus(
        bus=np.zeros(1, BUS_DTYPE),
        latency=latency,
        table=table,
        lines=lines,
        requests=np.zeros((lanes, RING), REQUEST_DTYPE),
        replies=np.zeros((lanes, RING), REPLY_DTYPE),
    )
    bus.bus["next_request_ns"] = bus.bus["next_reply_ns"] = FAR
    return bus


@compiled
def send(bus, lane, commands, count, ts_ns):
    """Puts the first `count` COMMAND records of a lane on the line at `ts_ns`."""
    line = bus.lines[lane]
    for index in range(count):
        command = commands[index]
        delay = entry_delay(line, bus.latency[0], bus.table, ts_ns, command["kind"] == _CANCEL)
        if delay < 0:
            _lose(bus, lane, command, ts_ns, ts_ns - delay)
            continue
        arrival = max(ts_ns + delay, line["request_last_ns"])
        line["request_last_ns"] = arrival
        tail = line["request_tail"]
        if tail - line["request_head"] >= RING:
            bus.bus[0]["overflow"] += 1
            return
        request = bus.requests[lane, tail & (RING - 1)]
        line["request_tail"] = tail + 1
        request["arrival_ns"] = arrival
        request["sent_ns"] = ts_ns
        request["order_id"] = command["order_id"]
        request["price_ticks"] = command["price_ticks"]
        request["size_lots"] = command["size_lots"]
        request["expires_ns"] = command["expires_ns"]
        request["market"] = command["market"]
        request["kind"] = command["kind"]
        request["command_class"] = command["command_class"]
        request["side"] = command["side"]
        request["time_in_force"] = command["time_in_force"]
        request["reduce_only"] = command["reduce_only"]
        if arrival < bus.bus[0]["next_request_ns"]:
            bus.bus[0]["next_request_ns"] = arrival


@compiled
def _lose(bus, lane, command, ts_ns, known_ns):
    """The request never reaches the venue; the lane learns of it at `known_ns`."""
    line = bus.lines[lane]
    line["lost"] += 1
    reply = _next_reply(bus, lane, known_ns)
    reply["ts_exch_ns"] = ts_ns
    reply["order_id"] = command["order_id"]
    reply["price_ticks"] = command["price_ticks"]
    reply["size_lots"] = command["size_lots"]
    reply["aux0"] = _REQUEST_LOST
    reply["aux1"] = 0
    reply["front"] = 0.0
    reply["front_at_entry"] = 0.0
    reply["placed_ns"] = ts_ns
    reply["mid_half_ticks"] = 0
    reply["touch_ticks"] = 0
    reply["kind"] = _CANCEL_REJECTED if command["kind"] == _CANCEL else _REJECTED
    reply["lane"] = lane
    reply["market"] = command["market"]
    reply["side"] = command["side"]
    reply["maker"] = 0
    reply["reason"] = 0


@compiled
def _next_reply(bus, lane, arrival):
    line = bus.lines[lane]
    arrival = max(arrival, line["reply_last_ns"])
    line["reply_last_ns"] = arrival
    tail = line["reply_tail"]
    if tail - line["reply_head"] >= RING:
        bus.bus[0]["overflow"] += 1
        tail -= 1
    line["reply_tail"] = tail + 1
    reply = bus.replies[lane, tail & (RING - 1)]
    reply["ts_local_ns"] = arrival
    if arrival < bus.bus[0]["next_reply_ns"]:
        bus.bus[0]["next_reply_ns"] = arrival
    return reply


@compiled
def deliver(bus, venue_row, replies):
    """Moves what the kernel just said onto the lines back; returns the earliest arrival among it, FAR when nothing."""
    earliest = FAR
    for index in range(venue_row["reply_count"]):
        said = replies[index]
        lane = said["lane"]
        ts_ns = said["ts_exch_ns"]
        delay = reply_delay(bus.lines[lane], bus.latency[0], bus.table, ts_ns, said["kind"] == _FILLED)
        reply = _next_reply(bus, lane, ts_ns + delay)
        arrival = reply["ts_local_ns"]
        reply["ts_exch_ns"] = ts_ns
        reply["order_id"] = said["order_id"]
        reply["price_ticks"] = said["price_ticks"]
        reply["size_lots"] = said["size_lots"]
        reply["aux0"] = said["aux0"]
        reply["aux1"] = said["aux1"]
        reply["front"] = said["front"]
        reply["front_at_entry"] = said["front_at_entry"]
        reply["placed_ns"] = said["placed_ns"]
        reply["mid_half_ticks"] = said["mid_half_ticks"]
        reply["touch_ticks"] = said["touch_ticks"]
        reply["kind"] = said["kind"]
        reply["lane"] = lane
        reply["market"] = said["market"]
        reply["side"] = said["side"]
        reply["maker"] = said["maker"]
        reply["reason"] = said["reason"]
        earliest = min(earliest, arrival)
    venue_row["reply_count"] = 0
    return earliest


@compiled
def refresh_next_request(bus):
    """Finds the earliest request again after some were taken off the lines."""
    earliest = FAR
    for lane in range(len(bus.lines)):
        line = bus.lines[lane]
        if line["request_head"] < line["request_tail"]:
            earliest = min(earliest, bus.requests[lane, line["request_head"] & (RING - 1)]["arrival_ns"])
    bus.bus[0]["next_request_ns"] = earliest


@compiled
def refresh_next_reply(bus):
    """Finds the earliest reply again after some were read."""
    earliest = FAR
    for lane in range(len(bus.lines)):
        line = bus.lines[lane]
        if line["reply_head"] < line["reply_tail"]:
            earliest = min(earliest, bus.replies[lane, line["reply_head"] & (RING - 1)]["ts_local_ns"])
    bus.bus[0]["next_reply_ns"] = earliest
