"""Signals are judged at their horizon, by hand and for any course of the mid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.signal_judge import E9, EVERY_NS, SURPRISE_MAX, Outcome, SignalJudge

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def hear(judge: SignalJudge, at_ns: int, *, move_bp: float = 1.0, mid: int = 200_000) -> None:
    """A signal with a deviation of 2 bp."""
    judge.heard(
        0, now_ns=at_ns, data_ns=at_ns - 5, move_e9=round(move_bp * 100_000), deviation_e9=200_000, mid_half_ticks=mid
    )


@pytest.mark.parametrize(
    ("move_bp", "mid", "outcome", "surprise"),
    [
        (1.0, 200_060, Outcome.HIT, 1.0),  # 3 bp up instead of 1: 2 bp of 2
        (1.0, 199_980, Outcome.MISS, 1.0),  # 1 bp down instead of up
        (1.0, 200_000, Outcome.FLAT, 0.25),
        (-1.0, 199_980, Outcome.HIT, 0.0),
        (0.0, 200_020, Outcome.MISS, 0.25),  # nothing was to happen
    ],
)
def test_a_signal_is_judged_by_the_mid_at_its_horizon(
    move_bp: float, mid: int, outcome: Outcome, surprise: float
) -> None:
    judge = SignalJudge(2, horizon_ns=SECOND)
    hear(judge, START, move_bp=move_bp)
    judge.look(0, now_ns=START + SECOND - 1, mid_half_ticks=mid)
    judged = judge.markets[0]
    assert judged.counts == [0, 0, 0]
    judge.look(0, now_ns=START + SECOND, mid_half_ticks=mid)
    assert judged.counts == [int(outcome == one) for one in Outcome]
    assert judged.surprise == pytest.approx(surprise)
    assert judged.data_ns == START - 5
    judge.look(0, now_ns=START + 9 * SECOND, mid_half_ticks=mid)
    assert sum(judged.counts) == 1, "once"
    assert judge.markets[1].counts == [0, 0, 0]


def test_what_cannot_be_judged_is_not() -> None:
    judge = SignalJudge(1, horizon_ns=SECOND)
    hear(judge, START, mid=0)
    judge.heard(0, now_ns=START, data_ns=START, move_e9=0, deviation_e9=0, mid_half_ticks=200_000)
    judge.look(0, now_ns=START + SECOND, mid_half_ticks=200_000)
    hear(judge, START + 2 * SECOND)
    judge.look(0, now_ns=START + 3 * SECOND, mid_half_ticks=0)
    judge.look(0, now_ns=START + 4 * SECOND, mid_half_ticks=200_000)
    assert judge.markets[0].counts == [0, 0, 0]


def test_a_deviation_of_next_to_nothing_surprises_at_most_so_much() -> None:
    judge = SignalJudge(1, horizon_ns=SECOND)
    judge.heard(0, now_ns=START, data_ns=START, move_e9=E9, deviation_e9=1, mid_half_ticks=2)
    judge.look(0, now_ns=START + SECOND, mid_half_ticks=1)
    assert judge.markets[0].surprise == SURPRISE_MAX


@given(st.lists(st.integers(0, 3 * EVERY_NS), max_size=60), st.integers(1, 20 * EVERY_NS), st.booleans())
def test_at_most_one_a_second_is_judged_and_never_more_are_remembered_than_fit(
    waits: list[int], horizon_ns: int, looks: bool
) -> None:
    judge = SignalJudge(1, horizon_ns=horizon_ns)
    judged, now_ns, noted = judge.markets[0], START, []
    for wait_ns in waits:
        now_ns += wait_ns
        if looks:
            judge.look(0, now_ns=now_ns, mid_half_ticks=200_000)
        hear(judge, now_ns)
        if not noted or now_ns - noted[-1] >= EVERY_NS:
            noted.append(now_ns)
        assert len(judged.pending) <= horizon_ns // EVERY_NS + 2
    judge.look(0, now_ns=now_ns + horizon_ns, mid_half_ticks=200_000)
    assert sum(judged.counts) <= len(noted)
    if looks:
        assert sum(judged.counts) == len(noted)
