"""The command from its arguments to its folder: what it prints, what it refuses before it runs, how it ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hlhft.backtest import recordings
from hlhft.backtest import sweep as running
from hlhft.backtest.rows import KIND_MASK, LOTS_SHIFT, SELL_BIT
from hlhft.cli import backtest, invoke
from hlhft.cli import sweep as command
from hlhft.cli.errors import ExitCode
from hlhft.data.readers.hftbacktest_npz import HFTBACKTEST_DTYPE
from hlhft.strategies import Strategy, StrategyError
from tests.backtest.sweep_recording import wandering

QUOTER = str(Path("tests", "bench", "strategies", "mirror.py").resolve())
FAILING = str(Path("tests", "strategies_that_misbehave", "raises.py").resolve())
SETS = ["--param", "half=0,1", "--param", "order_lots=200,500", "--param", "cap_lots=1000"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a small market as an hftbacktest array."""
    rows = wandering(2, step_ms=50)
    events = np.zeros(len(rows), HFTBACKTEST_DTYPE)
    word = rows["word"]
    events["ev"] = np.where(word & KIND_MASK == 6, 2, 1) | 3 << 30 | np.where(word & SELL_BIT, 1 << 28, 1 << 29)
    events["exch_ts"], events["local_ts"] = rows["ts_ns"], rows["ts_ns"] + rows["delay_ns"]
    events["px"] = rows["price_ticks"] / 10
    events["qty"] = (word >> LOTS_SHIFT) / 1000
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez_compressed(path, data=events)
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Sweep = Callable[..., int]


@pytest.fixture
def sweep(data: Path) -> Sweep:
    def call(*arguments: str, strategy: str = QUOTER) -> int:
        return invoke(
            ["sweep", str(data), "--market", "usdm_btcusdt", "--strategy", strategy, "--jobs", "2", *arguments]
        )

    return call


def test_a_sweep_from_arguments_to_folder(sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(*SETS, "--latency", "10") == ExitCode.OK
    said = capsys.readouterr()
    assert "Cannot tell: 2 s of data are far too little to choose a set by" in " ".join(said.out.split())
    assert "new account, maker +1.5 bp" in said.out and "top rebate" in said.out and "order_lots" in said.out
    assert "Running 4 sets over small.npz" in said.err
    folder = tmp_path / "runs" / "small-sweep"
    assert str(folder.relative_to(tmp_path) / "report.html") in said.out
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    assert len(table) == 12 and any(row["fills"] > 0 for row in table)
    assert json.loads((folder / "run.json").read_text())["settings"]["latency"] == "10"


def test_json_is_all_that_is_printed(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    code = sweep(*SETS, "--param", "skew=0,0.0", "--json", "--tried", "10", "--folds", "1", "--embargo", "0.5")
    said = capsys.readouterr()
    assert code == ExitCode.OK and said.err == ""
    found = json.loads(said.out)
    first = next(iter(found["selection"]["scenarios"].values()))
    assert first["trials"] == 14 and first["embargo_ns"] == 500_000_000
    assert found["identity"]["parameters"] == {
        "method": "grid", "varied": ["half", "order_lots"], "sets": 4, "repeated": 4,
    }  # fmt: skip
    assert [len(one["best"]) for one in found["ranking"].values()] == [4, 4, 4]


def test_random_and_listed_sets(sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = ["--param", "half=0:3", "--param", "order_lots=200", "--random", "3", "--json", "--no-selection"]
    found = []
    for seed in ("1", "1", "2"):
        assert sweep(*drawn, "--seed", seed) == ExitCode.OK
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] != found[2]
    assert found[0]["selection"]["scenarios"] == {} and "Ranked only" in found[0]["selection"]["note"]
    (tmp_path / "sets.csv").write_text("half,order_lots\n1,200\n2,200\n1,200\n")
    assert sweep("--sets", "sets.csv", "--no-selection", "--output", "listed") == ExitCode.OK
    said = capsys.readouterr().out
    assert "1 sets were the same as others" in said and "Ranked only" in said
    assert parquet.read_table(tmp_path / "listed" / "results.parquet").num_rows == 6


def test_the_configuration_holds_for_every_set(
    sweep: Sweep, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its parameters where a set says nothing else, and its feed; another strategy does not get its parameters."""
    (tmp_path / "mine.toml").write_text(
        f'[strategy]\nname = {QUOTER!r}\nparams = {{ order_lots = 200, half = 3 }}\n[backtest]\nfeed_profile = "2026"\n'
    )
    given = ["--config", "mine.toml", "--param", "half=0,1", "--no-selection", "--json"]
    code = invoke(["sweep", str(data), "--market", "usdm_btcusdt", "--jobs", "1", *given, "--output", "own"])
    assert code == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["identity"]["data"]["profile"] == "2026"
    rows = parquet.read_table("own/results.parquet").to_pylist()
    assert {(row["param.half"], row["param.order_lots"]) for row in rows} == {(0, 200), (1, 200)}
    assert sweep(*given, "--feed-profile", "recorded", "--output", "another") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["identity"]["data"]["profile"] == "recorded"
    assert "param.order_lots" not in parquet.read_table("another/results.parquet").column_names


REFUSED = {
    "unknown parameter": (["--param", "haf=1,2"], ExitCode.USAGE, "did you mean 'half'"),
    "value": (["--param", "half=-1,2"], ExitCode.USAGE, "half must lie in"),
    "range": (["--param", "half=0:2"], ExitCode.USAGE, "--random"),
    "no value": (["--param", "half"], ExitCode.USAGE, "say name=value"),
    "no file of sets": (["--sets", "none.csv"], ExitCode.DATA, "none.csv: No such file"),
    "jobs": (["--jobs", "0"], ExitCode.USAGE, "0 is not in the range"),
    "latency": (["--latency", "x"], ExitCode.USAGE, "latency 'x' is none"),
    "negative latency": (["-5"], ExitCode.USAGE, "below 0"),
    "queue": (["--queue", "x"], ExitCode.USAGE, "queue model 'x' is none"),
    "fees": (["--fees", "x"], ExitCode.USAGE, "fees 'x' are none"),
    "capital": (["--capital", "0"], ExitCode.USAGE, "--capital 0"),
    "folder": (["--output", "full"], ExitCode.USAGE, "which is no part of a run"),
}


@pytest.mark.parametrize(("arguments", "code", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_runs(
    sweep: Sweep,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: ExitCode,
    sentence: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("keep me")
    assert sweep(*arguments) == code
    said = capsys.readouterr()
    assert said.out == "" and sentence in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "runs").exists() and (tmp_path / "full" / "letter.txt").exists()


def test_unknown_strategies_and_missing_data(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(strategy="glf") == ExitCode.USAGE
    assert "did you mean 'glft'" in capsys.readouterr().err
    assert invoke(["sweep", "none.gz"]) == ExitCode.DATA
    assert "none.gz" in capsys.readouterr().err


def test_a_strategy_that_does_not_compile_is_refused_before_the_data_are_read(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(strategy: Strategy) -> int:
        raise StrategyError("strategy x does not compile")

    monkeypatch.setattr(Strategy, "address", refuse)
    monkeypatch.delattr(recordings, "compile_recording")
    assert sweep("--param", "half=0,1") == ExitCode.USAGE
    assert "does not compile" in capsys.readouterr().err


def test_a_missing_package_is_one_sentence_and_not_needed_to_rank(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "purgedcv", None)
    assert sweep("--param", "half=0,1") == ExitCode.FAILURE
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "install hlhft[research]" in said and "--no-selection" in said
    assert sweep("--param", "half=0,1", "--no-selection") == ExitCode.OK


def test_an_interrupt_keeps_what_was_finished(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = running.run_pass
    passes = []

    def second_is_interrupted(*arguments: object) -> object:
        passes.append(arguments)
        if len(passes) > 1:
            raise KeyboardInterrupt
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "LANES_PER_PASS", 3)
    monkeypatch.setattr(running, "run_pass", second_is_interrupted)
    assert sweep(*SETS, "--jobs", "1") == ExitCode.INTERRUPTED
    said = capsys.readouterr()
    assert "interrupted: 1 of 4 sets were finished and are in" in said.err
    assert "1 of 4 sets" in " ".join(said.out.split())
    folder = tmp_path / "runs" / "small-sweep"
    assert json.loads((folder / "run.json").read_text())["complete"] is False
    assert parquet.read_table(folder / "results.parquet").num_rows == 3


def test_an_interrupt_before_anything_is_finished_writes_nothing(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_pass", interrupted)
    assert sweep(*SETS) == ExitCode.INTERRUPTED
    assert "before any set was finished" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_when_every_set_halts_so_does_the_command(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--no-selection", strategy=FAILING) == ExitCode.HALTED
    said = capsys.readouterr()
    assert "every set ended halted" in said.err and "halted: strategy" in said.out
    assert (tmp_path / "runs" / "small-sweep" / "report.html").is_file()


def test_options_are_said_as_for_a_backtest() -> None:
    """What both commands have means the same in both; nothing of a backtest's is missing but what a sweep replaces."""
    own = {option.name for option in command.command.params}
    shared = {option.name: option for option in backtest.command.params}
    # A sweep chooses the parameters itself, and without models.
    assert set(shared) - {"signals", "in_sample", "params_file"} <= own
    for option in command.command.params:
        if option.name in shared and option.name not in {"params", "output", "as_json"}:
            assert option is shared[option.name]


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7})
    assert command.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert command.cores() == (os.cpu_count() or 1)
