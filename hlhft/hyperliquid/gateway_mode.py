"""Whether the venue works: as usual, for post-only orders only, or not at all, as a table.

After an upgrade of the network only post-only orders are taken for a short time (venue reference section 4.1); how long
is unverified, so the window is a setting and each refusal begins it anew. A venue that answers with errors several
times in a row is down; after a wait that grows it is given another try.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.backoff import SECOND_NS


class Mode(IntEnum):
    """What the venue takes; the numbers are those of a VENUE_MODE event."""

    NORMAL = 0
    POST_ONLY = 1
    DOWN = 2


class ModeEvent(StrEnum):
    """What tells about it."""

    POST_ONLY_REFUSAL = "refused: post-only orders only"
    TROUBLE = "errors in a row"
    GOOD = "an answer"
    DUE = "the wait is over"


_M, _E = Mode, ModeEvent
TRANSITIONS: dict[tuple[Mode, ModeEvent], Mode] = {
    (_M.NORMAL, _E.POST_ONLY_REFUSAL): _M.POST_ONLY,
    (_M.NORMAL, _E.TROUBLE): _M.DOWN,
    (_M.NORMAL, _E.GOOD): _M.NORMAL,
    (_M.POST_ONLY, _E.POST_ONLY_REFUSAL): _M.POST_ONLY,
    (_M.POST_ONLY, _E.TROUBLE): _M.DOWN,
    (_M.POST_ONLY, _E.GOOD): _M.POST_ONLY,
    (_M.POST_ONLY, _E.DUE): _M.NORMAL,
    (_M.DOWN, _E.POST_ONLY_REFUSAL): _M.POST_ONLY,
    (_M.DOWN, _E.TROUBLE): _M.DOWN,
    (_M.DOWN, _E.GOOD): _M.NORMAL,
    (_M.DOWN, _E.DUE): _M.NORMAL,
}


def transitions_table() -> str:
    """The transitions as a Markdown table, for the documentation."""
    rows = ["| mode | event | next mode |", "| --- | --- | --- |"]
    rows += [f"| {mode.name} | {event} | {following.name} |" for (mode, event), following in TRANSITIONS.items()]
    return "\n".join(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSettings:
    """The numbers of it."""

    post_only_ns: int = 30 * SECOND_NS
    troubles_max: int = 3  # in a row, until the venue counts as down
    backoff: backoff.BackoffSettings = backoff.DEFAULTS

    def __post_init__(self) -> None:
        if self.post_only_ns <= 0 or self.troubles_max <= 0:
            raise ValueError("a post-only window has a length, and it takes at least one error to be down")


DEFAULTS = ModeSettings()


class VenueMode:
    """The mode of the venue, and until when nothing new is sent to it."""

    def __init__(self, settings: ModeSettings = DEFAULTS) -> None:
        self.settings = settings
        self.mode = Mode.NORMAL
        self.due_ns: int | None = None  # the end of the mode, unless something is told before
        self.hold_ns = 0  # no placements before
        self.troubles = 0  # in a row

    def post_only(self, now_ns: int) -> bool:
        """An order was refused for want of post-only; whether the mode has changed."""
        self.due_ns = now_ns + self.settings.post_only_ns
        return self._learn(ModeEvent.POST_ONLY_REFUSAL)

    def trouble(self, now_ns: int, draw: int) -> bool:
        """An answer was none; whether the mode has changed."""
        self.hold_ns = now_ns + backoff.wait_ns(self.troubles, draw, self.settings.backoff)
        self.troubles += 1
        if self.troubles < self.settings.troubles_max:
            return False
        self.due_ns = self.hold_ns
        return self._learn(ModeEvent.TROUBLE)

    def good(self) -> bool:
        """The venue answered; whether the mode has changed."""
        if self.troubles == 0 and self.mode is not Mode.DOWN:
            return False
        self.troubles = self.hold_ns = 0
        if self.mode is Mode.DOWN:
            self.due_ns = None
        return self._learn(ModeEvent.GOOD)

    def pass_time(self, now_ns: int) -> bool:
        """Whether the mode has ended by now."""
        if self.due_ns is None or self.due_ns > now_ns:
            return False
        self.due_ns = None
        return self._learn(ModeEvent.DUE)

    def _learn(self, event: ModeEvent) -> bool:
        before, self.mode = self.mode, TRANSITIONS[self.mode, event]
        return before is not self.mode
