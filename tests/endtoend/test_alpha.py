"""An engine and its alpha process on a market that moves: signals come, and whatever becomes of the process that makes
them, quoting goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zmq

from hlhft.alpha.bundle import load_bundle
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.serving.loading import load_model
from hlhft.alpha.serving.machine import Settings
from hlhft.alpha.sockets import bind, new_context, send
from hlhft.alpha.tracks import signals_over
from hlhft.alpha.wire import Heartbeat, encode_heartbeat, encode_signal, hash_bytes
from hlhft.core.brain import Brain
from hlhft.events import EventKind
from hlhft.live.journal_rows import journal_rows
from hlhft.live.replay import replay
from hlhft.live.view import Status
from tests.alpha.serving.small import small_model
from tests.alpha.wired import signal_of
from tests.endtoend.house import House, Process, eventually

pytestmark = [pytest.mark.alpha, pytest.mark.processes]

SCHEMA = FeatureSchema(levels=2, half_life_ms=640)
FLOOD_S = 2.0
WITHIN_S = 40.0
SETTINGS = f"""
[alpha]
enabled = true
levels = {SCHEMA.levels}
half_life_ms = {SCHEMA.half_life_ms}
move_bp_max = 2.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short, as sockets stand in it; two models, and a link to the first."""
    made = tmp_path_factory.mktemp("a")
    for seed in (0, 1):
        small_model(made / str(seed), SCHEMA, seed=seed)
    (made / "current").symlink_to(made / "0")
    return made


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[House]:
    """An engine that quotes one market and tells rows of it."""
    with House(folder, coins=("ETH",), exchange=("--no-limits",), settings=SETTINGS) as there:
        there.start_engine()
        there.quotes_within(60)
        yield there


def alpha(house: House) -> Process:
    line = ["alpha", "--model", str(house.folder / "current"), "--config", str(house.config), "--json"]
    return Process(line, house.folder)


def status(house: House) -> Status:
    told = house.status()
    assert told is not None, "the engine answers"
    return told


def count(house: House, name: str) -> int:
    return status(house).counters.get(f"alpha: {name}", 0)


def more_signals(house: House) -> None:
    before = count(house, "signals")
    eventually(lambda: count(house, "signals") > before, within_s=WITHIN_S)


def is_undisturbed(house: House) -> None:
    """It quotes both sides, nothing tripped or halted it, and it goes on deciding."""
    before = status(house).counters["decisions"]
    house.quotes_within(20)
    eventually(lambda: status(house).counters["decisions"] > before, within_s=10)
    told = status(house)
    assert told.stage == "quoting" and told.halt == ""
    assert not [breaker.name for breaker in told.breakers if breaker.is_latched]
    assert house.engine is not None and house.engine.is_running


def test_quoting_goes_on_whatever_becomes_of_the_process_that_makes_signals(house: House) -> None:
    is_undisturbed(house)
    assert count(house, "rows told") > 0 and count(house, "signals") == 0
    process = alpha(house)
    try:
        more_signals(house)
        is_undisturbed(house)
        process.kill()
        eventually(lambda: "the alpha process is silent" in happenings(house), within_s=20)
        is_undisturbed(house)
        process = alpha(house)
        more_signals(house)
        eventually(lambda: happenings(house).count("the alpha process lives") == 2, within_s=10)
    finally:
        if process.is_running:
            process.kill()


def happenings(house: House) -> str:
    return "\n".join(happening.text for happening in status(house).happenings)


def test_a_flood_of_lies_and_nonsense_costs_no_quote(house: House) -> None:
    """Whoever has the socket says whatever it likes, as fast as it can: believed or not, nothing stops."""
    context = new_context()
    socket = bind(context, zmq.PUB, f"ipc://{house.state}/alpha/signals.sock", queue=100_000, keys=None)
    told = status(house)
    lies = [b"", b"nonsense" * 50, os.urandom(184), encode_heartbeat(Heartbeat(b"x" * 16, 1, 1, 1, 1, 1, 1, 1, 1, 1))]
    for sequence, mu_e9, ahead_ns in product((1, 2**40), (-(2**63), 2**63 - 1), (-(10**15), 0, 10**15)):
        changes = {"sequence": sequence, "mu_e9": mu_e9, "data_ns": time.time_ns() + ahead_ns, "sent_ns": 0}
        lies.append(encode_signal(signal_of(schema=hash_bytes(SCHEMA.hash), session=told.session, **changes)))
    try:
        eventually(lambda: flooded(house, socket, lies), within_s=20)
        ends = time.monotonic() + FLOOD_S
        while time.monotonic() < ends:
            for lie in lies:
                send(socket, lie)
        assert count(house, "signals refused: made of a row that was never told") > 0
        assert count(house, "signals refused: it has not the size of one") > 0
        is_undisturbed(house)
    finally:
        context.destroy(0)
    process = alpha(house)
    try:
        more_signals(house)
        is_undisturbed(house)
    finally:
        process.kill()


def flooded(house: House, socket: zmq.Socket, lies: list[bytes]) -> bool:
    for lie in lies:
        send(socket, lie)
    return count(house, "signals refused: it has not the size of one") > 0


def test_a_damaged_model_is_not_swapped_in_and_a_whole_one_is(house: House) -> None:
    process = alpha(house)
    try:
        more_signals(house)
        damaged = house.folder / "damaged"
        damaged.mkdir()
        for part in (house.folder / "1").iterdir():
            (damaged / part.name).write_bytes(part.read_bytes()[:-100])
        lead_to(house, damaged)
        eventually(lambda: "what is new is not served" in process.output, within_s=20)
        more_signals(house)
        lead_to(house, house.folder / "1")
        said = f"the alpha process has another model, {load_bundle(house.folder / '1').model_id:016x}"
        eventually(lambda: said in happenings(house), within_s=20)
        more_signals(house)
        is_undisturbed(house)
        process.signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.ended() == 0 and time.monotonic() - began < 1.0
    finally:
        if process.is_running:
            process.kill()
        lead_to(house, house.folder / "0")


def lead_to(house: House, folder: Path) -> None:
    new = house.folder / "next"
    new.symlink_to(folder)
    new.rename(house.folder / "current")


class Heard:
    """Of a replay: the signals that the core was told."""

    def __init__(self) -> None:
        self.signals: list[np.void] = []

    def stepped(self, brain: Brain, events: np.ndarray, count: int) -> None:
        self.signals += list(events[:count][events["kind"][:count] == EventKind.SIGNAL].copy())

    def lost(self) -> None:
        raise AssertionError("nothing of this session is missing")


def test_the_recorded_session_gives_the_same_signals_offline(house: House) -> None:
    """Rows from the journal, asked again: every signal that the core heard is what the model says of them."""
    assert house.engine is not None
    assert house.engine.stop() == 0
    heard, pieces = Heard(), []
    assert replay(house.state / "journal", beside=heard).is_equal
    journal_rows(house.state / "journal", SCHEMA, lambda heads, values: pieces.append((heads, values)))
    compared = 0
    for seed in (0, 1):
        served = load_model(house.folder / str(seed), horizon=0, engine="onnx", device="cpu")
        offline = {
            signal.sequence: signal
            for signal in signals_over(pieces, served, house.coins, Settings())
            if not signal.flags
        }
        for event in heard.signals:
            if event["aux0"] and event["aux1"] == served.model.model_id:
                said = offline[int(event["order_id"])]
                assert event["ts_exch_ns"] == said.data_ns
                assert abs(int(event["price_ticks"]) - min(max(said.mu_e9, -200_000), 200_000)) <= 1
                assert abs(int(event["size_lots"]) - said.sigma_e9) <= 1
                compared += 1
    assert compared > 20
