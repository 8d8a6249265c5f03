"""`hlhft deploy`: words, sentences and exit codes; what it does is tested in tests/deploy."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.cli import invoke
from hlhft.cli.errors import ExitCode
from hlhft.deploy import making, vault
from tests.deploy.checkout import Checkout
from tests.deploy.conftest import checkout, made, original

__all__ = ["checkout", "made", "original"]  # fixtures


def run(at: Checkout, *words: str) -> int:
    action = [words[0], "--flake", str(at.root), "--identity", str(at.identity), *words[1:]]
    return invoke(["deploy", *action])


def test_keys_are_made_and_said(checkout: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page"
    page.write_text("https://example.org/page\n")
    words = ("keys", "trader", "--ssh-key", str(checkout.ssh_key), "--page-url", str(page))
    assert run(checkout, *words) == ExitCode.OK
    shown = capsys.readouterr().out
    assert f"keep a copy of {checkout.identity}" in shown
    assert f"Made the keys of trader: {checkout.places.public}" in shown
    assert "page-url" in vault.names(checkout.places.secrets)
    assert run(checkout, *words) == ExitCode.OK
    assert capsys.readouterr().out == f"Added to {checkout.places.secrets}: page-url\n"
    assert run(checkout, *words[:4], "--secret", "cluster-ca", str(page)) == ExitCode.OK
    assert capsys.readouterr().out == f"Added to {checkout.places.secrets}: cluster-ca\n"
    assert run(checkout, *words[:4]) == ExitCode.OK
    assert capsys.readouterr().out == f"trader has its keys: {checkout.places.public}\n"


def test_a_host_alone_is_installed(made: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    """`deploy HOST`, options before and after."""
    made.evaluates(made.facts())
    for words in (["trader", "--dry-run"], ["install", "--dry-run", "trader"]):
        assert invoke(["deploy", *words, "--flake", str(made.root), "--identity", str(made.identity)]) == ExitCode.OK
        assert "nixos-anywhere --flake" in capsys.readouterr().out


def test_a_rehearsal_without_keys_makes_none(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkout, "install", "trader", "--dry-run") == ExitCode.OK
    assert "Making the keys of trader: hlhft deploy keys trader" in capsys.readouterr().out
    assert not checkout.places.public.exists()
    assert not checkout.identity.exists()


@pytest.mark.parametrize("action", ["switch", "rollback"])
def test_changes_are_rehearsed(made: Checkout, capsys: pytest.CaptureFixture[str], action: str) -> None:
    made.evaluates(made.facts())
    assert run(made, action, "trader", "--dry-run", "--seconds", "60", "--to", "root@127.0.0.9") == ExitCode.OK
    shown = capsys.readouterr().out
    assert "hlhft-switch begin SYSTEM 60" in shown
    assert "root@127.0.0.9" in shown


def test_what_is_refused_has_its_exit_code(made: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    made.evaluates(made.facts(example=True))
    assert run(made, "switch", "trader") == ExitCode.USAGE
    assert "is an example" in capsys.readouterr().err
    made.evaluates(made.facts(secrets=["page-url"]))
    assert run(made, "switch", "trader") == ExitCode.DATA
    assert "lacks page-url" in capsys.readouterr().err
    made.program("nix", "exit 1")
    assert run(made, "switch", "trader") == ExitCode.FAILURE
    assert "nix ended with exit code 1" in capsys.readouterr().err
    assert run(made, "switch", "trader", "--seconds", "5") == ExitCode.USAGE
    assert run(made, "switch", "nobody") == ExitCode.USAGE


def test_the_examples_are_never_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(making.__file__).resolve().parents[2]
    assert invoke(["deploy", "example", "--flake", str(root)]) == ExitCode.USAGE
    assert "encrypted to the test key, which everybody has" in capsys.readouterr().err
