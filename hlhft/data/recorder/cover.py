"""What one stream of a session knows, by exchange time: from where, until where, and which stretches are missing.

Pure bookkeeping: rows' exchange times and what happened to the connection in, the gaps and the stretch covered out.
Stretches are half open, [from, to).
"""

from __future__ import annotations

from hlhft.data.catalogue.manifest import Gap
from hlhft.data.recorder.hours import SECOND_NS

# Frames of one block come on several streams in no fixed order (venue reference section 6.1), never later than this
# behind a newer block: that long before the newest block seen, a stream that told nothing had nothing to tell.
SETTLED_NS = 2 * SECOND_NS
GAPS_MAX = 1_000  # of one stream in one hour; further ones are joined to the last, which claims less than is known


class Cover:
    """One stream in one hour."""

    __slots__ = ("_floor_ns", "_gaps", "_missing", "_missing_from_ns", "first_ns", "last_ns")

    def __init__(self, floor_ns: int | None = None, missing: str = "") -> None:
        """`floor_ns` is where an earlier hour of the session ended, None when the stream was never heard; `missing` why
        nothing is known from there on."""
        assert floor_ns is not None or not missing, "only what was heard is missing"
        self._floor_ns = floor_ns
        self._missing, self._missing_from_ns = missing, floor_ns or 0
        self._gaps: list[Gap] = []
        self.first_ns = self.last_ns = 0  # exchange times of its rows, 0 without any

    @property
    def is_known(self) -> bool:
        """Whether the stream was ever heard in the session."""
        return self._floor_ns is not None or self.last_ns > 0

    @property
    def is_missing(self) -> bool:
        """Whether nothing is known since a while."""
        return bool(self._missing)

    @property
    def floor_ns(self) -> int:
        """Rows before it belong to the hour before; 0 for none."""
        return self._floor_ns or 0

    def told(self, earliest_ns: int, latest_ns: int, *, goes_on: bool = False) -> None:
        """Rows of these exchange times came, none before the floor. With `goes_on` they reach back to what was known,
        so that nothing between is missing."""
        assert self.floor_ns <= earliest_ns <= latest_ns, "rows before the floor are left out"
        if self._missing:
            self.resumed(earliest_ns, goes_on=goes_on)
        elif self._gaps and self._gaps[-1].from_ns < earliest_ns < self._gaps[-1].to_ns:
            # What came first after a gap was not the earliest: frames of several blocks are under way at once.
            last = self._gaps[-1]
            self._gaps[-1] = Gap(last.from_ns, earliest_ns, last.reason)
        self.first_ns = min(self.first_ns, earliest_ns) if self.last_ns else earliest_ns
        self.last_ns = max(self.last_ns, latest_ns)

    def resumed(self, earliest_ns: int, *, goes_on: bool) -> None:
        """Something came again, the earliest of it of that exchange time; rows may all be known already."""
        if self._missing and not goes_on and earliest_ns > self._missing_from_ns:
            self._add(Gap(self._missing_from_ns, earliest_ns, self._missing))
        self._missing = ""

    def lost(self, reason: str, newest_ns: int | None = None) -> None:
        """From its last row on nothing is known, for this reason; nothing new when that is so already.

        `newest_ns`, the newest block time of the connection, says until when its silence meant that nothing happened;
        None: its silence meant nothing.
        """
        if not self.is_known or self._missing:
            return
        self._missing = reason
        self._missing_from_ns = self._reached_ns(newest_ns)

    def covers(self, newest_ns: int) -> tuple[int, int]:
        """The stretch that the hour answers for, when it ends at a newest block time of `newest_ns`."""
        begin_ns = self._begin_ns()
        end_ns = self._missing_from_ns if self._missing else self._reached_ns(newest_ns)
        return begin_ns, max(begin_ns, end_ns)

    def gaps(self) -> tuple[Gap, ...]:
        """The stretches within `covers` that nothing is known of."""
        return tuple(self._gaps)

    def carried(self, newest_ns: int) -> tuple[int, str]:
        """(floor, why it is missing from there on) for the hour after."""
        return self.covers(newest_ns)[1], self._missing

    def _begin_ns(self) -> int:
        return self.first_ns if self._floor_ns is None else self._floor_ns

    def _reached_ns(self, newest_ns: int | None) -> int:
        reached_ns = max(self._begin_ns(), self.last_ns + 1 if self.last_ns else 0)
        return reached_ns if newest_ns is None else max(reached_ns, newest_ns - SETTLED_NS)

    def _add(self, gap: Gap) -> None:
        if len(self._gaps) == GAPS_MAX:
            self._gaps[-1] = Gap(self._gaps[-1].from_ns, gap.to_ns, gap.reason)
        else:
            self._gaps.append(gap)
