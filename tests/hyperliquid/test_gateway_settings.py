"""Numbers of a gateway that mean nothing are refused."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.backoff import MILLISECOND_NS, SECOND_NS
from hlhft.hyperliquid.gateway_settings import GatewaySettings

ACCOUNT = "0x" + 40 * "1"


def test_the_defaults_are_those_of_the_design() -> None:
    settings = GatewaySettings(account=ACCOUNT)
    assert settings.answer_ns == 3 * SECOND_NS and settings.repeat_ns == 250 * MILLISECOND_NS
    assert settings.posts_max + settings.posts_kept <= 100


def test_what_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="late_ns of the gateway is 0, and must be at least 1"):
        GatewaySettings(account=ACCOUNT, late_ns=0)


def test_a_cancel_may_be_repeated_never() -> None:
    assert GatewaySettings(account=ACCOUNT, repeats_max=0).repeats_max == 0
    with pytest.raises(ValueError, match="repeats_max of the gateway is -1, and must be at least 0"):
        GatewaySettings(account=ACCOUNT, repeats_max=-1)


def test_a_cancel_is_repeated_before_its_answer_counts_as_missing() -> None:
    with pytest.raises(ValueError, match="a cancel is repeated before answer_ns"):
        GatewaySettings(account=ACCOUNT, answer_ns=SECOND_NS, repeat_ns=SECOND_NS)
