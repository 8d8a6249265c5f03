"""Metrics set by name: what an engine's values go through on their way into a block."""

from __future__ import annotations

from hlhft.monitor.block import BlockWriter

Key = str | tuple[str, ...]


class Sheet:
    """The series of a block that begin with the same labels. `sheet[name] = value`, or `sheet[name, *labels] = value`
    with the labels that follow. Raises as `BlockWriter.slot` does."""

    __slots__ = ("_block", "_labels", "_slots", "_values")

    def __init__(self, block: BlockWriter, *labels: str) -> None:
        self._block = block
        self._labels = labels
        self._values = block.values
        self._slots: dict[Key, int] = {}  # as many as the block has room for, and those that did not fit

    def __setitem__(self, key: Key, value: float) -> None:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slot(key)
        self._values[slot] = value

    def add(self, key: Key, value: float) -> None:
        """Raises a counter by `value`, at least 0."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slot(key)
        self._values[slot] += value

    def _slot(self, key: Key) -> int:
        name, *labels = (key,) if isinstance(key, str) else key
        slot = self._slots[key] = self._block.slot(name, *self._labels, *labels)
        return slot


class Rising:
    """A count that never falls, of one that begins anew now and then."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before = self._last = 0

    def at(self, count: int) -> int:
        """All that was counted, now that the count is this."""
        if count < self._last:
            self._before += self._last
        self._last = count
        return self._before + count
