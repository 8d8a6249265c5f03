"""Addresses are opened in one place, hold no secret, and what a storage refuses is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.data.addresses import AddressError, RemotePath, is_address, opened_s3, place_at, read, size_of
from hlhft.data.errors import DataError
from tests.data.mining.s3_server import PRIVATE, Order, Server


@pytest.fixture
def there(s3: Server) -> RemotePath:
    s3.put({(PRIVATE, "of/mine/a/x"): b"0123456789", (PRIVATE, "of/mine/y"): b"y", (PRIVATE, "of/other"): b"z"})
    s3.forget()
    place = place_at(s3.address(PRIVATE, "of/mine"))
    assert isinstance(place, RemotePath)
    return place


def test_a_place_at_an_address_is_read_as_a_folder_is(there: RemotePath, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"0123456789")
    (tmp_path / "y").write_bytes(b"y")
    for place in (there, place_at(tmp_path), place_at(str(tmp_path))):
        assert sorted(one.name for one in place.iterdir()) == ["a", "y"]
        assert place.is_dir() and (place / "a").is_dir() and not (place / "b").is_dir()
        assert read(place / "a" / "x", 4) == b"0123" and read(place / "a" / "x", 99) == b"0123456789"
        assert size_of(place / "a" / "x") == 10
        with pytest.raises(FileNotFoundError):
            read(place / "z", 1)
        with pytest.raises(FileNotFoundError):
            size_of(place / "z")
    assert str(there / "a" / "x") == f"s3://{PRIVATE}/of/mine/a/x"
    assert list((there / "nowhere").iterdir()) == []


def test_a_replaced_object_has_another_version(there: RemotePath, s3: Server) -> None:
    before = (there / "y").version()
    assert before and before == (there / "y").version()
    s3.put({(PRIVATE, "of/mine/y"): b"w"})
    assert (there / "y").version() not in (before, b"")
    s3.remove(PRIVATE, "of/mine/y")
    assert (there / "y").version() == b""


def test_without_credentials_everything_is_refused_in_a_sentence(
    s3: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    s3.put({(PRIVATE, "x/y"): b"y"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = place_at(s3.address(PRIVATE, "x"))
    assert isinstance(place, RemotePath)
    asked = (place.is_dir, (place / "y").size, lambda: read(place / "y", 1), (place / "y").version)
    for ask in asked:
        with pytest.raises(
            DataError, match=rf"s3://{PRIVATE}/x.*: the storage refuses it \(.*ACCESS_DENIED.*give cred"
        ):
            ask()


def test_a_bucket_that_is_not_there_is_said(s3: Server) -> None:
    place = place_at(s3.address("nobody", "x"))
    with pytest.raises(DataError, match=r"s3://nobody/x: there is no bucket nobody there, correct the address"):
        place.is_dir()


def test_a_storage_that_fails_is_said(there: RemotePath, s3: Server) -> None:
    s3.orders(Order("list-type=2", times=-1, status=501, code="NotImplemented"))
    with pytest.raises(DataError, match=r"s3://private/of/mine: the storage does not give it \(.*see that it answers"):
        list(there.iterdir())


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("s3://key:word@bucket/x", "the address of the storage at bucket holds a secret"),
        ("s3://bucket/x?secret_key=word", "holds a secret: leave it out"),
        ("s3://bucket/x?nonsense=1", r"^s3://bucket/x: no storage can be opened there"),
        ("http://bucket/x", "a catalogue is not read from there, give a folder or s3://BUCKET/PREFIX"),
    ],
)
def test_an_address_of_no_storage_is_refused_and_no_secret_is_told(address: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as refused:
        place_at(address)
    assert "word" not in str(refused.value)
    if address.startswith("s3"):
        with pytest.raises(AddressError) as opened:
            opened_s3(address)
        assert "word" not in str(opened.value)


def test_a_path_is_no_address() -> None:
    assert is_address("s3://bucket") and not is_address("bucket/x") and not is_address(Path("s3://bucket"))
