"""What the parts of an engine share: the clock and timers, the core's way, and a place to say what happened."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hlhft.hyperliquid.backoff import Budget
from hlhft.hyperliquid.supervisor_events import Input as SupervisorInput
from hlhft.live.dispatch import Dispatch
from hlhft.live.http import Http
from hlhft.live.keeper import Keeper
from hlhft.live.loop import Time
from hlhft.live.timers import Timers
from hlhft.live.view import HAPPENINGS_MAX, Happening

Level = Literal["debug", "info", "warning", "error"]
TEXT_CHARACTERS_MAX = 400
_LOG = logging.getLogger("hlhft.live")
_LEVELS: dict[Level, int] = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
}  # fmt: skip


class Supervised(Protocol):
    """Who decides about the life of the engine, and ends it when something breaks."""

    def supervise(self, event: SupervisorInput) -> None:
        """Something that the supervisor is to judge."""

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""


@dataclass(slots=True, kw_only=True)
class Hub:
    """The parts that every other part uses. `dispatch` and `engine` are set once they are made."""

    clock: Time
    timers: Timers
    http: Http
    keeper: Keeper
    connects: Budget  # of the IP address, shared by all sockets of this process
    messages: Budget
    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=HAPPENINGS_MAX))
    counters: Counter[str] = field(default_factory=Counter)
    note: Callable[[str], None] = lambda text: None  # writes it into the journal
    block_ms: int = 0  # the newest block of the venue that was told
    dispatch: Dispatch = field(init=False)
    engine: Supervised = field(init=False)

    def say(self, text: str, level: Level = "info") -> None:
        """Logs it, and shows it to operators unless it is of no interest to them."""
        text = text[:TEXT_CHARACTERS_MAX]
        _LOG.log(_LEVELS[level], "%s", text)
        if level != "debug":
            self.note(f"{level}: {text}")
            self.happenings.append(Happening(at_ns=self.clock.now_ns(), text=text, level=level))
