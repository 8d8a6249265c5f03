"""What is read from a journal: the first order, and the time from a trip to its cancel."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.hyperliquid.packing import ActionKind
from hlhft.live.journal.records import Action, Record, RecordKind, pack_action
from tests.bench.lives import first_order_ns, trip_to_cancel_ns

MS = 1_000_000
START_NS = 1_790_000_000 * 10**9


def inputs(at_ns: int, *, batch: int, received_ns: int, written_ns: int) -> Record:
    row = np.zeros(1, EVENT_DTYPE)
    row["ts_local_ns"], row["order_id"], row["kind"] = at_ns, batch, int(EventKind.COMMAND_SENT)
    row["aux0"], row["aux1"] = received_ns, written_ns
    return Record(RecordKind.INPUTS, 0, 1, at_ns, 1, row.tobytes(), 0)


def action(at_ns: int, kind: ActionKind, *, batch: int) -> Record:
    content = Action(at_ns // MS, 1, batch, 0, int(kind), 0, (1,))
    return Record(RecordKind.ACTION, 0, 1, at_ns, 1, pack_action(content), 0)


def test_a_start_ends_with_the_first_order() -> None:
    records = [
        action(START_NS, ActionKind.NOOP, batch=0),
        action(START_NS + 5, ActionKind.ORDER, batch=1),
        action(START_NS + 9, ActionKind.ORDER, batch=2),
    ]
    assert first_order_ns(records) == START_NS + 5
    with pytest.raises(AssertionError, match="no order"):
        first_order_ns(records[:1])


def test_a_trip_ends_with_the_cancel_that_it_led_to() -> None:
    trip_ns = START_NS + 1_000 * MS
    late = inputs(trip_ns, batch=0, received_ns=trip_ns - 200 * MS, written_ns=trip_ns)
    records = [
        action(START_NS, ActionKind.ORDER, batch=6),
        inputs(START_NS, batch=6, received_ns=START_NS - MS, written_ns=START_NS),
        inputs(START_NS + 9, batch=0, received_ns=START_NS - 30 * MS, written_ns=START_NS),  # late, and not too much
        late,
        action(trip_ns + 1, ActionKind.CANCEL_BY_CLOID, batch=0),  # the repeat of one that was under way
        action(trip_ns + 1, ActionKind.CANCEL_BY_CLOID, batch=7),
        inputs(trip_ns + 700_000, batch=7, received_ns=trip_ns - 200 * MS, written_ns=trip_ns + 600_000),
    ]
    assert trip_to_cancel_ns(records, trip_ns) == 600_000
    for less, since_ns in ((records[:-1], trip_ns), (records, trip_ns + 1)):
        with pytest.raises(AssertionError, match="no trip"):
            trip_to_cancel_ns(less, since_ns)
    for kind, batch in ((ActionKind.ORDER, 7), (ActionKind.NOOP, 0)):
        with pytest.raises(AssertionError, match=f"no cancel: kind {int(kind)}, batch {batch}, 999.0 ms after it"):
            trip_to_cancel_ns([late, action(trip_ns + 999 * MS, kind, batch=batch)], trip_ns)


def test_a_trip_that_found_nothing_to_cancel_is_no_measurement() -> None:
    """A natural stall cancelled all just before the freeze: what leaves next is a quote after the pause."""
    late = inputs(START_NS, batch=0, received_ns=START_NS - 200 * MS, written_ns=START_NS)
    quote = action(START_NS + 1_000 * MS, ActionKind.ORDER, batch=7)
    repeat = action(START_NS + 1, ActionKind.CANCEL_BY_CLOID, batch=0)
    assert trip_to_cancel_ns([late, repeat, quote], START_NS) is None
