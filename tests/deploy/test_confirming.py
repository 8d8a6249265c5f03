"""A switch is confirmed only where the wanted system runs and nothing broke with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.deploy.confirming import VERDICTS, Answer, Stage, Verdict, judged
from tests.nix.test_switch import Stage as HostStage

NEW, OLD = "/nix/store/new-system", "/nix/store/old-system"


def answer(stage: Stage, *, system: str = NEW, current: str = NEW, failed: list[str] | None = None) -> Answer:
    return Answer(stage, system, OLD, current, failed or [])


def test_the_host_knows_the_same_stages() -> None:
    assert {str(stage) for stage in HostStage} == {str(stage) for stage in Stage} == set(map(str, VERDICTS))


def test_no_answer_is_no_verdict() -> None:
    assert judged(None, NEW, set())[0] is Verdict.WAIT


@pytest.mark.parametrize("stage", list(Stage))
def test_each_stage_has_its_verdict(stage: Stage) -> None:
    assert judged(answer(stage), NEW, set())[0] is VERDICTS[stage]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (answer(Stage.ACTIVE, current=OLD), f"{OLD} runs there"),
        (answer(Stage.ACTIVE, failed=["a.service", "old.service"]), "a.service failed with the new system"),
        (answer(Stage.ACTIVE, system="/nix/store/other"), "another switch is under way there, to /nix/store/other"),
        (answer(Stage.CONFIRMED, system="/nix/store/other"), "another switch is under way there, to /nix/store/other"),
    ],
)
def test_what_is_not_as_wanted_is_left_to_revert(told: Answer, why: str) -> None:
    assert judged(told, NEW, {"old.service"}) == (Verdict.LOST, why)


def test_what_had_failed_before_is_no_reason() -> None:
    assert judged(answer(Stage.ACTIVE, failed=["old.service"]), NEW, {"old.service"})[0] is Verdict.CONFIRM


@given(
    stage=st.sampled_from(Stage), system=st.sampled_from([NEW, OLD]), current=st.sampled_from([NEW, OLD]),
    failed=st.lists(st.sampled_from(["a.service", "b.service"]), unique=True), before=st.sets(st.just("a.service")),
)  # fmt: skip
def test_it_is_confirmed_in_no_other_case(
    stage: Stage, system: str, current: str, failed: list[str], before: set[str]
) -> None:
    told = Answer(stage, system, OLD, current, failed)
    is_good = stage is Stage.ACTIVE and system == current == NEW and set(failed) <= before
    is_good |= stage is Stage.CONFIRMED and system == NEW
    assert (judged(told, NEW, before)[0] is Verdict.CONFIRM) == is_good
