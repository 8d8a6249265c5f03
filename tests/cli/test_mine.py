"""`hlhft mine`: asks before it spends, says in one sentence why not, and goes on where it was, however it ended."""

from __future__ import annotations

import json
import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hlhft.cli import Options, invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.mining.keys import ARCHIVE, books_key
from hlhft.data.mining.lock import only_one
from tests.data.mining.objects import archive_day
from tests.data.mining.s3_server import Order, Server

Captured = pytest.CaptureFixture[str]

DAY = date(2026, 4, 1)
OBJECTS = 3  # the contexts, an hour of books and one of fills
MADE = 3
PARTS = MADE + 23 * 2  # of the hours that are not there too


@pytest.fixture
def filled(s3: Server) -> Server:
    s3.put(archive_day(("BTC", "ETH"), DAY, hours=[0], every_ms=600_000))
    s3.forget()
    return s3


def mine(server: Server, root: Path, *more: str, coins: tuple[str, ...] = ("BTC",), day: str = "2026-04-01") -> int:
    dates = ["--start-date", day, "--end-date", day]
    where = ["--catalogue", str(root), "--endpoint-url", server.url]
    return invoke(["mine", *dates, "--coins", *coins, *where, *more], options=Options())


def sentence(capsys: Captured) -> str:
    """What stands last on standard error, after what progress says."""
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("hlhft: ")
    return lines[-1]


def test_a_plan_costs_nothing_and_leaves_nothing(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    assert mine(filled, tmp_path / "catalog", "--plan") == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith("From 2026-04-01 to 2026-04-01, BTC:\n  books           1 objects")
    assert f"  all             {OBJECTS} objects" in out
    assert "The archive lacks 46 hours of these" in out
    assert filled.gets() == 0
    assert not (tmp_path / "catalog").exists()


def test_without_a_terminal_and_without_yes_nothing_is_spent(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    with pytest.MonkeyPatch.context() as patch, open(os.devnull) as nothing:
        patch.setattr(sys, "stdin", nothing)
        assert mine(filled, tmp_path) == ExitCode.USAGE
    assert "nobody is there to agree to the cost: give --yes" in sentence(capsys)
    assert filled.gets() == 0
    assert Catalogue(tmp_path).manifests() == []


@contextmanager
def terminal(types: str) -> Iterator[list[str]]:
    """Standard input and error are a terminal at which somebody types this; gives what it showed at the end."""
    master, slave = pty.openpty()
    shown: list[str] = []
    reader = threading.Thread(target=lambda: shown.append("".join(read_out(master))))
    os.write(master, types.encode())
    reader.start()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            open(slave, closefd=False) as keyboard,
            open(slave, "w", closefd=False) as screen,
        ):
            patch.setattr(sys, "stdin", keyboard)
            patch.setattr(sys, "stderr", screen)
            yield shown
    finally:
        os.close(slave)
        reader.join(30)
        os.close(master)


def read_out(master: int) -> Iterator[str]:
    """What the terminal shows until its last writer is gone, which Linux tells as an error."""
    with suppress(OSError):
        while shown := os.read(master, 1 << 16):
            yield shown.decode(errors="replace")


@pytest.mark.parametrize(("types", "fetched"), [("\n", 0), ("y\n", OBJECTS - 1)])
def test_on_a_terminal_it_asks_and_bars_show_how_far_it_is(
    filled: Server, tmp_path: Path, types: str, fetched: int
) -> None:
    with terminal(types) as shown:
        assert mine(filled, tmp_path, "--no-trades") == ExitCode.OK
    assert "Listing the archives" in shown[0] and "Fetch them? [y/N]" in shown[0]
    assert ("Fetching" in shown[0] and "Writing" in shown[0]) == (fetched > 0)
    assert ("hlhft: nothing was fetched" in shown[0]) == (fetched == 0)
    assert filled.gets() == fetched


def test_with_yes_it_mines_and_a_second_time_there_is_nothing_to_fetch(
    filled: Server, tmp_path: Path, capsys: Captured
) -> None:
    assert mine(filled, tmp_path, "--yes") == ExitCode.OK
    out = capsys.readouterr().out
    assert f"{OBJECTS} objects became {MADE} parts with " in out
    assert len(Catalogue(tmp_path).manifests()) == PARTS
    filled.forget()
    assert mine(filled, tmp_path, "--yes") == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith("From 2026-04-01 to 2026-04-01 there is nothing to fetch.\nIn the catalogue already, ")
    assert "not fetched again: 3 parts." in out
    assert filled.gets() == 0


def test_json_is_one_object_and_nothing_else(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    assert mine(filled, tmp_path, "--yes", "--json", "--fills", "--no-contexts") == ExitCode.OK
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert captured.err == ""
    assert said["plan"]["costs"]["all"]["objects"] == said["report"]["objects"] == 2
    assert said["report"]["parts"] == 3
    assert said["report"]["failures"] == []
    assert {one.kind for one in Catalogue(tmp_path).manifests()} == {"book", "trade", "fill"}


@pytest.mark.parametrize("coins", [("BTC", "btc", "--coins", "eth,BTC"), ("ALL",)])
def test_coins_are_words_repeated_or_with_commas(
    filled: Server, tmp_path: Path, capsys: Captured, coins: tuple[str, ...]
) -> None:
    assert mine(filled, tmp_path, "--plan", "--json", coins=coins) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["plan"]["coins"] == ["BTC", "ETH"]


def test_the_price_can_be_given(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    assert mine(filled, tmp_path, "--plan", "--usd-per-gb", "1000") == ExitCode.OK
    assert "$1000 a gigabyte, as given" in capsys.readouterr().out
    assert mine(filled, tmp_path, "--plan", "--usd-per-gb", "cheap") == ExitCode.USAGE
    assert "--usd-per-gb cheap is not a price" in sentence(capsys)


def test_a_market_specification_says_which_coins_there_are(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    meta = tmp_path / "meta.json"
    meta.write_text('{"universe": [{"name": "ETH", "szDecimals": 4, "maxLeverage": 25}]}')
    assert mine(filled, tmp_path, "--plan", "--json", "--markets", str(meta), coins=("ALL",)) == ExitCode.OK
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["coins"], plan["unspecified"]) == (["ETH"], ["BTC"])


TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--start-date", "2026-04-02"], "the end date 2026-04-01 is before the start date 2026-04-02"),
        (["--end-date", TOMORROW], f"the end date {TOMORROW} is in the future"),
        (["--start-date", "2023-01-01"], "the archive begins on 2023-04-15"),
        (["--end-date", "yesterday"], "'yesterday' does not match the format '%Y-%m-%d'"),
        (["--coins", "BTCC"], "market BTCC is not in the specification; the nearest known market is BTC"),
        (["--coins", ","], "market BTCC"),
        (["--jobs", "0"], "0 is not in the range"),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be_is_refused_before_anything_is_asked(
    filled: Server, tmp_path: Path, capsys: Captured, arguments: list[str], says: str
) -> None:
    wished = {"--start-date": "2026-04-01", "--end-date": "2026-04-01", "--coins": "BTC"}
    wished |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    if wished["--coins"] == ",":
        says = "no coin was given: name some"
    words = [word for pair in wished.items() for word in pair]
    root = tmp_path / "catalog"
    code = invoke(["mine", *words, "--catalogue", str(root), "--endpoint-url", filled.url], options=Options())
    assert code == ExitCode.USAGE
    assert says in sentence(capsys)
    assert not filled.counts() and not root.exists()


@pytest.mark.parametrize("missing", ["--start-date", "--end-date", "--coins"])
def test_nothing_is_guessed(missing: str, capsys: Captured) -> None:
    wished = {"--start-date": "2026-04-01", "--end-date": "2026-04-01", "--coins": "BTC"}
    del wished[missing]
    assert invoke(["mine", *(word for pair in wished.items() for word in pair)], options=Options()) == ExitCode.USAGE
    assert f"Missing option '{missing}'" in sentence(capsys)


def test_dates_that_the_archive_has_not_are_said(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    assert mine(filled, tmp_path, "--yes", day="2026-04-05") == ExitCode.USAGE
    assert "the archive has no books on 2026-04-05: it is written about once a month" in sentence(capsys)


def test_no_credentials_are_one_sentence(
    filled: Server, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mine(filled, tmp_path, "--yes") == ExitCode.FAILURE
    assert "AWS" in sentence(capsys)
    assert not filled.counts()


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [(403, "AccessDenied", "refused payment"), (404, "NoSuchBucket", "there is no such bucket here")],
)
def test_what_s3_refuses_is_one_sentence(
    filled: Server, tmp_path: Path, capsys: Captured, status: int, code: str, says: str
) -> None:
    filled.orders(Order("GET /hl-mainnet-node-data", times=-1, status=status, code=code))
    assert mine(filled, tmp_path, "--yes") == ExitCode.FAILURE
    said = sentence(capsys)
    assert says in said and "s3://hl-mainnet-node-data" in said and "a-secret" not in said
    assert Catalogue(tmp_path).manifests() == []


def test_a_damaged_object_is_named_at_the_end_and_the_others_are_kept(
    filled: Server, tmp_path: Path, capsys: Captured
) -> None:
    filled.put({(ARCHIVE.name, books_key(DAY, 0, "BTC")): b"\x1f\x8b\x08 packed otherwise"})
    assert mine(filled, tmp_path, "--yes") == ExitCode.DATA
    captured = capsys.readouterr()
    assert f"s3://{ARCHIVE.name}/{books_key(DAY, 0, 'BTC')}, line 1: the gzip stream is damaged" in captured.out
    assert captured.err.splitlines()[-1] == (
        f"hlhft: 1 of {OBJECTS} objects could not be used, the others are in {tmp_path}"
    )
    assert len(Catalogue(tmp_path).manifests()) == PARTS - 1


def test_two_minings_of_one_catalogue_do_not_meet(filled: Server, tmp_path: Path, capsys: Captured) -> None:
    with only_one(tmp_path):
        assert mine(filled, tmp_path, "--yes") == ExitCode.FAILURE
        assert f"process {os.getpid()} is mining into this catalogue" in sentence(capsys)
        assert mine(filled, tmp_path, "--plan") == ExitCode.OK
    assert filled.gets() == 0


def test_the_settings_say_where_the_catalogue_is(
    filled: Server, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text('[data]\ncatalogue = "elsewhere"\n')
    words = ["--start-date", "2026-04-01", "--end-date", "2026-04-01", "--coins", "BTC", "--endpoint-url", filled.url]
    for more, folder in (([], "catalog"), (["--config", "config.toml"], "elsewhere")):
        # Held by somebody, it is named.
        with only_one(Path(folder)):
            assert invoke(["mine", *words, "--yes", *more], options=Options()) == ExitCode.FAILURE
        assert f"hlhft: {folder}: process {os.getpid()} is mining" in sentence(capsys)
