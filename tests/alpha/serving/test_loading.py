"""What stands in a folder; that models are loaded and refused is tested with the packages that load them."""

from __future__ import annotations

import os
from pathlib import Path

from hlhft.alpha.serving.loading import stamp_of


def test_a_link_that_leads_elsewhere_and_a_record_that_changed_are_told_apart(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text("{}")
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "a")
    first = stamp_of(link, "bundle.json")
    assert first is not None and first == stamp_of(link, "bundle.json")
    link.unlink()
    link.symlink_to(tmp_path / "b")
    second = stamp_of(link, "bundle.json")
    assert second != first
    os.utime(tmp_path / "b" / "bundle.json", ns=(1, 1))
    assert stamp_of(link, "bundle.json") != second
    (tmp_path / "b" / "bundle.json").unlink()
    assert stamp_of(link, "bundle.json") is None
