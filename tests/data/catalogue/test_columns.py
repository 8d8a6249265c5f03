from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.data.catalogue.columns import EVENTS_SCHEMA, Columns, events_of
from hlhft.data.merge import Events, nothing
from hlhft.events import EVENT_DTYPE, EventKind
from tests.data.making import event


def batch_of(events: Events) -> pa.RecordBatch:
    columns = Columns()
    assert columns.take(events) == len(events)
    return columns.batch()


TICKS = st.integers(-(2**31), 2**31 - 1)
WIDE = st.integers(-(2**63), 2**63 - 1)


@given(
    st.lists(
        st.tuples(
            WIDE, WIDE, TICKS, WIDE, WIDE, WIDE, WIDE, st.integers(0, 255), st.integers(0, 255), st.integers(-1, 1)
        ),
        max_size=20,
    ),
    st.integers(0, 20),
)
def test_any_record_comes_back(rows: list[tuple[int, ...]], place: int) -> None:
    events = np.array([(*row[:9], 0, row[9], 0) for row in rows], dtype=EVENT_DTYPE)
    batch = batch_of(events)
    assert batch.schema == EVENTS_SCHEMA
    assert (events_of(batch) == events).all()
    assert (events_of(batch_of(events[place:]), before=events[:place]) == events).all()


def test_the_market_is_the_part_s_own() -> None:
    assert events_of(batch_of(event(EventKind.TRADE, 5, market=3)))["market"].tolist() == [0]
    assert len(events_of(batch_of(nothing()))) == 0


@pytest.mark.parametrize(
    "change", [{"kind": 256}, {"flags": 256}, {"price_ticks": 2**31}, {"price_ticks": -(2**31) - 1}]
)
def test_what_is_no_market_data_is_refused(change: dict[str, int]) -> None:
    row = event(EventKind.TRADE, 5)
    for name, value in change.items():
        row[name] = value
    with pytest.raises(ValueError, match=r"a (kind|flags|price_ticks) is outside"):
        batch_of(row)
