"""Pictures become their two best prices, and everything stands in the venue's order."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events, Numbered, rechunk
from hlhft.data.sources import Source, open_source
from hlhft.events import EventFlag, EventKind
from hlhft.report.scan_touches import blocks_of, touches
from tests.report.tape import BUY, MARKET, MS, SELL, START_NS, Tape, rows_of

PICTURES, CHANGES = np.array([True]), np.array([False])
FIELDS = ["ts_exch_ns", "kind", "side", "price_ticks", "size_lots"]
BBO, TRADE = int(EventKind.BBO), int(EventKind.TRADE)


class Recording(Source):
    """A recording of one market, as these rows arrived."""

    reader = "test"
    snapshots_only = True

    def __init__(self, rows: Events, *, cut: int = 1 << 16, snapshots: bool = True, ordered: bool = False) -> None:
        super().__init__("recording", (), [MARKET], {})
        self.rows, self.cut = rows, cut
        self.snapshots_only, self.ordered = snapshots, ordered

    def numbered(self, meter: ProgressMeter) -> list[tuple[Path, Numbered]]:
        raise NotImplementedError

    def _arrays(self, meter: ProgressMeter) -> list[Events]:
        return list(rechunk([self.rows], self.cut))


def seen(rows: Events, snapshots: np.ndarray = PICTURES) -> list[tuple[int, ...]]:
    (found,) = list(touches([rows], snapshots)) or [rows[:0]]
    return [(int(row["ts_exch_ns"] - START_NS) // MS, *(int(row[name]) for name in FIELDS[1:])) for row in found]


def test_a_picture_is_its_two_best_prices() -> None:
    rows = Tape().trade(1, BUY, 102, 3).book(5, [(100, 7), (99, 8)], [(102, 9), (103, 1)]).trade(6, SELL, 100, 2)
    assert seen(rows.arrived()) == [
        (1, TRADE, BUY, 102, 3),
        (5, BBO, BUY, 100, 7),
        (5, BBO, SELL, 102, 9),
        (6, TRADE, SELL, 100, 2),
    ]


def test_a_side_without_levels_is_a_price_of_nothing() -> None:
    rows = Tape().book(5, [], [(102, 9)]).book(6, [(100, 1)], []).book(7, [], [])
    assert [row[2:] for row in seen(rows.arrived())] == [
        (BUY, 0, 0), (SELL, 102, 9), (BUY, 100, 1), (SELL, 0, 0), (BUY, 0, 0), (SELL, 0, 0),
    ]  # fmt: skip


def test_the_last_row_of_a_picture_ends_its_frame() -> None:
    (found,) = touches([Tape().book(5, [(100, 7)], [(102, 9)]).arrived()], PICTURES)
    assert (found["flags"] & int(EventFlag.FRAME_END)).astype(bool).tolist() == [False, True]


def test_of_a_book_of_changes_only_best_prices_and_trades_are_kept() -> None:
    tape = Tape().book(5, [(100, 7)], [(102, 9)]).clear(6).bbo(7, 100, 102).trade(8, BUY, 102, 1)
    assert [row[1] for row in seen(tape.arrived(), CHANGES)] == [BBO, BBO, TRADE]
    assert seen(Tape().book(5, [(100, 7)], [(102, 9)]).arrived(), CHANGES) == []


LEVELS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=3)
FRAMES = st.lists(
    st.one_of(
        st.tuples(st.just("book"), LEVELS, LEVELS),
        st.tuples(st.just("trade"), st.sampled_from([BUY, SELL]), st.integers(1, 9)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(FRAMES, st.integers(1, 7))
def test_however_arrays_are_cut_the_touches_are_those_of_each_picture(frames: list[Any], cut: int) -> None:
    tape, expected = Tape(), []
    for at_ms, (kind, first, second) in enumerate(frames):
        if kind == "book":
            tape.book(at_ms, first, second)
            expected += [
                (at_ms, BBO, side, *(levels or [(0, 0)])[0]) for side, levels in ((BUY, first), (SELL, second))
            ]
        else:
            tape.trade(at_ms, first, second, 1)
            expected.append((at_ms, TRADE, first, second, 1))
    found = list(blocks_of(Recording(tape.arrived(), cut=cut)))
    rows = np.concatenate(found)
    assert [
        (int(row["ts_exch_ns"] - START_NS) // MS, *(int(row[name]) for name in FIELDS[1:])) for row in rows
    ] == expected


def test_rows_come_in_the_venues_order_and_blocks_whole() -> None:
    """Best prices reach us before the trades of their block: the venue traded first."""
    tape = Tape(delay_ms=300).bbo(10, 100, 102).trade(10, BUY, 103, 1).bbo(20, 101, 103)
    late = Tape(delay_ms=900).trade(15, SELL, 100, 1)
    rows = rows_of([*tape.found, *late.found])
    (blocks,) = blocks_of(Recording(rows))
    assert [(int(row["ts_exch_ns"] - START_NS) // MS, int(row["kind"])) for row in blocks] == [
        (10, TRADE), (10, BBO), (10, BBO), (15, TRADE), (20, BBO), (20, BBO),
    ]  # fmt: skip


def test_backfill_is_not_the_venues() -> None:
    rows = Tape().bbo(10, 100, 102).trade(11, BUY, 102, 1).trade(12, BUY, 102, 1).arrived()
    rows["flags"][2] &= ~np.uint16(EventFlag.EXCHANGE_VISIBLE)
    (blocks,) = blocks_of(Recording(rows))
    assert len(blocks) == 3


def test_a_recording_sorted_for_both_sides_stays_as_it_is() -> None:
    rows = Tape().bbo(10, 100, 102).trade(10, BUY, 102, 1).arrived()
    (blocks,) = blocks_of(Recording(rows, snapshots=False, ordered=True))
    assert blocks["kind"].tolist() == [BBO, BBO, TRADE]


def test_books_alone_say_the_same_as_best_prices(recordings: Path, tmp_path: Path) -> None:
    """Of the recorded coins both channels agree at every time that they share (README of the recordings)."""
    found = []
    for name in ("orderbooks", "prices"):
        alone = tmp_path / name
        alone.mkdir()
        shutil.copy(recordings / "hyperliquid" / "l2_trades_bbo_20250904" / f"{name}_WLFI.csv.gz", alone)
        found.append(np.concatenate(list(blocks_of(open_source(alone)))))
    for side in (BUY, SELL):
        one, other = (
            {
                int(row["ts_exch_ns"]): (int(row["price_ticks"]), int(row["size_lots"]))
                for row in rows[rows["side"] == side]
            }
            for rows in found
        )
        shared = one.keys() & other.keys()
        # Of 1,368 comparisons two are at a time that came before.
        assert len(shared) == 1366
        assert all(one[ts] == other[ts] for ts in shared)
