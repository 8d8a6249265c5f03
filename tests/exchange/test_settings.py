from __future__ import annotations

import pytest

from hlhft.exchange.settings import Delays
from tests.exchange.clients import small_settings


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(AssertionError, match="each market has a reference price"):
        small_settings(reference_ticks=(5,))
    with pytest.raises(AssertionError, match="positive"):
        small_settings(reference_ticks=(5, 0))
    with pytest.raises(AssertionError, match="ascends"):
        Delays(taker_ms=(9, 8, 7, 6, 5, 4, 3, 2, 1))
    with pytest.raises(AssertionError, match="one entry for each probability"):
        Delays(maker_ms=(1, 2))
    with pytest.raises(AssertionError, match="from less to more"):
        Delays(publish_ms=(5, 4))


def test_everything_is_enforced_unless_switched_off() -> None:
    settings = small_settings()
    assert settings.with_limits
    assert type(settings)(listing=settings.listing, reference_ticks=settings.reference_ticks).with_delays
