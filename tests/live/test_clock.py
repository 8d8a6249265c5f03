"""The clock never runs backwards, and follows the wall clock as far as it should."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.clock import SLEW_SHARE, STEP_NS, Clock

SECOND_NS = 1_000_000_000


class Hands:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self) -> None:
        self.wall_ns = 1_700_000_000 * SECOND_NS
        self.monotonic_ns = 5_000
        self.clock = Clock(wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns)

    def pass_time(self, ns: int, *, wall_ns: int | None = None) -> None:
        self.monotonic_ns += ns
        self.wall_ns += ns if wall_ns is None else wall_ns


def test_it_begins_with_the_wall_clock_and_goes_on_with_the_monotonic_one():
    hands = Hands()
    assert hands.clock.now_ns() == hands.wall_ns
    hands.pass_time(123, wall_ns=99 * SECOND_NS)
    assert hands.clock.now_ns() == 1_700_000_000 * SECOND_NS + 123


def test_a_small_difference_is_taken_up_slowly():
    hands = Hands()
    hands.pass_time(SECOND_NS, wall_ns=SECOND_NS + 3_000_000)
    assert hands.clock.discipline() == 0
    assert hands.wall_ns - hands.clock.now_ns() == 2_000_000 == hands.clock.error_ns
    for _ in range(2):
        hands.pass_time(SECOND_NS)
        hands.clock.discipline()
    assert hands.clock.now_ns() == hands.wall_ns
    assert hands.clock.steps == 0


def test_a_leap_ahead_is_followed_at_once_and_counted():
    hands = Hands()
    hands.pass_time(SECOND_NS, wall_ns=9 * SECOND_NS)
    assert hands.clock.discipline() == 8 * SECOND_NS
    assert hands.clock.now_ns() == hands.wall_ns
    assert (hands.clock.steps, hands.clock.step_ns) == (1, 8 * SECOND_NS)


def test_a_leap_back_is_waited_for_and_counted_once():
    hands = Hands()
    before_ns = hands.clock.now_ns()
    hands.pass_time(SECOND_NS, wall_ns=-4 * SECOND_NS)
    assert hands.clock.discipline() == -5 * SECOND_NS
    # For a moment it stands still, so that nobody sees less than just before.
    assert hands.clock.now_ns() == before_ns + SECOND_NS
    hands.pass_time(SECOND_NS // SLEW_SHARE)
    assert hands.clock.now_ns() == before_ns + SECOND_NS
    hands.pass_time(SECOND_NS)
    assert hands.clock.now_ns() == before_ns + 2 * SECOND_NS
    assert hands.clock.discipline() == 0
    assert hands.clock.steps == 1


@given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(-(10**11), 10**11)), max_size=30))
def test_it_never_runs_backwards(moves: list[tuple[int, int]]) -> None:
    hands = Hands()
    latest_ns = start_ns = hands.clock.now_ns()
    total_ns = 0
    for passed_ns, wall_ns in moves:
        hands.pass_time(passed_ns, wall_ns=wall_ns)
        before_ns = hands.clock.now_ns()
        assert latest_ns <= before_ns
        hands.clock.discipline()
        # Also where no time passes between two looks.
        assert hands.clock.now_ns() >= before_ns >= latest_ns
        # It may lose that share and no more.
        total_ns += passed_ns
        assert hands.clock.now_ns() >= start_ns + total_ns - total_ns // SLEW_SHARE - len(moves)
        assert hands.clock.error_ns <= STEP_NS
        latest_ns = hands.clock.now_ns()


def test_the_real_clocks_agree():
    clock = Clock()
    assert clock.discipline() == 0
    assert abs(clock.error_ns) < STEP_NS
