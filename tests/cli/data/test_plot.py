"""`hlhft data plot`: one file, whole when named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.cli.errors import ExitCode
from tests.cli.data.running import Captured, little_room, refused, run, said
from tests.data.making import write
from tests.data.synthetic import clean_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log", clean_log(90))


def test_a_page_that_loads_nothing(tmp_path: Path, capsys: Captured, log: Path) -> None:
    out = tmp_path / "minute.html"
    assert run("plot", log, "--at", "2025-01-26T19:14", "--output", out) == ExitCode.OK
    assert said(capsys)[0] == f"{out}: BTC, 60 trades, 30 changes of the touch\n"
    text = out.read_text()
    assert "<title>BTC, 2025-01-26 19:14:00 UTC, 1 min</title>" in text
    assert "src=" not in text.partition("<script>")[0]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["log", "minute.html"]
    # Without a time it begins where the data do.
    assert run("plot", log, "--output", out, "--json") == ExitCode.OK
    assert json.loads(said(capsys)[0])["trades"] == 60


def test_a_stretch_of_a_catalogue(tmp_path: Path, capsys: Captured, log: Path) -> None:
    root, out = tmp_path / "catalogue", tmp_path / "minute.html"
    assert run("import", log, "--catalogue", root) == ExitCode.OK
    said(capsys)
    named = ("2025-01-26/BTC", "--catalogue", root)
    assert run("plot", *named, "--at", "2025-01-26T19:14:04", "--minutes", "0.05", "--output", out) == ExitCode.OK
    assert said(capsys)[0] == f"{out}: BTC, 20 trades, 10 changes of the touch\n"


BAD = {
    "no such time": (("--at", "2025-01-26T20:00", "--output", "a.html"), ExitCode.DATA, "there is nothing of BTC at"),
    "no time": (("--at", "noon", "--output", "a.html"), ExitCode.USAGE, "noon is no time, give one in UTC as"),
    "another ending": (("--output", "a.png"), ExitCode.USAGE, "give a name that ends in .html"),
    "no folder": (("--output", "none/a.html"), ExitCode.USAGE, "in a folder that is there"),
    "another coin": (("--coin", "ETH", "--output", "a.html"), ExitCode.DATA, "it has no market ETH, expected one of"),
}


@pytest.mark.parametrize(("arguments", "code", "problem"), BAD.values(), ids=BAD)
def test_bad_use_is_one_sentence_and_an_earlier_page_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, log: Path, arguments: tuple[str, ...],
    code: ExitCode, problem: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("a.html").write_text("earlier")
    assert run("plot", log, *arguments) == code
    refused(capsys, problem)
    assert Path("a.html").read_text() == "earlier"


def test_on_a_full_disk_an_earlier_page_stays(tmp_path: Path, capsys: Captured, log: Path) -> None:
    out = tmp_path / "a.html"
    out.write_text("earlier")
    with little_room(20_000):
        assert run("plot", log, "--output", out) == ExitCode.DATA
    refused(capsys, f"{out}: the page cannot be written (File too large), give a name in a folder with room")
    assert out.read_text() == "earlier"
    assert not list(tmp_path.glob(".*"))


def test_of_several_markets_one_is_named(tmp_path: Path, capsys: Captured, log: Path) -> None:
    both = write(tmp_path / "both", [*clean_log(90), *[line.replace("BTC", "ETH") for line in clean_log(90)[-3:]]])
    assert run("plot", both, "--output", tmp_path / "a.html") == ExitCode.USAGE
    refused(capsys, "there are BTC, ETH: name one with --coin")
    assert run("plot", both, "--coin", "ETH", "--output", tmp_path / "a.html") == ExitCode.OK
