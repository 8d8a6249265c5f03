"""Values by name reach the slots of their series, and a count that begins anew goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.sheet import Rising, Sheet
from hlhft.monitor.block import BlockWriter
from hlhft.monitor.metrics import Source


def test_a_value_is_set_by_name_and_labels() -> None:
    block = BlockWriter(None, source=Source.ENGINE, labels={}, clock_ns=lambda: 1)
    sheet, all_markets = Sheet(block, "BTC"), Sheet(block)
    sheet["hlhft_quotes", "buy"] = 2
    sheet["hlhft_quotes", "sell"] = 3
    sheet["hlhft_quotes", "buy"] = 4
    sheet.add("hlhft_quoting_seconds_total", 0.5)
    sheet.add("hlhft_quoting_seconds_total", 0.25)
    all_markets["hlhft_halted"] = 1.0
    told = {
        labels: block.values[block.slot(*labels)]
        for labels in (
            ("hlhft_quotes", "BTC", "buy"), ("hlhft_quotes", "BTC", "sell"), ("hlhft_halted",),
            ("hlhft_quoting_seconds_total", "BTC"),
        )
    }  # fmt: skip
    assert list(told.values()) == [4, 3, 1, 0.75]
    with pytest.raises(KeyError):
        sheet["hlhft_quote"] = 1.0
    with pytest.raises(ValueError, match="has the labels market, side"):
        sheet["hlhft_quotes"] = 1.0


@given(st.lists(st.integers(0, 5) | st.none(), max_size=50))
def test_a_count_never_falls_whenever_it_begins_anew(steps: list[int | None]) -> None:
    rising, count, told = Rising(), 0, [0]
    for step in steps:
        count = 0 if step is None else count + step
        told.append(rising.at(count))
    assert told == sorted(told)
    assert told[-1] == sum(step or 0 for step in steps)
