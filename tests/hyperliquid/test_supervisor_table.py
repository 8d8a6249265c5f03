"""Every pair of stage and event is in the table, or known to be impossible."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.supervisor_table import TRANSITIONS, Event, Stage, Step, transitions_table

WARMED = frozenset({Event.WARMED, Event.WARMED_HALTED})
DERIVED = frozenset({Event.READY, Event.UNREADY})
IMPOSSIBLE: dict[Stage, frozenset[Event]] = {
    # What is derived is derived where it means something; a resume without a halt is refused before.
    Stage.STARTING: DERIVED | {Event.RESUME},
    Stage.WAITING: WARMED | {Event.UNREADY, Event.RESUME},
    Stage.TRADING: WARMED | {Event.READY, Event.RESUME},
    Stage.HALTED: WARMED,
    Stage.STOPPING: WARMED | {Event.RESUME},
    Stage.STOPPED: DERIVED | {Event.RESUME},
}
OPENS, REDUCES, CLOSES = Step.OPEN_GATE, Step.REDUCE_GATE, Step.CLOSE_GATE


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("event", Event)
def test_each_pair_is_a_row_or_impossible(stage: Stage, event: Event) -> None:
    assert ((stage, event) in TRANSITIONS) is not (event in IMPOSSIBLE[stage])


def test_every_stage_is_reached_and_every_step_is_taken() -> None:
    assert {stage for stage, _ in TRANSITIONS.values()} == set(Stage)
    assert {step for _, steps in TRANSITIONS.values() for step in steps} == set(Step)


def test_the_gate_opens_on_the_way_to_trading_only_and_after_the_core_knows() -> None:
    opening = [row for row in TRANSITIONS.values() if OPENS in row[1]]
    assert {stage for stage, _ in opening} == {Stage.TRADING}
    assert all(steps.index(Step.TELL_UP) < steps.index(OPENS) for _, steps in opening)
    assert [pair for pair, row in TRANSITIONS.items() if row[0] is Stage.TRADING and pair[0] is not Stage.TRADING] == [
        (Stage.WAITING, Event.READY)
    ]


def test_whatever_ends_trading_moves_the_gate_first() -> None:
    leaving = [row for (stage, _), row in TRANSITIONS.items() if stage is Stage.TRADING and row[0] is not stage]
    assert len(leaving) == 4
    assert all(steps[0] in (CLOSES, REDUCES) for _, steps in leaving)


def test_only_a_resume_leads_out_of_a_halt_and_only_a_stop_to_the_end() -> None:
    out = {(event, row[0]) for (stage, event), row in TRANSITIONS.items() if stage is Stage.HALTED}
    assert {pair for pair in out if pair[1] is not Stage.HALTED} == {
        (Event.RESUME, Stage.WAITING), (Event.STOP, Stage.STOPPING),
    }  # fmt: skip
    assert {row[0] for (stage, _), row in TRANSITIONS.items() if stage is Stage.STOPPED} == {Stage.STOPPED}


def test_a_halt_is_kept_wherever_it_happens_but_at_the_end() -> None:
    for stage in Stage:
        steps = TRANSITIONS[stage, Event.HALT][1]
        assert (Step.KEEP_HALT in steps) is (stage is not Stage.STOPPED)


def test_the_table_for_people() -> None:
    lines = transitions_table().splitlines()
    assert len(lines) == 2 + len(TRANSITIONS)
    assert "| stopping | empty | stopped | end, empty |" in lines
