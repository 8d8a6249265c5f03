"""A tree is made once, under a name that says what made it; old ones go, and one that was not finished is not used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.nix import tree as trees


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The trees that were made; what takes minutes is left out."""
    done: list[Path] = []
    monkeypatch.setenv("HLHFT_NIX_HOME", str(tmp_path / "nix"))
    monkeypatch.setattr(trees, "_debian", done.append)
    monkeypatch.setattr(trees, "_fetch", lambda wheels: (wheels / "fetched").touch())
    monkeypatch.setattr(trees, "_python_packages", lambda root, wheels: (wheels / "fetched").rename(root / "packages"))
    return done


def test_a_tree_is_made_once(made: list[Path], tmp_path: Path) -> None:
    kept = trees.tree()
    assert kept.parent == tmp_path / "hlhft-trees"
    assert [path.name for path in kept.iterdir()] == ["packages"]
    assert trees.tree() == kept
    assert len(made) == 1


def test_what_makes_it_is_its_name_and_old_ones_go(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def with_package(name: str, hours: int) -> Path:
        monkeypatch.setattr(trees, "PACKAGES", (name,))
        kept = trees.tree()
        os.utime(kept, (hours * 3600, hours * 3600))
        return kept

    names = [with_package(name, hours) for hours, name in enumerate(("dbus", "iproute2", "procps"), 1)]
    assert len(set(names)) == len(made) == 3
    assert [path.exists() for path in names] == [False, True, True]
    os.utime(names[1])
    with_package("systemd", 4)
    assert names[1].exists(), "it is not an hour old"


def test_only_what_it_runs_with_is_of_its_name() -> None:
    pins = trees._pins()
    names = {pin.partition("==")[0] for pin in pins}
    assert {"aiohttp", "numba", "llvmlite", "numpy", "botocore"} <= names, "and what these need"
    assert not {"pytest", "ruff", "torch"} & names


def test_one_that_was_not_finished_is_not_used(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(wheels: Path) -> None:
        raise AssertionError("no network")

    with monkeypatch.context() as broken, pytest.raises(AssertionError, match="no network"):
        broken.setattr(trees, "_fetch", break_off)
        trees.tree()
    assert (trees.tree() / "packages").exists()
