"""The lines between lanes and venue: order, delay, loss and what happens when they are full."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.bus import (
    FAR,
    RING,
    Bus,
    deliver,
    new_bus,
    refresh_next_reply,
    refresh_next_request,
    send,
)
from hlhft.backtest.latency import QUANTILES, constant, interpolated, new_lines, sampled
from hlhft.core.state import COMMAND_DTYPE, CommandKind
from hlhft.events import EventKind
from hlhft.venue.recorded import REPLY_DTYPE, VENUE_DTYPE
from hlhft.venue.refusals import Refusal

PLACE, CANCEL = CommandKind.PLACE, CommandKind.CANCEL


def bus_of(model, lanes: int = 1, seed: int = 1) -> Bus:
    return new_bus(lanes, *model, new_lines(lanes, seed))


def commands(*kinds: int, first: int = 1) -> np.ndarray:
    made = np.zeros(len(kinds), COMMAND_DTYPE)
    made["order_id"] = np.arange(first, first + len(kinds))
    made["kind"] = kinds
    for column, name in enumerate(
        ("price_ticks", "size_lots", "expires_ns", "market", "command_class", "time_in_force", "reduce_only"), start=2
    ):
        made[name] = column
    made["side"] = -1
    return made


def say(bus: Bus, lane: int, ts_ns: int, *kinds: int) -> int:
    """The venue says something of each kind to a lane; returns the earliest arrival."""
    venue_row, said = np.zeros(1, VENUE_DTYPE), np.zeros(len(kinds), REPLY_DTYPE)
    for number, name in enumerate(REPLY_DTYPE.names or (), start=100):
        said[name] = number
    said["lane"], said["ts_exch_ns"], said["kind"] = lane, ts_ns, kinds
    venue_row["reply_count"] = len(kinds)
    earliest = int(deliver(bus, venue_row[0], said))
    assert venue_row["reply_count"] == 0
    return earliest


def under_way(bus: Bus, lane: int = 0) -> np.ndarray:
    line = bus.lines[lane]
    return bus.requests[lane, int(line["request_head"]) : int(line["request_tail"])]


def coming_back(bus: Bus, lane: int = 0) -> np.ndarray:
    line = bus.lines[lane]
    return bus.replies[lane, int(line["reply_head"]) : int(line["reply_tail"])]


def test_a_request_carries_its_command_and_arrives_after_its_latency():
    bus = bus_of(constant(entry_ns=10, reply_ns=1, cancel_entry_ns=4), lanes=2)
    sent = commands(PLACE, CANCEL)
    send(bus, 1, sent, 2, 1000)
    requests = under_way(bus, 1)
    # The cancel is faster but does not overtake.
    assert requests["arrival_ns"].tolist() == [1010, 1010]
    assert requests["sent_ns"].tolist() == [1000, 1000]
    for name in (
        "order_id", "price_ticks", "size_lots", "expires_ns", "market", "kind", "command_class", "side",
        "time_in_force", "reduce_only",
    ):  # fmt: skip
        assert requests[name].tolist() == sent[name].tolist(), name
    assert len(under_way(bus, 0)) == 0
    assert (bus.bus[0]["next_request_ns"], bus.bus[0]["next_reply_ns"]) == (1010, FAR)
    send(bus, 1, commands(CANCEL), 1, 2000)
    assert under_way(bus, 1)["arrival_ns"].tolist() == [1010, 1010, 2004]


def test_only_the_counted_commands_leave():
    bus = bus_of(constant(entry_ns=10, reply_ns=1))
    send(bus, 0, commands(PLACE, PLACE, PLACE), 2, 0)
    assert under_way(bus)["order_id"].tolist() == [1, 2]
    send(bus, 0, commands(PLACE), 0, 0)
    assert len(under_way(bus)) == 2


def test_a_reply_carries_all_that_was_said_and_arrives_by_its_kind():
    bus = bus_of(constant(entry_ns=1, reply_ns=50, fill_reply_ns=5))
    assert say(bus, 0, 1000, EventKind.ORDER_FILLED, EventKind.ORDER_ACKNOWLEDGED, EventKind.ORDER_FILLED) == 1005
    replies = coming_back(bus)
    assert replies["ts_local_ns"].tolist() == [1005, 1050, 1050]
    assert replies["ts_exch_ns"].tolist() == [1000] * 3
    for number, name in enumerate(REPLY_DTYPE.names or (), start=100):
        if name not in ("lane", "ts_exch_ns", "kind", "ts_local_ns"):
            assert replies[name].tolist() == [number] * 3, name
    assert bus.bus[0]["next_reply_ns"] == 1005
    assert say(bus, 0, 1000) == FAR


def test_a_lost_request_is_a_rejection_later_and_never_arrives():
    history = np.array([(0, 10, 20), (100, 0, 160), (200, 210, 220)], np.int64)
    bus = bus_of(interpolated(history))
    say(bus, 0, 1, EventKind.ORDER_FILLED)
    bus.lines["reply_head"] = RING - 5
    bus.lines["reply_tail"] = RING  # the next reply goes where the fill was
    send(bus, 0, commands(PLACE, CANCEL), 2, 100)
    assert len(under_way(bus)) == 0
    assert int(bus.lines[0]["lost"]) == 2
    line = bus.lines[0]
    assert int(line["reply_tail"]) == RING + 2
    placed, cancelled = bus.replies[0, 0], bus.replies[0, 1]
    assert (placed["kind"], placed["aux0"]) == (EventKind.ORDER_REJECTED, Refusal.REQUEST_LOST)
    assert (cancelled["kind"], cancelled["aux0"]) == (EventKind.CANCEL_REJECTED, Refusal.REQUEST_LOST)
    # Known 60 ns after sending, as recorded.
    assert (placed["ts_exch_ns"], placed["ts_local_ns"], placed["order_id"], placed["side"]) == (100, 160, 1, -1)
    assert (placed["price_ticks"], placed["size_lots"], placed["market"], placed["lane"]) == (2, 3, 5, 0)
    # Nothing of the fill that had its place in the ring.
    rest = ("aux1", "front", "front_at_entry", "mid_half_ticks", "touch_ticks", "maker", "reason")
    assert [float(placed[name]) for name in rest] == [0] * 7
    assert placed["placed_ns"] == 100


def test_a_full_line_is_counted_and_keeps_what_it_has():
    bus = bus_of(constant(entry_ns=10, reply_ns=1))
    many = commands(*[PLACE] * (RING + 1))
    send(bus, 0, many, RING, 0)
    assert bus.bus[0]["overflow"] == 0
    send(bus, 0, many[RING:], 1, 1)
    assert bus.bus[0]["overflow"] == 1
    assert under_way(bus)["order_id"].tolist() == list(range(1, RING + 1))


def test_a_full_line_back_is_counted():
    bus = bus_of(constant(entry_ns=10, reply_ns=1))
    say(bus, 0, 0, *[EventKind.ORDER_ACKNOWLEDGED] * RING)
    assert bus.bus[0]["overflow"] == 0
    say(bus, 0, 5, EventKind.ORDER_FILLED)
    assert bus.bus[0]["overflow"] == 1
    assert int(bus.lines[0]["reply_tail"]) == RING


def test_the_next_times_are_found_again_after_taking():
    bus = bus_of(constant(entry_ns=10, reply_ns=5), lanes=2)
    send(bus, 0, commands(PLACE), 1, 100)
    send(bus, 1, commands(PLACE), 1, 50)
    say(bus, 0, 300, EventKind.ORDER_FILLED)
    say(bus, 1, 200, EventKind.ORDER_FILLED)
    assert (bus.bus[0]["next_request_ns"], bus.bus[0]["next_reply_ns"]) == (60, 205)
    bus.lines["request_head"][1] = bus.lines["reply_head"][1] = 1
    refresh_next_request(bus)
    refresh_next_reply(bus)
    assert (bus.bus[0]["next_request_ns"], bus.bus[0]["next_reply_ns"]) == (110, 305)
    bus.lines["request_head"][0] = bus.lines["reply_head"][0] = 1
    refresh_next_request(bus)
    refresh_next_reply(bus)
    assert (bus.bus[0]["next_request_ns"], bus.bus[0]["next_reply_ns"]) == (FAR, FAR)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 500), st.sampled_from([PLACE, CANCEL])), max_size=40),
    st.integers(0, 99),
)
def test_lines_are_first_in_first_out_and_lanes_share_their_luck(steps, seed):
    table = np.arange(QUANTILES, dtype=np.int64)
    bus = bus_of(sampled(table, table, seed=seed), lanes=2, seed=seed)
    now, sent = 0, [0, 0]
    for lane, wait, kind in steps:
        now += wait
        send(bus, lane, commands(kind, first=sent[lane]), 1, now)
        sent[lane] += 1
    for lane in range(2):
        requests = under_way(bus, lane)
        assert requests["order_id"].tolist() == list(range(sent[lane]))
        assert (np.diff(requests["arrival_ns"]) >= 0).all()
        assert (requests["arrival_ns"] >= requests["sent_ns"]).all()
    waiting = [int(under_way(bus, lane)["arrival_ns"][0]) for lane in range(2) if sent[lane]]
    assert bus.bus[0]["next_request_ns"] == min(waiting, default=FAR)
    # The n-th message of either lane drew the same, so after as many messages both are at the same point.
    alone = bus_of(sampled(table, table, seed=seed), lanes=1, seed=seed)
    send(alone, 0, commands(*[PLACE] * sent[1]), sent[1], 0)
    assert alone.lines[0]["random_a"] == bus.lines[1]["random_a"]
