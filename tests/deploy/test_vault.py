"""What is encrypted is read by those whose keys were named, and by nobody else; real sops and age."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hlhft.deploy import keys, vault
from hlhft.deploy.errors import VaultError
from hlhft.deploy.keys import Pair, Secret
from tests.deploy.checkout import Checkout


@pytest.fixture
def pairs(checkout: Checkout, tmp_path: Path) -> list[tuple[Pair, Path]]:
    """Three keys of age, and the files of their private halves."""
    found = []
    for name in ("host", "operator", "stranger"):
        pair, path = keys.age_pair(), tmp_path / name
        path.write_text(pair.private.reveal())
        found.append((pair, path))
    return found


def test_its_readers_read_it_and_nobody_else(pairs: list[tuple[Pair, Path]], tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    values = {"agent-key": Secret("0xhidden"), "page-url": Secret('https://example.org/"ü"')}
    vault.encrypt(path, values, [pairs[0][0].public, pairs[1][0].public])
    for _, identity in pairs[:2]:
        assert vault.decrypt(path, identity) == values
    with pytest.raises(VaultError, match=f"the key in {pairs[2][1]} does not open it"):
        vault.decrypt(path, pairs[2][1])


def test_names_and_readers_need_no_key_and_values_do(pairs: list[tuple[Pair, Path]], tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    vault.encrypt(path, {"agent-key": Secret("hidden-value")}, [pairs[0][0].public])
    assert vault.names(path) == {"agent-key"}
    assert vault.recipients(path) == {pairs[0][0].public}
    assert "hidden-value" not in path.read_text()
    assert sorted(entry.name for entry in tmp_path.iterdir() if "vault" in entry.name) == ["vault.json"]


def test_a_failure_leaves_what_was_there(pairs: list[tuple[Pair, Path]], tmp_path: Path) -> None:
    path = tmp_path / "vault.json"
    vault.encrypt(path, {"a": Secret("1")}, [pairs[0][0].public])
    before = path.read_bytes()
    with pytest.raises(Exception, match="sops ended with exit code"):
        vault.encrypt(path, {"a": Secret("2")}, ["age1nobody"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "this is no file that sops encrypted"),
        ('{"a": "ENC[1]"}', "this is no file that sops encrypted"),
        ('{"a": "ENC[1]", "sops": {"age": [{}]}}', "this is no file that sops encrypted"),
        (json.dumps({"a": "clear", "b": "ENC[1]", "sops": {"age": []}}), "a stands there in clear"),
    ],
)
def test_what_is_no_vault_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "vault.json"
    path.write_text(text)
    with pytest.raises(VaultError, match=sentence):
        vault.names(path)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="there is no such file; hlhft deploy keys makes it"):
        vault.recipients(tmp_path / "none.json")
