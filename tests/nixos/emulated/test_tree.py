"""What is kept is made once, under a name that says of what; what was not finished is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nixos.emulated import tree as trees

# The folder is mmdebstrap's last argument but one; a file named `broken` lets it fail halfway.
MMDEBSTRAP = """#!/bin/sh
echo "$INITRD $*" >> "$HLHFT_TEST_LOG"
for word; do folder=$before before=$word; done
touch "$folder/half"
test ! -e "$HLHFT_TEST_LOG.broken" || { echo no network >&2; exit 25; }
touch "$folder/whole"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What mmdebstrap was told, a line for each call; what takes minutes is left out."""
    program = tmp_path / "bin/mmdebstrap"
    program.parent.mkdir()
    program.write_text(MMDEBSTRAP)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HLHFT_NIX_HOME", str(tmp_path / "nix"))
    monkeypatch.setenv("HLHFT_TEST_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(trees, "mirror", lambda: "http://mirror.invalid/debian")
    return tmp_path / "log"


def test_tree_and_emulator_are_made_once(log: Path) -> None:
    kept = [trees.kept_tree(), trees.kept_emulator()]
    assert [(path / "whole").exists() for path in kept] == [True, True]
    assert [trees.kept_tree(), trees.kept_emulator()] == kept
    tree, emulator = log.read_text().splitlines()
    assert "linux-image" in tree and tree.startswith("No "), "an initial ramdisk is made that nobody boots"
    assert "--include=qemu-system-x86 " in emulator


def test_what_it_is_made_of_is_its_name_and_the_one_before_goes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trees.kept_tree()
    monkeypatch.setattr(trees, "PACKAGES", (*trees.PACKAGES, "jq"))
    second = trees.kept_tree()
    assert not first.exists() and (second / "whole").exists()


def test_one_that_was_not_finished_is_not_used(log: Path) -> None:
    broken = log.with_name("log.broken")
    broken.touch()
    with pytest.raises(AssertionError, match="ended with 25: no network"):
        trees.kept_tree()
    broken.unlink()
    assert (trees.kept_tree() / "whole").exists()
