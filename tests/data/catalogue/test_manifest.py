from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.data.catalogue.layout import PartKey, manifest_path
from hlhft.data.catalogue.manifest import Manifest, encoded, read_manifest
from hlhft.data.errors import DataError
from tests.data.catalogue.making import NOON, put
from tests.data.making import snapshot

KEY = PartKey("book", "BTC", "2026-04-01", "archive-12")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return put(tmp_path, "book", KEY.name, [snapshot(NOON, [(1, 1)], [(2, 1)])])


def test_it_comes_back_as_it_was_written(tmp_path: Path, manifest: Manifest) -> None:
    assert read_manifest(tmp_path, KEY) == manifest
    assert manifest.key == KEY
    assert manifest_path(tmp_path, KEY).read_bytes() == encoded(manifest)


def test_none_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path, KEY) is None
    (tmp_path / "kind=book").write_text("")
    assert read_manifest(tmp_path, KEY) is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"version": 1}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, manifest: Manifest, text: bytes) -> None:
    manifest_path(tmp_path, KEY).write_bytes(text)
    with pytest.raises(
        DataError, match=r"_archive-12.json: no manifest of a part \(.*\), delete it and run what wrote it again"
    ):
        read_manifest(tmp_path, KEY)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("version", 2, "version 2 is not 1"),
        ("kind", "candles", "kind candles is none of"),
        ("date", "2026-04-02", "it is of book/BTC/2026-04-02/archive-12"),
        ("name", "archive-13", "it is of book/BTC/2026-04-01/archive-13"),
        ("coin", "ETH", "it is of book/ETH/2026-04-01/archive-12"),
        ("source", "guess", "source guess is none of"),
        ("clock", {"local": "sundial", "by": "the sun", "delay_ns": None}, "the local clock is sundial"),
        ("rows", -1, "-1 rows"),
        ("rows", 0, "it has times without rows"),
        ("first_exch_ns", NOON + 1, "its last time is before its first"),
        ("last_local_ns", 0, "its last time is before its first"),
        ("covers", [2, 1], "it covers 2 to 1, backwards"),
        ("gaps", [{"from_ns": 2, "to_ns": 1, "reason": "silence"}], "gap 2 to 1 with reason silence"),
        ("gaps", [{"from_ns": 1, "to_ns": 2, "reason": "boredom"}], "gap 1 to 2 with reason boredom"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, manifest: Manifest, field: str, value: Any, said: str
) -> None:
    content = {**msgspec.to_builtins(manifest), field: value}
    manifest_path(tmp_path, KEY).write_bytes(msgspec.json.encode(content))
    with pytest.raises(DataError, match=f"the manifest is wrong: {said}"):
        read_manifest(tmp_path, KEY)


def test_one_that_cannot_be_read_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    manifest_path(tmp_path, KEY).unlink()
    manifest_path(tmp_path, KEY).mkdir()
    with pytest.raises(DataError, match=r"the manifest cannot be read \(Is a directory\)"):
        read_manifest(tmp_path, KEY)
