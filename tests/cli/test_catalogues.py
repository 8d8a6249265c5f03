"""A catalogue is a folder or an address, wherever it is only read."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import pytest

from hlhft.cli import invoke
from hlhft.cli.catalogues import CatalogueType, read_from, written_to
from hlhft.cli.errors import ExitCode
from hlhft.config.settings import Config, Data
from hlhft.data.addresses import RemotePath
from tests.data.catalogue.coin_day import books
from tests.data.catalogue.making import put
from tests.data.making import trade
from tests.data.mining.s3_server import PRIVATE, Server

Captured = pytest.CaptureFixture[str]
ADDRESS = Config(data=Data(catalogue="s3://bucket/x?region=us-east-1"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("there") / "catalog"
    rows = list(books(200, seed=3))
    put(folder, "book", "archive-00", rows)
    put(folder, "trade", "fills-00", [trade(int(rows[0]["ts_exch_ns"][-1]), 1, 680_010, 5)], source="fills")
    return folder


def test_an_address_keeps_its_slashes_and_a_path_is_one() -> None:
    convert = CatalogueType().convert
    assert convert("s3://bucket/x", None, None) == "s3://bucket/x"
    assert convert("there//x", None, None) == Path("there/x")


def test_what_is_said_goes_before_the_settings() -> None:
    assert read_from(Path("a"), ADDRESS) == Path("a") and read_from(None, Config()) == Path("catalog")
    found = read_from(None, ADDRESS)
    assert isinstance(found, RemotePath) and str(found) == "s3://bucket/x"
    assert written_to(Path("a"), ADDRESS) == Path("a") and written_to(None, Config()) == Path("catalog")
    with pytest.raises(
        click.UsageError, match=r"data\.catalogue is s3://bucket/x.*, which is only read: name a folder"
    ):
        written_to(None, ADDRESS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", "ls"],
        ["data", "ls", "BTC"],
        ["data", "gaps", "2026-04-01/BTC"],
        ["data", "head", "2026-04-01T00/btc", "-n", "50"],
        ["data", "stats", "2026-04-01/BTC"],
        ["scan", "2026-04-01"],
        ["backtest", "2026-04-01/BTC", "15", "--output", "run"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_commands_say_of_s3_what_they_say_of_the_folder(
    root: Path,
    s3: Server,
    arguments: list[str],
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    address = s3.upload(root, PRIVATE, "data/catalog")
    assert invoke([*arguments, "--json", "--catalogue", str(root)]) == ExitCode.OK
    here = capsys.readouterr().out
    assert invoke([*arguments, "--json", "--catalogue", address]) == ExitCode.OK
    there = capsys.readouterr().out
    assert without_place(there) == without_place(here) and len(here) > 20


def without_place(text: str) -> object:
    """What was said, but for where the catalogue is, which a scan tells too."""
    said = msgspec.json.decode(text)
    if isinstance(said, dict):
        said.pop("about", None)
    return said


def test_settings_may_name_an_address_and_what_writes_refuses_it(
    root: Path,
    s3: Server,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HLHFT__DATA__CATALOGUE", s3.upload(root, PRIVATE, "data/catalog"))
    assert invoke(["data", "ls", "--json"]) == ExitCode.OK
    assert '"coin":"BTC"' in capsys.readouterr().out
    assert invoke(["data", "import", "nothing.gz"]) == ExitCode.USAGE
    assert "which is only read: name a folder with --catalogue" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_s3_refuses_is_one_sentence(
    s3: Server,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked = ["data", "ls", "--catalogue"]
    assert invoke([*asked, s3.address("nobody", "x")]) == ExitCode.DATA
    assert "s3://nobody/x: there is no bucket nobody there, correct the address" in capsys.readouterr().err
    assert invoke([*asked, "s3://key:word@bucket/x"]) == ExitCode.DATA
    said = capsys.readouterr().err
    assert "holds a secret: leave it out" in said and "word" not in said
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert invoke([*asked, s3.address(PRIVATE, "x")]) == ExitCode.DATA
    said = capsys.readouterr().err
    assert "s3://private/x: the storage refuses it" in said and "give credentials" in said and said.count("\n") == 1
