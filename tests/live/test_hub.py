"""What happened is logged, and shown as far as operators care."""

from __future__ import annotations

import logging

import pytest

from hlhft.hyperliquid.backoff import Budget
from hlhft.live.clock import Clock
from hlhft.live.hub import TEXT_CHARACTERS_MAX, Hub
from hlhft.live.view import HAPPENINGS_MAX


def hub() -> Hub:
    parts = dict.fromkeys(("timers", "http", "keeper"))
    return Hub(clock=Clock(), connects=Budget(1), messages=Budget(1), **parts)  # type: ignore[arg-type]


def test_it_is_logged_and_shown_but_what_is_of_no_interest(caplog: pytest.LogCaptureFixture):
    there = hub()
    with caplog.at_level(logging.DEBUG, logger="hlhft.live"):
        there.say("a round is over", "debug")
        there.say("it trades")
        there.say("x" * 1000, "error")
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "ERROR"]
    assert [one.text for one in there.happenings] == ["it trades", "x" * TEXT_CHARACTERS_MAX]
    assert [one.level for one in there.happenings] == ["info", "error"]


def test_only_the_newest_are_kept():
    there = hub()
    for number in range(2 * HAPPENINGS_MAX):
        there.say(str(number))
    assert len(there.happenings) == HAPPENINGS_MAX
    assert there.happenings[-1].text == str(2 * HAPPENINGS_MAX - 1)
