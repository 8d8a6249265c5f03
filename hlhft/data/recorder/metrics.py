"""What a recorder shows of itself while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hlhft.monitor.block import BlockWriter

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A recorder at one moment; counts are since its start."""

    frames: int
    frame_bytes: int
    silent_ns: int | None  # since the newest frame; None before the first
    gaps: int
    dropped_frames: int
    is_live: bool  # the venue was reached, and all that is wanted is subscribed to
    is_whole: bool  # every stream is to be trusted, and the disk takes what comes
    waiting_bytes: int


class RecorderMetrics:
    """Writes the numbers of one recorder into its block; what is not known is NaN, and not shown.

    Something is being missed from one look to the next where anything was wrong at the former, or frames were dropped
    between: the time that is missing is right to a look for each gap. Before the first frame nothing is recorded
    that could have a gap, so that time is none, though a gap is shown.
    """

    def __init__(self, block: BlockWriter) -> None:
        self._block = block
        self._slots = {
            name: block.slot(f"hlhft_recorder_{name}")
            for name in (
                "frames_total", "bytes_total", "age_seconds", "gaps_total", "gap_open", "gap_seconds_total",
                "queue_bytes",
            )
        }  # fmt: skip
        self._has_begun = self._was_missing = False
        self._dropped_frames = self._looked_ns = self._missing_ns = 0

    def write(self, look: Look, now_ns: int) -> None:
        """Everything as it is now; `now_ns` is monotonic."""
        has_dropped = look.dropped_frames > self._dropped_frames
        is_missing = not (look.is_live and look.is_whole) or has_dropped
        if self._has_begun and (self._was_missing or has_dropped):
            self._missing_ns += now_ns - self._looked_ns
        self._has_begun = look.frames > 0
        self._was_missing, self._dropped_frames, self._looked_ns = is_missing, look.dropped_frames, now_ns
        numbers = {
            "frames_total": look.frames,
            "bytes_total": look.frame_bytes,
            "age_seconds": math.nan if look.silent_ns is None else max(look.silent_ns, 0) / NS_PER_S,
            "gaps_total": look.gaps,
            "gap_open": float(is_missing),
            "gap_seconds_total": self._missing_ns / NS_PER_S,
            "queue_bytes": look.waiting_bytes,
        }
        for name, slot in self._slots.items():
            self._block.values[slot] = numbers[name]
        self._block.end()

    def close(self) -> None:
        """The recorder ended in order."""
        self._block.close()
