"""A simulation of a session's period: the same core in the same state, told the same, over the market without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.models import ModelError
from hlhft.backtest.recordings import compile_recording
from hlhft.core.state import CommandKind, Mode
from hlhft.events import EventKind
from hlhft.live.journal.recording import JournalSource
from hlhft.live.session_simulated import Simulated, beginning_of, latency_of, simulate
from hlhft.live.session_told import Told, told
from tests.core.worlds import MS, SECOND, event
from tests.live.journal.brains import Session, answers, frame

START = 1_790_000_000 * SECOND
ALIKE = ["ts_ns", "order_id", "price_ticks", "size_lots", "market", "kind", "command_class", "side", "time_in_force"]


def session(folder: Path, *told_after: tuple[int, np.ndarray], frames: int = 30, jump: int = 0) -> Session:
    """Quotes over pictures that move, a tenth of a second apart; events are told after so many of them."""
    made = Session(folder, now_ns=START)
    prices = 100_000 + np.cumsum(np.random.default_rng(3).integers(-2, 3, frames))
    for place, middle in enumerate(prices.tolist()):
        made.now_ns += 100 * MS
        commands = made.step(frame(made.now_ns, middle + jump * (place >= frames // 2)))
        if len(commands):
            made.step(answers(commands, made.now_ns + MS))
        for after, rows in told_after:
            if after == place:
                made.step(rows)
    made.journal.close()
    return made


def simulated(folder: Path, queue: str = "risk-averse") -> tuple[Told, Simulated]:
    source = JournalSource(folder)
    heard = told(folder, source.resting)
    return heard, simulate(heard, compile_recording(source, profile="recorded"), queue)


def test_the_same_events_give_the_same_commands(tmp_path: Path) -> None:
    """Nothing fills, so nothing differs: every command to the nanosecond, but for the last picture's, with which a
    recording ends."""
    made = session(tmp_path)
    heard, done = simulated(tmp_path)
    assert not len(done.output.fills)
    count = len(done.commands)
    assert len(heard.commands) - 4 <= count <= len(heard.commands) and count > 20
    assert np.array_equal(done.commands[ALIKE], heard.commands[:count][ALIKE])
    lane = done.output.lanes.lane[0, 0]
    assert lane["placed"] == (heard.commands[:count]["kind"] == int(CommandKind.PLACE)).sum()
    assert lane["starting_equity_micro"] == made.brain.lane.lane["starting_equity_micro"][0]


def test_commands_are_the_same_up_to_the_first_fill(tmp_path: Path) -> None:
    session(tmp_path, jump=-30)
    heard, done = simulated(tmp_path)
    fills = done.output.fills
    assert len(fills) and fills["side"][0] == 1 and (fills["maker"] == 1).all()
    before = int((done.commands["ts_ns"] < fills["ts_local_ns"][0]).sum())
    assert before > 10
    assert np.array_equal(done.commands[:before][ALIKE], heard.commands[:before][ALIKE])
    assert not np.array_equal(done.commands[ALIKE], heard.commands[: len(done.commands)][ALIKE])


def test_a_halt_and_a_resume_happen_when_they_did(tmp_path: Path) -> None:
    halt = event(EventKind.OPERATOR_COMMAND, START + 1001 * MS, aux0=0)
    session(tmp_path, (9, halt))
    _, done = simulated(tmp_path)
    placed = done.commands[done.commands["kind"] == int(CommandKind.PLACE)]
    assert len(placed) and placed["ts_ns"].max() <= START + 1000 * MS
    assert done.output.lanes.lane[0, 0]["mode"] == Mode.HALTED


def test_fees_positions_and_stale_markets_are_told(tmp_path: Path) -> None:
    fees = event(EventKind.FEE_CHANGE, START + 101 * MS, aux0=150_000, aux1=450_000)
    held = event(EventKind.POSITION_STATE, START + 101 * MS, size_lots=700, price_ticks=100_000)
    stale = event(EventKind.MARKET_STATE, START + 1001 * MS, aux0=1)
    session(tmp_path, (0, fees), (0, held), (9, stale))
    _, done = simulated(tmp_path)
    position, holding = done.output.lanes.positions[0, 0], done.output.holdings[0, 0]
    for name in ("position_lots", "cash_quanta", "maker_rate_e9"):
        assert position[name] == holding[name], name
    assert position["position_lots"] == 700 and position["maker_rate_e9"] == 150_000
    placed = done.commands[done.commands["kind"] == int(CommandKind.PLACE)]
    assert placed["ts_ns"].max() <= START + 1000 * MS, "an old market is not quoted"


def test_what_concerns_no_market_of_the_session_is_passed_over(tmp_path: Path) -> None:
    session(tmp_path)
    heard, done = simulated(tmp_path)
    other = event(EventKind.MARKET_STATE, START + 500 * MS, market=9, aux0=1)
    source = JournalSource(tmp_path)
    again = simulate(
        Told(**{**vars(heard), "controls": other}), compile_recording(source, profile="recorded"), "risk-averse",
        beginning_of(heard),
    )  # fmt: skip
    assert np.array_equal(again.commands, done.commands)


def test_latencies_are_the_sessions_and_the_venues_where_it_has_none(tmp_path: Path) -> None:
    session(tmp_path)
    heard, _ = simulated(tmp_path)
    record, table = latency_of(heard)
    assert record["kind"][0] == 2 and np.array_equal(table[:3].T, heard.history)
    record, _ = latency_of(Told(**{**vars(heard), "history": np.zeros((0, 3), np.int64)}))
    assert record["kind"][0] == 3


def test_a_queue_model_that_is_none_is_refused(tmp_path: Path) -> None:
    session(tmp_path, frames=3)
    with pytest.raises(ModelError, match="queue model 'front'"):
        simulated(tmp_path, "front")
