"""Messages gathered in bulk become the rows that they would one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.readers.frames import FrameBlock
from hlhft.events import EventKind
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.data.making import BOTH, BTC, END, LOCAL, columns

PATH = Path("a.gz")


def test_messages_become_frames() -> None:
    block = FrameBlock(PATH, BTC)
    block.frame(3, ts_exch_ns=10, ts_local_ns=20)
    block.mark(EventKind.SNAPSHOT_BEGIN, aux0=20, aux1=1)
    block.pairs(EventKind.DEPTH_LEVEL, 1, 2, b"100.5,1.5,100,0", orders=[4, 5])
    block.pairs(EventKind.DEPTH_LEVEL, -1, 0, b"")
    block.mark(EventKind.SNAPSHOT_END, aux0=2)
    block.frame(5, ts_exch_ns=30, ts_local_ns=40)
    block.pairs(EventKind.TRADE, -1, 1, b"100.5,0.00001", order_id=7, ts_exch_ns=25, flags=LOCAL)
    events, lines = block.events_and_lines()
    assert lines.tolist() == [3, 3, 3, 3, 5]
    assert columns(events, "kind", "side", "ts_exch_ns", "ts_local_ns", "price_ticks", "size_lots") == [
        (3, 0, 10, 20, 0, 0), (1, 1, 10, 20, 1005, 150_000), (1, 1, 10, 20, 1000, 0), (4, 0, 10, 20, 0, 0),
        (6, -1, 25, 40, 1005, 1),
    ]  # fmt: skip
    assert columns(events, "order_id", "aux0", "aux1", "flags", "market") == [
        (0, 20, 1, BOTH, 0), (0, 4, 0, BOTH, 0), (0, 5, 0, BOTH, 0), (0, 2, 0, BOTH | END, 0),
        (7, 0, 0, LOCAL | END, 0),
    ]  # fmt: skip
    assert len(block.events()) == 0


def test_a_message_without_rows_vanishes() -> None:
    block = FrameBlock(PATH, BTC)
    block.frame(1, ts_exch_ns=10, ts_local_ns=20)
    block.frame(2, ts_exch_ns=30, ts_local_ns=40)
    block.pairs(EventKind.TRADE, 1, 1, b"100,1")
    block.frame(3, ts_exch_ns=50, ts_local_ns=60)
    events, lines = block.events_and_lines()
    assert (events["ts_local_ns"].tolist(), lines.tolist()) == ([40], [2])
    block.frame(4, ts_exch_ns=50, ts_local_ns=60)
    assert len(block.events()) == 0


def test_what_was_gathered_can_be_forgotten() -> None:
    block = FrameBlock(PATH, BTC)
    block.frame(1, ts_exch_ns=10, ts_local_ns=20)
    block.pairs(EventKind.TRADE, 1, 1, b"x,1")
    block.clear()
    assert len(block.events()) == 0


@given(st.lists(st.tuples(st.integers(1, TICKS_MAX), st.integers(1, LOTS_MAX)), min_size=1, max_size=8))
@settings(max_examples=40)
def test_prices_and_sizes_are_exact(pairs: list[tuple[int, int]]) -> None:
    block = FrameBlock(PATH, BTC)
    block.frame(1, ts_exch_ns=10, ts_local_ns=20)
    text = ",".join(f"{BTC.price_text(ticks)},{BTC.size_text(lots)}" for ticks, lots in pairs).encode()
    block.pairs(EventKind.DEPTH_LEVEL, 1, len(pairs), text)
    assert columns(block.events(), "price_ticks", "size_lots") == pairs


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (EventKind.DEPTH_LEVEL, b"100.55,1", "price 100.55 has more than 1 decimals"),
        (EventKind.DEPTH_LEVEL, b"100.5,0.000001", "size 0.000001 has more than 5 decimals"),
        (EventKind.DEPTH_LEVEL, b"NaN,1", '"NaN" is not a decimal number'),
        (EventKind.DEPTH_LEVEL, b"100,inf", '"inf" is not a decimal number'),
        (EventKind.DEPTH_LEVEL, b"100,", '"" is not a decimal number'),
        (EventKind.DEPTH_LEVEL, b"1,0,0", "a price or size holds a comma"),
        (EventKind.DEPTH_LEVEL, b"-100,1", "price -100 with size 1 is out of range"),
        (EventKind.DEPTH_LEVEL, b"0,1", "price 0 with size 1 is out of range"),
        (EventKind.DEPTH_LEVEL, b"100,-1", "price 100 with size -1 is out of range"),
        (EventKind.DEPTH_LEVEL, b"214748364.8,1", "price 214748364.8 with size 1 is out of range"),
        (EventKind.DEPTH_LEVEL, b"1,703687441.77664", "price 1 with size 703687441.77664 is out of range"),
        (EventKind.TRADE, b"0,1", "price 0 with size 1 is out of range"),
        (EventKind.TRADE, b"100,0", "price 100 with size 0 is out of range"),
        (EventKind.BBO, b"-1,1", "price -1 with size 1 is out of range"),
    ],
)
def test_a_price_or_size_that_the_market_can_not_have_names_its_line(
    kind: EventKind, text: bytes, problem: str
) -> None:
    block = FrameBlock(PATH, BTC)
    for number, content in ((4, b"100,1"), (6, text), (9, b"100,1")):
        block.frame(number, ts_exch_ns=10, ts_local_ns=20)
        block.pairs(kind, 1, 1, content)
    with pytest.raises(DataError) as caught:
        block.events()
    assert str(caught.value) == (
        f"a.gz, line 6: {caught.value.message}"
    ) and problem in caught.value.message  # fmt: skip
    assert caught.value.message.endswith("expected a positive price and size of BTC, correct or drop the line")


def test_an_empty_side_of_the_touch_is_no_fault() -> None:
    block = FrameBlock(PATH, BTC)
    block.frame(1, ts_exch_ns=10, ts_local_ns=20)
    block.pairs(EventKind.BBO, 1, 1, b"0,0")
    assert columns(block.events(), "price_ticks", "size_lots") == [(0, 0)]


def test_levels_may_be_cut_to_whole_lots_and_trades_never() -> None:
    block = FrameBlock(PATH, BTC, cut_levels=True)
    block.frame(1, ts_exch_ns=10, ts_local_ns=20)
    block.pairs(EventKind.DEPTH_LEVEL, 1, 2, b"100,25.426189,101,1")
    assert block.events()["size_lots"].tolist() == [2_542_618, 100_000]
    assert block.cut == 1
    block.frame(2, ts_exch_ns=10, ts_local_ns=20)
    block.pairs(EventKind.TRADE, 1, 1, b"100,25.426189")
    with pytest.raises(DataError, match=r"line 2: size 25.426189 has more than 5 decimals"):
        block.events()
