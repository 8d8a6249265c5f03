"""What differs all the time disagrees; what differs now and then was under way."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.reconcile_compare import Difference
from hlhft.hyperliquid.reconcile_events import Code
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings
from hlhft.hyperliquid.reconcile_standing import Standings

SETTINGS = ReconcileSettings(standing_readings=3, leftover_readings=5, standing_ms=1_000, readings_max=8)
BTC = {"position BTC": Difference(Code.POSITION, "BTC differs")}
ETH = {"order 5": Difference(Code.ORDERS, "order 5 differs")}
LEFT = {"leftover 9": Difference(Code.LEFTOVERS, "9 is left over")}


def test_enough_readings_over_enough_time_disagree() -> None:
    standings = Standings(SETTINGS)
    assert standings.read(BTC, 0) is None and standings.read(BTC, 600) is None
    assert standings.read(BTC, 999) is None, "readings enough, and not the time"
    assert (standings.count("position BTC"), standings.count("order 5"), standings.readings) == (3, 0, 3)
    assert standings.read(BTC, 1_000) == Difference(Code.POSITION, "BTC differs (at 4 readings in a row)")


def test_a_break_begins_anew() -> None:
    standings = Standings(SETTINGS)
    for block_ms in (0, 1_000):
        assert standings.read(BTC, block_ms) is None
    assert standings.read(ETH, 2_000) is None and standings.count("position BTC") == 0
    assert standings.read({**BTC, **ETH}, 3_000) is None
    ending = standings.read({**BTC, **ETH}, 4_000)
    assert ending is not None and ending.code is Code.ORDERS
    standings.clear()
    assert (standings.readings, standings.count("order 5"), standings.read(ETH, 9_000)) == (0, 0, None)


def test_leftovers_are_given_more_time() -> None:
    standings = Standings(SETTINGS)
    endings = [standings.read(LEFT, 1_000 * number) for number in range(5)]
    assert [one is None for one in endings] == [True] * 4 + [False]


def test_a_round_that_never_agrees_ends_as_unstable() -> None:
    standings = Standings(SETTINGS)
    endings = [standings.read(BTC if number % 2 else ETH, 1_000 * number) for number in range(8)]
    assert endings[:7] == [None] * 7
    assert endings[7] == Difference(Code.UNSTABLE, "BTC differs (after 8 readings that all differed)")
    assert standings.read({}, 9_000) is None


def test_what_is_asked_about_waits_for_the_answer_and_not_for_ever() -> None:
    standings = Standings(SETTINGS)
    asked = {"order 5": Difference(Code.ORDERS, "order 5 differs", is_asked=True)}
    assert [standings.read(asked, 1_000 * number) for number in range(5)] == [None] * 5
    ending = standings.read(ETH, 5_000)
    assert ending == Difference(Code.ORDERS, "order 5 differs (at 6 readings in a row)"), "it was answered, and stands"
    standings.clear()
    endings = [standings.read(asked, 1_000 * number) for number in range(8)]
    assert endings[:7] == [None] * 7
    assert endings[7] == Difference(Code.UNSTABLE, "order 5 differs (after 8 readings that all differed)")


@settings(max_examples=60)
@given(st.lists(st.booleans(), max_size=12))
def test_it_disagrees_only_of_what_differed_without_a_break(seen: list[bool]) -> None:
    standings = Standings(ReconcileSettings(standing_readings=3, standing_ms=1_000))
    for number, differs in enumerate(seen, start=1):
        ending = standings.read(BTC if differs else {}, 1_000 * number)
        assert (ending is not None) == (number >= 3 and all(seen[number - 3 : number]))
