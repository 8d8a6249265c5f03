"""`hlhft alpha` as a process beside an engine's link: it serves a model, is swapped, refused, killed and stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hlhft.alpha.bundle import GRAPH, RECORD, predictor
from hlhft.alpha.devices import DeviceError
from hlhft.alpha.policy import load_policy, observation_hash
from hlhft.alpha.serving.loading import ServingError, load_model
from hlhft.alpha.serving.machine import action_e6
from hlhft.alpha.serving.running import Orders, Shown, write_latencies
from hlhft.alpha.serving.running import run as serve
from hlhft.alpha.serving.shell import Places
from hlhft.alpha.serving.table import ImpossibleEvent
from hlhft.alpha.wire import hash_bytes
from hlhft.events import EventKind
from hlhft.monitor.block import block_path, read_block
from hlhft.monitor.metrics import Source
from tests.alpha import policies
from tests.alpha.linked import SCHEMA, Linked, on_loop, until
from tests.alpha.serving.shells import signals_come
from tests.alpha.serving.small import LENGTH, small_model
from tests.endtoend.house import Process, run, state_home

pytestmark = pytest.mark.alpha
STOP_S = 1.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        small_model(folder / str(seed), SCHEMA, seed=seed)
    yield folder


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """uvloop leaves its handlers behind, and a later test's interrupt would go unheard."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def link_to(link: Path, folder: Path) -> None:
    new = link.with_name("next")
    new.symlink_to(folder)
    new.rename(link)


def options(linked: Linked) -> list[str]:
    places = linked.places
    return ["--features", places.features, "--snapshot", places.snapshot, "--signals", places.signals, "--json"]


def test_a_model_is_loaded_with_one_of_its_horizons(models: Path, tmp_path: Path) -> None:
    bundle = small_model(tmp_path / "two", SCHEMA, horizons=2)
    served = load_model(tmp_path / "two", horizon=1, engine="onnx", device="cpu")
    assert served.model.model_id == bundle.model_id and served.model.length == LENGTH
    rows = np.random.default_rng(3).normal(size=(1, LENGTH, SCHEMA.columns)).astype(np.float32)
    expected = predictor(bundle, tmp_path / "two").predict(rows)
    answer = served.ask(rows)
    assert (answer.probabilities == expected.p[0, 1]).all() and answer.mu_bp == expected.mu_bp[0, 1]
    both = load_model(tmp_path / "two", horizon=1, engine="torch", device="cpu").ask(rows)
    assert np.abs(both.probabilities - answer.probabilities).max() < 1e-4
    with pytest.raises(ServingError, match="the model has 2: next, next"):
        load_model(tmp_path / "two", horizon=2, engine="onnx", device="cpu")


def test_latencies_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_latencies(tmp_path / "a.json", {"count": 0})
    assert not list(tmp_path.iterdir())
    write_latencies(tmp_path / "a.json", {"count": 2, "whole": [1, 2]})
    assert json.loads((tmp_path / "a.json").read_text())["whole"] == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1


def believed(linked: Linked, models: Path, seed: int) -> None:
    """The newest signal that the core was told is what the model says of the rows up to it."""
    row = linked.core.rows[-1]
    served = load_model(models / str(seed), horizon=0, engine="onnx", device="cpu")
    window = np.concatenate([linked.rows.row(0, at)[1] for at in range(row[4] - LENGTH + 1, row[4] + 1)])
    answer = served.ask(window[None])
    assert row[6] == served.model.model_id
    assert abs(row[2] - answer.mu_bp * 1e5) <= 1 and abs(row[3] - answer.sigma_bp * 1e5) <= 1


def served_by(block: Path) -> set[str]:
    """The models that a process shows that it serves."""
    shown = [one for one in read_block(block).series if one.metric.name == "hlhft_alpha_info"]
    return {one.labels[0] for one in shown if one.value == 1}


@pytest.mark.processes
def test_it_serves_is_swapped_refuses_damage_is_killed_and_stops(models: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link_to(link, models / "0")

    async def work() -> None:
        linked = Linked(tmp_path, move_e9_max=2**40, time_to_live_ns=30_000_000_000)
        line = ["alpha", "--model", str(link), *options(linked)]
        process = Process([*line, "--latencies", str(tmp_path / "l.json")], tmp_path)
        number = [0]
        try:
            await signals_come(linked, number)
            believed(linked, models, 0)
            link_to(link, models / "1")
            second = load_model(models / "1", horizon=0, engine="onnx", device="cpu").model.model_id

            def is_swapped() -> bool:
                number[0] += 1
                linked.publish((0, number[0]))
                return bool(linked.core.rows) and linked.core.rows[-1][6] == second

            await until(is_swapped)
            believed(linked, models, 1)
            numbers = block_path(state_home(tmp_path) / "hlhft" / "metrics", Source.ALPHA)
            assert read_block(numbers).pid == process.popen.pid
            await until(lambda: served_by(numbers) == {f"{second:016x}"})
            damaged = tmp_path / "damaged"
            damaged.mkdir()
            for name in os.listdir(models / "0"):
                (damaged / name).write_bytes((models / "0" / name).read_bytes())
            content = bytearray((damaged / GRAPH).read_bytes())
            content[len(content) // 2] ^= 1
            (damaged / GRAPH).write_bytes(content)
            link_to(link, damaged)
            await until(lambda: "is not the one that" in process.output)
            await signals_come(linked, number)
            assert linked.core.rows[-1][6] == second
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.ended)
            assert code == 0 and time.monotonic() - began < STOP_S
            assert read_block(numbers).is_closed
            told = [json.loads(text) for text in process.lines if text.startswith("{")][-1]
            assert told["counters"]["loads refused"] == 1 and told["counters"]["models loaded"] == 2
            assert len(json.loads((tmp_path / "l.json").read_text())["whole"]) == 101
            link_to(link, models / "0")
            process = Process(line, tmp_path)
            await signals_come(linked, number)
            believed(linked, models, 0)
            process.kill()
            (tmp_path / "b").mkdir()
            process = Process([*line, "--once"], tmp_path / "b")

            def has_ended() -> bool:
                number[0] += 1
                linked.publish((0, number[0]))
                return not process.is_running

            await until(has_ended)
            assert await asyncio.to_thread(process.ended) == 0
            once = [json.loads(text) for text in process.lines if "mu_e9" in text]
            assert len(once) == 1 and once[0]["reason"] == 0
        finally:
            if process.is_running:
                process.kill()
            linked.close()

    on_loop(work)


class Shows:
    """Shows a policy the same at every row."""

    layout = hash_bytes(observation_hash())
    seen = policies.probes(1)[0]

    def observation(self, market: int, now_ns: int) -> np.ndarray | None:
        return self.seen


@pytest.mark.processes
def test_it_serves_a_policy_beside_the_model(models: Path, tmp_path: Path) -> None:
    record = policies.written(tmp_path / "policy")

    async def work() -> None:
        linked = Linked(tmp_path, observer=Shows())
        line = ["alpha", "--model", str(models / "0"), "--policy", str(tmp_path / "policy"), *options(linked)]
        process = Process(line, tmp_path)
        number = [0]

        def has_decided() -> bool:
            number[0] += 1
            linked.publish((0, number[0]))
            return any(row[7] == EventKind.POLICY for row in linked.core.rows)

        try:
            await until(has_decided)
            row = next(row for row in linked.core.rows if row[7] == EventKind.POLICY)
            expected = action_e6(load_policy(tmp_path / "policy").act(Shows.seen))
            assert (row[2], row[3], row[4], row[6]) == expected
            process.signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.ended) == 0
            told = [json.loads(text) for text in process.lines if text.startswith("{")][-1]
            assert told["policy"] == f"{record.policy_id:016x}"
        finally:
            if process.is_running:
                process.kill()
            linked.close()

    on_loop(work)


@pytest.mark.processes
def test_what_is_no_model_ends_it_with_one_sentence(models: Path, tmp_path: Path) -> None:
    done = run("alpha", "--model", str(tmp_path), folder=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and RECORD in done.stderr
    done = run("alpha", "--model", str(models / "0"), "--horizon", "5", folder=tmp_path)
    assert done.returncode == 2 and "there is no horizon 5" in done.stderr


def test_a_gpu_that_is_not_there_is_said_in_a_sentence(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="there is no CUDA GPU"):
        load_model(models / "0", horizon=0, engine="torch", device="cuda")


def test_what_breaks_ends_the_process(models: Path, tmp_path: Path) -> None:
    def breaks(status: object) -> None:
        asyncio.get_running_loop().call_soon(fail)

    def fail() -> None:
        raise ImpossibleEvent("an invariant of this test")

    places = Places(**{name: f"ipc://{tmp_path}/{name}.sock" for name in ("features", "snapshot", "signals")})
    orders = Orders(model=models / "0", policy=None, places=places)
    shown = Shown(serving=breaks, status=lambda status: None, signal=lambda told: None)
    with pytest.raises(ImpossibleEvent, match="an invariant of this test"):
        serve(orders, shown)
