"""Where in its files an event stands."""

from __future__ import annotations

import itertools
from pathlib import Path

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import by_row
from hlhft.data.places import places_of
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from tests.data.making import BTC, LOCAL, ListSource, event, joined, trade

FIRST, SECOND, THIRD = trade(1, 1, 100, 1, 1), trade(2, 1, 100, 1, 2), trade(3, -1, 100, 1, 3)


def of(source: ListSource, repeated: frozenset[str] = frozenset(), **wanted: object) -> dict[str, str]:
    return places_of(source, wanted, repeated=repeated)  # type: ignore[arg-type]


def test_the_first_equal_event_is_meant_and_the_second_under_a_repeats_name() -> None:
    source = ListSource([joined([FIRST, SECOND]), joined([FIRST, THIRD])])
    assert of(source, a=FIRST, b=THIRD) == {"a": "row 0", "b": "row 3"}
    assert of(source, frozenset({"a"}), a=FIRST, b=SECOND) == {"a": "row 2", "b": "row 1"}
    assert of(ListSource([joined([FIRST, FIRST])]), frozenset({"a"}), a=FIRST) == {"a": "row 1"}


def test_a_repeat_that_differs_from_the_first_by_arrival_is_found_itself() -> None:
    later = trade(1, 1, 100, 1, 1, local=5000)
    assert of(ListSource([joined([FIRST, SECOND, later])]), frozenset({"a"}), a=later) == {"a": "row 2"}


def test_flags_and_what_readers_set_do_not_matter() -> None:
    marked = FIRST.copy()
    marked["flags"], marked["aux0"] = LOCAL, 7
    assert of(ListSource([FIRST]), a=marked) == {"a": "row 0"}


def test_an_inferred_event_has_no_place() -> None:
    assert of(ListSource([FIRST]), a=event(EventKind.DEPTH_CLEAR, 1), b=FIRST) == {"b": "row 0"}


def test_reading_stops_when_all_are_found_and_at_a_fault() -> None:
    torn = ListSource([joined([FIRST]), joined([SECOND])], fault=DataError("a", 3, "torn"))
    assert of(torn, a=FIRST, b=THIRD) == {"a": "row 0"}

    class Endless(ListSource):
        def numbered(self, meter: ProgressMeter):
            for rows in by_row(itertools.repeat(joined([FIRST, SECOND]))):
                yield Path("list"), rows

    assert of(Endless([]), frozenset({"b"}), a=SECOND, b=FIRST) == {"a": "row 1", "b": "row 2"}


def test_counts_of_the_reading_before_stay() -> None:
    class Counting(ListSource):
        def numbered(self, meter: ProgressMeter):
            self.counts["seen"] += 1
            return super().numbered(meter)

    source = Counting([FIRST])
    source.counts["seen"] = 5
    assert of(source, a=FIRST) == {"a": "row 0"}
    assert dict(source.counts) == {"seen": 5}
    assert isinstance(source.counts, Tally)


def test_the_file_is_named_where_there_are_several() -> None:
    source = ListSource([FIRST], [BTC])
    source.files = (Path("list"), Path("other"))
    assert of(source, a=FIRST) == {"a": "row 0 of list"}
