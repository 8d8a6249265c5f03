"""A replay from outside: the same bytes however it is run, bounded memory, and an interruption that keeps the rest."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest import replay as replays
from hlhft.backtest.bus import RING
from hlhft.backtest.replay import BAND_MAX, ReplayError, RowArray, band_of, prepare, run, run_replay
from hlhft.compiled import JIT_DISABLED
from hlhft.core.state import COMMAND_DTYPE, LEVEL_DTYPE, LEVELS, CommandKind, Feature, Lane
from hlhft.core.step import step
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.strategies import load
from tests.backtest.conftest import ROOT, Child
from tests.backtest.scenarios import (
    BOOK,
    BUY,
    LIVELY,
    MS,
    Order,
    Pieces,
    Scenario,
    bytes_of,
    digest,
    fills_of,
    limits,
    lively,
    ns,
    random_events,
    rows_of,
    stream_of,
)

QUOTER = ROOT / "docs" / "examples" / "imbalance_quoter.py"
LIVELY_DIGEST = "from tests.backtest.scenarios import digest, lively; print(digest(lively().run()))"


# Streams and windows.


def test_an_array_is_read_in_pieces_from_where_it_stands():
    rows = rows_of(random_events(3))
    stream = RowArray(rows, 1, 2)
    assert stream.rows_total == len(rows)
    parts = [stream.read(7)]
    while len(parts[-1]):
        parts.append(stream.read(7))
    assert np.concatenate(parts).tobytes() == rows.tobytes()


@settings(max_examples=5)
@given(window=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 99), markets=st.integers(1, 2))
def test_the_size_of_windows_and_pieces_does_not_matter(window, size, seed, markets):
    events = [random_events(seed + index, market=index) for index in range(markets)]
    scenario = lively(events=events, scripts=[LIVELY])
    with pytest.MonkeyPatch.context() as cramped:
        cramped.setattr(replays, "WINDOW_ROWS", window)
        pieces = scenario.run(streams=[Pieces(rows, size) for rows in scenario.rows()])
        stepped = scenario.run()
    whole = scenario.run()
    assert bytes_of(pieces) == bytes_of(whole)
    assert bytes_of(stepped) == bytes_of(whole)


def test_clocks_too_far_apart_are_refused(monkeypatch):
    """What reaches us only after everything else must be held, up to a bound."""
    monkeypatch.setattr(replays, "WINDOW_ROWS", 8)
    monkeypatch.setattr(replays, "WINDOW_ROWS_MAX", 64)
    table = BOOK + "\n".join(f"{at}+500 level buy 99.9 {at}" for at in range(1, 200))
    scenario = Scenario(tables=[table])
    with pytest.raises(ReplayError, match=r"two clocks of the recording lie more than 64 rows apart.*data check"):
        scenario.run(streams=[Pieces(rows, 8) for rows in scenario.rows()])


def test_a_strategy_that_sleeps_for_an_hour_needs_no_window_of_an_hour(monkeypatch):
    """Two hundred seconds of rows with a window of at most 64: the way to the next decision is walked in steps."""
    monkeypatch.setattr(replays, "WINDOW_ROWS", 8)
    monkeypatch.setattr(replays, "WINDOW_ROWS_MAX", 64)
    table = BOOK + "\n".join(f"{1000 * at} level buy 99.9 {at}" for at in range(1, 200))
    scenario = Scenario(tables=[table], limits={"decide_on_frame": 0, "interval_ns": 3_600_000 * MS})
    output = scenario.run(streams=[Pieces(rows, 8) for rows in scenario.rows()])
    assert output.venue_rows == 201
    assert output.lanes.lane[0, 0]["decisions"] == 0


def test_the_ladder_holds_every_recorded_price_and_room_around():
    low, high = Scenario(tables=["0 trade buy 100 1\n1 trade buy 103 1"]), Scenario(tables=["0 trade buy 0.01 1"])
    streams = [stream_of(scenario.rows()[0]) for scenario in (low, high)]
    # 3000 ticks between them and as many on either side, more than a fiftieth of 103,000; 64 where all that is less.
    assert band_of(streams) == ([97_000, 1], 9_001)


def test_prices_that_no_ladder_holds_are_refused():
    stream = RowArray(np.zeros(0, replays.ROW_DTYPE), 1, BAND_MAX)
    with pytest.raises(ReplayError, match=f"prices from 1 to {BAND_MAX} ticks span more than.*data check"):
        band_of([stream])


def test_a_plan_is_run_with_progress_to_the_last_row(monkeypatch):
    monkeypatch.setattr(replays, "WINDOW_ROWS", 16)
    scenario = lively()
    told: list[tuple[int, int]] = []
    output = run_replay(scenario.planned(), lambda done, total: told.append((done, total)))
    total = len(scenario.rows()[0])
    assert told[-1] == (total, total)
    assert len(told) > 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert output.venue_rows == total
    assert bytes_of(output) == bytes_of(scenario.run())


def test_levels_outside_the_band_are_counted():
    output = Scenario(tables=[f"{BOOK}\n 1 trade sell 100 1\n 2 level buy 50 1\n 3 level buy 99.9 4"]).run()
    assert output.levels_outside == 1


def test_many_lanes_have_room_for_their_records(monkeypatch):
    """A round of records needs a row a lane: here more than the plain buffer has."""
    monkeypatch.setattr(replays, "RECORD_ROWS", 4)
    lanes = 16
    output = Scenario(tables=[f"{BOOK}\n 1 level buy 99.9 4"], scripts=[[]] * lanes).run()
    assert np.bincount(output.records["lane"]).tolist() == [2] * lanes


def test_orders_that_came_to_rest_are_kept_where_they_are_wanted_and_change_nothing(monkeypatch):
    """All that the first three lanes of the lively market place comes to rest; the last one also takes."""
    scenario = lively()
    without, output = scenario.run(), run(scenario.prepared(), keep_orders=True)
    assert bytes_of(output) == bytes_of(without)
    assert len(without.placed) == 0
    counted = np.bincount(output.placed["lane"])
    assert counted[:3].tolist() == output.lanes.lane["placed"].ravel()[:3].tolist() == [4, 6, 9]
    assert 0 < counted[3] < output.lanes.lane["placed"][3, 0]
    mine = output.lane(0).placed
    assert mine["side"].tolist() == [BUY, -BUY, -BUY, BUY]
    assert mine["price_ticks"].tolist() == [99_970, 100_030, 100_030, 99_970]
    assert mine["touch_ticks"].tolist() == [99_930, 100_050, 100_030, 99_930]
    assert mine["ahead_lots"].tolist() == [0.0, 0.0, 1600.0, 0.0]
    assert (np.diff(mine["ts_exch_ns"]) >= 0).all() and mine["ts_exch_ns"][0] > output.first_ns
    assert (mine["ts_local_ns"] > mine["ts_exch_ns"]).all()
    # Logged with hardly any room and never more than the bound, they are the first ones, and all fills are there.
    monkeypatch.setattr(replays, "FILL_ROWS", RING)
    monkeypatch.setattr(replays, "ORDERS_MAX", 5)
    bounded = run(scenario.prepared(), keep_orders=True)
    assert bounded.placed.tobytes() == output.placed[:5].tobytes()
    assert bytes_of(bounded) == bytes_of(without)


# The same bytes.


def test_sixty_four_lanes_are_sixty_four_runs(opening):
    """On recorded order flow, quoting at as many distances: fills, records and the whole state, byte for byte."""
    market, events = opening
    count = 4 if JIT_DISABLED else 64
    params = [{"half_spread_bp": 0.02 + 0.02 * lane, "order_notional_usdc": 2000} for lane in range(count)]
    scenario = Scenario(
        events=[events[: 1500 if JIT_DISABLED else 8000]],
        markets=[market],
        strategy=load(str(QUOTER)),
        params=params,
        entry_ms=3,
        reply_ms=2,
        limits={"features": int(Feature.ALL), "interval_ns": 10 * MS},
    )
    together = scenario.run()
    assert len(together.fills) > 0 or JIT_DISABLED
    for lane, one in enumerate(params):
        assert bytes_of(together.lane(lane)) == bytes_of(replace(scenario, params=[one]).run()), f"lane {lane}"


def test_another_process_and_hash_seed_give_the_same_bytes(child: Child):
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "4242" else "4242"
    assert child(LIVELY_DIGEST, PYTHONHASHSEED=seed) == digest(lively().run())


def test_with_and_without_compilation_a_run_is_the_same(child: Child):
    assert child(LIVELY_DIGEST, NUMBA_DISABLE_JIT="0" if JIT_DISABLED else "1") == digest(lively().run())


@pytest.mark.slow
@pytest.mark.processes
def test_a_cold_cache_gives_the_same_bytes(child: Child, tmp_path: Path):
    environment = {"HLHFT_CACHE": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    cold = child(LIVELY_DIGEST, **environment)
    assert child(LIVELY_DIGEST, **environment) == cold
    assert child(LIVELY_DIGEST, NUMBA_DISABLE_JIT="1") == cold


def test_another_seed_draws_other_latencies():
    """The seed decides something: the lines' generators start from it."""
    first, second = (lively().run(seed=seed) for seed in (1, 2))
    assert digest(first) != digest(second)


# Rows and events.


def frames_of(events: np.ndarray) -> list[np.ndarray]:
    """What reaches us, frame by frame."""
    ours = events[(events["flags"] & EventFlag.LOCAL_VISIBLE) != 0]
    ends = np.flatnonzero(ours["flags"] & EventFlag.FRAME_END) + 1
    return [frame for frame in np.split(ours, ends) if len(frame)]


def answers_of(commands: np.ndarray, now_ns: int) -> np.ndarray:
    """What a venue says that accepts everything at once and fills nothing."""
    events = np.zeros(len(commands), EVENT_DTYPE)
    for event, command in zip(events, commands, strict=True):
        placed = command["kind"] == CommandKind.PLACE
        event["kind"] = EventKind.ORDER_ACKNOWLEDGED if placed else EventKind.ORDER_CANCELLED
        event["ts_exch_ns"] = event["ts_local_ns"] = now_ns
        for name in ("order_id", "price_ticks", "size_lots", "side", "market"):
            event[name] = command[name]
        event["aux0"] = command["order_id"]
    return events


def test_event_records_and_rows_give_the_same_commands(opening):
    """The core fed frame by frame with event records, and the replay over its compact rows: the same orders and
    cancels, at the same times, from the same features."""
    market, events = opening
    if JIT_DISABLED:
        events = events[: int(np.flatnonzero(events["flags"][:2500] & EventFlag.FRAME_END)[-1]) + 1]
    scenario = Scenario(
        events=[events],
        markets=[market],
        strategy=load(str(QUOTER)),
        params=[{"half_spread_bp": 90, "lean_bp": 9, "order_notional_usdc": 2000}],
        limits={"features": int(Feature.ALL), "decide_on_fill": 0, "feed_age_ns_max": 50 * MS},
    )
    replay = scenario.prepared()
    assert len(run(replay).fills) == 0
    total = int(replay.bus.lines[0]["request_tail"])
    assert total > 20
    sent = replay.bus.requests[0, np.arange(max(total - RING, 0), total) % RING]
    other = scenario.prepared()
    lane = Lane(*(array[0] for array in other.lanes))
    deciding = limits(**scenario.limits)
    silent = limits(**{**scenario.limits, "decide_on_frame": 0})
    scratch, out = np.zeros((2, LEVELS), LEVEL_DTYPE), np.zeros(512, COMMAND_DTYPE)
    frames = frames_of(events)
    commands, answers = [], np.zeros(0, EVENT_DTYPE)
    for frame, following in pairwise(frames):
        now_ns = frame["ts_local_ns"][-1]
        step(other.data, lane, silent, scratch, answers, len(answers), out)
        # Frames of one moment are one decision, after the last.
        rules = deciding if following["ts_local_ns"][0] > now_ns else silent
        count = step(other.data, lane, rules, scratch, frame, len(frame), out)
        commands.append(out[:count].copy())
        answers = answers_of(commands[-1], now_ns)
    for last in (answers, frames[-1]):
        step(other.data, lane, silent, scratch, last, len(last), out)
    expected = np.concatenate(commands)
    assert len(expected) == total
    expected = expected[-RING:]
    for name in ("order_id", "price_ticks", "size_lots", "kind", "command_class", "side", "time_in_force"):
        assert sent[name].tolist() == expected[name].tolist(), name
    assert sent["sent_ns"].tolist() == expected["ts_ns"].tolist()
    assert replay.data.features.tobytes() == other.data.features.tobytes()
    assert replay.data.feature_memory.tobytes() == other.data.feature_memory.tobytes()
    assert replay.data.cells.tobytes() == other.data.cells.tobytes()
    assert replay.data.features[0]["ready"] & Feature.IMBALANCE
    for name in ("orders", "active", "memory"):
        assert getattr(replay.lanes, name)[0].tobytes() == getattr(lane, name).tobytes(), name


@pytest.mark.parametrize("line", ["trade buy 100.1 1", "context 100 100 0"])
def test_only_its_own_rows_make_a_book_fresh(line):
    """The book is 40 ms old at 60 and the limit is 30: the quote is pulled, although trades and contexts go on."""
    table = f"{BOOK}\n 20 level buy 99.9 4\n 60 {line}\n 80 {line}"
    scenario = Scenario(
        tables=[table], scripts=[[Order(0, 90, BUY, "99.5", "1")]], limits={"feed_age_ns_max": 30 * MS}
    )  # fmt: skip
    output = scenario.run()
    assert output.lanes.lane[0, 0]["cancelled"] == 1
    assert output.lanes.positions[0, 0]["active_count"] == 0


def test_our_quotes_leave_our_features_unchanged():
    """The same recording with and without our orders in it: books and features are byte for byte the same."""
    features = {"features": int(Feature.ALL)}
    events = random_events(11)
    busy = Scenario(events=[events], scripts=[LIVELY], limits=features).prepared()
    idle = Scenario(events=[events], scripts=[[]], limits=features).prepared()
    assert len(run(busy).fills) > 0
    run(idle)
    assert busy.data.features.tobytes() == idle.data.features.tobytes()
    assert busy.data.feature_memory.tobytes() == idle.data.feature_memory.tobytes()
    assert busy.data.books.tobytes() == idle.data.books.tobytes()
    assert busy.data.features[0]["ready"] != 0


# Memory.


RECORDING_ROWS = 11_200_000  # 269 MB
HELD_ROWS = 2_000_000
LIMIT_BYTES = 24 * 1024**2
MEMORY = """
import ctypes, mmap, resource, sys
import numpy as np
from pathlib import Path
from hlhft.backtest.recordings import RowFile
from hlhft.backtest.replay import RowArray
from hlhft.backtest.rows import ROW_DTYPE
from tests.backtest.scenarios import BOOK, MS, Scenario, ns, random_events, rows_of
from tests.backtest.test_replay import HELD_ROWS, LIMIT_BYTES, RECORDING_ROWS

scenario = Scenario(tables=[BOOK], limits={"decide_on_frame": 0, "interval_ns": 10 * MS},
                    plan={"record_interval_ns": 1000 * MS})
block = np.resize(rows_of(random_events(5, frames=2000)), 200_000)

def status(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

def filled(rows, first):
    rows[:] = block[: len(rows)]
    rows["ts_ns"] = ns(0) + (first + np.arange(len(rows))) * 1000
    rows["delay_ns"] = 500
    return rows

def stream(rows):
    return RowArray(rows, 99_000, 101_000)

scenario.run(streams=[stream(filled(np.zeros(100_000, ROW_DTYPE), 0))])

path = Path(sys.argv[1])
with path.open("wb") as file:
    for first in range(0, RECORDING_ROWS, 200_000):
        file.write(filled(block, first).data)
ctypes.CDLL(None).malloc_trim(0)
limit = status("VmData:") + LIMIT_BYTES
_, most = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
try:
    mmap.mmap(-1, LIMIT_BYTES + 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
except OSError:
    output = scenario.run(streams=[RowFile(path, RECORDING_ROWS, 99_000, 101_000)])
    print(output.venue_rows, path.stat().st_size)
resource.setrlimit(resource.RLIMIT_DATA, (most, most))

Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS:")
rows = np.zeros(HELD_ROWS, ROW_DTYPE)
for first in range(0, HELD_ROWS, 100_000):
    filled(rows[first : first + 100_000], first)
output = scenario.run(streams=[stream(rows)])
print(output.venue_rows, (status("VmHWM:") - before) / HELD_ROWS)
"""


@pytest.fixture(scope="module")
def memory(child: Child, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What a compiled child found: one line of a run within a limit, one of a run with all rows in memory."""
    path = tmp_path_factory.mktemp("memory") / "0.rows"
    said = child(MEMORY, str(path), NUMBA_DISABLE_JIT="0")
    path.unlink()
    return [line.split() for line in said.splitlines()]


def test_an_event_held_in_memory_costs_at_most_thirty_bytes(memory):
    """Above what the process took before: the rows and everything that the run adds."""
    rows, bytes_an_event = memory[1]
    assert int(rows) == HELD_ROWS
    assert 24 <= float(bytes_an_event) <= 30


def test_a_recording_ten_times_larger_than_the_memory_limit_runs_within_it(memory):
    """269 MB of rows with 24 MB more than the process already has, which an array of that size does not get."""
    rows, size = memory[0]
    assert int(rows) == RECORDING_ROWS
    assert int(size) > 10 * LIMIT_BYTES


# Interruption.


def consistent(output: replays.ReplayOutput) -> bool:
    """Whether logs and books of every lane tell the same story."""
    for lane in range(len(output.lanes.lane)):
        part = output.lane(lane)
        fills = part.fills[part.fills["kind"] == EventKind.ORDER_FILLED]
        row, last = output.lanes.positions[lane, 0], part.records[-1]
        signed = fills["side"] * fills["size_lots"]
        if not row["position_lots"] == last["position_lots"] == signed.sum():
            return False
        if not row["cash_quanta"] == last["cash_quanta"] == -(signed * fills["price_ticks"]).sum():
            return False
        if not row["fee_micro"] == last["fee_micro"] == fills["aux1"].sum():
            return False
        if last["ts_ns"] < max(fills["ts_local_ns"], default=0):
            return False
    return True


def interrupted_at(rows: int, how: str):
    """A progress function that interrupts once so many rows are done."""
    struck: list[int] = []

    def progress(done: int, total: int) -> None:
        if done >= rows and not struck:
            struck.append(done)
            if how == "raise":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("how", ["raise", "signal"])
@pytest.mark.parametrize("rows", [1, 20, 37])
def test_an_interruption_keeps_what_was_finished(rows, how, monkeypatch):
    """The run stops at a window's end with everything up to it: the same as the whole run had by then."""
    monkeypatch.setattr(replays, "WINDOW_ROWS", 4)
    whole = lively().run()
    stopped = run(lively().prepared(), interrupted_at(rows, how))
    assert stopped.interrupted
    assert stopped.venue_rows < whole.venue_rows
    assert stopped.last_ns < whole.last_ns
    assert consistent(stopped)
    assert stopped.fills.tobytes() == whole.fills[: len(stopped.fills)].tobytes()
    regular = len(stopped.records) - 4
    assert stopped.records[:regular].tobytes() == whole.records[:regular].tobytes()
    assert stopped.lane(0).interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_after_the_last_row_loses_nothing():
    total = len(lively().rows()[0])
    done = run(lively().prepared(), interrupted_at(total, "raise"))
    assert not done.interrupted
    assert digest(done) == digest(lively().run())


def test_a_second_interruption_strikes_at_once(monkeypatch):
    monkeypatch.setattr(replays, "WINDOW_ROWS", 4)
    replay = lively().prepared()
    struck: list[str] = []

    def insist(done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        struck.append("noted")
        os.kill(os.getpid(), signal.SIGINT)
        struck.append("never reached")

    assert run(replay, insist).interrupted
    assert struck == ["noted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_are_left_alone_where_others_handle_them_or_in_a_thread():
    heard: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        assert not run(lively().prepared(), interrupted_at(1, "signal")).interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
    assert heard == [signal.SIGINT]
    outputs: list[str] = []
    thread = threading.Thread(target=lambda: outputs.append(digest(lively().run())))
    thread.start()
    thread.join()
    assert outputs == [digest(lively().run())]


def test_fills_and_records_of_a_lane_are_cut_out_of_the_whole():
    output = lively().run()
    for lane in range(4):
        part = output.lane(lane)
        assert set(part.fills["lane"].tolist()) <= {0}
        assert fills_of(part) == fills_of(output, lane=lane)
    assert sum(len(output.lane(lane).fills) for lane in range(4)) == len(output.fills)
    assert sum(len(output.lane(lane).records) for lane in range(4)) == len(output.records)


def test_nothing_is_prepared_without_markets():
    with pytest.raises(AssertionError):
        prepare(replace(lively().planned(), markets=()))
    assert ns(0) % 3_600_000_000_000 == 0


# Pauses.


def test_a_drive_pauses_where_it_is_told_and_its_logs_have_room_however_often(monkeypatch):
    monkeypatch.setattr(replays, "RECORD_ROWS", 1)
    monkeypatch.setattr(replays, "FILL_ROWS", RING)
    whole = bytes_of(lively().run())
    replay = lively().prepared()
    drive = replays.Drive(replay)
    paused = [drive.run_until(ns(at)) for at in range(0, 900, 90)]
    assert all(paused[:8])
    drive.run_until(2**62 - 1)
    assert bytes_of(drive.end(interrupted=False)) == whole


def test_a_drive_that_stops_on_its_way_says_so():
    replay = lively().prepared()
    drive = replays.Drive(replay)
    assert drive.run_until(ns(300))
    output = drive.end(interrupted=True)
    assert output.interrupted and output.last_ns <= ns(300) and len(output.records) > 0
