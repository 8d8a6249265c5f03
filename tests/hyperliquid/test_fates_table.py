"""The table of fates is complete, nothing that is over comes back, and only the venue's own words end what lived."""

from __future__ import annotations

from itertools import product

import pytest

from hlhft.hyperliquid.fates_table import (
    DONE,
    TRANSITIONS,
    UNRESOLVED,
    WHOLE,
    Evidence,
    State,
    Told,
    transitions_table,
)

S, E, T = State, Evidence, Told


@pytest.mark.parametrize(("state", "evidence"), list(product(State, Evidence)), ids=lambda one: one.name)
def test_every_pair_has_a_row_but_those_that_cannot_be(state: State, evidence: Evidence) -> None:
    if evidence in WHOLE:
        possible = state is S.ENDING
    else:
        possible = evidence is not E.ABSENCE or state in UNRESOLVED
    assert (evidence in TRANSITIONS[state]) is possible


@pytest.mark.parametrize("state", sorted(DONE), ids=lambda one: one.name)
def test_what_is_over_stays_over(state: State) -> None:
    assert {step.following for step in TRANSITIONS[state].values()} == {state}


@pytest.mark.parametrize("state", sorted(set(State) - DONE), ids=lambda one: one.name)
def test_only_proofs_end_an_order(state: State) -> None:
    ends = {evidence for evidence, step in TRANSITIONS[state].items() if step.following in DONE}
    assert ends <= {E.FILL_LAST, E.REJECTION, E.PROOF, E.UNSENT, E.ABSENCE, *WHOLE}
    assert (ends & {E.REJECTION, E.PROOF, E.UNSENT, E.ABSENCE} == set()) is (state not in UNRESOLVED), (
        "what lived was not refused"
    )


@pytest.mark.parametrize("state", [S.REJECTED, S.NEVER], ids=lambda one: one.name)
def test_what_never_lived_is_contradicted_by_every_sign_of_life(state: State) -> None:
    for evidence in (E.RESTS, E.SEEN, E.FILL, E.FILL_LAST, E.END):
        assert TRANSITIONS[state][evidence].told is T.CONTRADICTION


def test_what_is_told_fits_where_it_leads() -> None:
    leads = {
        T.ACKNOWLEDGED: {S.LIVE},
        T.CANCELLED: {S.CANCELLED, S.GONE},
        T.EXPIRED: {S.EXPIRED},
        T.REJECTED: {S.REJECTED, S.NEVER},
        T.UNKNOWN: {S.UNKNOWN, S.DOUBTED},
        T.SEND_FAILED: {S.NEVER},
    }
    for row in TRANSITIONS.values():
        for step in row.values():
            assert step.following in leads.get(step.told, set(State))


def test_a_doubt_ends_with_a_reading_only() -> None:
    assert TRANSITIONS[S.DOUBTED][E.RESTS].following is S.DOUBTED
    assert TRANSITIONS[S.DOUBTED][E.SEEN].following is S.LIVE


def test_the_printed_table_has_a_line_for_each_state() -> None:
    lines = transitions_table().splitlines()
    assert len(lines) == 2 + len(State)
    assert "SENT" in lines[2]
    assert "LOSS → UNKNOWN (UNKNOWN)" in lines[2]
    assert "FILL_LAST → FILLED," in lines[2]
