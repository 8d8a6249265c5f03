"""`hlhft backtest` from its arguments to its exit code: one sentence for everything that is wrong."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hlhft.backtest.recordings import Recording
from hlhft.backtest.session import Backtest, Settings
from hlhft.cli import backtest, invoke
from hlhft.cli.errors import ExitCode
from hlhft.compiled import JIT_DISABLED
from hlhft.config.settings import Config
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.strategies import load
from tests.data.catalogue.coin_day import books
from tests.data.catalogue.making import put
from tests.data.making import trade
from tests.report.sample_run import beginning

MESSAGES = 600 if JIT_DISABLED else 6000
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the beginning of the bundled recording in it."""
    monkeypatch.chdir(tmp_path)
    beginning(tmp_path, MESSAGES)
    return tmp_path


@pytest.fixture
def sample(folder: Path) -> str:
    return next(path.name for path in folder.iterdir())


def refused(capsys: Captured, *arguments: str, code: ExitCode) -> str:
    """The one sentence that these arguments are refused with."""
    before = sorted(str(path) for path in Path.cwd().rglob("*"))
    assert invoke(["backtest", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("hlhft: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    assert sorted(str(path) for path in Path.cwd().rglob("*")) == before, (
        "a refused command leaves everything as it was"
    )
    return lines[0]


def test_a_run_ends_with_a_table_and_its_report(sample: str, capsys: Captured) -> None:
    assert (
        invoke(["backtest", sample, "15", "--strategy", "two_sided", "--param", "half_spread_bp=0.01"]) == ExitCode.OK
    )
    captured = capsys.readouterr()
    assert "Where the money came from" in captured.out and "It " in captured.out
    report = Path("runs", "usdm_btcusdt_20240808", "report.html")
    assert str(report) in captured.out.replace("\n", "")
    assert report.is_file()
    record = json.loads(report.with_name("run.json").read_text())
    assert record["settings"]["latency"] == "15"
    assert record["settings"]["params"]["half_spread_bp"] == 0.01
    assert record["data"]["profile"] == "recorded"
    assert f"Reading {sample}" in captured.err and f"Replaying {sample}" in captured.err


def test_json_is_all_that_is_printed(sample: str, capsys: Captured) -> None:
    arguments = ["backtest", sample, "--json", "--strategy", "two_sided", "--output", "out"]
    assert invoke([*arguments, "--queue", "risk-averse", "--fees", "1,2", "--seed", "7", "--capital", "5000.5"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    told = json.loads(captured.out)
    assert told == json.loads(Path("out", "results.json").read_text())
    assert told["scenarios"][0]["name"] == "maker +1 bp, taker +2 bp"
    assert (len(told["scenarios"]), told["capital_usdc"]) == (4, 5000.5)
    settings = json.loads(Path("out", "run.json").read_text())["settings"]
    assert (settings["queue"], settings["seed"], settings["latency"]) == ("risk-averse", 7, "constant:10")


def test_the_same_command_gives_the_same_bytes(sample: str, capsys: Captured) -> None:
    for output in ("a", "b"):
        assert invoke(["backtest", sample, "--strategy", "two_sided", "--output", output]) == ExitCode.OK
    for path in Path("a").iterdir():
        assert path.read_bytes() == Path("b", path.name).read_bytes(), path.name


BAD_USE = {
    "negative latency": (["-5"], "latency -5 ms is below 0"),
    "negative latency after data": (["FILE", "-0.5"], "latency -0.5 ms is below 0"),
    "negative latency as an option": (["--latency", "-5"], "-5 ms is outside 0..60000 ms"),
    "latency twice": (["FILE", "15", "--latency", "20"], "given twice, as 15 and as --latency 20"),
    "latency that is none": (["--latency", "soon"], "latency 'soon' is none"),
    "latency beyond reason": (["60001"], "outside 0..60000 ms"),
    "no such strategy": (["--strategy", "glfd"], "did you mean 'glft'?"),
    "no such strategy file": (["--strategy", "mine.py"], "strategy file mine.py cannot be read"),
    "no such parameter": (["--param", "gama=1"], "did you mean 'gamma'?"),
    "a parameter without value": (["--param", "gamma"], "--param gamma is not NAME=VALUE"),
    "a parameter out of range": (["--param", "gamma=-1"], "parameter gamma must lie in"),
    "a parameter that is no number": (["--param", "gamma=nan"], "parameter gamma must lie in"),
    "no such queue": (["--queue", "fair"], "queue model 'fair' is none"),
    "no such tier": (["--fees", "tier:9"], "tiers are tier:0 to tier:6"),
    "no such profile": (["--feed-profile", "2019"], "'2019' is not one of"),
    "no such market": (["--market", "BCT"], "market BCT is not in the specification"),
    "no such option": (["--latncy", "5"], "No such option '--latncy'"),
    "capital that is none": (["--capital", "much"], "--capital much is not a number"),
    "capital below zero": (["--capital", "-5"], "--capital -5: give more than 0"),
    "capital without end": (["--capital", "inf"], "--capital inf is not a number"),
    "capital too fine": (["--capital", "0.0000001"], "six decimals at most"),
    "a folder that is no run": (["--output", "full"], "holds 'thesis.tex'"),
    "a strategy that does not compile": (["--strategy", "bad.py"], "line 1"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_USE.values(), ids=BAD_USE)
def test_wrong_use(arguments: list[str], words: str, sample: str, capsys: Captured) -> None:
    Path("full").mkdir()
    Path("full", "thesis.tex").touch()
    Path("bad.py").write_text("def quote(:\n")
    named = [sample if argument == "FILE" else argument for argument in arguments]
    assert words in refused(capsys, *named, code=ExitCode.USAGE)


def test_bad_data(sample: str, capsys: Captured) -> None:
    Path("empty.gz").touch()
    Path("cut.gz").write_bytes(Path(sample).read_bytes()[:5_000])
    Path("named.lz4").write_bytes(Path(sample).read_bytes())
    Path("hello.txt").write_text("hello\n")
    cases = {
        "none.gz": "none.gz: there is no such file",
        "empty.gz": "empty.gz: the file is empty",
        "cut.gz": "cut.gz, line",
        "named.lz4": "the name says lz4 but the content is gzip",
        "hello.txt": 'no known recording begins with "hello"',
    }
    for name, words in cases.items():
        assert words in refused(capsys, name, code=ExitCode.DATA)
    assert "none.toml: the market specification cannot be read" in refused(
        capsys, sample, "--markets", "none.toml", code=ExitCode.DATA
    )


def test_a_recording_that_ends_early_leaves_an_earlier_run(sample: str, capsys: Captured) -> None:
    assert invoke(["backtest", sample, "--strategy", "two_sided", "--output", "run"]) == ExitCode.OK
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    capsys.readouterr()
    with gzip.open(sample) as lines:
        damaged = b"".join(list(lines)[:-50]) + b"1 {not json\n"
    Path("damaged.gz").write_bytes(gzip.compress(damaged, mtime=0))
    assert "line" in refused(capsys, "damaged.gz", "--output", "run", "--strategy", "two_sided", code=ExitCode.DATA)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def test_a_market_missing_from_the_specification(sample: str, capsys: Captured) -> None:
    Path("markets.toml").write_text('[[perpetual]]\nname = "ETH"\nasset_id = 1\nsize_decimals = 4\n')
    sentence = refused(capsys, sample, "--markets", "markets.toml", code=ExitCode.DATA)
    assert "usdm_btcusdt" in sentence and "not in the specification" in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [("raises", "RuntimeError: nothing to say"), ("nan_price", "NaN")],
)
def test_a_strategy_that_fails_ends_halted_and_is_kept(
    name: str, words: str, sample: str, repository: Path, capsys: Captured
) -> None:
    strategy = repository / "tests" / "strategies_that_misbehave" / f"{name}.py"
    assert invoke(["backtest", sample, "--strategy", str(strategy), "--output", "out"]) == ExitCode.HALTED
    captured = capsys.readouterr()
    assert words in captured.err.splitlines()[-1] and "ended halted under new account" in captured.err
    assert json.loads(Path("out", "results.json").read_text())["halted"] is True
    assert "halted" in captured.out


def test_an_interrupted_run_is_kept(sample: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives with the first report of the replay's progress."""
    from hlhft.backtest import session

    original = session.run_backtest
    monkeypatch.setattr("hlhft.backtest.replay.WINDOW_ROWS", 1024)

    def interrupted(settings: Settings, recording: Recording, progress: object = None) -> Backtest:
        return original(settings, recording, lambda done, total: signal.raise_signal(signal.SIGINT))

    monkeypatch.setattr(session, "run_backtest", interrupted)
    arguments = ["backtest", sample, "--strategy", "two_sided", "--output", "out"]
    assert invoke(arguments) == ExitCode.INTERRUPTED
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "hlhft: interrupted: what was replayed is in out"
    assert "It was interrupted: these are the first" in " ".join(captured.out.split())
    assert json.loads(Path("out", "results.json").read_text())["interrupted"] is True


@pytest.mark.parametrize(
    ("arguments", "given", "paths", "latency"),
    [
        ([], None, [], None),
        (["15"], None, [], "15"),
        (["a.gz", "1.5"], None, ["a.gz"], "1.5"),
        (["a.gz", "b.gz"], "3", ["a.gz", "b.gz"], "3"),
        (["15", "a.gz"], None, ["15", "a.gz"], None),
        (["20240808"], None, ["20240808"], None),
    ],
)
def test_the_last_plain_number_is_the_latency_unless_it_is_a_file(
    arguments: list[str], given: str | None, paths: list[str], latency: str | None, folder: Path
) -> None:
    (folder / "20240808").touch()
    assert backtest.split_arguments(arguments, given) == ([Path(path) for path in paths], latency)


@pytest.mark.parametrize(
    ("recording", "name"),
    [
        ("usdm_btcusdt_20240808.gz", "usdm_btcusdt_20240808"),
        ("btc.events.npz", "btc"),
        ("set/BTC+set/ETH", "set"),
        ("set/BTC", "set_BTC"),
        ("a b?.jsonl.lz4+c.gz", "a_b"),
        ("x" * 200, "x" * 80),
        (".gz", "run"),
    ],
)
def test_runs_are_named_for_their_recording(recording: str, name: str) -> None:
    assert backtest.name_of(recording) == name


def test_parameters_are_pairs_and_the_last_counts() -> None:
    assert backtest.parameters(["a=1", "b = 2", "a=3"]) == {"a": "3", "b": "2"}
    with pytest.raises(click.UsageError):
        backtest.parameters(["=1"])


def test_the_venues_own_recordings_get_its_latency_and_feed(recordings: Path) -> None:
    options = {
        "params": (), "latency": None, "queue": "log", "fees": "tier:2", "seed": 3, "capital": "1", "market": None,
    }  # fmt: skip
    strategy = load("two_sided")
    own = open_source(recordings / "hyperliquid" / "l2_trades_bbo_20250904")
    assert backtest.is_hyperliquid(own)
    assert len(own.markets) == 4
    assert backtest.settings_of(strategy, own, options).latency == "blocks"
    other = open_source(bundled())
    assert not backtest.is_hyperliquid(other)
    found = backtest.settings_of(strategy, other, options)
    assert (found.latency, found.queue, found.fees, found.seed, found.capital_micro) == (
        "constant:10", "log", "tier:2", 3, 1_000_000,
    )  # fmt: skip
    assert backtest.settings_of(strategy, other, {**options, "latency": "blocks"}).latency == "blocks"


def test_the_bundled_recording_is_used_without_data() -> None:
    options = {"market": None, "specification": None, "catalogue": None}
    assert backtest.open_recording([], options, Config()).files == (bundled(),)


def test_a_writable_folder_is_all_that_a_process_needs(folder: Path, sample: str, repository: Path) -> None:
    """The whole way as a user goes it, the interpreter's start included."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "hlhft", "backtest", sample, "5", "--strategy", "two_sided"]
    environment = {**os.environ, "PYTHONPATH": str(repository), "COLUMNS": "100"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Report: runs/usdm_btcusdt_20240808/report\.html", done.stdout)


def test_settings_from_a_file_hold_unless_the_command_line_says_otherwise(sample: str, capsys: Captured) -> None:
    Path("mine.toml").write_text(
        '[strategy]\nname = "two_sided"\nparams = { levels = 2, half_spread_bp = 3 }\n'
        '[backtest]\nlatency = "constant:33"\nseed = 9\ncapital_usdc = 777\nqueue = "log"\n'
        "[risk]\nposition_notional_usdc_max = 1234\n"
    )

    def recorded(*arguments: str) -> dict:
        assert invoke(["backtest", sample, "--config", "mine.toml", "--output", "out", *arguments]) == ExitCode.OK
        return json.loads(Path("out", "run.json").read_text())["settings"]

    found = recorded()
    assert (found["strategy"], found["latency"], found["seed"], found["queue"]) == (
        "two_sided",
        "constant:33",
        9,
        "log",
    )
    assert (found["params"]["levels"], found["params"]["half_spread_bp"]) == (2, 3)
    assert found["capital_micro"] == 777_000_000
    assert found["position_notional_micro_max"] == 1_234_000_000
    found = recorded("5", "--seed", "1", "--capital", "8", "--queue", "power:2", "--param", "levels=1")
    assert (found["latency"], found["seed"], found["queue"], found["capital_micro"]) == ("5", 1, "power:2", 8_000_000)
    assert (found["params"]["levels"], found["params"]["half_spread_bp"]) == (1, 3)
    # The file's parameters are its own strategy's and not handed to another, even of the same name.
    assert recorded("--strategy", "two_sided")["params"]["levels"] != 2
    capsys.readouterr()


def test_settings_that_are_none_are_refused(sample: str, capsys: Captured) -> None:
    Path("bad.toml").write_text("[backtest]\nlatncy = '5'\n")
    assert "latency" in refused(capsys, sample, "--config", "bad.toml", code=ExitCode.USAGE)


def day_of_books(root: Path, *, trades: bool) -> None:
    """A catalogue with some minutes of one coin."""
    rows = list(books(200, seed=3))
    put(root, "book", "archive-00", rows)
    if trades:
        at_ns = int(rows[0]["ts_exch_ns"][-1])
        put(root, "trade", "fills-00", [trade(at_ns, 1, 680_010, 5)], source="fills")


def test_a_day_of_a_catalogue_runs_by_its_name(folder: Path, capsys: Captured) -> None:
    day_of_books(folder / "mined", trades=True)
    arguments = ["backtest", "2026-04-01/btc", "15", "--strategy", "two_sided", "--catalogue", "mined", "--json"]
    assert invoke(arguments) == ExitCode.OK
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == "" and found["fill_model"] == "book and trades" and found["without_trades"] == []
    assert Path("runs", "2026-04-01_btc", "report.html").is_file()


def test_an_hour_that_the_catalogue_lacks_is_said_before(folder: Path, capsys: Captured) -> None:
    day_of_books(folder / "catalog", trades=True)
    later = [rows.copy() for rows in books(200, seed=3)]
    for rows in later:
        for clock in ("ts_exch_ns", "ts_local_ns"):
            rows[clock] += 2 * 3_600_000_000_000
    put(folder / "catalog", "book", "archive-02", later)
    assert invoke(["backtest", "2026-04-01/BTC", "15", "--strategy", "two_sided", "--json"]) == ExitCode.OK
    said = capsys.readouterr().err
    assert said.startswith("hlhft: 2026-04-01/BTC: missing in between: book of BTC for 1 h 58 min; ")
    assert said.endswith("see hlhft data gaps 2026-04-01/BTC\n")


def test_books_without_trades_are_said_before_and_stamped_after(folder: Path, capsys: Captured) -> None:
    day_of_books(folder / "catalog", trades=False)
    assert invoke(["backtest", "2026-04-01T00/BTC", "15", "--strategy", "two_sided", "--json"]) == ExitCode.OK
    captured = capsys.readouterr()
    said = "there are no trades of BTC, so resting orders are filled by the book alone"
    assert captured.err.startswith(f"hlhft: 2026-04-01T00/BTC: {said}")
    found = json.loads(captured.out)
    assert (found["fill_model"], found["without_trades"]) == ("book alone", ["BTC"])
    assert any(said[1:] in remark for remark in found["verdict"]["remarks"])
    results = Path("runs", "2026-04-01T00_BTC")
    assert said[1:] in (results / "report.html").read_text()
    assert json.loads((results / "results.json").read_text())["fill_model"] == "book alone"


def test_the_settings_name_the_catalogue_and_what_is_not_there_is_said(folder: Path, capsys: Captured) -> None:
    day_of_books(folder / "mined", trades=False)
    (folder / "settings.toml").write_text('[data]\ncatalogue = "mined"\n')
    said = refused(capsys, "2026-04-02/BTC", "--config", "settings.toml", code=ExitCode.DATA)
    assert "there is nothing for 2026-04-02/BTC, of BTC it holds 2026-04-01, the nearest first" in said
    assert "no catalogue for 2026-04-02/BTC" in refused(capsys, "2026-04-02/BTC", code=ExitCode.DATA)
