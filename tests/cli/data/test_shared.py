"""What the commands share: names in a catalogue and files alike, aligned columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.cli.data.shared import aligned, folder_of, json_of, opened
from hlhft.cli.errors import CommandError, ExitCode
from hlhft.data.errors import DataError
from hlhft.data.importing import import_source
from hlhft.data.sources import open_source
from tests.data.making import rows_of, write
from tests.data.synthetic import clean_log


def test_a_file_and_what_was_imported_of_it_open_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "log", clean_log(9))
    import_source(open_source(path), Path("catalog"))
    assert folder_of(None) == Path("catalog")
    named = opened([Path("2025-01-26/BTC")], None, None, None)
    assert rows_of(named).tobytes() == rows_of(opened([path], None, None, None)).tobytes()
    assert len(opened([path, Path("2025-01-26/BTC")], None, None, tmp_path / "catalog").files) == 4


def test_an_unknown_market_is_wrong_use_and_an_unknown_name_is_the_datas(tmp_path: Path) -> None:
    path = write(tmp_path / "log", clean_log(3))
    with pytest.raises(CommandError, match="market BTCC is not in the specification") as caught:
        opened([path], "BTCC", None, None)
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(DataError, match="there is no catalogue for 2025-01-26/BTC, name its folder with --catalogue"):
        opened([Path("2025-01-26/BTC")], None, None, tmp_path / "none")


def test_columns_are_aligned() -> None:
    assert list(aligned([("a", "count"), ("long", "7")], right=(1,))) == ["a     count", "long      7"]
    assert list(aligned([("a", "b"), ("long", "")])) == ["a     b", "long"]


def test_json_is_one_line() -> None:
    assert json_of({"a": [1, None]}) == '{"a":[1,null]}'
