"""A setting's bounds reach msgspec, the rest stays with it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from hlhft.config.setting import setting


def test_bounds_are_checked_and_facts_are_kept() -> None:
    meta = setting("how many", ge=1, le=3, scale=10, limit="name")
    assert (meta.description, meta.extra) == ("how many", {"scale": 10, "limit": "name"})
    kind = Annotated[int, meta]
    assert msgspec.convert(3, kind) == 3
    for wrong in (0, 4):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, kind)


def test_texts_and_lists_have_bounds_too() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("b", Annotated[str, setting("one letter", pattern="^a$")])
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([1, 2], Annotated[tuple[int, ...], setting("few", max_length=1)])
