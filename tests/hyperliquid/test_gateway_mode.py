"""The venue as it works, for post-only orders only, or down."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.backoff import SECOND_NS as S
from hlhft.hyperliquid.backoff import BackoffSettings
from hlhft.hyperliquid.gateway_mode import TRANSITIONS, Mode, ModeEvent, ModeSettings, VenueMode, transitions_table

WAITS = BackoffSettings(first_ns=2 * S, longest_ns=8 * S)


def mode() -> VenueMode:
    return VenueMode(ModeSettings(post_only_ns=30 * S, troubles_max=3, backoff=WAITS))


def test_every_pair_has_a_row_but_the_end_of_what_has_none() -> None:
    assert set(TRANSITIONS) == {(mode, event) for mode in Mode for event in ModeEvent} - {(Mode.NORMAL, ModeEvent.DUE)}
    lines = transitions_table().splitlines()
    assert len(lines) == 2 + len(TRANSITIONS)
    assert lines[2] == "| NORMAL | refused: post-only orders only | POST_ONLY |"


def test_a_post_only_window_ends_by_time_and_each_refusal_begins_it_anew() -> None:
    venue = mode()
    assert venue.post_only(0)
    assert venue.mode is Mode.POST_ONLY and venue.due_ns == 30 * S
    assert not venue.post_only(20 * S)
    assert not venue.pass_time(49 * S)
    assert not venue.good(), "other answers do not end it"
    assert venue.pass_time(50 * S)
    assert venue.mode is Mode.NORMAL
    assert not venue.pass_time(51 * S)


def test_errors_in_a_row_hold_placements_and_then_take_the_venue_down() -> None:
    venue = mode()
    assert not venue.trouble(0, 0)
    assert venue.hold_ns == S and venue.mode is Mode.NORMAL
    assert not venue.trouble(S, 0)
    assert venue.hold_ns == 3 * S
    assert venue.trouble(3 * S, 0)
    assert venue.mode is Mode.DOWN and venue.due_ns == venue.hold_ns == 7 * S
    assert not venue.trouble(4 * S, 0)
    assert venue.due_ns == 8 * S


def test_after_the_wait_there_is_another_try_which_one_error_ends() -> None:
    venue = mode()
    for _ in range(3):
        venue.trouble(0, 0)
    assert venue.pass_time(venue.hold_ns)
    assert venue.mode is Mode.NORMAL
    assert venue.trouble(10 * S, 0)
    assert venue.mode is Mode.DOWN


def test_an_answer_ends_the_row_of_errors() -> None:
    venue = mode()
    assert not venue.good(), "nothing to end"
    venue.trouble(0, 0)
    assert not venue.good()
    assert venue.hold_ns == 0
    for _ in range(3):
        venue.trouble(S, 0)
    assert venue.good()
    assert venue.mode is Mode.NORMAL and venue.due_ns is None


def test_a_post_only_window_outlives_a_single_error() -> None:
    venue = mode()
    venue.post_only(0)
    venue.trouble(S, 0)
    assert not venue.good()
    assert venue.mode is Mode.POST_ONLY and venue.due_ns == 30 * S


@pytest.mark.parametrize("values", [{"post_only_ns": 0}, {"troubles_max": 0}])
def test_settings_that_mean_nothing_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a post-only window has a length, and it takes at least one error"):
        ModeSettings(**values)  # type: ignore[arg-type]
