"""Keys are made once, encrypted to the host and its operator, and nothing of them is ever in clear on the disk."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from hlhft.deploy import making, vault
from hlhft.deploy.errors import Refused, StepError, VaultError
from hlhft.deploy.facts import TEST_RECIPIENT
from hlhft.deploy.keys import Secret
from hlhft.deploy.places import Places
from tests.deploy.checkout import Checkout
from tests.deploy.examples import ROOT, WORTHLESS


def test_the_host_reads_its_secrets_and_the_operator_all(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.make(given={"page-url": Secret("https://example.org/page")})
    at = checkout.places
    own = vault.decrypt(at.identity, checkout.identity)
    host = tmp_path / "host"
    host.write_text(own["age-key"].reveal())
    assert vault.decrypt(at.secrets, host) == vault.decrypt(at.secrets, checkout.identity)
    assert vault.decrypt(at.secrets, host)["page-url"].reveal() == "https://example.org/page"
    for private in (at.identity, at.operator):
        with pytest.raises(VaultError, match="does not open it"):
            vault.decrypt(private, host)


def test_public_keys_are_those_of_the_private_ones(made: Checkout) -> None:
    at = made.places
    keys, values = making.public_keys(at), vault.decrypt(at.secrets, made.identity)
    assert keys.wireguard == making.wireguard_public(values["wireguard-key"])
    operator = vault.decrypt(at.operator, made.identity)["wireguard-key"]
    assert keys.operator.wireguard == making.wireguard_public(operator)
    assert keys.age in vault.recipients(at.secrets)
    assert made.identity.stat().st_mode & 0o777 == 0o600


def test_nothing_of_it_is_in_clear(made: Checkout) -> None:
    at = made.places
    private = [
        value.reveal() for path in (at.secrets, at.identity, at.operator)
        for value in vault.decrypt(path, made.identity).values()
    ]  # fmt: skip
    texts = [path.read_text() for path in made.root.rglob("*") if path.is_file()]
    assert len(private) >= 12
    assert not [text for text in texts if any(value in text for value in private)]


def test_what_is_there_is_not_made_anew(checkout: Checkout) -> None:
    assert checkout.make()
    files = [path for path in checkout.root.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert not checkout.make()
    assert {path: path.read_bytes() for path in files} == before


def test_what_is_given_later_is_added(made: Checkout) -> None:
    at = made.places
    before, readers = vault.decrypt(at.secrets, made.identity), vault.recipients(at.secrets)
    assert not made.make(given={"page-url": Secret("https://example.org")})
    assert vault.decrypt(at.secrets, made.identity) == {**before, "page-url": Secret("https://example.org")}
    assert vault.recipients(at.secrets) == readers


def test_a_second_host_shares_the_operator_and_may_share_the_heartbeat(made: Checkout) -> None:
    (made.root / "nixos" / "hosts" / "tower").mkdir()
    tower = Places(made.root, "tower")
    making.make(
        tower, identity=made.identity, ssh_key=made.ssh_key, given={}, heartbeat_of=made.places,
    )  # fmt: skip
    assert making.public_keys(tower).operator == making.public_keys(made.places).operator
    one, other = (vault.decrypt(at.secrets, made.identity) for at in (made.places, tower))
    assert {name for name in one if one[name] == other[name]} == {"heartbeat-secret"}


def test_a_copied_folder_brings_no_keys(checkout: Checkout) -> None:
    """Its keys.json is the example's, until the host has its own."""
    shutil.copy(ROOT / "nixos" / "hosts" / "example" / "keys.json", checkout.places.public)
    assert not making.has_keys(checkout.places)
    assert checkout.make()
    assert making.has_keys(checkout.places)
    assert not checkout.make()


def test_a_half_made_host_is_made_whole(checkout: Checkout) -> None:
    """keys.json comes last: without it nothing was ever installed, and all is made anew."""
    checkout.make()
    before = making.public_keys(checkout.places)
    checkout.places.public.unlink()
    assert checkout.make()
    assert making.public_keys(checkout.places).age != before.age


def test_the_test_key_is_nobodys(checkout: Checkout) -> None:
    with pytest.raises(Refused, match="is the test key, which everybody has: name another with --identity"):
        checkout.make(identity=WORTHLESS)
    vault.encrypt(checkout.places.secrets, {"agent-key": Secret("x")}, [TEST_RECIPIENT])
    with pytest.raises(Refused, match="copy the example's folder to a host of your own"):
        checkout.make()


@pytest.mark.parametrize("text", ["", "-----BEGIN OPENSSH PRIVATE\n", "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n"])
def test_root_gets_one_public_key(checkout: Checkout, text: str) -> None:
    checkout.ssh_key.write_text(text)
    with pytest.raises(Refused, match="no public SSH key is there"):
        checkout.make()
    assert not checkout.places.public.exists()


class TestGiven:
    @pytest.mark.parametrize(
        ("name", "text", "sentence"),
        [
            ("page-url", "", "one text of 1 to 4096 characters"),
            ("page-url", "h" * 5000, "one text of 1 to 4096 characters"),
            ("ticket-url", "example.org", "ticket-url is an address"),
        ],
    )
    def test_what_it_cannot_be(self, tmp_path: Path, name: str, text: str, sentence: str) -> None:
        path = tmp_path / "given"
        path.write_text(text)
        with pytest.raises(Refused, match=sentence) as caught:
            making.given_of({name: path})
        assert not text or text not in str(caught.value)

    @pytest.mark.parametrize("name", ["agent-key", "../page", "Page", ""])
    def test_names_that_are_not_given(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "given"
        path.write_text("0x1")
        with pytest.raises(Refused, match="is no name of a secret that is given"):
            making.given_of({name: path})

    def test_from_files_and_from_standard_input(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "aws").write_text("[default]\naws_access_key_id = x\n")
        monkeypatch.setattr("sys.stdin", io.StringIO("https://example.org/\n"))
        given = making.given_of({"page-url": Path("-"), "aws-credentials": tmp_path / "aws"})
        assert {name: value.reveal() for name, value in given.items()} == {
            "page-url": "https://example.org/",
            "aws-credentials": "[default]\naws_access_key_id = x",
        }


def test_keys_that_are_missing_or_none(checkout: Checkout) -> None:
    with pytest.raises(VaultError, match="the host has no keys yet: hlhft deploy keys trader"):
        making.public_keys(checkout.places)
    checkout.places.public.write_text('{"age": 1}')
    with pytest.raises(VaultError, match="this is not what hlhft deploy keys wrote"):
        making.public_keys(checkout.places)


def test_sops_itself_edits_what_was_made(made: Checkout) -> None:
    """`sops FILE` finds the readers in the rules that are written."""
    at = made.places
    rules = re.findall(r"path_regex: (.*)\n    age: (.*)", at.rules.read_text())
    assert {name for name, _ in rules} == {r"(^|/)operator\.json$", r"(^|/)trader\.host\.json$", r"(^|/)trader\.json$"}
    from hlhft.deploy.programs import run

    line = ["sops", "--config", str(at.rules), "--encrypt", "--filename-override", str(at.secrets)]
    text = run([*line, "--input-type", "json", "--output-type", "json", "/dev/stdin"], stdin=b'{"a": "b"}')
    readers = {entry["recipient"] for entry in msgspec.json.decode(text)["sops"]["age"]}
    assert readers == vault.recipients(at.secrets)


def test_a_flake_in_git_sees_what_was_made(checkout: Checkout) -> None:
    subprocess.run(["git", "init", "--quiet", str(checkout.root)], check=True)
    checkout.make()
    shown = subprocess.run(["git", "-C", str(checkout.root), "ls-files"], check=True, capture_output=True, text=True)
    assert {"nixos/hosts/trader/keys.json", "secrets/trader.json"} <= set(shown.stdout.split())


def test_without_sops_nothing_is_half_written(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.program("sops", "exit 9")
    with pytest.raises(StepError, match="sops ended with exit code 9"):
        checkout.make()
    assert not checkout.places.public.exists()
    assert not list(checkout.places.vaults.iterdir())
