"""A checkout of one host, with its programs on PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A host that has no keys yet."""
    found = Checkout(tmp_path)
    monkeypatch.setenv("PATH", found.path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return found


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A host that has keys; not to be changed."""
    if shutil.which("age-keygen") is None:
        pytest.skip("NOT TESTED: age is not installed")
    found = Checkout(tmp_path_factory.mktemp("original"))
    found.make()
    return found


@pytest.fixture
def made(original: Checkout, checkout: Checkout) -> Checkout:
    """A host that has keys: making them takes a second, copying them none."""
    shutil.copytree(original.root, checkout.root, dirs_exist_ok=True)
    shutil.copytree(original.identity.parent, checkout.identity.parent)
    return checkout
