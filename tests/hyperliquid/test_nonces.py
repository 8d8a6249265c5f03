"""The allocator against the venue's own sets: none given out twice over crashes, every one taken in any order."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.nonces import Nonces, NonceSettings
from hlhft.hyperliquid.nonces import (
    DAY_MS,
    HOUR_MS,
    TRANSITIONS,
    VENUE_KEEPS,
    NonceAllocator,
    NonceError,
    NonceEvent,
    NonceRefusal,
    NonceRules,
    NonceState,
    transitions_table,
)

NOW = 1_790_000_000_000
SIGNER = "0x" + 40 * "a"


def ready(mark: int = 0, rules: NonceRules | None = None, *, now_ms: int = NOW) -> NonceAllocator:
    """One that may give out nonces: the venue knows none of ours, a mark is on disk."""
    made = NonceAllocator(mark, rules or NonceRules(first_alone=False))
    asked = made.reserve(now_ms, now_ms)
    assert asked is not None
    made.reserved(asked)
    assert made.evidence(0) is NonceState.PROVEN
    return made


def test_a_nonce_is_the_clock_or_one_more_than_the_last() -> None:
    nonces = ready()
    given_out = [nonces.allocate(now, NOW) for now in (NOW, NOW, NOW + 1, NOW + 1, NOW + 500, NOW + 2)]
    assert given_out == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 500, NOW + 501]
    assert nonces.unanswered == tuple(given_out)


def test_a_restart_begins_above_the_mark() -> None:
    nonces = ready()
    assert nonces.mark == NOW + 10_000
    assert nonces.allocate(NOW + 3, NOW) == NOW + 3
    again = ready(nonces.mark, now_ms=NOW + 5)
    assert again.allocate(NOW + 5, NOW + 5) == NOW + 10_001, "whatever was given out before lies at or below the mark"


def test_nothing_is_given_out_that_the_disk_does_not_cover() -> None:
    nonces = NonceAllocator(0, NonceRules(first_alone=False))
    nonces.evidence(0)
    assert nonces.allocate(NOW, NOW) is NonceRefusal.UNRESERVED
    mark = nonces.reserve(NOW, NOW)
    assert mark == NOW + 10_000 and nonces.reserve(NOW, NOW) is None, "one mark at a time is on its way"
    assert nonces.allocate(NOW, NOW, urgent=True) is NonceRefusal.UNRESERVED, "asked for is not on disk"
    nonces.reserved(mark)
    assert nonces.allocate(NOW, NOW) == NOW and nonces.reserve(NOW, NOW) is None


def test_a_new_mark_is_asked_for_at_half_a_window() -> None:
    nonces = ready()
    assert nonces.reserve(NOW + 4999, NOW + 4999) is None
    assert nonces.reserve(NOW + 5000, NOW + 5000) == NOW + 15_000


def test_when_the_disk_is_behind_what_was_reserved_is_used_one_by_one() -> None:
    nonces = ready()
    assert nonces.allocate(NOW + 9_998, NOW) == NOW + 9_998
    late = NOW + 20_000
    assert [nonces.allocate(late, late) for _ in range(3)] == [NOW + 9_999, NOW + 10_000, NonceRefusal.UNRESERVED]


def test_a_mark_that_could_not_be_written_is_asked_for_again() -> None:
    nonces = NonceAllocator(0)
    mark = nonces.reserve(NOW, NOW)
    nonces.not_reserved()
    assert nonces.mark == 0 and nonces.reserve(NOW, NOW) == mark


def test_only_the_mark_that_was_asked_for_is_confirmed() -> None:
    nonces = NonceAllocator(NOW)
    for wrong in (NOW, NOW - 1, NOW + 5):
        with pytest.raises(NonceError, match="not the mark"):
            nonces.reserved(wrong)
    mark = nonces.reserve(NOW, NOW)
    assert mark == NOW + 10_000
    with pytest.raises(NonceError):
        nonces.reserved(mark + 1)
    nonces.reserved(mark)
    with pytest.raises(NonceError):
        nonces.reserved(mark)


def test_a_clock_that_steps_back_gives_higher_nonces_still() -> None:
    nonces = ready()
    assert nonces.allocate(NOW + 1000, NOW + 1000) == NOW + 1000
    assert nonces.allocate(NOW - 3 * DAY_MS, NOW + 1001) == NOW + 1001
    fresh = ready()
    assert fresh.allocate(0, NOW) == NOW - 60_000, "it is believed within a minute of block time"


def test_a_clock_that_steps_forward_takes_the_nonces_with_it_a_minute_at_most() -> None:
    nonces = ready(rules=NonceRules(first_alone=False, window_ms=120_000))
    assert nonces.allocate(NOW + 300 * DAY_MS, NOW) == NOW + 60_000
    assert nonces.allocate(NOW + 1, NOW) == NOW + 60_001


def test_marks_of_many_restarts_are_bounded_ahead_of_block_time() -> None:
    mark = 0
    for _ in range(400):
        nonces = NonceAllocator(mark, NonceRules(first_alone=False))
        nonces.evidence(0)
        asked = nonces.reserve(NOW, NOW)
        assert asked is not None
        nonces.reserved(asked)
        mark = asked
    assert mark > NOW + HOUR_MS
    assert nonces.allocate(NOW, NOW) is NonceRefusal.AHEAD
    assert nonces.allocate(NOW, NOW, urgent=True) is NonceRefusal.AHEAD
    assert nonces.allocate(NOW, mark - HOUR_MS) == nonces.last, "time heals it"


def test_an_old_mark_must_be_renewed_before_use() -> None:
    nonces = ready()
    later = NOW + 2 * DAY_MS
    assert nonces.allocate(later, later) is NonceRefusal.BEHIND
    mark = nonces.reserve(later, later)
    assert mark == later + 10_000
    nonces.reserved(mark)
    assert nonces.allocate(later, later) == later


def test_placements_wait_for_the_evidence_and_cancels_do_not() -> None:
    nonces = NonceAllocator(NOW)
    nonces.reserved(nonces.reserve(NOW, NOW) or 0)
    assert nonces.allocate(NOW, NOW) is NonceRefusal.UNPROVEN
    assert nonces.allocate(NOW, NOW, urgent=True) == NOW + 1
    assert nonces.evidence(NOW + 1) is NonceState.PROVEN, "we gave it out ourselves"


def test_an_old_backup_is_noticed_by_what_the_venue_knows() -> None:
    nonces = NonceAllocator(NOW)
    assert nonces.evidence(NOW + 70_000) is NonceState.ROLLED_BACK
    nonces.reserved(nonces.reserve(NOW, NOW) or 0)
    assert nonces.mark == NOW + 80_000, "the window lies above the evidence"
    assert nonces.allocate(NOW, NOW) is NonceRefusal.ROLLED_BACK
    assert nonces.allocate(NOW, NOW, urgent=True) == NOW + 70_001
    assert nonces.evidence(NOW) is NonceState.ROLLED_BACK, "it stays, until somebody looked"
    assert nonces.resume() is NonceState.PROVEN
    assert nonces.answered(NOW + 70_001) and nonces.allocate(NOW, NOW) == NOW + 70_002


def test_somebody_else_with_our_key_is_noticed() -> None:
    nonces = ready()
    nonce = nonces.allocate(NOW, NOW)
    assert nonces.refused_as_used(int(nonce)) is NonceState.ROLLED_BACK
    assert nonces.unanswered == ()
    nonces.resume()
    assert nonces.evidence(NOW + 1) is NonceState.ROLLED_BACK, "a nonce that we did not give out"


def test_there_is_nothing_to_resume_from_without_a_reason() -> None:
    for nonces in (NonceAllocator(0), ready()):
        with pytest.raises(NonceError, match="RESUME cannot happen"):
            nonces.resume()


def test_the_first_nonce_of_a_run_is_answered_before_a_second_goes_out() -> None:
    nonces = ready(rules=NonceRules())
    first = nonces.allocate(NOW, NOW)
    assert first == NOW and nonces.allocate(NOW, NOW) is NonceRefusal.FIRST
    assert nonces.lost(NOW) and nonces.allocate(NOW, NOW) == NOW + 1, "what the venue never took proves nothing"
    assert nonces.allocate(NOW, NOW) is NonceRefusal.FIRST
    assert nonces.answered(NOW + 1) and not nonces.answered(NOW + 1)
    assert [nonces.allocate(NOW, NOW) for _ in range(2)] == [NOW + 2, NOW + 3]


def test_the_oldest_unanswered_nonce_has_few_behind_it() -> None:
    nonces = ready(rules=NonceRules(first_alone=False, span_max=3))
    assert [nonces.allocate(NOW, NOW) for _ in range(4)] == [NOW, NOW + 1, NOW + 2, NonceRefusal.IN_FLIGHT]
    assert nonces.answered(NOW + 1)
    assert nonces.allocate(NOW, NOW) is NonceRefusal.IN_FLIGHT, "the distance counts, not the number"
    assert nonces.answered(NOW)
    assert nonces.allocate(NOW, NOW) == NOW + 3


def test_cancels_go_beyond_it_and_what_the_venue_drops_is_counted() -> None:
    nonces = ready(rules=NonceRules(first_alone=False, span_max=1))
    for _ in range(VENUE_KEEPS + 2):
        assert isinstance(nonces.allocate(NOW, NOW, urgent=True), int)
    assert nonces.pushed_out == 2 and len(nonces.unanswered) == VENUE_KEEPS
    assert nonces.unanswered[0] == NOW + 2 and not nonces.answered(NOW)


@pytest.mark.parametrize(
    "rules",
    [
        {"window_ms": 0},
        {"window_ms": HOUR_MS},
        {"skew_ms_max": -1},
        {"skew_ms_max": DAY_MS, "ahead_ms_max": DAY_MS - 1, "window_ms": 1},
        {"behind_ms_max": 2 * DAY_MS},
        {"behind_ms_max": 59_999},
        {"ahead_ms_max": DAY_MS},
        {"span_max": 0},
        {"span_max": 101},
    ],
)
def test_bounds_that_do_not_fit_are_refused(rules: dict[str, int]) -> None:
    with pytest.raises(NonceError):
        NonceRules(**rules)  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", [-1, 2**63])
def test_a_mark_is_a_number_of_the_venue(mark: int) -> None:
    with pytest.raises(NonceError, match="a mark lies in"):
        NonceAllocator(mark)


def test_it_says_what_it_is_and_no_more() -> None:
    assert repr(ready()) == f"NonceAllocator(PROVEN, last=0, mark={NOW + 10_000}, unanswered=0)"


def test_every_pair_is_in_the_table_or_impossible() -> None:
    missing = {(s, e) for s, e in product(NonceState, NonceEvent) if e not in TRANSITIONS[s]}
    assert missing == {(NonceState.UNPROVEN, NonceEvent.RESUME), (NonceState.PROVEN, NonceEvent.RESUME)}
    assert transitions_table().splitlines()[2:] == [
        "| UNPROVEN | KNOWN → PROVEN, UNKNOWN → ROLLED_BACK |",
        "| PROVEN | KNOWN → PROVEN, UNKNOWN → ROLLED_BACK |",
        "| ROLLED_BACK | KNOWN → ROLLED_BACK, UNKNOWN → ROLLED_BACK, RESUME → PROVEN |",
    ]


class World:
    """A signer that trades, crashes and restarts, a network that reorders, and the venue's sets. Drawn from a seed."""

    def __init__(self, seed: int, *, strict: bool) -> None:
        self.draw = random.Random(seed)
        self.where = f"seed {seed}, strict {strict}"
        self.until_sent = self.draw.choice((180, 260, 350))  # of 400 turns: how many bring the next thing to send
        self.block_ms = NOW
        self.skew_ms = 0
        self.disk = 0
        self.pending: int | None = None
        self.venue = Nonces(NonceSettings(lowest_counts_from_first=strict))
        self.given: list[int] = []
        self.wire: list[int] = []  # on its way, in any order
        self.older: list[int] = []  # of earlier runs: the venue may refuse them, never take them twice
        self.taken: set[int] = set()
        self.start()

    def start(self) -> None:
        self.nonces = NonceAllocator(self.disk)
        self.older, self.wire, self.pending = self.older + self.wire, [], None
        self.nonces.evidence(min(max(self.taken, default=0), self.disk))

    def crash(self) -> None:
        if self.pending is not None and self.draw.randrange(2):
            self.disk = self.pending  # written, and nobody was told
        self.start()

    def persist(self) -> None:
        if self.pending is None:
            self.pending = self.nonces.reserve(self.now_ms, self.block_ms)
        elif self.draw.randrange(8):
            self.disk = self.pending
            self.nonces.reserved(self.pending)
            self.pending = None
        else:
            self.nonces.not_reserved()
            self.pending = None

    @property
    def now_ms(self) -> int:
        return self.block_ms + self.skew_ms

    def send(self) -> None:
        nonce = self.nonces.allocate(self.now_ms, self.block_ms)
        if isinstance(nonce, int):
            assert nonce <= self.disk, f"{self.where}: not on disk"
            self.given.append(nonce)
            self.wire.append(nonce)

    def arrive(self) -> None:
        queue = self.older if self.older and not self.draw.randrange(4) else self.wire
        if not queue:
            return
        nonce = queue.pop(self.draw.randrange(len(queue)))
        if queue is self.wire and not self.draw.randrange(20):
            self.nonces.lost(nonce)  # the frame was lost, and it is proven
            return
        refusal = self.venue.use(SIGNER, nonce, self.block_ms)
        if queue is self.wire:
            assert refusal is None, f"{self.where}: {refusal}"
            self.nonces.answered(nonce)
        if refusal is None:
            assert nonce not in self.taken, f"{self.where}: taken twice"
            self.taken.add(nonce)

    def turn(self) -> None:
        self.block_ms += self.draw.choice((0, 0, 1, 75, 900))
        step = self.draw.randrange(400)
        if step == 0:
            self.crash()
        elif step == 1:
            self.skew_ms = self.draw.choice((0, -5000, 5000, -HOUR_MS, HOUR_MS, -3 * DAY_MS, 3 * DAY_MS))
        elif step < 100:
            self.persist()
        elif step < self.until_sent:
            self.send()
        else:
            self.arrive()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), strict=st.booleans())
def test_every_nonce_is_taken_in_any_order_and_none_is_given_out_twice_over_crashes(seed: int, strict: bool) -> None:
    world = World(seed, strict=strict)
    for _ in range(3000):
        world.turn()
    assert all(earlier < later for earlier, later in pairwise(world.given)), f"{world.where}: not ascending"
    assert len(world.taken) > 50, f"{world.where}: it came to a halt"
