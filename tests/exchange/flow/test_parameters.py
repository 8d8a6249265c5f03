"""The shipped numbers, and the file that they stand in."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.data.markets import find
from hlhft.exchange.flow.calibration import KNOBS
from hlhft.exchange.flow.parameters import decoded, fitted, like, shipped, written
from tests.exchange.flow.stage import CALM, STILL


def test_four_coins_ship_and_lie_within_the_search():
    assert list(shipped()) == ["BTC", "ETH", "SOL", "WLFI"]
    for coin, numbers in shipped().items():
        assert find(coin).name == coin
        for name, (low, high, _) in KNOBS.items():
            assert low <= getattr(numbers, name) <= high, f"{coin} {name}"


def test_what_is_written_is_read_again():
    text = written("", "B", fitted(CALM, recording="one", date="2026-11-25", seed=3))
    text = written(text, "A", fitted(STILL, recording="two", date="2026-11-26", seed=4))
    entries = decoded(text)
    assert list(entries) == ["A", "B"]
    assert entries["B"].numbers == CALM
    assert (entries["A"].recording, entries["A"].date, entries["A"].seed) == ("two", "2026-11-26", 4)
    assert written(text, "A", entries["A"]) == text


def test_a_number_that_is_missing_is_an_error():
    text = written("", "B", fitted(CALM, recording="one", date="2026-11-25", seed=3))
    with pytest.raises(msgspec.ValidationError, match="impact_bp"):
        decoded(text.replace("impact_bp", "impact"))


def test_another_price_for_the_same_market():
    assert like(CALM, start_price=5.0).start_price == 5.0
    assert like(CALM, start_price=CALM.start_price) == CALM
    with pytest.raises(ValueError, match="must be positive, not 0"):
        like(CALM, start_price=0)
