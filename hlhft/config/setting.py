"""How one setting says what it means, what bounds it and what it becomes."""

from __future__ import annotations

from typing import Any

from msgspec import Meta

MS = 1_000_000  # nanoseconds in a millisecond
TIME_MS_MAX = 3_600_000

# What msgspec checks; everything else that a setting says of itself goes to `Field.extra`.
_BOUNDS = ("gt", "ge", "le", "min_length", "max_length", "pattern")


def setting(meaning: str, **facts: Any) -> Meta:
    """A setting's meaning; of `facts`, the bounds go to msgspec and the rest is what `Field.extra` holds."""
    bounds: dict[str, Any] = {name: facts.pop(name) for name in _BOUNDS if name in facts}
    return Meta(**bounds, description=meaning, extra=facts)
