"""What can fail in a demo is said with the words of the process that failed, and nothing of it stays behind.

A whole one is held in tests/cli/test_demo.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.sockets import require_endpoint
from hlhft.config.load import load
from hlhft.hyperliquid.signing import Signer, recover_address, user_signed_digest
from hlhft.live import demo
from hlhft.live.asking import Answer, Venue
from hlhft.live.assembly import schema_of
from hlhft.live.child import Child
from hlhft.live.control import ControlClient
from hlhft.live.demo import COMPILING, DemoError, Ending, Plan, Ready, held
from hlhft.live.private_files import read_signer
from tests.live.engines import ETH, Exchange, Owner, Trader

OWNER = Signer(b"\x07" * 32)


def standing_in(scripts: dict[str, str], started: list[Child]) -> Any:
    """Starts Python scripts in place of the commands; `READY` stands for the path that the exchange is given."""

    def start(arguments: Sequence[str], *, log: Path) -> Child:
        ready = next((arguments[place + 1] for place, word in enumerate(arguments) if word == "--ready-file"), "")
        script = scripts[arguments[0]].replace("READY", repr(ready))
        with log.open("wb") as stream:
            process = subprocess.Popen([sys.executable, "-c", script], stdout=stream, stderr=stream)
        started.append(Child(arguments[0], log, process))
        return started[-1]

    return start


LISTENS = (
    "import json, pathlib, time\n"
    "told = {'url': 'http://127.0.0.1:9', 'coins': ['BTC']}\n"
    "told |= {'test_account': '0x' + '0' * 40, 'test_key': '0x' + '07' * 32}\n"
    "beside = pathlib.Path(READY + '.new')\n"
    "beside.write_text(json.dumps(told))\n"
    "beside.rename(READY)\n"
    "time.sleep(600)\n"
)
SLEEPS = "import time; time.sleep(600)"
IS_READY = "import pathlib, time; pathlib.Path(READY).touch(); time.sleep(600)"


def refusal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, features: FeatureSchema | None = None, **scripts: str
) -> tuple[str, list[str]]:
    """The words of a demo that fails with these processes, and what it said before."""
    plan = Plan(folder=folder / "demo", coins=("BTC",), features=features)
    started: list[Child] = []
    said: list[str] = []
    monkeypatch.setattr(demo, "start", standing_in(scripts, started))
    with pytest.raises(DemoError) as failed, held(plan, said.append):
        pytest.fail("it began")
    assert not any(child.is_running for child in started), "nothing stays behind"
    return str(failed.value), said


def test_an_exchange_that_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, said = refusal(tmp_path, monkeypatch, exchange="print('hlhft: no coin of that name'); raise SystemExit(2)")
    assert words == (
        "the exchange did not begin to answer: hlhft: no coin of that name (all of it is in "
        f"{tmp_path / 'demo' / 'exchange.log'})"
    )
    assert said == ["Starting an exchange on this machine"]


def test_an_exchange_that_approves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, _ = refusal(tmp_path, monkeypatch, exchange=LISTENS)
    assert words.startswith("the exchange does not approve the engine's API wallet: ") and "127.0.0.1:9" in words
    answer = msgspec.json.encode({"status": "err", "response": "Too many agents"})
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(answer, "", 0, 0))
    words, _ = refusal(tmp_path / "again", monkeypatch, exchange=LISTENS)
    assert words == "the exchange does not approve the engine's API wallet: Too many agents"


def test_an_engine_that_ends_before_it_trades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(b'{"status":"ok"}', "", 0, 0))
    words, said = refusal(
        tmp_path, monkeypatch, exchange=LISTENS, watchdog=SLEEPS, exporter=SLEEPS,
        run="print('hlhft: no funds'); raise SystemExit(1)",
    )  # fmt: skip
    assert words.startswith("the run ended before it traded: hlhft: no funds")
    assert said[-1] == "Starting the watchdog, the engine, and the exporter of their metrics"


def test_an_exporter_that_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(b'{"status":"ok"}', "", 0, 0))
    monkeypatch.setattr(demo.Demo, "_wait_for_engine", lambda *_: None)
    words, said = refusal(
        tmp_path, monkeypatch, exchange=LISTENS, watchdog=SLEEPS, run=SLEEPS,
        exporter="print('hlhft: the port is taken'); raise SystemExit(1)",
    )  # fmt: skip
    assert words.startswith("the exporter did not begin to answer: hlhft: the port is taken")
    assert not any("Metrics for Prometheus" in line for line in said)


def test_it_says_where_metrics_are_and_the_settings_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(b'{"status":"ok"}', "", 0, 0))
    monkeypatch.setattr(demo.Demo, "_wait_for_engine", lambda *_: None)
    scripts = {"exchange": LISTENS, "watchdog": SLEEPS, "run": SLEEPS, "exporter": IS_READY}
    ports = []
    for wanted in (0, 4711):
        said: list[str] = []
        started: list[Child] = []
        monkeypatch.setattr(demo, "start", standing_in(scripts, started))
        plan = Plan(folder=tmp_path / str(wanted), coins=("BTC",), metrics_port=wanted)
        with held(plan, said.append) as room:
            metrics = load(room.settings, {}).config.metrics
            assert metrics.address == "127.0.0.1"
            assert said[-1] == f"Metrics for Prometheus are at http://127.0.0.1:{metrics.port}/metrics"
            ports.append(metrics.port)
        assert not any(child.is_running for child in started)
    assert ports[0] > 0 and ports[1] == 4711


def test_the_settings_are_those_of_a_user_and_the_keys_are_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []

    def approve(venue: Venue, body: bytes) -> Answer:
        sent.append(msgspec.json.decode(body))
        return Answer(b'{"status":"ok"}', "", 0, 0)

    monkeypatch.setattr(Venue, "exchange", approve)
    refusal(tmp_path, monkeypatch, exchange=LISTENS, watchdog=SLEEPS, exporter=SLEEPS, run="raise SystemExit(1)")
    config = load(tmp_path / "demo" / "settings.toml", {}).config
    assert (config.account.network, config.account.address, config.engine.coins) == ("local", OWNER.address, ("BTC",))
    assert len(config.engine.control_socket.encode()) <= 107
    keys = [read_signer(Path(file)).address for file in (config.account.key_file, config.watchdog.key_file)]
    assert [one["action"]["agentAddress"] for one in sent] == keys and len(set(keys)) == 2
    for one in sent:
        assert recover_address(user_signed_digest(one["action"]), **_numbers(one["signature"])) == OWNER.address


def test_the_engine_tells_rows_for_the_model_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(b'{"status":"ok"}', "", 0, 0))
    parts = {"exchange": LISTENS, "watchdog": SLEEPS, "exporter": SLEEPS, "run": "raise SystemExit(1)"}
    refusal(tmp_path, monkeypatch, **parts)
    assert not load(tmp_path / "demo" / "settings.toml", {}).config.alpha.enabled
    schema = FeatureSchema(levels=3, clock_ms=500, half_life_ms=6400)
    refusal(tmp_path / "again", monkeypatch, schema, **parts)
    config = load(tmp_path / "again" / "demo" / "settings.toml", {}).config
    assert config.alpha.enabled and schema_of(config).hash == schema.hash
    for endpoint in (config.alpha.features, config.alpha.snapshot, config.alpha.signals):
        assert require_endpoint(endpoint, has_keys=False).startswith("ipc://")


def _numbers(signature: dict[str, Any]) -> dict[str, int]:
    return {"r": int(signature["r"], 16), "s": int(signature["s"], 16), "v": signature["v"]}


def test_an_engine_that_does_not_answer_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Venue, "exchange", lambda *_: Answer(b'{"status":"ok"}', "", 0, 0))
    monkeypatch.setattr(demo, "COMPILING_S", 0.0)
    scripts = {"exchange": LISTENS, "watchdog": SLEEPS, "run": SLEEPS}
    started: list[Child] = []
    monkeypatch.setattr(demo, "start", standing_in(scripts, started))
    said: list[str] = []
    room = demo.Demo(Plan(folder=tmp_path, coins=("BTC",)), tmp_path, said.append)
    try:
        engine = room._start("run")
        monkeypatch.setattr(demo, "START_S", 0.3)
        with pytest.raises(DemoError, match=r"the run did not answer within 0\.3 s"):
            room._wait_for_engine(engine)
        assert said == [COMPILING]
        monkeypatch.setattr(demo, "COMPILING_S", 600.0)
        with pytest.raises(DemoError, match="did not answer"):
            room._wait_for_engine(engine)
        assert said == [COMPILING], "told once, and only of what takes long"
    finally:
        engine.stop(within_s=5)


def test_a_demo_whose_parts_end_says_which_and_one_that_ends_says_what_is_left(
    exchange: Exchange, market: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange is that of these tests, the processes do nothing."""
    owner = Owner(exchange.url, 6)
    started: list[Child] = []
    scripts = dict.fromkeys(("exchange", "watchdog", "run", "exporter"), SLEEPS)
    monkeypatch.setattr(demo, "start", standing_in(scripts, started))
    said: list[str] = []
    room = demo.Demo(Plan(folder=tmp_path), tmp_path, said.append)
    room._ready = Ready(exchange.url, ("BTC",), owner.address, "0x")
    for name in scripts:
        room._start(name)
    with ControlClient(tmp_path / "nobody.sock") as client:
        with pytest.raises(DemoError, match=r"nobody\.sock"):
            room.status(client)
        oid = owner.place()
        ended = room.end()
        assert ended == Ending(engine=-15, watchdog=-15, exporter=-15, open_orders=1, account_usdc=100_000.0)
        assert not any(child.is_running for child in started)
        assert said == ["Stopping the engine: it cancels its orders and proves that none is left"]
        with pytest.raises(DemoError, match="the exchange ended by itself"):
            room.status(client)
    owner.act({"type": "cancel", "cancels": [{"a": ETH, "o": oid}]})
    assert room._left() == (0, 100_000.0)
    assert room.journal == tmp_path / "state" / "journal"


def test_an_exchange_that_says_nothing_at_the_end_is_not_taken_for_empty(tmp_path: Path) -> None:
    silent = demo.Demo(Plan(folder=tmp_path), tmp_path, print)
    silent._ready = Ready("http://127.0.0.1:9", ("BTC",), OWNER.address, "0x")
    assert silent._left() == (None, None)
    assert not Ending(engine=0, watchdog=0, exporter=0, open_orders=None, account_usdc=None).is_empty
    assert not Ending(engine=0, watchdog=0, exporter=0, open_orders=1, account_usdc=1.0).is_empty
    assert Ending(engine=0, watchdog=0, exporter=0, open_orders=0, account_usdc=1.0).is_empty
