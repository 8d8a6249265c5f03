"""`hlhft data import`: what it says, its exit codes, and all recorded sets with the rows of their descriptions."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, little_room, refused, run, said
from tests.data.making import write
from tests.data.synthetic import bbo_line, clean_log


def test_it_says_what_it_brought_in_and_what_was_there(tmp_path: Path, capsys: Captured) -> None:
    path, root = write(tmp_path / "log", [*clean_log(9), clean_log(9)[8]]), tmp_path / "catalogue"
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    kinds = "log: 18 depth_level, 3 snapshot_begin, 3 snapshot_end, 6 bbo, 6 trade; "
    assert said(capsys) == (f"{kinds}3 parts written\n  duplicate trades: 2\n", "")
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    assert said(capsys)[0].startswith(f"{kinds}0 parts written, 3 parts were there\n")
    assert run("import", path, "--catalogue", root, "--json") == ExitCode.OK
    (report,) = json.loads(said(capsys)[0])
    assert (report["parts_written"], report["parts_there"], report["rows"]["trade"]) == (0, 3, 6)


BAD = {
    "missing": (None, "there is no such file"),
    "another form": (["hello"], 'no known recording begins with "hello"'),
    "an unknown coin": ([bbo_line(0).replace("BTC", "DOGE")], "market DOGE is not in the specification"),
    "a torn line": ([*clean_log(5), "torn", *clean_log(5)], "line 6: the line begins with"),
    "times backwards": ([bbo_line(9000), bbo_line(1)], "line 2: the arrival time is 899.900 s before an earlier row's"),
}


@pytest.mark.parametrize(("lines", "problem"), BAD.values(), ids=BAD)
def test_of_bad_input_nothing_stays_and_one_sentence_says_why(
    tmp_path: Path, capsys: Captured, lines: list[str] | None, problem: str
) -> None:
    path, root = tmp_path / "log", tmp_path / "catalogue"
    if lines is not None:
        write(path, lines)
    assert run("import", path, "--catalogue", root) == ExitCode.DATA
    assert str(path) in refused(capsys, problem)
    assert not list(root.rglob("*.parquet"))


def test_a_part_that_rotted_is_as_it_was_when_it_is_deleted_and_imported_again(
    tmp_path: Path, capsys: Captured
) -> None:
    path, root = write(tmp_path / "log", clean_log(9)), tmp_path / "catalogue"
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    part = next(root.glob("kind=bbo/*/*/*.parquet"))
    content = part.read_bytes()
    part.write_bytes(content[:50] + bytes([content[50] ^ 255]) + content[51:])
    said(capsys)
    assert run("check", root) == ExitCode.DATA
    assert f"error: {part}: its content is not what" in (text := "".join(said(capsys)))
    assert "delete it and run what wrote it again" in text
    part.unlink()
    assert run("import", path, "--catalogue", root) == ExitCode.OK
    assert part.read_bytes() == content
    assert run("check", root) == ExitCode.OK


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(tmp_path: Path, capsys: Captured) -> None:
    root = tmp_path / "catalogue"
    assert run("import", write(tmp_path / "first", clean_log(9)), "--catalogue", root) == ExitCode.OK
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    said(capsys)
    prices = random.Random(7)
    lines = [bbo_line(place, bid=prices.randrange(1, 10**6), ask=10**6) for place in range(9000)]
    long = write(tmp_path / "long", lines)
    with little_room(20_000):
        assert run("import", long, "--catalogue", root) == ExitCode.DATA
    refused(capsys, "the part cannot be written (File too large), nothing was kept of it")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert run("import", long, "--catalogue", root) == ExitCode.OK


def test_wrong_use_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    assert run("import") == ExitCode.USAGE
    refused(capsys, "Missing argument 'PATH...'")
    path = write(tmp_path / "log", clean_log(3))
    assert run("import", path, "--market", "BTCC", "--catalogue", tmp_path / "catalogue") == ExitCode.USAGE
    refused(capsys, "market BTCC is not in the specification")


HYPERLIQUID = "hyperliquid/l2_trades_bbo_20250904"
BINANCE = "lob/binance_20240808"
FILLS = "hyperliquid/node_fills_by_block_20251027/node_fills_by_block_777010829_777011828.jsonl.gz"
# What the descriptions of the recorded sets say; a picture has 40 levels, a trade that is repeated is taken once.
RECORDED: dict[str, dict[str, int]] = {
    f"{HYPERLIQUID}/orderbooks_BTC.csv.gz": {"snapshot_begin": 3785, "depth_level": 151_400, "bbo": 27792,
                                             "trade": 6675 - 0},
    f"{HYPERLIQUID}/orderbooks_ETH.csv.gz": {"snapshot_begin": 3785, "bbo": 30518, "trade": 6884 - 17},
    f"{HYPERLIQUID}/orderbooks_SOL.csv.gz": {"snapshot_begin": 3785, "bbo": 26422, "trade": 4437 - 10},
    f"{HYPERLIQUID}/orderbooks_WLFI.csv.gz": {"snapshot_begin": 3785, "bbo": 17706, "trade": 2563 - 8},
    "hyperliquid/btc_bbo_trades_202509": {"bbo": 55107, "trade": 12261 - 10},
    "hyperliquid/ws_raw_20250126/btcusd_20250126.gz": {"snapshot_begin": 46, "snapshot_end": 46},
    "lob/hyperliquid_ws_btc_20250126.jsonl.gz": {"snapshot_begin": 46, "snapshot_end": 46},
    f"{BINANCE}/usdm_btcusdt.events.parquet": {"snapshot_begin": 1, "trade": 21313},
    f"{BINANCE}/usdm_ethusdt.events.parquet": {"snapshot_begin": 1, "trade": 14076},
    f"{BINANCE}/spot_btcusdt.events.parquet": {"snapshot_begin": 1, "trade": 19904},
    f"{BINANCE}/spot_ethusdt.events.parquet": {"snapshot_begin": 1, "trade": 14515},
    f"{BINANCE}/usdm_btcusdt.book20.parquet": {"snapshot_begin": 6545, "snapshot_end": 6545},
    f"{BINANCE}/usdm_ethusdt.book20.parquet": {"snapshot_begin": 6579},
    f"{BINANCE}/spot_btcusdt.book20.parquet": {"snapshot_begin": 6492},
    f"{BINANCE}/spot_ethusdt.book20.parquet": {"snapshot_begin": 6468},
    "binance/usdm_btcusdt_20240808.gz": {"bbo": 2 * 66089, "trade": 21313, "snapshot_begin": 1},
    "binance/usdm_ethusdt_20240808.gz": {"bbo": 2 * 53992, "trade": 14076, "snapshot_begin": 1},
    "binance/spot_btcusdt_20240808.gz": {"bbo": 2 * 28040, "trade": 9757, "snapshot_begin": 1},
    "binance/spot_btcusdt_20240809.gz": {"snapshot_begin": 0},
}  # fmt: skip
# All rows of a table of changes, and what is added to a snapshot: its marks, and updates that it lacks.
CHANGES = {"usdm_btcusdt": 599_012, "usdm_ethusdt": 552_722, "spot_btcusdt": 466_363, "spot_ethusdt": 406_795}
UPDATES = {"binance/usdm_btcusdt_20240808.gz": (6_551, 443_521), "binance/usdm_ethusdt_20240808.gz": (6_586, 428_662),
           "binance/spot_btcusdt_20240808.gz": (3_451, 124_090)}  # fmt: skip


@pytest.mark.processes
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_sets_have_the_rows_of_their_descriptions(
    tmp_path: Path, capsys: Captured, recordings: Path, name: str
) -> None:
    assert run("import", recordings / name, "--catalogue", tmp_path, "--json") == ExitCode.OK
    (found,) = json.loads(said(capsys)[0])
    rows, counts = found["rows"], found["counts"]
    assert {kind: rows.get(kind, 0) for kind in RECORDED[name]} == RECORDED[name]
    coin = Path(name).name.partition(".")[0]
    if name.endswith(".events.parquet"):
        again = rows["depth_level"] + rows["bbo"] + rows["trade"] - CHANGES[coin]
        assert 0 <= again <= 70 * counts.get("updates_applied_again", 0)
    if name in UPDATES:
        messages, levels = UPDATES[name]
        assert counts["depth_level"] == messages
        again = rows["depth_level"] - levels - 2000
        assert 0 <= again <= 100 * counts.get("updates_applied_again", 0)
    assert run("ls", "--catalogue", tmp_path, "--json") == ExitCode.OK
    assert sum(one["rows"] for one in json.loads(said(capsys)[0])) == sum(rows.values())
    assert run("check", tmp_path) == ExitCode.OK


@pytest.mark.processes
def test_recorded_fills_have_the_trades_of_their_description(
    tmp_path: Path, capsys: Captured, recordings: Path
) -> None:
    assert run("import", recordings / FILLS, "--catalogue", tmp_path, "--json") == ExitCode.OK
    (found,) = json.loads(said(capsys)[0])
    counts = found["counts"]
    assert (counts["fills"], counts["trades"] + counts["trades_of_other_coins"]) == (7282, 3641)
    assert found["rows"] == {"trade": counts["trades"]}
    assert sorted(found["coins"]) == ["BTC", "ETH", "SOL", "WLFI"]


def beginning_of_a_set(recordings: Path, folder: Path) -> Path:
    """The first minutes of one coin's three files."""
    folder.mkdir()
    for kind, lines in (("orderbooks", 700), ("prices", 4900), ("trades", 850)):
        with gzip.open(recordings / HYPERLIQUID / f"{kind}_SOL.csv.gz") as stream:
            (folder / f"{kind}_SOL.csv").write_bytes(b"".join(itertools.islice(stream, lines)))
    return folder


def beginning_of_a_table(recordings: Path, path: Path) -> Path:
    """The first minutes of a table of changes."""
    with pq.ParquetFile(recordings / BINANCE / "usdm_btcusdt.events.parquet") as file:
        pq.write_table(pa.Table.from_batches([next(file.iter_batches(200_000))]), path)
    return path


BEGINNINGS = {
    "Hyperliquid": (beginning_of_a_set, "set", "2025-09-04/SOL"),
    "Binance": (beginning_of_a_table, "usdm_btcusdt.parquet", "2024-08-08/usdm_btcusdt"),
}


@pytest.mark.processes
@pytest.mark.parametrize(("cut", "name", "named"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_backtest_on_what_was_imported_is_the_one_on_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, recordings: Path,
    cut: Callable[[Path, Path], Path], name: str, named: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = cut(recordings, tmp_path / name)
    assert run("import", path) == ExitCode.OK
    said(capsys)
    found = []
    for data, output in ((str(path), "one"), (named, "other")):
        assert invoke(["backtest", data, "15", "--json", "--output", output]) == ExitCode.OK
        found.append(json.loads(said(capsys)[0]))
    one, other = found
    assert one["scenarios"] == other["scenarios"]
    assert [one[key] for key in ("verdict", "events", "first_ns", "span_ns")] == [
        other[key] for key in ("verdict", "events", "first_ns", "span_ns")
    ]
    assert one["scenarios"][0]["trading"]["fills"] > 0
    for table in ("blotter.parquet", "records.parquet"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "other" / table).read_bytes()
