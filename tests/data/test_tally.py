"""Counts by name, with the first event of each fault."""

from __future__ import annotations

from hlhft.data.tally import Tally
from tests.data.making import joined, trade


def test_a_note_counts_and_keeps_the_first_event() -> None:
    tally = Tally()
    tally.note("late", joined([trade(1, 1, 10, 1), trade(2, 1, 10, 1)]))
    tally.note("late", trade(3, 1, 10, 1))
    assert tally["late"] == 3
    assert tally.first["late"]["ts_exch_ns"].tolist() == [1]


def test_the_first_event_is_a_copy() -> None:
    tally, event = Tally(), trade(1, 1, 10, 1)
    tally.note("late", event)
    event["ts_exch_ns"] = 9
    assert tally.first["late"]["ts_exch_ns"].tolist() == [1]


def test_clear_forgets_everything() -> None:
    tally = Tally()
    tally.note("late", trade(1, 1, 10, 1))
    tally.clear()
    assert (dict(tally), tally.first) == ({}, {})


def test_counts_go_back_to_where_they_were() -> None:
    tally = Tally()
    tally["snapshot"] = 2
    before = tally.counted()
    tally["snapshot"] += 5
    tally["bbo"] += 1
    tally.forget_since(before)
    assert dict(tally) == {"snapshot": 2}


def test_absorbing_adds_counts_and_keeps_the_earlier_first_event() -> None:
    whole, part = Tally(), Tally()
    whole.note("late", trade(1, 1, 10, 1))
    part.note("late", trade(2, 1, 10, 1))
    part.note("repeated", trade(3, 1, 10, 1))
    whole.absorb(part, part.first)
    assert dict(whole) == {"late": 2, "repeated": 1}
    assert [whole.first[name]["ts_exch_ns"][0] for name in ("late", "repeated")] == [1, 3]
