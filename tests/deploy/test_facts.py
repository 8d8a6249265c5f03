"""What must not be deployed is refused, each with its sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hlhft.deploy import facts, making, vault
from hlhft.deploy.errors import Refused, VaultError
from hlhft.deploy.facts import TEST_RECIPIENT, Facts
from tests.deploy.checkout import Checkout
from tests.deploy.examples import HOSTS, ROOT, WORTHLESS


@pytest.fixture
def judged(made: Checkout) -> Callable[..., None]:
    """Judges a host that could be deployed but for what is changed."""
    keys, secrets = making.public_keys(made.places), made.places.secrets

    def judge(*, names: set[str] | None = None, recipients: set[str] | None = None, **changes: Any) -> None:
        facts.require_deployable(
            "trader", made.facts(**changes), keys, names=vault.names(secrets) if names is None else names,
            recipients=vault.recipients(secrets) if recipients is None else recipients,
        )  # fmt: skip

    return judge


def changed(made: Checkout, **operator: Any) -> dict[str, Any]:
    """WireGuard of the host with a changed operator's peer."""
    inside = msgspec.to_builtins(made.facts().wireguard)
    inside["peers"][0] |= operator
    return dict(inside)


def test_one_that_has_everything_is_accepted(judged: Callable[..., None]) -> None:
    judged()


def test_the_test_key(judged: Callable[..., None]) -> None:
    with pytest.raises(Refused, match=r"secrets/trader\.json is encrypted to the test key, which everybody has"):
        judged(recipients={TEST_RECIPIENT, "age1other"})


def test_an_example(judged: Callable[..., None]) -> None:
    with pytest.raises(Refused, match="is an example, whose keys are everybody's"):
        judged(example=True)


def test_no_operators_peer(judged: Callable[..., None], made: Checkout) -> None:
    with pytest.raises(Refused, match="no peer of trader is an operator's"):
        judged(wireguard=changed(made, isAdmin=False))


def test_a_placeholder_instead_of_the_operators_key(judged: Callable[..., None], made: Checkout) -> None:
    with pytest.raises(Refused, match=r"no operator's peer of trader has the key of nixos/hosts/trader/keys\.json"):
        judged(wireguard=changed(made, publicKey="d" * 43 + "="))


def test_secrets_that_it_does_not_read(judged: Callable[..., None]) -> None:
    with pytest.raises(Refused, match=r"trader does not read secrets/trader\.json"):
        judged(sops=False)


def test_secrets_that_it_cannot_read(judged: Callable[..., None]) -> None:
    with pytest.raises(VaultError, match="is not encrypted to trader's own key"):
        judged(recipients={"age1other"})


def test_secrets_that_are_missing(judged: Callable[..., None]) -> None:
    with pytest.raises(VaultError, match="lacks page-url, ticket-url: hlhft deploy keys trader --page-url FILE"):
        judged(secrets=["agent-key", "ticket-url", "page-url"])
    with pytest.raises(VaultError, match="lacks cluster-ca: hlhft deploy keys trader --secret cluster-ca FILE"):
        judged(secrets=["cluster-ca"])


@pytest.mark.parametrize("counted", [1, 15, 17])
def test_cpus_that_do_not_exist(made: Checkout, counted: int) -> None:
    facts.require_cpus("trader", made.facts(), 16)
    with pytest.raises(Refused, match=f"cpus.count of trader is 16 and the machine has {counted}"):
        facts.require_cpus("trader", made.facts(), counted)


def test_the_modules_say_the_same_of_the_test_key() -> None:
    assert f'testRecipient = "{TEST_RECIPIENT}";' in (ROOT / "nixos" / "deployment.nix").read_text()
    assert making.own_recipient(WORTHLESS) == TEST_RECIPIENT


@pytest.mark.parametrize("host", HOSTS)
def test_the_examples_are_whole_and_worthless(host: str) -> None:
    """Each private key belongs to its public one, the test key reads them, and each is refused."""
    at = making.Places(ROOT, host)
    keys, values = making.public_keys(at), vault.decrypt(at.secrets, WORTHLESS)
    assert making.wireguard_public(values["wireguard-key"]) == keys.wireguard
    assert vault.recipients(at.secrets) == {TEST_RECIPIENT}
    with pytest.raises(Refused, match="is encrypted to the test key"):
        facts.require_own_keys(host, vault.recipients(at.secrets))
    assert at.rules.read_text() == making.rules_text(at.vaults)


def test_what_nix_says_is_understood(made: Checkout) -> None:
    found = msgspec.json.decode(msgspec.json.encode(made.facts()), type=Facts)
    assert [peer.name for peer in found.admins] == ["operator"]
