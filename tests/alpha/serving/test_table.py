"""The table of a market's states: whole, and every state can be left and reached."""

from __future__ import annotations

from hlhft.alpha.serving.table import FAULTS, REASONS, TABLE, Event, State, Step, reasons_table, transitions_table
from hlhft.alpha.wire import Reason


def test_every_state_has_a_reason_and_is_reached_and_left() -> None:
    assert set(REASONS) == set(State)
    assert {after for after, _ in TABLE.values()} == set(State)
    for state in State:
        assert any(before is state and after is not state for (before, _), (after, _) in TABLE.items())


def test_every_event_happens_somewhere_and_faults_are_events() -> None:
    assert {event for _, event in TABLE} == set(Event)
    assert set(Event) >= FAULTS


def test_a_model_is_asked_exactly_where_a_window_is_full() -> None:
    for (_, event), (after, steps) in TABLE.items():
        asks = Step.PREDICT in steps
        assert asks == (event in (Event.FULL, Event.SNAPSHOT_FULL))
        assert not asks or after is State.READY
        assert not (after is State.READY and REASONS[after] is not Reason.NONE)


def test_whatever_leaves_ready_but_for_a_new_session_is_said() -> None:
    for (before, event), (after, steps) in TABLE.items():
        if before is State.READY and after is not State.READY and event is not Event.SESSION:
            assert Step.ABSTAIN in steps


def test_the_documentation_has_a_line_for_each_transition_and_each_reason() -> None:
    assert transitions_table().count("\n") == len(TABLE) + 1
    assert "| ready | gap | gapped | ask for the newest rows; say that the model says nothing |" in transitions_table()
    assert reasons_table().count("\n") == len(Reason)
