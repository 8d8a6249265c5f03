"""What a reading found and mended, counted by name, with the first event of each kind of fault."""

from __future__ import annotations

from collections import Counter

from hlhft.data.merge import Events


class Tally(Counter[str]):
    """Counts by name; `first` holds, by name, an array of the one event that a fault was first seen at."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, Events] = {}

    def note(self, name: str, events: Events) -> None:
        """Counts these events (at least one) under `name`; the first one ever is kept."""
        self[name] += len(events)
        self.first.setdefault(name, events[:1].copy())

    def counted(self) -> dict[str, int]:
        """The counts alone, to come back to with `forget_since`."""
        return dict(self)

    def forget_since(self, counted: dict[str, int]) -> None:
        """Takes back everything but the first events since `counted`."""
        super().clear()
        self.update(counted)

    def clear(self) -> None:
        """Forgets everything."""
        super().clear()
        self.first.clear()

    def absorb(self, other: Tally, events: dict[str, Events]) -> None:
        """Adds the counts of `other`; its first events come as `events`, in this tally's markets."""
        self.update(other)
        for name, event in events.items():
            self.first.setdefault(name, event)
