"""What differs at reading after reading, told apart from what only seemed to."""

from __future__ import annotations

from collections.abc import Mapping

from hlhft.hyperliquid.reconcile_compare import Difference
from hlhft.hyperliquid.reconcile_events import Code
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings


class Standings:
    """Since when each subject differs without a break, and at how many readings of one round."""

    def __init__(self, settings: ReconcileSettings) -> None:
        self._settings = settings
        self._standing: dict[str, tuple[int, int]] = {}  # readings in a row, and the block of the first
        self.readings = 0  # of this round

    def clear(self) -> None:
        """A round begins."""
        self._standing.clear()
        self.readings = 0

    def count(self, subject: str) -> int:
        """At how many readings in a row a subject has differed; 0 for one that does not."""
        return self._standing.get(subject, (0, 0))[0]

    def read(self, differences: Mapping[str, Difference], block_ms: int) -> Difference | None:
        """Counts one reading's differences; the first that disagrees, if one does: it differed at enough readings in a
        row and over enough block time, and nobody is asked about it now, or something did at every reading of a round
        that was long enough."""
        self.readings += 1
        before, self._standing = self._standing, {}
        ending = None
        for subject, difference in differences.items():
            count, since_ms = before.get(subject, (0, block_ms))
            self._standing[subject] = (count + 1, since_ms)
            # A venue that is slow to say what became of an order is no venue that says otherwise.
            is_due = ending is None and not difference.is_asked
            if is_due and self._is_enough(difference.code, count + 1, block_ms - since_ms):
                ending = Difference(difference.code, f"{difference.sentence} (at {count + 1} readings in a row)")
        if ending is None and differences and self.readings >= self._settings.readings_max:
            first = next(iter(differences.values())).sentence
            ending = Difference(Code.UNSTABLE, f"{first} (after {self.readings} readings that all differed)")
        return ending

    def _is_enough(self, code: Code, count: int, for_ms: int) -> bool:
        settings = self._settings
        # A cancel takes its time, and is repeated.
        needed = settings.leftover_readings if code is Code.LEFTOVERS else settings.standing_readings
        return count >= needed and for_ms >= settings.standing_ms
