"""A revision is what decides a result: another source, package or processor is another revision, and is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hlhft.scale import revision as module
from hlhft.scale.revision import identity, revision, sources_key


def test_differences_are_named_part_by_part() -> None:
    ours = identity()
    assert ours.differences(ours) == [] and ours.packages["numpy"]
    other = msgspec.structs.replace(ours, code_key="x", packages={**ours.packages, "numpy": "0.1", "extra": "2"})
    assert ours.differences(other) == [
        "another processor or other compiled code",
        "extra 2 instead of none",
        f"numpy 0.1 instead of {ours.packages['numpy']}",
    ]
    assert ours.differences(msgspec.structs.replace(ours, sources="x")) == ["other sources of hlhft"]
    assert ours.differences(msgspec.structs.replace(ours, version="9", sources="x")) == [
        f"hlhft 9 instead of {ours.version}"
    ]


def test_an_edit_that_a_task_can_reach_is_another_revision(tmp_path: Path) -> None:
    for name in ("alpha/training.py", "cli/sweep.py", "scale/task.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a = 1\n")
    before = sources_key(tmp_path)
    for name, differs in (("cli/sweep.py", False), ("alpha/training.py", True), ("scale/task.py", True)):
        (tmp_path / name).write_text("a = 2\n")
        sources_key.cache_clear()
        assert (sources_key(tmp_path) != before) is differs
        (tmp_path / name).write_text("a = 1\n")


def test_packages_for_models_count_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(revision()) == 32 and revision() == revision()
    monkeypatch.setattr(module, "PACKAGES_OF_MODELS", ("msgspec", "not-installed-anywhere", "click"))
    identity.cache_clear()
    assert "click" in identity(models=True).packages and "click" not in identity().packages
    assert "not-installed-anywhere" not in identity(models=True).packages and revision(models=True) != revision()
    identity.cache_clear()
