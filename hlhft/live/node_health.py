"""Whether a node's books may be quoted on: known, told a moment ago, and of a block not long past. A pure machine.

A node that stops, falls behind the venue or whose books are not known any more makes every market old; one block that
is near makes all of them fresh again. Time is an argument, in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NS_PER_MS = 1_000_000


class Health(StrEnum):
    """How the node is; only what is fresh may be quoted on."""

    WAITING = "its books are not known"
    FRESH = "fresh"
    BEHIND = "its blocks are old"
    SILENT = "it is silent"


class Word(StrEnum):
    """What can happen to it."""

    NEAR = "a block near its time"
    FAR = "a block long past"
    SILENCE = "nothing for too long"
    LOST = "the books are lost"


TRANSITIONS: dict[tuple[Health, Word], Health] = {
    (Health.WAITING, Word.NEAR): Health.FRESH,
    (Health.WAITING, Word.FAR): Health.BEHIND,
    (Health.WAITING, Word.SILENCE): Health.WAITING,
    (Health.WAITING, Word.LOST): Health.WAITING,
    (Health.FRESH, Word.NEAR): Health.FRESH,
    (Health.FRESH, Word.FAR): Health.BEHIND,
    (Health.FRESH, Word.SILENCE): Health.SILENT,
    (Health.FRESH, Word.LOST): Health.WAITING,
    (Health.BEHIND, Word.NEAR): Health.FRESH,
    (Health.BEHIND, Word.FAR): Health.BEHIND,
    (Health.BEHIND, Word.SILENCE): Health.SILENT,
    (Health.BEHIND, Word.LOST): Health.WAITING,
    (Health.SILENT, Word.NEAR): Health.FRESH,
    (Health.SILENT, Word.FAR): Health.BEHIND,
    (Health.SILENT, Word.SILENCE): Health.SILENT,
    (Health.SILENT, Word.LOST): Health.WAITING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How old is old."""

    age_ns_max: int = 1000 * NS_PER_MS
    lag_ns_max: int = 2000 * NS_PER_MS

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} of the node is {getattr(self, name)}, and must be more than 0")


class NodeHealth:
    """One node, from waiting on. `lag_ns` is that of the newest block, None before the first."""

    def __init__(self, settings: HealthSettings) -> None:
        self.settings = settings
        self.state = Health.WAITING
        self.lag_ns: int | None = None
        self._heard_ns: int | None = None

    def heard(self, block_ns: int, now_ns: int) -> bool:
        """Blocks came, the newest of this time, and the books are known; whether the health has changed."""
        self.lag_ns = now_ns - block_ns
        self._heard_ns = now_ns
        return self._move(Word.NEAR if self.lag_ns <= self.settings.lag_ns_max else Word.FAR)

    def lost(self) -> bool:
        """The books are not known any more; whether the health has changed."""
        self._heard_ns = None
        return self._move(Word.LOST)

    def look(self, now_ns: int) -> bool:
        """Time has passed; whether the health has changed."""
        deadline_ns = self.deadline_ns()
        return deadline_ns is not None and deadline_ns <= now_ns and self._move(Word.SILENCE)

    def deadline_ns(self) -> int | None:
        """When it is silent for too long if nothing comes until then; None while nothing is expected."""
        return None if self._heard_ns is None else self._heard_ns + self.settings.age_ns_max

    def _move(self, word: Word) -> bool:
        before, self.state = self.state, TRANSITIONS[self.state, word]
        return self.state is not before
