"""The sentence for packages that are not installed."""

from __future__ import annotations

import pytest

from hlhft.extra import OF_CLUSTERS, MissingExtra, need


def test_what_is_there_is_not_missed() -> None:
    need("training", "numpy", "msgspec")


def test_one_missing_package_is_named_with_the_remedy() -> None:
    with pytest.raises(MissingExtra) as found:
        need("training", "numpy", "no_such_package")
    assert str(found.value) == (
        "training needs the Python package no_such_package, which is not installed: run make install-alpha"
    )


def test_several_are_named_together() -> None:
    with pytest.raises(MissingExtra, match="packages no_such_package, nor_this_one, which are not installed"):
        need("training", "no_such_package", "nor_this_one")


def test_another_extra_has_another_remedy() -> None:
    with pytest.raises(MissingExtra, match=r"which is not installed: run make install, or install hlhft\[scale\]$"):
        need("a cluster", "no_such_package", how=OF_CLUSTERS)
