"""What a change is, said twice: as an enumeration, and as constants of compiled code."""

from __future__ import annotations

from hlhft.data.node import book, scanning
from hlhft.data.node.changes import CHANGE_DTYPE, ENTRY_DTYPE, HEIGHT_MAX, LINE_DTYPE, TRADE_DTYPE, Change
from hlhft.events import EventKind


def test_compiled_constants_are_those_of_the_enumerations():
    for module in (book, scanning):
        constants = (module._NEW, module._UPDATE, module._REMOVE)
        assert list(constants) == [Change.NEW, Change.UPDATE, Change.REMOVE]
    kinds = (EventKind.DEPTH_LEVEL, EventKind.DEPTH_CLEAR, EventKind.BBO, EventKind.TRADE)
    assert kinds == (book._LEVEL, book._CLEAR, book._BBO, book._TRADE)
    assert scanning._HEIGHT_MAX == HEIGHT_MAX
    for name in ("UNKNOWN_ORDER", "KNOWN_ORDER", "OTHER_SIZE", "OTHER_LEVEL", "NO_SIDE", "UNKNOWN_CHANGE", "CROSSED",
                 "TOO_MANY_ORDERS", "TOO_MANY_LEVELS"):  # fmt: skip
        assert getattr(book, f"_{name}") == book.Fault[name]


def test_records_have_no_holes():
    for dtype in (CHANGE_DTYPE, ENTRY_DTYPE, LINE_DTYPE, TRADE_DTYPE):
        assert dtype.itemsize % 8 == 0
