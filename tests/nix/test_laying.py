"""What a host evaluates to lies in a tree as NixOS would have laid it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nix.laying import lay
from tests.nix.tree import VENV, layered, require_machines, tree

pytestmark = pytest.mark.systemd

STORE = "/nix/store/" + "0" * 32
UNIT = (
    f"[Service]\nExecStart={STORE}-hlhft-0.1.0/bin/hlhft run\nExecStartPost={STORE}-coreutils/bin/true"
    f" {STORE}-renewal.py {STORE}-settings.toml\n[Install]\nWantedBy=multi-user.target timers.target\n"
)
MANIFEST: dict[str, Any] = {
    "units": {"ours.service": UNIT, "theirs.service": "[Service]\n"},
    "storeFiles": {f"{STORE}-settings.toml": "a = 1\n"},
    "files": {"tmpfiles.d/00-nixos.conf": "d /run/ours\n", "sysctl.d/60-nixos.conf": "a=1\n", "kernel-params": "x"},
    "settings": {
        "environment.etc": {
            "ours/settings.toml": {"source": f"{STORE}-settings.toml", "text": None, "target": None},
            "ours/rules": {"text": "rules", "target": "ours/the-rules"},
        },
        "users.groups": {"ours": {}},
        "users.users": {
            "service": {"group": "ours", "description": "a service"},
            "person": {"isNormalUser": True, "home": "/home/person", "extraGroups": ["ours"]},
        },
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    require_machines()
    with layered(tree(), tmp_path_factory.mktemp("l") / "layer") as laid:
        assert lay(laid, MANIFEST, without=["theirs.service"]) == ["ours.service"]
        yield laid


def test_units_are_wanted_by_what_they_say(root: Path) -> None:
    units = root / "etc/systemd/system"
    assert (units / "ours.service").read_text() == UNIT
    for target in ("multi-user", "timers"):
        assert (units / f"{target}.target.wants/ours.service").resolve() == units / "ours.service"
    assert not (units / "theirs.service").exists()


def test_files_are_where_they_are_looked_for(root: Path) -> None:
    assert (root / f"{STORE}-settings.toml".lstrip("/")).read_text() == "a = 1\n"
    assert (root / "etc/ours/settings.toml").readlink() == Path(f"{STORE}-settings.toml")
    assert (root / "etc/ours/the-rules").read_text() == "rules"
    assert (root / "etc/tmpfiles.d/00-nixos.conf").read_text() == "d /run/ours\n"
    assert (root / "etc/sysctl.d/60-nixos.conf").read_text() == "a=1\n"
    assert not (root / "etc/kernel-params").exists()


def test_a_path_of_the_store_is_ours_or_debians(root: Path) -> None:
    store = root / STORE.lstrip("/")
    assert store.with_name(f"{store.name}-hlhft-0.1.0").readlink() == Path(VENV)
    assert store.with_name(f"{store.name}-coreutils").readlink() == Path("/usr")
    assert "renewal.py UNIT GENERATION" in store.with_name(f"{store.name}-renewal.py").read_text()


def test_users_are_there_with_their_groups(root: Path) -> None:
    def shown(*command: str) -> str:
        return subprocess.run(["chroot", root, *command], check=True, capture_output=True, text=True).stdout.strip()

    assert shown("id", "--name", "--group", "service") == "ours"
    assert set(shown("id", "--name", "--groups", "person").split()) == {"person", "ours"}
    assert shown("getent", "passwd", "service").endswith(":a service:/var/empty:/usr/sbin/nologin")
    assert shown("getent", "passwd", "person").endswith(":/home/person:/bin/bash")
