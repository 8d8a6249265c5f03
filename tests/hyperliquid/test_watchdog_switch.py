"""The dead man's switch: pushed, refused, lost, cleared, and what is known of it each time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog_events import ReportCode
from hlhft.hyperliquid.watchdog_requests import PENDING_MAX, Purpose, Requests
from hlhft.hyperliquid.watchdog_switch import Switch, SwitchState
from tests.hyperliquid.watchdog_bench import KEY, MS, SECOND, START_NS, settings

OK = b'{"status":"ok","response":{"type":"default"}}'
NO_VOLUME = (
    b'{"status":"err","response":"Cannot set scheduled cancel time until enough volume traded. '
    b'Required: $1000000. Traded: $5."}'
)
OTHER = b'{"status":"err","response":"Too many cumulative requests sent"}'
NOW_MS = START_NS // MS


class Desk:
    """A switch, its requests, and time."""

    def __init__(self, **changes: Any) -> None:
        self.settings = settings(switch=True, **changes)
        self.requests = Requests(self.settings, Signer(KEY))
        self.switch = Switch(self.settings, self.requests)
        self.now_ns = START_NS

    def times(self) -> list[int | None]:
        """The times of what was asked for since; None for clearing."""
        asks, self.requests.asks = self.requests.asks, []
        return [msgspec.json.decode(ask.body)["action"].get("time") for ask in asks]

    def answer(self, body: bytes | None) -> None:
        (number,) = self.requests._pending
        finished = self.requests.answered(number, body, "lost", self.now_ns)
        assert finished is not None
        self.switch.finished(finished, self.now_ns)

    def push(self, body: bytes | None) -> None:
        """Lets the next push happen, and its answer come."""
        assert self.switch.next_ns is not None
        self.now_ns = self.switch.next_ns
        self.switch.due(self.now_ns)
        self.answer(body)

    def codes(self) -> list[ReportCode]:
        return [report.code for report in self.switch.reports]


def held(**changes: Any) -> Desk:
    desk = Desk(**changes)
    desk.switch.hold(desk.now_ns)
    return desk


def test_it_is_armed_ahead_and_pushed_on() -> None:
    desk = held()
    desk.push(OK)
    assert desk.times() == [NOW_MS + 60_000]
    assert (desk.switch.state, desk.switch.until_ms) == (SwitchState.ARMED, NOW_MS + 60_000)
    desk.switch.due(desk.now_ns)
    assert desk.times() == []
    desk.push(OK)
    assert desk.times() == [NOW_MS + 80_000]
    assert desk.codes() == [ReportCode.SWITCH_ARMED], "told once"


def test_only_one_push_is_under_way() -> None:
    desk = held()
    desk.switch.due(desk.now_ns)
    desk.switch.hold(desk.now_ns)
    desk.switch.due(desk.now_ns)
    assert len(desk.times()) == 1
    assert not desk.switch.is_settled


def test_one_that_is_held_while_it_is_cleared_is_pushed_after_the_answer() -> None:
    """Nothing is due before it: a timer that is set for now, and finds nothing to do, would be set again at once."""
    desk = held()
    desk.push(OK)
    desk.switch.clear(desk.now_ns)
    desk.switch.hold(desk.now_ns)
    assert desk.switch.next_ns is None
    desk.answer(OK)
    assert desk.switch.next_ns == desk.now_ns
    desk.push(OK)
    assert desk.switch.state is SwitchState.ARMED


def test_an_account_without_volume_is_told_and_tried_again_later() -> None:
    desk = held()
    desk.push(NO_VOLUME)
    assert desk.switch.state is SwitchState.REFUSED
    assert desk.switch.next_ns == desk.now_ns + 3600 * SECOND
    assert desk.codes() == [ReportCode.SWITCH_REFUSED] and "Traded: $5" in desk.switch.reports[0].detail
    desk.push(OK)
    assert desk.switch.state is SwitchState.ARMED


@pytest.mark.parametrize("body", [None, b"<html>", OTHER])
def test_what_is_not_known_is_unknown_and_tried_again_soon(body: bytes | None) -> None:
    desk = held()
    desk.push(body)
    assert desk.switch.state is SwitchState.UNKNOWN
    assert desk.switch.next_ns == desk.now_ns + desk.settings.push_ns
    assert desk.codes() == [ReportCode.SWITCH_UNKNOWN]


def test_clearing_clears_what_is_or_may_be_armed() -> None:
    for body in (OK, None):
        desk = held()
        desk.push(body)
        desk.times()
        desk.switch.clear(desk.now_ns)
        assert desk.times() == [None]
        desk.answer(OK)
        assert (desk.switch.state, desk.switch.until_ms, desk.switch.next_ns) == (SwitchState.OFF, 0, None)
        assert desk.codes()[-1] is ReportCode.SWITCH_CLEARED
        assert desk.switch.is_settled


def test_clearing_what_is_not_armed_does_nothing() -> None:
    desk = held()
    desk.push(NO_VOLUME)
    desk.times()
    desk.switch.clear(desk.now_ns)
    assert desk.times() == [] and desk.switch.is_settled and desk.switch.next_ns is None


def test_a_clearing_that_is_lost_is_unknown_and_not_repeated() -> None:
    desk = held()
    desk.push(OK)
    desk.switch.clear(desk.now_ns)
    desk.answer(None)
    assert desk.switch.state is SwitchState.UNKNOWN
    assert desk.switch.next_ns is None and desk.switch.is_settled


def test_clearing_waits_for_the_push_under_way() -> None:
    desk = held()
    desk.switch.due(desk.now_ns)
    desk.times()
    desk.switch.clear(desk.now_ns)
    assert desk.times() == [] and not desk.switch.is_settled
    desk.answer(OK)
    assert desk.times() == [None]
    desk.answer(OK)
    assert desk.switch.state is SwitchState.OFF and desk.switch.next_ns is None


def test_left_alone_it_is_not_pushed() -> None:
    desk = held()
    desk.push(OK)
    desk.switch.leave()
    desk.switch.due(desk.now_ns + 3600 * SECOND)
    assert desk.times()[1:] == [] and desk.switch.state is SwitchState.ARMED


def test_it_is_off_when_it_is_not_wanted() -> None:
    made = settings(switch=False)
    switch = Switch(made, Requests(made, Signer(KEY)))
    switch.hold(START_NS)
    assert switch.next_ns is None and switch.state is SwitchState.OFF


def test_without_room_it_comes_later() -> None:
    desk = held()
    for _ in range(PENDING_MAX):
        desk.requests.act(Purpose.CANCEL, {"type": "noop"}, START_NS)
    desk.switch.due(START_NS)
    assert desk.switch.state is SwitchState.UNKNOWN
    assert desk.switch.next_ns == START_NS + desk.settings.push_ns
    desk.switch.clear(START_NS)
    assert desk.switch.next_ns is None and desk.switch.is_settled
