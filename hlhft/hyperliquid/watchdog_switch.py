"""The venue's dead man's switch, `scheduleCancel`: armed ahead of time, pushed on, cleared, and what is known of it.

It cancels every order of the account, others' too, and is open to accounts that have traded enough (venue reference
section 4.2). So it is only ever the second net: it is pushed while the engine lives, left to fire while cancelling, and
cleared once that is proven to be done, as the venue lets it fire ten times a day. Pure.
"""

from __future__ import annotations

from enum import StrEnum

from hlhft.hyperliquid.answers import action_answer
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.watchdog_events import Report, ReportCode, WatchdogSettings
from hlhft.hyperliquid.watchdog_requests import Finished, Purpose, Requests
from hlhft.hyperliquid.wire import ms_of

NOT_YET_TEXT = "Cannot set scheduled cancel time"  # too little volume, or fired too often today


class SwitchState(StrEnum):
    """What is known of the switch."""

    OFF = "off"
    ARMED = "armed"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # an answer was lost


class Switch:
    """The dead man's switch of one account. `reports` collects what an operator should know."""

    def __init__(self, settings: WatchdogSettings, requests: Requests) -> None:
        self.state = SwitchState.OFF
        self.until_ms = 0  # when it fires, as far as it is known to be armed
        self.reports: list[Report] = []
        self._settings = settings
        self._requests = requests
        self._push_ns: int | None = None  # when it is pushed
        self._asked_ms: int | None = None  # the time of the push under way, 0 for clearing
        self._is_to_clear = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way or still to be done."""
        return self._asked_ms is None and not self._is_to_clear

    @property
    def next_ns(self) -> int | None:
        """When there is something to do. While a request is under way that is its answer."""
        return self._push_ns if self._asked_ms is None else None

    def hold(self, now_ns: int) -> None:
        """Arms it and pushes it on, from now on."""
        self._is_to_clear = False
        if self._settings.switch:
            self._push_ns = now_ns

    def leave(self) -> None:
        """Pushes it no more: it will fire unless it is cleared or held again."""
        self._push_ns = None

    def clear(self, now_ns: int) -> None:
        """Clears it, unless it is known not to be armed."""
        self._push_ns = None
        if self._asked_ms is not None:
            # What is under way might be executed after a clearing sent now.
            self._is_to_clear = True
        elif self.state is SwitchState.ARMED or self.state is SwitchState.UNKNOWN:
            self._ask(0, now_ns)

    def due(self, now_ns: int) -> None:
        """Time has come to push it, if it has."""
        if self.next_ns is None or self.next_ns > now_ns:
            return
        self._ask(self._requests.block_ms(now_ns) + ms_of(self._settings.switch_ns), now_ns)

    def finished(self, finished: Finished, now_ns: int) -> None:
        """Its request has ended."""
        asked_ms, self._asked_ms = self._asked_ms, None
        assert asked_ms is not None, "one request is under way at a time"
        self._learn(asked_ms, finished, now_ns)
        if self._is_to_clear:
            self._is_to_clear = False
            self.clear(now_ns)

    def _ask(self, time_ms: int, now_ns: int) -> None:
        action = {"type": "scheduleCancel", "time": time_ms} if time_ms else {"type": "scheduleCancel"}
        if not self._requests.is_full() and self._requests.act(Purpose.SWITCH, action, now_ns):
            self._asked_ms = time_ms
            self._push_ns = None
        else:
            self._become(SwitchState.UNKNOWN, ReportCode.SWITCH_UNKNOWN, "no room or nonce for an action")
            self._again(self._settings.push_ns, time_ms, now_ns)

    def _learn(self, asked_ms: int, finished: Finished, now_ns: int) -> None:
        answer = None if finished.body is None else action_answer(finished.body)
        if answer is None or isinstance(answer, Fault):
            text = finished.text if answer is None else "the answer cannot be read"
            self._become(SwitchState.UNKNOWN, ReportCode.SWITCH_UNKNOWN, text)
        elif answer.is_ok:
            self.until_ms = asked_ms
            if asked_ms:
                self._become(SwitchState.ARMED, ReportCode.SWITCH_ARMED, "it is pushed on while the engine lives")
            else:
                self._become(SwitchState.OFF, ReportCode.SWITCH_CLEARED, "")
        elif answer.text.startswith(NOT_YET_TEXT):
            self.until_ms = 0
            self._become(SwitchState.REFUSED, ReportCode.SWITCH_REFUSED, answer.text)
            self._again(self._settings.switch_retry_ns, asked_ms, now_ns)
            return
        else:
            self._become(SwitchState.UNKNOWN, ReportCode.SWITCH_UNKNOWN, answer.text)
        self._again(self._settings.push_ns, asked_ms, now_ns)

    def _again(self, wait_ns: int, asked_ms: int, now_ns: int) -> None:
        """Pushes go on; clearing is asked for once, and what is not cleared fires, on nothing."""
        if asked_ms and not self._is_to_clear:
            self._push_ns = now_ns + wait_ns

    def _become(self, state: SwitchState, code: ReportCode, detail: str) -> None:
        """Only what is new is told."""
        if state is not self.state:
            self.reports.append(Report(code, detail))
        self.state = state
