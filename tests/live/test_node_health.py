"""When a node's books may be quoted on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.live.node_health import TRANSITIONS, Health, HealthSettings, NodeHealth, Word

AGE_NS, LAG_NS = 1000, 300
SETTINGS = HealthSettings(age_ns_max=AGE_NS, lag_ns_max=LAG_NS)


def test_every_word_has_a_meaning_in_every_state() -> None:
    assert set(TRANSITIONS) == {(health, word) for health in Health for word in Word}


def test_one_block_near_its_time_makes_it_fresh_and_silence_ends_that() -> None:
    health = NodeHealth(SETTINGS)
    assert (health.state, health.deadline_ns(), health.lag_ns) == (Health.WAITING, None, None)
    assert not health.look(10**9), "what is waited for is not silent"
    assert health.heard(5000, 5300)
    assert (health.state, health.lag_ns, health.deadline_ns()) == (Health.FRESH, 300, 6300)
    assert not health.heard(5100, 5300)
    assert not health.look(6299)
    assert health.look(6300)
    assert health.state is Health.SILENT
    assert not health.look(6301)
    assert health.heard(6400, 6401)
    assert health.state is Health.FRESH


def test_old_blocks_are_not_fresh_until_one_is_near() -> None:
    health = NodeHealth(SETTINGS)
    assert health.heard(5000, 5301)
    assert health.state is Health.BEHIND
    assert not health.heard(5100, 5500)
    assert health.heard(5600, 5700)
    assert health.heard(5601, 6000)
    assert health.state is Health.BEHIND


def test_books_that_are_lost_are_waited_for_without_a_deadline() -> None:
    health = NodeHealth(SETTINGS)
    health.heard(5000, 5001)
    assert health.lost()
    assert (health.state, health.deadline_ns()) == (Health.WAITING, None)
    assert not health.lost()
    assert not health.look(10**9)


@settings(max_examples=60)
@given(steps=st.lists(st.tuples(st.sampled_from(("block", "look", "lost")), st.integers(0, 1500), st.integers(0, 600))))
def test_fresh_means_a_near_block_within_the_age_and_known_books(steps: list[tuple[str, int, int]]) -> None:
    health, now_ns = NodeHealth(SETTINGS), 10_000
    near_ns, heard_ns = -1, -1
    for step, wait_ns, lag_ns in steps:
        now_ns += wait_ns
        if step == "block":
            health.heard(now_ns - lag_ns, now_ns)
            heard_ns, near_ns = now_ns, now_ns if lag_ns <= LAG_NS else -1
        elif step == "lost":
            health.lost()
            near_ns = heard_ns = -1
        else:
            health.look(now_ns)
            if heard_ns >= 0 and now_ns - heard_ns >= AGE_NS:
                near_ns = -1
        assert (health.state is Health.FRESH) == (near_ns >= 0)


@pytest.mark.parametrize("wrong", [{"age_ns_max": 0}, {"lag_ns_max": -1}])
def test_limits_are_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be more than 0"):
        HealthSettings(**wrong)
