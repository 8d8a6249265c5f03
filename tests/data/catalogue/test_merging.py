"""Who owns which time, against a look at every instant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.manifest import SOURCES, Clock, Gap, Manifest
from hlhft.data.catalogue.merging import RANKS, clipped, owned, touches, within
from tests.data.making import BTC

END = 24


def manifest(
    source: str,
    name: str,
    covers: tuple[int, int],
    gaps: tuple[tuple[int, int], ...] = (),
    *,
    origin: str | None = None,
    rows: int = 1,
    first_exch_ns: int | None = None,
) -> Manifest:
    return Manifest(
        version=1,
        kind="book",
        coin="BTC",
        date="2026-04-01",
        name=name,
        source=source,
        origin=name if origin is None else origin,
        market=BTC,
        snapshots=True,
        rows=rows,
        first_exch_ns=covers[0] if first_exch_ns is None else first_exch_ns,
        last_exch_ns=covers[1],
        first_local_ns=0,
        last_local_ns=0,
        covers=covers,
        gaps=tuple(Gap(begin, end, "silence") for begin, end in gaps),
        clock=Clock("measured", "the test"),
        counts={},
        bytes=1,
        content_hash="",
    )


SPAN = st.tuples(st.integers(0, END), st.integers(0, END)).map(lambda ends: (min(ends), max(ends)))
PARTS = st.lists(
    st.builds(
        manifest,
        st.sampled_from(SOURCES),
        st.sampled_from("abcd"),
        SPAN,
        st.lists(SPAN, max_size=3).map(tuple),
        origin=st.sampled_from("xy"),
        rows=st.integers(0, 1),
        first_exch_ns=st.integers(0, END),
    ),
    max_size=6,
)


@dataclass
class Input:
    """What is cut into parts of one source and origin, looked at instant by instant."""

    parts: list[Manifest]

    def answers_for(self, instant: int) -> bool:
        if not any(part.covers[0] <= instant < part.covers[1] for part in self.parts):
            return False
        for part in self.parts:
            for gap in part.gaps:
                known = gap.from_ns if part.rows and gap.from_ns >= part.first_exch_ns else None
                if gap.from_ns <= instant < gap.to_ns and instant != known:
                    return False
        return True

    @property
    def order(self) -> tuple[object, ...]:
        first = self.parts[0]
        return RANKS[first.source], min((part.name, part.date) for part in self.parts), first.source, first.origin


@given(PARTS, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_every_instant_has_the_best_of_those_that_answer_for_it(parts: list[Manifest], random: Random) -> None:
    inputs: dict[tuple[str, str], Input] = {}
    for part in parts:
        inputs.setdefault((part.source, part.origin), Input([])).parts.append(part)
    ranges = owned(parts)
    for instant in range(END + 1):
        answering = [one for one in inputs.values() if one.answers_for(instant)]
        best = min(answering, key=lambda one: one.order).parts if answering else []
        owners = [part for part, mine in zip(parts, ranges, strict=True) if within(np.array([instant]), mine)[0]]
        assert sorted(map(id, owners)) == sorted(map(id, best))
    places = list(range(len(parts)))
    random.shuffle(places)
    assert owned([parts[place] for place in places]) == [ranges[place] for place in places]
    for mine in ranges:
        assert all(begin < end for begin, end in mine)
        assert all(one[1] < other[0] for one, other in pairwise(mine))


def test_a_gap_of_the_better_is_filled_from_the_other() -> None:
    better = manifest("recorder", "r", (0, 100), ((40, 60),))
    other = manifest("archive", "a", (10, 90))
    assert owned([other, better]) == [((41, 60),), ((0, 41), (60, 100))]


def test_pieces_of_one_input_do_not_compete() -> None:
    early = manifest("recorder", "recorder-07", (0, 50), origin="session")
    late = manifest("recorder", "recorder-08", (40, 90), origin="session")
    assert owned([early, late]) == [((0, 90),), ((0, 90),)]


def test_a_part_that_looked_and_found_nothing_owns_nothing_of_its_gap() -> None:
    missing = manifest("archive", "archive-07", (0, 100), ((0, 100),), rows=0)
    assert owned([missing, manifest("import", "i", (0, 100))]) == [(), ((0, 100),)]


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(0, 9, False), (0, 10, True), (15, 15, True), (20, 29, False), (39, 99, True)]
)
def test_touching_is_inclusive_at_both_ends(first: int, last: int, expected: bool) -> None:
    assert touches([(10, 20), (30, 40)], first, last) is expected


def test_clipping_drops_what_is_outside() -> None:
    assert clipped([(0, 10), (20, 30)], 5, 20) == ((5, 10),)
    assert clipped([(0, 10), (20, 30)], None, None) == ((0, 10), (20, 30))


def test_within_is_half_open() -> None:
    assert within(np.arange(6), [(1, 2), (4, 5)]).tolist() == [False, True, False, False, True, False]
    assert within(np.arange(2), []).tolist() == [False, False]
