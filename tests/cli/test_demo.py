"""A whole demo: an exchange, a watchdog, an engine and an exporter that trade, are watched, end in order and are
reported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.demo import _code, stops_as_ctrl_c
from hlhft.cli.errors import ExitCode
from hlhft.live.demo import Ending
from hlhft.live.replay import replay

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


def test_it_quotes_until_ctrl_c_ends_empty_and_reports(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("NUMBA_DISABLE_JIT", None)  # an engine that is not compiled is too slow for its own breakers
    command = ["demo", "--seconds", "0", "--coins", "ETH,WLFI", "--no-screen", "--output", str(folder)]
    lines, metrics, scraped = [], "", False
    with subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *command],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as held:
        assert held.stdout is not None
        for line in held.stdout:
            lines.append(line)
            if line.startswith("Metrics for Prometheus are at "):
                metrics = line.split()[-1]
            if "2 of 2 markets quoted" in line:
                scraped = has_engine(metrics)
                held.send_signal(signal.SIGINT)
                break
        lines += held.stdout.readlines()
    said = "".join(lines)
    assert held.returncode == ExitCode.OK, said
    assert "the exchange lists none of its orders; engine 0, watchdog 0, exporter 0" in said
    assert scraped, said
    results = json.loads((folder / "report" / "results.json").read_text())
    (session,) = results["scenarios"]
    assert (session["profit"]["residual"], session["profit"]["residual_largest"]) == ("0", "0")
    assert session["trading"]["orders_placed"] >= 4
    assert (folder / "report" / "report.html").stat().st_size > 1_000_000
    assert replay(folder / "state" / "journal").is_equal, "and the session decides the same once more"
    for log in ("exchange.log", "watchdog.log", "run.log", "exporter.log"):
        assert "Traceback" not in (folder / log).read_text(), log
        assert (folder / "state" / "engine.key").read_text().strip()[2:] not in (folder / log).read_text()


def has_engine(url: str) -> bool:
    """Whether the engine of that demo is up by what a scrape of its exporter says."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return b'hlhft_process_up{process="engine"} 1.0' in answer.read()


# Some shells start what is in the background deaf to Ctrl-C.
HEARS_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from hlhft.cli import console
console()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_is_what_ctrl_c_is(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stops_as_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_coin_that_cannot_be_listed_is_wrong_use_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    assert invoke(["demo", "--coins", "BTC,DOGE", "--output", str(folder)]) == ExitCode.USAGE
    assert "coin DOGE cannot be listed" in capsys.readouterr().err
    assert not folder.exists()


def test_a_folder_that_holds_something_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert invoke(["demo", "--output", str(tmp_path)]) == ExitCode.USAGE
    assert "is there already and not empty: name another with --output" in capsys.readouterr().err
    assert invoke(["demo", "--param", "gamma=much", "--output", str(tmp_path / "new")]) == ExitCode.USAGE
    assert "--param takes numbers" in capsys.readouterr().err
    assert invoke(["demo", "--model", str(tmp_path), "--output", str(tmp_path / "new")]) == ExitCode.DATA
    assert "name a folder that hlhft train wrote" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("engine", "open_orders", "code"),
    [(0, 0, ExitCode.OK), (4, 0, ExitCode.HALTED), (0, 2, ExitCode.ORDERS_LEFT), (0, None, ExitCode.ORDERS_LEFT),
     (-9, 0, ExitCode.FAILURE), (-9, 1, ExitCode.ORDERS_LEFT)],
)  # fmt: skip
def test_the_exit_code_says_what_is_left_first(engine: int, open_orders: int | None, code: ExitCode) -> None:
    assert _code(Ending(engine=engine, watchdog=0, exporter=0, open_orders=open_orders, account_usdc=None)) == code
