"""`hlhft data check`: reports, mending, catalogues, and one sentence with the right exit code for every bad input."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest

from hlhft.cli.errors import ExitCode
from hlhft.data import repair  # noqa: F401 - nobody, below, may not be able to read or compile what is not loaded
from hlhft.data.feed import replay_events  # noqa: F401
from hlhft.data.npz import write as write_array
from hlhft.data.readers import detect  # noqa: F401
from hlhft.data.readers.hftbacktest_npz import HFTBACKTEST_DTYPE
from hlhft.data.sources import open_source
from tests.cli.data.running import Captured, little_room, run, said
from tests.data.making import rows_of, write
from tests.data.synthetic import bbo_line, book_line, clean_log, clean_set, trades_line, write_set
from tests.privileges import as_nobody


def test_check_reports_as_text(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", clean_log(9))
    assert run("check", path) == ExitCode.OK
    out, err = said(capsys)
    lines = out.splitlines()
    assert lines[0] == "log: 36 events of BTC (6 bbo, 18 depth_level, 3 snapshot_begin, 3 snapshot_end, 6 trade)"
    assert lines[1] == "  from 2025-01-26T19:14:03.250 UTC, 0.800 s by the local clock"
    assert lines[2] == "  feed latency 250.000 ms least, 250.000 ms median, 250.000 ms most"
    assert lines[3:] == ["  nothing found"]
    assert err == ""


def test_check_reports_each_path_or_all_together_as_json(tmp_path: Path, capsys: Captured) -> None:
    first = write(tmp_path / "btc", clean_log(6))
    second = write(tmp_path / "eth", [line.replace("BTC", "ETH") for line in clean_log(6)])
    assert run("check", first, second, "--json") == ExitCode.OK
    reports = json.loads(said(capsys)[0])
    assert [(report["name"], report["markets"], report["ok"]) for report in reports] == [
        ("btc", ["BTC"], True), ("eth", ["ETH"], True),
    ]  # fmt: skip
    assert run("check", first, second, "--json", "--together") == ExitCode.OK
    (report,) = json.loads(said(capsys)[0])
    assert (report["name"], report["markets"]) == ("btc+eth", ["BTC", "ETH"])


def test_an_unfit_recording_ends_with_the_data_code_after_its_report(tmp_path: Path, capsys: Captured) -> None:
    lines = clean_set(4)
    lines["trades"][2], lines["trades"][3] = lines["trades"][3], lines["trades"][2]
    folder = write_set(tmp_path / "set", lines)
    assert run("check", folder) == ExitCode.DATA
    out, err = said(capsys)
    assert "error ARRIVAL_ORDER: 1 rows stand below a later one, the first is line 4 of trades_BTC.csv" in out
    assert err == "hlhft: unfit as it is: set/BTC; see the errors above, or mend with --repair OUT\n"


def faulty(folder: Path) -> Path:
    """A log with a repeat, a crossed touch and an unreadable line at its end."""
    lines = [*clean_log(9), trades_line(10, of=2), bbo_line(11, bid=1005), book_line(12), "torn"]
    return write(folder / "faulty.gz", lines)


def test_repair_writes_what_is_fit_and_says_what_was_done(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "mended.events.npz"
    assert run("check", faulty(tmp_path), "--repair", out) == ExitCode.OK
    text, err = said(capsys)
    assert err == ""
    assert "error UNREADABLE" in text
    assert text.splitlines()[-1] == (
        f"{out}: {len(rows_of(open_source(out)))} rows written, stopped at unreadable 1, stopped at line 13, "
        "duplicate trades 2, rows of crossed frames dropped 2"
    )
    assert run("check", out) == ExitCode.OK
    assert "nothing found" in said(capsys)[0]
    assert list(tmp_path.glob("*mending*")) == []


def test_repair_as_json_and_as_an_array(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "mended.npz"
    assert run("check", faulty(tmp_path), "--repair", out, "--json") == ExitCode.OK
    (report,) = json.loads(said(capsys)[0])
    assert report["ok"] is False
    with np.load(out) as archive:
        assert report["repaired"]["rows"] == len(archive["data"])
    assert report["repaired"]["path"] == str(out)
    assert report["repaired"]["counts"]["duplicate_trades"] == 2


def test_what_can_not_be_mended_leaves_an_earlier_output(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out.events.npz"
    out.write_bytes(b"earlier")
    nothing = write(tmp_path / "nothing", [bbo_line(0)[:70], bbo_line(1)])
    assert run("check", nothing, "--market", "BTC", "--repair", out) == ExitCode.DATA
    assert said(capsys)[1] == "hlhft: nothing: nothing of it can be read, so nothing was written\n"
    # An array whose two clocks contradict each other has no order that a mending could know.
    rows = np.zeros(3, HFTBACKTEST_DTYPE)
    rows["ev"], rows["px"], rows["qty"] = (1 << 31) | (1 << 29) | 1, 100.0, 1.0
    rows["exch_ts"], rows["local_ts"] = [200 * 10**9, 10**9, 10**9], 300 * 10**9
    write_array(tmp_path / "BTC.npz", "data", [rows], HFTBACKTEST_DTYPE)
    assert run("check", tmp_path / "BTC.npz", "--repair", out) == ExitCode.DATA
    err = said(capsys)[1]
    assert err.startswith("hlhft: BTC.npz cannot be mended, nothing was written; ")
    assert err.count("\n") == 1
    assert out.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["BTC.npz", "nothing", "out.events.npz"]


def test_convert_writes_a_container_that_reads_back(tmp_path: Path, capsys: Captured) -> None:
    path, out = write(tmp_path / "log.gz", clean_log(9)), tmp_path / "log.events.npz"
    assert run("convert", path, out) == ExitCode.OK
    expected = rows_of(open_source(path))
    assert said(capsys) == (f"{out}: {len(expected)} rows written\n", "")
    assert rows_of(open_source(out)).tobytes() == expected.tobytes()
    assert run("check", out) == ExitCode.OK


def test_convert_writes_an_array_and_says_what_has_no_form(tmp_path: Path, capsys: Captured) -> None:
    context = '{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{"markPx":"1000"}}}'
    path = write(tmp_path / "log.gz", [*clean_log(3), f"1737918850000000000 {context}"])
    out = tmp_path / "BTC.npz"
    assert run("convert", path, out, "--json") == ExitCode.OK
    found = json.loads(said(capsys)[0])
    with np.load(out) as archive:
        assert found == {"path": str(out), "rows": len(archive["data"]), "counts": {"asset_contexts_left_out": 1}}
    # Once more from the array: the same bytes.
    assert run("convert", out, tmp_path / "BTC_again.npz") == ExitCode.OK
    assert (tmp_path / "BTC_again.npz").read_bytes() == out.read_bytes()


def test_convert_may_leave_the_book_ticker_out(tmp_path: Path, capsys: Captured) -> None:
    depth = '{"stream":"x@depth","data":{"e":"depthUpdate","E":1723161255000,"s":"BTCUSDT","b":[["1","1"]],"a":[]}}'
    ticker = '{"stream":"x@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}'
    path = write(tmp_path / "a.gz", [f"172316125503000000{place} {text}" for place, text in enumerate((depth, ticker))])
    for options, count in (((), 3), (("--no-book-ticker",), 1)):
        assert run("convert", path, tmp_path / "a.events.npz", *options, "--json") == ExitCode.OK
        assert json.loads(said(capsys)[0])["rows"] == count


def test_a_specification_names_the_markets(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", [bbo_line(0).replace("BTC", "kPEPE")])
    table = tmp_path / "markets.toml"
    table.write_text('[[perpetual]]\nname = "kPEPE"\nasset_id = 15\nsize_decimals = 1\n')
    assert run("check", path, "--markets", table, "--json") == ExitCode.OK
    assert json.loads(said(capsys)[0])[0]["markets"] == ["kPEPE"]
    assert run("check", path, "--markets", table, "--market", "kpepe") == ExitCode.OK


# Bad input: one sentence, the right code, no traceback, earlier results intact.

Made = Callable[[Path], Path]


def line_changed(old: str, new: str) -> Made:
    """The clean log with the first `old` of its fifth line replaced."""

    def make(folder: Path) -> Path:
        lines = clean_log(9)
        assert old in lines[4]
        lines[4] = lines[4].replace(old, new, 1)
        return write(folder / "log", lines)

    return make


def file_of(name: str, content: bytes) -> Made:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def folder_with_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


LOG = "\n".join(clean_log(9)).encode()
BAD_FILES: dict[str, tuple[Made, str]] = {
    "missing": (lambda folder: folder / "none.gz", "none.gz: there is no such file, give the path of a recording"),
    "empty": (file_of("a.gz", b""), "a.gz: the file is empty, expected a recording, record or download it again"),
    "a folder": (lambda folder: folder, "the folder holds no CSV recording, expected files as trades_BTC.csv.gz"),
    "a pipe": (folder_with_pipe, "this is a pipe or a device, expected a file, write the recording to one first"),
    "plain, called gzip": (file_of("a.gz", LOG), "the name says gzip but the content is plain, expected gzip"),
    "lz4, called gzip": (file_of("a.gz", lz4.frame.compress(LOG)), "the name says gzip but the content is lz4"),
    "packed with zstd": (file_of("a.zst", b"(\xb5/\xfd...."), "packed with zstd, expected gzip, LZ4 or plain text"),
    "garbage": (file_of("a", bytes(range(128, 256)) * 9), 'line 1: no known recording begins with "\\x80'),
    "no array": (file_of("BTC.npz", b"PK\x03\x04...."), "the archive is damaged or cut off"),
    "cut off in the first line": (
        file_of("a.gz", gzip.compress(LOG)[:30]),
        "line 1: the gzip stream is cut off in this",
    ),
    "another CSV": (
        file_of("trades_BTC.csv", b"timestamp,exchange_timestamp\n1,2\n"),
        "line 1: column price is missing",
    ),
    "a CSV of no known name": (
        file_of("a.csv", b"timestamp,exchange_timestamp\n"),
        "the name does not say what it holds",
    ),
    "no market": (line_changed("BTC", "DOGE"), "market DOGE is not in the specification; the nearest known market is"),
}


@pytest.mark.parametrize(("make", "problem"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_recording_is_one_sentence(
    tmp_path: Path, capsys: Captured, make: Made, problem: str
) -> None:
    path = make(tmp_path)
    out = tmp_path / "out.events.npz"
    for arguments in (("check", path), ("convert", path, out), ("check", path, "--repair", out)):
        assert run(*arguments) == ExitCode.DATA
        text, err = said(capsys)
        assert (text, err.count("\n"), problem in err) == ("", 1, True), err
        assert err.startswith("hlhft: ")
        assert str(path) in err
        assert "Traceback" not in err
    assert not out.exists()
    assert run("check", path, debug=True) == ExitCode.DATA
    assert "Traceback" in said(capsys)[1]


BAD_LINES: dict[str, tuple[Made, str]] = {
    "NaN": (line_changed('"1000"', '"NaN"'), 'line 5: "NaN" is not a decimal number'),
    "negative": (
        line_changed('"1000"', '"-1000"'),
        "line 5: price -1000 with size 1.5 is out of range, expected a posit",
    ),
    "too fine": (line_changed('"1000"', '"1000.05"'), "line 5: price 1000.05 has more than 1 decimals"),
    "torn": (line_changed("bbo", 'bbo"'), "line 5: no Hyperliquid message"),
    "no clock": (line_changed("1737918843", "17379"), "line 5: the line begins with"),
    "unsorted": (
        line_changed("1737918843", "1737918743"),
        "line 5: the arrival time is 99.900 s before an earlier row's",
    ),
}


@pytest.mark.parametrize(("make", "problem"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, capsys: Captured, make: Made, problem: str) -> None:
    path, out = make(tmp_path), tmp_path / "out.events.npz"
    out.write_bytes(b"earlier")
    assert run("convert", path, out) == ExitCode.DATA
    text, err = said(capsys)
    assert (text, err.count("\n"), problem in err) == ("", 1, True), err
    assert out.read_bytes() == b"earlier"
    assert run("check", path) == ExitCode.DATA
    assert f"error UNREADABLE: {path}, {problem}" in said(capsys)[0]
    # What stands before it is kept by mending.
    assert run("check", path, "--repair", out) == ExitCode.OK
    assert len(rows_of(open_source(out))) == len(rows_of(open_source(write(tmp_path / "part", clean_log(4)))))


def test_a_cut_off_file_is_named_and_mended(tmp_path: Path, capsys: Captured) -> None:
    path, out = tmp_path / "a.gz", tmp_path / "out.npz"
    path.write_bytes(gzip.compress(("\n".join(clean_log(90)) + "\n").encode())[:-12])
    assert run("convert", path, out) == ExitCode.DATA
    assert ": the gzip stream is cut off in this line, expected a whole file, download or record it" in said(capsys)[1]
    assert not out.exists()
    assert run("check", path, "--repair", out) == ExitCode.OK
    with np.load(out) as archive:
        assert len(archive["data"]) > 250


def test_a_crossed_book_is_a_warning_that_names_the_line(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", [*clean_log(4), book_line(4, bid=1003), bbo_line(5)])
    assert run("check", path) == ExitCode.OK
    assert "  warning CROSSED_BOOK: 1 crossed books, the first at line 5" in said(capsys)[0].splitlines()


USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "no path": (("check",), "Missing argument 'NAME...'. (see hlhft data check --help)"),
    "no output": (("convert", "log"), "Missing argument"),
    "unknown option": (("check", "log", "--fix"), "No such option"),
    "unknown command": (("mend", "log"), "No such command 'mend'"),
    "unknown market": (
        ("check", "log", "--market", "BTCC"),
        "market BTCC is not in the specification; the nearest kno",
    ),
    "wrong output": (
        ("convert", "log", "out.csv"),
        "out.csv: the name must end in .events.npz or .npz, it says which form",
    ),
    "wrong mending": (("check", "log", "--repair", "out.csv"), "out.csv: the name must end in .events.npz or .npz"),
    "no folder": (("convert", "log", "none/out.npz"), "none: there is no such folder, make it first"),
    "two to one array": (
        ("convert", "log", "eth", "out.npz"),
        "an hftbacktest array holds one market, name one of BTC, E",
    ),
    "no ticker": (
        ("convert", "log", "eth", "out.npz", "--no-book-ticker"),
        "for recordings of Binance and log is none",
    ),
    "two to mend": (
        ("check", "log", "eth", "--repair", "out.npz"),
        "--repair writes one recording, give one NAME or --to",
    ),
}


@pytest.mark.parametrize(("arguments", "problem"), USAGE.values(), ids=USAGE)
def test_wrong_use_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, arguments: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "log", clean_log(3))
    write(tmp_path / "eth", [line.replace("BTC", "ETH") for line in clean_log(3)])
    assert run(*arguments) == ExitCode.USAGE
    text, err = said(capsys)
    assert (text, err.count("\n"), problem in err) == ("", 1, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eth", "log"]


def test_a_wrong_specification_is_the_datas_fault(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "log", clean_log(3))
    assert run("check", path, "--markets", tmp_path / "none.toml") == ExitCode.DATA
    assert "the market specification cannot be read (No such file or directory)" in said(capsys)[1]


def test_a_file_and_a_folder_without_permission_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    # Names relative to here need no rights on the folders above.
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    write(tmp_path / "log", clean_log(3)).chmod(0)
    (tmp_path / "sealed").mkdir(mode=0)
    with as_nobody():
        assert run("check", "log") == ExitCode.DATA
        assert said(capsys)[1] == "hlhft: log: the file cannot be opened (Permission denied), give a readable file\n"
        assert run("check", "sealed") == ExitCode.DATA
        assert said(capsys)[1] == "hlhft: sealed: the folder cannot be read (Permission denied), give a readable one\n"
    (tmp_path / "log").chmod(0o644)
    tmp_path.chmod(0o555)
    with as_nobody():
        assert run("convert", "log", "out.npz") == ExitCode.DATA
    tmp_path.chmod(0o755)
    err = said(capsys)[1]
    assert err.startswith("hlhft: out.npz: the file cannot be written (Permission denied), give a name in a folder")


def test_a_full_disk_is_one_sentence_and_the_earlier_output_stays(tmp_path: Path, capsys: Captured) -> None:
    path, out = write(tmp_path / "log", clean_log(300)), tmp_path / "out.events.npz"
    out.write_bytes(b"earlier")
    with little_room(20_000):
        assert run("convert", path, out) == ExitCode.DATA
    text, err = said(capsys)
    assert (text, err.count("\n")) == ("", 1)
    assert f"{out}: the file cannot be written (File too large), give a name in a folder with room" in err
    assert out.read_bytes() == b"earlier"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "out.events.npz"]


def test_progress_is_shown_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    path = write(tmp_path / "log", clean_log(9))
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        assert run("check", path) == ExitCode.OK
        shown = os.read(master, 65_536).decode(errors="replace")
        assert run("check", path, "--json") == ExitCode.OK
    os.close(master)
    assert "checking log" in shown
    assert "100%" in shown
    said(capsys)
    assert run("check", path) == ExitCode.OK
    assert said(capsys)[1] == ""


def filled(folder: Path) -> Path:
    assert run("import", write(folder / "log", clean_log(9)), "--catalogue", folder / "catalogue") == ExitCode.OK
    return folder / "catalogue"


def test_a_catalogue_is_held_against_its_manifests(tmp_path: Path, capsys: Captured) -> None:
    root = filled(tmp_path)
    said(capsys)
    assert run("check", root) == ExitCode.OK
    assert said(capsys)[0].startswith(f"{root}: 36 rows in 3 parts, ")
    part = next(root.rglob("kind=trade/**/*.parquet"))
    part.write_bytes(part.read_bytes()[:-3])
    assert run("check", root) == ExitCode.DATA
    out, err = said(capsys)
    assert f"  error: {part}: its content is not what its manifest says it was written with, delete it" in out
    assert err == f"hlhft: unfit as it is: {root}; see the errors above\n"
    assert run("check", root, "--json") == ExitCode.DATA
    (report,) = json.loads(said(capsys)[0])
    assert (report["ok"], report["parts"], len(report["faults"])) == (False, 3, 1)


def test_what_of_a_catalogue_is_named_is_checked_as_a_recording(tmp_path: Path, capsys: Captured) -> None:
    root = filled(tmp_path)
    said(capsys)
    assert run("check", "2025-01-26/BTC", "--catalogue", root) == ExitCode.OK
    assert said(capsys)[0].startswith("2025-01-26/BTC: 36 events of BTC")


def test_a_catalogue_is_not_mended(tmp_path: Path, capsys: Captured) -> None:
    root = filled(tmp_path)
    said(capsys)
    assert run("check", root, "--repair", tmp_path / "a.npz") == ExitCode.USAGE
    assert "is a catalogue: check it without --repair and --together" in said(capsys)[1]
