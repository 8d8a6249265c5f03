"""What machines share is made once: others wait for it, and what was not finished is nobody's."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nix import shared as module
from tests.nix.shared import COMPILING, Shared

WITHIN_S = 30.0


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path / "machines")


def booted(root: Path) -> Path:
    """A tree in which the units ran and compiled."""
    for unit in COMPILING:
        (root / "var/cache" / unit).mkdir(parents=True)
        (root / "var/cache" / unit / "code").write_text(root.name)
    return root


def laid(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("code")}


def wait_for_a_waiter(lock: Path) -> None:
    """Returns when somebody waits for the lock, as the kernel lists it."""
    deadline = time.monotonic() + WITHIN_S
    wanted = f":{lock.stat().st_ino} "
    while not any("->" in line and wanted in line for line in Path("/proc/locks").read_text().splitlines()):
        assert time.monotonic() < deadline, "nobody waits for what is being made"
        time.sleep(0.01)


def test_the_first_compiles_and_the_others_wait_for_it(shared: Shared, tmp_path: Path) -> None:
    second = tmp_path / "second"

    def boot_the_second() -> None:
        with shared.compiled(second):
            pass

    thread = threading.Thread(target=boot_the_second)
    with shared.compiled(tmp_path / "first"):
        thread.start()
        wait_for_a_waiter(shared.folder / "compiled.lock")
        booted(tmp_path / "first")
    thread.join(WITHIN_S)
    assert laid(second) == {"first"}


def test_those_that_find_it_do_not_wait_for_each_other(shared: Shared, tmp_path: Path) -> None:
    with shared.compiled(tmp_path / "first"):
        booted(tmp_path / "first")
    with shared.compiled(tmp_path / "second"), shared.compiled(tmp_path / "third"):
        assert laid(tmp_path / "second") == laid(tmp_path / "third") == {"first"}


def test_what_broke_off_is_taken_by_nobody(shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(KeyError), shared.compiled(tmp_path / "first"):
        booted(tmp_path / "first")
        raise KeyError
    none = pytest.raises(AssertionError, match="hlhft-exchange ran on none of these machines")
    with none, shared.compiled(tmp_path / "second"):
        assert laid(tmp_path / "second") == set()
    with shared.compiled(tmp_path / "third"):
        booted(tmp_path / "third")
    with shared.compiled(tmp_path / "fourth"):
        assert laid(tmp_path / "fourth") == {"third"}


def test_the_project_is_installed_once(shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[Path] = []

    @contextlib.contextmanager
    def layered(lower: Path, folder: Path, *, is_kept: bool) -> Iterator[Path]:
        assert lower == tmp_path / "kept"
        assert is_kept
        (folder / "upper").mkdir(parents=True)
        yield folder / "upper"

    monkeypatch.setattr(module, "tree", lambda: tmp_path / "kept")
    monkeypatch.setattr(module, "layered", layered)
    monkeypatch.setattr(module, "install_project", installed.append)
    first = shared.trees()
    assert first == (shared.folder / "project", tmp_path / "kept")
    assert shared.trees() == first
    assert len(installed) == 1
    assert first[0].is_dir()
