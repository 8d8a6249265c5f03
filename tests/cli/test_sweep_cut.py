"""The same sweep gives the same bytes in one pass, cut into tasks, on processes, and on a cluster that is disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from hlhft import extra
from hlhft.backtest.rows import KIND_MASK, LOTS_SHIFT, SELL_BIT
from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.readers.hftbacktest_npz import HFTBACKTEST_DTYPE
from hlhft.scale import dask_backend, searching
from tests.backtest.sweep_recording import wandering
from tests.data.catalogue.coin_day import books
from tests.data.catalogue.making import put
from tests.data.making import joined, trade
from tests.data.mining.s3_server import PRIVATE, Server
from tests.scale.clusters import DEADLINE_S, ROOT, processes, until

QUOTER = str(Path("tests", "bench", "strategies", "mirror.py").resolve())
GRID = ["--param", "half=0,1,2,4", "--param", "order_lots=200,500", "--param", "cap_lots=800,1000"]
Captured = pytest.CaptureFixture[str]


def array(path: Path, seconds: int, *, after_s: int = 0, seed: int = 1) -> Path:
    """Some seconds of a small market as an hftbacktest array."""
    rows = wandering(seconds, step_ms=50, seed=seed)
    rows["ts_ns"] += after_s * 1_000_000_000
    events = np.zeros(len(rows), HFTBACKTEST_DTYPE)
    word = rows["word"]
    events["ev"] = np.where(word & KIND_MASK == 6, 2, 1) | 3 << 30 | np.where(word & SELL_BIT, 1 << 28, 1 << 29)
    events["exch_ts"], events["local_ts"] = rows["ts_ns"], rows["ts_ns"] + rows["delay_ns"]
    events["px"] = rows["price_ticks"] / 10
    events["qty"] = (word >> LOTS_SHIFT) / 1000
    np.savez_compressed(path, data=events)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("data")
    return [array(folder / f"part{n}.npz", 2 + n, after_s=20 * n, seed=n + 1) for n in range(3)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(paths: Sequence[Path], *arguments: str) -> list[str]:
    given = ["sweep", *map(str, paths), "--market", "usdm_btcusdt", "--strategy", QUOTER, "--jobs", "2"]
    return [*given, "--latency", "10", "--json", *arguments]


def sweep(paths: Sequence[Path], *arguments: str) -> int:
    return invoke(command(paths, *arguments))


def content(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_with_a_store_the_folder_is_the_same_to_the_byte(data: list[Path], capsys: Captured) -> None:
    assert sweep(data[:1], *GRID, "--output", "plain") == ExitCode.OK
    first = capsys.readouterr().out
    assert sweep(data[:1], *GRID, "--output", "kept", "--store", "store") == ExitCode.OK
    assert capsys.readouterr().out == first
    assert content("plain") == content("kept") and len(list(Path("store", "results").glob("*/*"))) == 2


def test_every_file_by_itself_is_added_up_and_is_not_run_twice(
    data: list[Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep(data, *GRID, "--by-day", "--store", "store", "--output", "all") == ExitCode.OK
    run = json.loads(Path("all", "run.json").read_text())
    assert [name.split("/")[-1] for name in run["shards"]] == ["part0.npz", "part1.npz", "part2.npz"]
    total = parquet.read_table(Path("all", "results.parquet")).to_pylist()
    parts = []
    for one in data:
        assert sweep([one], *GRID, "--output", one.stem) == ExitCode.OK
        parts.append(parquet.read_table(Path(one.stem, "results.parquet")).to_pylist())
    for row, *alone in zip(total, *parts, strict=True):
        assert row["fills"] == sum(one["fills"] for one in alone)
        assert row["profit_micro"] == sum(one["profit_micro"] for one in alone)
    from hlhft.scale import worker

    monkeypatch.setattr(worker, "run_task", None)
    monkeypatch.setattr("hlhft.scale.backends.run_task", None)
    assert sweep(data[::-1], *GRID, "--by-day", "--store", "store", "--output", "again") == ExitCode.OK
    assert content("again") == content("all")
    capsys.readouterr()


def catalogue(root: Path, days: Sequence[int]) -> Path:
    """Two minutes of some days of April 2026."""
    for day in days:
        rows = [one.copy() for one in books(200, seed=3)]
        for one in rows:
            for clock in ("ts_exch_ns", "ts_local_ns"):
                one[clock] += day * 86_400_000_000_000
        date = f"2026-04-0{1 + day}"
        put(root, "book", "archive-00", rows, date=date)
        begin = int(rows[0]["ts_exch_ns"][0])
        trades = [
            trade(begin + step * 500_000_000, side, 680_000 + side * 300, 50, step + 1)
            for step, side in enumerate([1, -1] * 100)
        ]
        put(root, "trade", "fills-00", [joined(trades)], source="fills", date=date)
    return root


def test_days_of_a_catalogue_are_run_by_themselves_and_a_missing_one_is_told(tmp_path: Path, capsys: Captured) -> None:
    catalogue(tmp_path / "catalog", [0, 2])
    arguments = ["sweep", "2026-04-01..2026-04-03/btc", "--strategy", "two_sided", "--by-day", "--no-selection"]
    assert invoke([*arguments, "--latency", "15", "--json"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "hlhft: nothing of 2026-04-02/btc is in the catalogue: left out\n" in said.err
    (folder,) = Path("runs").glob("*-sweep")
    assert len(json.loads((folder / "run.json").read_text())["shards"]) == 2
    assert invoke(["sweep", "2027-04-01..2027-04-03/BTC", "--by-day", "--no-selection"]) == ExitCode.DATA
    assert "2027-04-01..2027-04-03" in capsys.readouterr().err


DAYS = ["2026-04-01..2026-04-03/btc", "--by-day", "--no-selection", "--json", "--param", "gamma=0.05,0.1,0.2"]


def test_days_compiled_by_tasks_make_the_same_folder(tmp_path: Path, capsys: Captured) -> None:
    catalogue(tmp_path / "catalog", [0, 2])
    assert invoke(["sweep", *DAYS, "--store", "here-store", "--output", "here"]) == ExitCode.OK
    shared = [*DAYS, "--shared-catalogue", "--store", "store"]
    assert invoke(["sweep", *shared, "--output", "tasks"]) == ExitCode.OK
    assert content("here") == content("tasks")
    assert max(parquet.read_table(Path("here", "results.parquet"))["fills"].to_pylist()) > 0
    functions = [json.loads(path.read_text())["function"] for path in Path("store", "results").glob("*/*")]
    assert functions.count("hlhft.scale.compiling:compile_rows") == 2
    before = {path: path.stat().st_mtime_ns for path in Path("store").rglob("*") if path.is_file()}
    assert invoke(["sweep", *shared, "--output", "again"]) == ExitCode.OK
    assert content("again") == content("here")
    assert before == {path: path.stat().st_mtime_ns for path in Path("store").rglob("*") if path.is_file()}
    assert "nothing of 2026-04-02/btc is in the catalogue: left out" in capsys.readouterr().err


@pytest.mark.processes
def test_from_s3_two_workers_make_the_same_folder_and_no_row_passes_through_the_client(
    tmp_path: Path,
    s3: Server,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catalogue and store in S3: by the keys that requests are signed with, workers alone fetch parts and rows."""
    root = catalogue(tmp_path / "catalog", [0, 1, 2])
    assert invoke(["sweep", *DAYS, "--output", "here"]) == ExitCode.OK
    there = ["--catalogue", s3.upload(root, PRIVATE, "catalog"), "--store", s3.address(PRIVATE, "store")]
    s3.forget()
    with processes(tmp_path) as made:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
        for _ in range(2):
            made.worker()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "client")
        given = ["sweep", *DAYS, *there, "--on", made.address, "--output", "there"]
        command = [sys.executable, "-m", "hlhft", *given]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == ExitCode.OK, done.stderr
    assert content("here") == content("there")
    parts = sum(path.stat().st_size for path in root.rglob("*.parquet"))
    assert s3.bytes_for("worker", ".parquet")[0] >= parts and s3.bytes_for("client", ".parquet") == (0, 0)
    rows = 500_000  # bytes of them, at least
    read, sent = s3.bytes_for("worker", "/store/blobs/")
    assert sent > rows > 10 * sum(s3.bytes_for("client", "/store/blobs/"))
    assert read < rows / 20, "what was made on this host was fetched again"
    capsys.readouterr()


def test_a_search_goes_on_where_it_was(data: list[Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", 4)
    axes = ["--param", "half=0:4", "--param", "order_lots=100:500:log", "--optuna", "10", "--seed", "5"]
    assert sweep(data[:1], *axes, "--output", "whole", "--store", "store") == ExitCode.OK
    assert Path("whole.study").is_file()
    batches = []

    def interrupted(done: int, total: int) -> None:
        batches.append(done)
        if len(batches) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hlhft.cli.sweep_cut.progress", lambda *what, hidden: _Shown(interrupted))
        assert sweep(data[:1], *axes, "--output", "cut", "--study", "study") == ExitCode.INTERRUPTED
    assert sweep(data[:1], *axes, "--output", "cut", "--study", "study") == ExitCode.OK
    assert content("whole") == content("cut")
    table = parquet.read_table(Path("whole", "results.parquet")).to_pylist()
    assert len({row["set"] for row in table}) == 10 and {row["param.half"] for row in table} != {0.0}
    assert json.loads(Path("whole", "run.json").read_text())["parameters"]["method"] == "optuna"
    capsys.readouterr()


class _Shown:
    def __init__(self, update: object) -> None:
        self.update = update

    def __enter__(self) -> object:
        return self.update

    def __exit__(self, *unused: object) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--optuna", "5", "--random", "5", "--param", "half=0:1"], "leave --random and --sets out"),
        (["--optuna", "5"], "nothing to search among"),
        (["--optuna", "0", "--param", "half=0:1"], "0 sets cannot be searched"),
        (["--study", "x"], "give it with --optuna N"),
        (["--on", "tcp://127.0.0.1:1"], "needs --store"),
        (["--shared-catalogue"], "--shared-catalogue is for workers"),
        (["--on", "nowhere"], "--on nowhere is nowhere"),
        (["--on", "tls://127.0.0.1:1", "--store", "x"], "--tls-cert and --tls-key go together"),
        (["--tls-ca", "ca.pem"], "--tls-cert and --tls-key go together"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    data: list[Path], capsys: Captured, arguments: list[str], sentence: str
) -> None:
    assert sweep(data[:1], *arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and not Path("runs").exists()


def test_a_scheduler_that_is_not_there_is_one_sentence(
    data: list[Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_backend, "CONNECT_SECONDS_MAX", 1)
    assert sweep(data[:1], *GRID, "--on", "tcp://127.0.0.1:1", "--store", "store") == ExitCode.FAILURE
    said = capsys.readouterr().err
    assert said.startswith("hlhft: no scheduler answers at tcp://127.0.0.1:1 (") and said.count("\n") == 1


def test_packages_that_are_missing_are_one_sentence(
    data: list[Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extra.importlib.util.find_spec
    monkeypatch.setattr(extra.importlib.util, "find_spec", lambda name: None if name == "fsspec" else found(name))
    assert sweep(data[:1], *GRID, "--by-day") == ExitCode.FAILURE
    assert "a store of results needs the Python package fsspec, which is not installed" in capsys.readouterr().err
    assert sweep(data[:1], *GRID, "--output", "plain") == ExitCode.OK
    capsys.readouterr()


@pytest.mark.processes
def test_on_processes_and_on_a_cluster_that_is_disturbed_the_tables_are_the_same(
    data: list[Path], tmp_path: Path, capsys: Captured
) -> None:
    """In one pass, on this machine's processes, and on a scheduler whose workers join late, of which one is killed
    while the sweep runs: one folder, byte for byte."""
    shards = [*GRID, "--by-day", "--param", "skew=0,1,2"]
    assert sweep(data, *shards, "--output", "here") == ExitCode.OK
    capsys.readouterr()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def started(*arguments: str) -> subprocess.Popen[bytes]:
        given = [sys.executable, "-m", "hlhft", *command(data, *shards, *arguments)]
        return subprocess.Popen(given, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    local = started("--on", "local", "--store", "local-store", "--output", "local")
    _, said = local.communicate(timeout=DEADLINE_S)
    assert local.returncode == ExitCode.OK, said
    with processes(tmp_path) as made:
        first = made.worker()
        running = started("--on", made.address, "--store", "store", "--output", "there")
        results = Path("store", "results")
        until(lambda: any(results.glob("*/*")), "the first result")
        made.worker()
        first.send_signal(signal.SIGKILL)
        _, said = running.communicate(timeout=DEADLINE_S)
        assert running.returncode == ExitCode.OK, said
    assert b"is gone; what it had is run again" in said
    assert content("here") == content("local") == content("there")
    workers = {json.loads(path.read_text())["worker"].rpartition("/")[2] for path in results.glob("*/*")}
    assert str(first.pid) in workers and len(workers) == 2
