from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.data.catalogue import layout
from hlhft.data.catalogue.layout import DAY_NS, PartKey
from hlhft.data.errors import DataError

KEY = PartKey("book", "BTC", "2026-04-01", "archive-07")


def test_a_part_and_its_manifest_lie_side_by_side() -> None:
    assert layout.part_path(Path("root"), KEY) == Path("root/kind=book/coin=BTC/date=2026-04-01/archive-07.parquet")
    assert layout.manifest_path(Path("root"), KEY) == Path("root/kind=book/coin=BTC/date=2026-04-01/_archive-07.json")


@pytest.mark.parametrize("coin", ["PURR/USDC", "xyz:GOLD", "@107", "..", "a b%2F", "über"])
def test_a_coin_of_any_letters_is_one_folder_and_comes_back(tmp_path: Path, coin: str) -> None:
    folder = layout.folder_of(tmp_path, KEY._replace(coin=coin))
    folder.mkdir(parents=True)
    assert folder.parent.parent == tmp_path / "kind=book"
    assert layout.coins_in(tmp_path, "book") == [coin]
    assert layout.dates_in(tmp_path, "book", coin) == ["2026-04-01"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "fills"},
        {"coin": ""},
        {"coin": "A\n"},
        {"coin": "A" * 65},
        {"date": "2026-4-1"},
        {"date": "2026-02-30"},
        {"date": "20260401"},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a.b"},
        {"name": "_a"},
        {"name": "a" * 65},
    ],
)
def test_a_key_that_names_no_part_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"kind|coin|date|name"):
        layout.part_path(Path("root"), KEY._replace(**change))


@given(st.integers(0, 2**62))
def test_a_time_lies_within_its_date(time_ns: int) -> None:
    begin = layout.day_ns(layout.date_of(time_ns))
    assert begin <= time_ns < begin + DAY_NS


def test_only_manifests_name_parts(tmp_path: Path) -> None:
    folder = layout.folder_of(tmp_path, KEY)
    folder.mkdir(parents=True)
    for name in ("_b.json", "_a-07.json", "a-07.parquet", "c.parquet", "._d.json.writing", "_e.f.json", "_.json"):
        (folder / name).touch()
    assert layout.names_in(folder) == ["a-07", "b"]
    assert layout.names_in(folder / "absent") == []


def test_folders_that_are_no_dates_are_passed_over(tmp_path: Path) -> None:
    for name in ("date=2026-04-02", "date=2026-04-01", "date=tomorrow", "2026-04-03"):
        (layout.coin_folder(tmp_path, "book", "BTC") / name).mkdir(parents=True)
    assert layout.dates_in(tmp_path, "book", "BTC") == ["2026-04-01", "2026-04-02"]
    assert layout.coins_in(tmp_path, "trade") == []


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"kind=book: the folder cannot be read \(Permission denied\)"):
        layout.coins_in(tmp_path, "book")
