"""The command from its arguments to its answer; live against an exchange of our own that trades with itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyarrow import parquet

from hlhft.cli import invoke
from hlhft.cli import scan as command
from hlhft.cli.errors import ExitCode
from tests.live.scanned import free_port, trading_exchange
from tests.report.tape import START_NS
from tests.report.test_market_scan import catalogue

BITCOIN = "hyperliquid/btc_bbo_trades_202509"


def test_on_recorded_bitcoin_the_answer_is_none(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    table = tmp_path / "scan.parquet"
    assert invoke(["scan", str(recordings / BITCOIN), "--output", str(table)]) == ExitCode.OK
    printed = capsys.readouterr().out
    said = " ".join(printed.split())
    assert "BTC would not have paid a two-sided quoter at a maker fee of 1.5 bp." in said
    assert "an order of 1,000 USDC on each side" in said
    assert [line.split()[0] for line in printed.splitlines() if line.rstrip().endswith("loses")] == ["BTC"]
    assert "…" not in printed
    assert parquet.read_table(table).num_rows == 1


def test_options_change_what_is_assumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue(tmp_path)
    line = ["scan", "--catalogue", str(tmp_path), "--coins", "BTC", "--json"]
    assert invoke([*line, "--fees", "-0.3", "--quote", "50", "--horizon", "1"]) == ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["maker_fee_bp"], answer["quote_usdc"], answer["horizon_s"]) == (-0.3, 50.0, 1.0)
    assert answer["sentence"].startswith("BTC would have paid a two-sided quoter at a maker rebate of 0.3 bp: +")
    assert [one["market"] for one in answer["markets"]] == ["BTC"]
    assert invoke([*line, "--fees", "tier:3"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["maker_fee_bp"] == 0.4


def test_the_catalogue_is_scanned_by_dates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue(tmp_path)
    date = "2025-09-04"
    assert START_NS // 86_400_000_000_000 == 20_335
    for stretch in ([], [date], [f"{date}..2025-09-05"], [f"{date}/BTC,ETH"]):
        assert invoke(["scan", *stretch, "--catalogue", str(tmp_path), "--json"]) == ExitCode.OK
        answer = json.loads(capsys.readouterr().out)
        assert answer["sentence"].startswith("2 of 2 markets would have paid a two-sided quoter")
    assert invoke(["scan", date, "--catalogue", str(tmp_path), "--coins", "ETH"]) == ExitCode.OK
    assert "ETH" in capsys.readouterr().out


def test_ctrl_c_reports_the_markets_that_were_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(tmp_path)
    monkeypatch.setattr(command, "progress", interrupting(lambda done, total: done > 0.8 * total))
    assert invoke(["scan", "--catalogue", str(tmp_path)]) == ExitCode.INTERRUPTED
    printed = capsys.readouterr()
    assert "BTC would have paid a two-sided quoter" in printed.out
    assert "ETH" not in printed.out
    assert "interrupted" in printed.err
    monkeypatch.setattr(command, "progress", interrupting(lambda done, total: True))
    assert invoke(["scan", "--catalogue", str(tmp_path)]) == ExitCode.INTERRUPTED
    assert "before any market was finished" in capsys.readouterr().err


def interrupting(when: Callable[[int, int], bool]) -> Callable[..., object]:
    """Progress at which somebody presses Ctrl-C."""

    @contextmanager
    def progress(what: str, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
        def update(done: int, total: int) -> None:
            if when(done, total):
                signal.raise_signal(signal.SIGINT)

        yield update

    return progress


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--live", "2025-09-04"], ExitCode.USAGE, "reads no DATA"),
        (["--fees", "much"], ExitCode.USAGE, "--fees much is no maker fee"),
        (["--fees", "tier:9"], ExitCode.USAGE, "tiers are tier:0 to tier:6"),
        (["--fees", "nan"], ExitCode.USAGE, "--fees nan is no maker fee"),
        (["--quote", "0"], ExitCode.USAGE, "--quote 0: give 1 to"),
        (["--quote", "1e"], ExitCode.USAGE, "--quote 1e: give"),
        (["--base-url", "nowhere", "--live"], ExitCode.USAGE, "--base-url nowhere is no URL"),
        (["--account", "0x12", "--live"], ExitCode.USAGE, "--account: an address is 0x and 40 hex digits"),
        (["--fees", "1", "--account", "0x" + 40 * "0"], ExitCode.USAGE, "both say the maker fee"),
        (["--output", "scan.txt"], ExitCode.USAGE, "must end in .parquet or .csv"),
        (["--output", "nowhere/scan.csv"], ExitCode.USAGE, "nowhere: there is no such folder"),
        (["2025-09-04", "2025-09-05"], ExitCode.USAGE, "give it alone"),
        ([], ExitCode.DATA, "catalog: there is no catalogue"),
        (["--catalogue", "."], ExitCode.DATA, "there is nothing, fill it"),
        (["2025-09-31", "--catalogue", "."], ExitCode.USAGE, "there is no date 2025-09-31"),
        (["2025-09-04..2025-09-03", "--catalogue", "."], ExitCode.USAGE, "runs backwards"),
        (["2025-09-04", "--catalogue", "."], ExitCode.DATA, "there is nothing"),
        (["nothing.csv"], ExitCode.DATA, "nothing.csv: there is no such file"),
    ],
)
def test_what_cannot_be_scanned(
    arguments: list[str],
    code: ExitCode,
    words: str,
    isolated_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(["scan", *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_coin_that_is_not_there(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["scan", str(recordings / BITCOIN), "--coins", "BTC,DOGE"]) == ExitCode.USAGE
    assert "holds no DOGE: there are BTC" in capsys.readouterr().err


def test_a_venue_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert invoke(["scan", "--live", "--base-url", url]) == ExitCode.FAILURE
    assert f"{url} does not answer metaAndAssetCtxs" in capsys.readouterr().err
    assert invoke(["scan", "--live", "--base-url", url, "--account", "0x" + 40 * "0"]) == ExitCode.FAILURE
    assert f"{url} does not answer userFees" in capsys.readouterr().err


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with trading_exchange(tmp_path_factory.mktemp("venue"), "BTC,ETH") as url:
        yield url


@pytest.mark.processes
def test_a_venue_is_watched_for_some_minutes(venue: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Three seconds of a market that trades with itself, of a new account: known is all but whether it pays."""
    line = ["scan", "--live", "--base-url", venue, "--minutes", "0.05", "--account", "0x" + 40 * "1", "--json"]
    assert invoke(line) == ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["maker_fee_bp"] == 1.5
    assert answer["sentence"].startswith("Cannot tell whether any of the 2 markets would have paid")
    assert answer["about"].startswith(f"{venue}: the 2 busiest of 2 markets, up, 1 connection")
    for market in answer["markets"]:
        assert market["spread_bp"] > 0
        assert market["watched_s"] > 1
        assert market["funding_bp_hour"] is not None
        assert market["verdict"].startswith("cannot tell")


@pytest.mark.processes
def test_ctrl_c_reports_what_was_seen(
    venue: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "progress", interrupting(lambda done, total: done >= 2))
    assert invoke(["scan", "--live", "--base-url", venue, "--coins", "ETH"]) == ExitCode.INTERRUPTED
    printed = capsys.readouterr()
    assert "Cannot tell whether ETH would have paid" in " ".join(printed.out.split())
    assert "interrupted: this is what was seen until then" in printed.err


@pytest.mark.processes
def test_a_coin_that_the_venue_does_not_list(venue: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["scan", "--live", "--base-url", venue, "--coins", "BTX"]) == ExitCode.USAGE
    assert "BTX is not listed, the nearest is BTC" in capsys.readouterr().err
