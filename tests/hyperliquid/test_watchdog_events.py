"""The watchdog's numbers are checked, and what it wants done shows no secret."""

from __future__ import annotations

from typing import Any

import pytest

from hlhft.hyperliquid.backoff import SECOND_NS
from hlhft.hyperliquid.watchdog_events import Ask, Lane, RequestKind, WatchdogSettings

ACCOUNT = "0x" + "ab" * 20


def settings(**changes: Any) -> WatchdogSettings:
    return WatchdogSettings(**{"account": ACCOUNT, "owner": 7, "mainnet": False, **changes})


def test_the_defaults_fit_each_other() -> None:
    made = settings(vault_address="0x" + "cd" * 20, dexes=("", "xyz"), proof_margin_ms=0, clock_skew_ms=0)
    assert made.switch_ns >= 2 * made.push_ns
    assert made.weight_per_minute <= made.weight_per_minute_max


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account": "me"}, "is no address"),
        ({"vault_address": "me"}, "is no address"),
        ({"owner": 0}, "an owner lies in"),
        ({"silence_ns": 0}, "silence_ns of the watchdog is 0"),
        ({"returns": -1}, "returns of the watchdog is -1"),
        ({"proof_margin_ms": -1}, "must be 0 or more"),
        ({"clock_skew_ms": -1}, "must be 0 or more"),
        ({"dexes": ()}, "1 to 8 different dexes, not 0"),
        ({"dexes": ("", "")}, "1 to 8 different dexes"),
        ({"weight_per_minute": 59}, "from 60"),
        ({"weight_per_minute": 700}, "in need 600"),
        ({"weight_per_minute_max": 1201}, "to 1200"),
        ({"switch_ns": 4 * SECOND_NS, "push_ns": SECOND_NS}, "set 5 s ahead or more"),
        ({"push_ns": 31 * SECOND_NS}, "pushed twice before it fires"),
        ({"flatten_slippage_bps": 10_000}, "below 10000"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**changes)


def test_a_request_does_not_show_its_body() -> None:
    shown = repr(Ask(4, Lane.HTTP, RequestKind.ACTION, b"signature"))
    assert shown == "Ask(4, http, action)"
