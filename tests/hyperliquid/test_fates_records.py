"""Bounds, and what placements say of themselves."""

from __future__ import annotations

from dataclasses import fields

import pytest

from hlhft.hyperliquid.fates_records import (
    DEFAULTS,
    HALTING,
    MEANING,
    FateCode,
    FateSettings,
    Flight,
    Placement,
    reports_table,
)
from hlhft.hyperliquid.fates_table import DONE, State
from hlhft.hyperliquid.packing import ActionKind
from tests.hyperliquid.fate_news import NOW, T0


def placement() -> Placement:
    return Placement(1024, 2, 3, 1, 1, 1000, 10, T0, False, False, NOW, None)


@pytest.mark.parametrize("name", [field.name for field in fields(FateSettings)])
def test_a_bound_is_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of the fates is 0"):
        FateSettings(**{name: 0})


@pytest.mark.parametrize("state", list(State), ids=lambda one: one.name)
def test_what_is_not_over_can_still_fill_what_it_lacks(state: State) -> None:
    one = placement()
    one.filled_lots, one.state = 4, state
    assert one.is_done is (state in DONE)
    assert one.left_lots == (0 if state in DONE else 6)
    one.filled_lots = 12
    assert one.left_lots == 0


def test_a_placement_shows_what_is_known_of_it() -> None:
    assert repr(placement()) == "Placement(1024, revision=2, SENT, filled=0/10, oid=0)"


def test_no_fill_is_older_than_its_order_by_more_than_the_clocks_differ() -> None:
    assert placement().since_ms(DEFAULTS.skew_ms) == T0 - DEFAULTS.skew_ms
    assert placement().since_ms(T0 + 1) == 0


def test_an_action_waits_for_its_answer() -> None:
    flight = Flight(ActionKind.ORDER, (placement(),), is_core=True)
    assert (flight.kind, len(flight.placements), flight.is_core) == (ActionKind.ORDER, 1, True)
    assert not flight.is_silent
    assert not flight.is_reposted


def test_every_report_has_a_meaning_and_a_line() -> None:
    assert set(MEANING) == set(FateCode)
    lines = reports_table().splitlines()
    assert len(lines) == 2 + len(FateCode)
    assert [line.split(" | ")[2] for line in lines[2:]] == ["yes" if code in HALTING else "no" for code in FateCode]
