"""Whether a switch is confirmed, judged from what the host says over a new connection; the host's own table is in
nixos/files/switch.py."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """How far the host says a switch is."""

    IDLE = "idle"
    ARMED = "armed"
    ACTIVE = "active"
    CONFIRMED = "confirmed"
    REVERTING = "reverting"
    REVERTED = "reverted"


class Verdict(StrEnum):
    """What is done next."""

    WAIT = "wait"
    CONFIRM = "confirm"
    LOST = "lost"  # the former system runs again, or will


class Answer(msgspec.Struct, frozen=True):
    """What the host says."""

    stage: Stage
    system: str
    former: str
    current: str  # the system that runs
    failed: list[str]  # units


VERDICTS: Mapping[Stage, Verdict] = {
    Stage.IDLE: Verdict.LOST,  # it was booted since
    Stage.ARMED: Verdict.WAIT,
    Stage.ACTIVE: Verdict.CONFIRM,
    # It is kept; that it is what boots is known once a confirmation was answered, and giving one twice does no harm.
    Stage.CONFIRMED: Verdict.CONFIRM,
    Stage.REVERTING: Verdict.LOST,
    Stage.REVERTED: Verdict.LOST,
}


def judged(answer: Answer | None, system: str, failed_before: Set[str]) -> tuple[Verdict, str]:
    """The verdict on a switch to `system`, and why in a few words.

    No answer is no verdict: the host may be restarting its network. A unit that failed with the new system and had not
    before is a reason to let it revert; so is a system that is not the wanted one.
    """
    if answer is None:
        return Verdict.WAIT, "the host does not answer"
    verdict = VERDICTS[answer.stage]
    if answer.system != system and answer.stage is not Stage.IDLE:
        return Verdict.LOST, f"another switch is under way there, to {answer.system}"
    if answer.stage is Stage.ACTIVE:
        if answer.current != system:
            return Verdict.LOST, f"{answer.current} runs there"
        broken = sorted(set(answer.failed) - failed_before)
        if broken:
            return Verdict.LOST, f"{', '.join(broken)} failed with the new system"
    return verdict, f"the switch is {answer.stage}"
