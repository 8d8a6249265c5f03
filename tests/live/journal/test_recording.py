"""A journal's market data as a recording: the rows that the core saw, read as any other recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.session import Settings, run_backtest
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.sources import open_source
from hlhft.data.validate import examine
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.reader import market_data
from hlhft.live.journal.recording import ROWS_AT_ONCE, JournalSource, export
from hlhft.live.journal.resting import Resting
from hlhft.live.journal.retention import tidy
from hlhft.live.journal.segments import Form, JournalError, Name
from hlhft.strategies import load
from tests.core.worlds import COIN, MS, SECOND
from tests.live.journal.brains import Session, frame

NOTING = Path(__file__).with_name("noting.py")
VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


def written(folder: Path, *frames: np.ndarray) -> None:
    """A session whose core was told these frames, as a decoder gives them."""
    made = Session(folder)
    for rows in frames:
        rows["flags"] |= VISIBLE
        made.step(rows)
    made.journal.close()


def trade(now_ns: int, number: int) -> np.ndarray:
    rows = np.zeros(1, EVENT_DTYPE)
    rows["kind"], rows["ts_exch_ns"], rows["ts_local_ns"] = int(EventKind.TRADE), now_ns - 50 * MS, now_ns
    rows["price_ticks"], rows["size_lots"], rows["order_id"], rows["side"] = 100_000, 10, number, 1
    rows["flags"] = int(EventFlag.FRAME_END)
    return rows


START = 1_790_000_000 * SECOND


def test_what_the_core_saw_is_what_a_reader_of_recordings_gives(tmp_path: Path) -> None:
    frames = [frame(START + place * 10 * MS, 100_000 + place) for place in range(30)]
    account = np.zeros(1, EVENT_DTYPE)
    account["kind"] = int(EventKind.TIMER)
    journal = tmp_path / "journal"
    written(journal, *frames[:10], account, *frames[10:], trade(START + SECOND, 5))
    target = tmp_path / "session.events.npz"
    count = export(journal, target)
    expected = np.concatenate(list(market_data(journal)))
    assert count == len(expected) == 30 * 12 + 1
    source = open_source(target)
    assert list(source.markets) == [COIN] and source.snapshot_markets == (True,)
    assert np.array_equal(np.concatenate(list(source.chunks())), expected)
    assert examine(source).ok


def test_a_backtest_of_the_recording_decides_as_the_engine_did(tmp_path: Path) -> None:
    """The same frames at the same times, the same quotes, the same orders: another world around the same core."""
    made = Session(tmp_path / "journal", name=str(NOTING), now_ns=START)
    made.run(99, every_ns=100 * MS)
    memory, lane = made.brain.lane.memory.copy(), made.brain.lane.lane[0].copy()
    made.run(1, every_ns=100 * MS)  # a backtest ends with the last frame, and decides on it no more
    made.journal.close()
    target = tmp_path / "session.events.npz"
    export(tmp_path / "journal", target)
    recording = compile_recording(open_source(target), profile="recorded")
    settings = Settings(strategy=load(str(NOTING)), latency="1", address_enforced=False, batch_window_ns=0)
    tested = run_backtest(settings, recording).outputs[0].lanes
    assert int(memory[:8].view(np.int64)[0]) == 99, "one decision a frame"
    assert np.array_equal(tested.memory[0], memory)
    assert lane["placed"] > 100
    for name in ("placed", "cancelled", "decisions", "order_sequence"):
        assert tested.lane[0, 0][name] == lane[name], name


class OnlyOurs(Resting):
    """A session in which every trade was with an order of its own that took."""

    def taken(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows), np.bool_)


def test_what_is_known_of_the_sessions_orders_is_taken_out_and_may_leave_nothing(tmp_path: Path) -> None:
    written(tmp_path, trade(START, 1), trade(START + MS, 2))
    assert sum(map(len, JournalSource(tmp_path).chunks())) == 2
    source = JournalSource(tmp_path, resting=OnlyOurs((COIN,)))
    assert isinstance(source.resting, OnlyOurs)
    assert sum(map(len, source.chunks())) == 0


def test_repeated_trades_early_trades_and_silences_are_marked_as_in_every_recording(tmp_path: Path) -> None:
    later = START + 100 * SECOND
    written(
        tmp_path, trade(START, 1), frame(START + MS, 100_000), trade(START + 2 * MS, 2), trade(START + 2 * MS, 2),
        frame(later, 100_000),
    )  # fmt: skip
    source = JournalSource(tmp_path)
    rows = np.concatenate(list(source.chunks()))
    trades = rows[rows["kind"] == int(EventKind.TRADE)]
    assert trades["order_id"].tolist() == [1, 2]
    assert (trades["flags"] & int(EventFlag.BACKFILL) != 0).tolist() == [True, False]
    assert (rows["kind"] == int(EventKind.DEPTH_CLEAR)).sum() == 1
    assert source.counts["duplicate_trades"] == 1 and source.counts["sessions"] == 2


def test_rows_are_numbered_as_they_stand(tmp_path: Path) -> None:
    frames = [frame(START + place * 10 * MS, 100_000) for place in range(5)]
    written(tmp_path, *frames)
    source = JournalSource(tmp_path)
    ((path, numbered),) = source.numbered(ProgressMeter(None, 0))
    assert path == tmp_path and numbered.places.tolist() == list(range(60))
    assert np.array_equal(numbered.events, np.concatenate(frames))
    assert source.fingerprint() == JournalSource(tmp_path).fingerprint()


def test_many_rows_come_in_pieces(tmp_path: Path) -> None:
    large = np.concatenate([frame(START, 100_000)] * 1000)
    written(tmp_path, *[large] * 3)
    pieces = [len(numbered.events) for _, numbered in JournalSource(tmp_path).numbered(ProgressMeter(None, 0))]
    assert sum(pieces) == 36_000 and len(pieces) == 2 and pieces[0] >= ROWS_AT_ONCE


def test_rows_that_fill_a_piece_leave_no_empty_one(tmp_path: Path) -> None:
    written(tmp_path, np.concatenate([trade(START, number + 1) for number in range(ROWS_AT_ONCE)]))
    pieces = [len(numbered.events) for _, numbered in JournalSource(tmp_path).numbered(ProgressMeter(None, 0))]
    assert pieces == [ROWS_AT_ONCE]


def test_market_data_that_was_dropped_is_refused(tmp_path: Path) -> None:
    written(tmp_path, frame(START, 100_000))
    tidy(tmp_path, Name(9, 0), total_bytes_max=1 << 40, keep_days=10, now_ns=0)
    (tmp_path / Name(7, 0).file(Form.WHOLE)).unlink()
    with pytest.raises(JournalError, match="market data of some segments was dropped"):
        JournalSource(tmp_path)
    (tmp_path / Name(7, 0).file(Form.LEDGER)).unlink()
    path = tmp_path / Name(8, 0).file(Form.OPEN)
    path.write_bytes(bytes(100))
    with pytest.raises(JournalError, match="not one whole record"):
        JournalSource(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    written(tmp_path, frame(START, 100_000))
    with pytest.raises(DataError, match="cannot be written"):
        export(tmp_path, tmp_path / "nothing" / "out.npz")
