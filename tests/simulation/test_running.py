"""The same outcomes on one processor and on two; a failing plan becomes small."""

from __future__ import annotations

import pytest

from hlhft.simulation import running
from hlhft.simulation.faults import Fault, FaultKind
from hlhft.simulation.judge import Judge, Promise, Violation
from hlhft.simulation.running import outcomes, run_quietly, smallest
from hlhft.simulation.time import SECOND

SPAN_NS = 8 * SECOND


def test_one_processor_or_two_come_to_the_same() -> None:
    assert list(outcomes(range(1, 4), SPAN_NS, processes=1)) == list(outcomes(range(1, 4), SPAN_NS, processes=2))


def test_what_nobody_asks_for_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(running, "run", lambda seed, span_ns, faults, settings, until_ns: begun.append(seed))
    for outcome in outcomes(range(1, 100), SPAN_NS, processes=1):
        assert outcome is None
        break
    assert begun == [1]


def test_what_is_not_needed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody breaks the engine whenever it is killed while an operator halts it."""

    def ends(self: Judge, process: object) -> None:
        if self._world.misfortune.is_halting:
            raise Violation(Promise.LATCH, "a test")

    monkeypatch.setattr(Judge, "ends", ends)
    needed = (
        Fault(3 * SECOND, FaultKind.OPERATOR_HALT, 4 * SECOND, 0),
        Fault(5 * SECOND, FaultKind.ENGINE_KILL, SECOND, 0),
    )
    plan = sorted(
        [*needed, *(Fault(at * SECOND // 2, FaultKind.TEARS, SECOND, 100) for at in (1, 2, 4, 9, 30)),
         Fault(4 * SECOND, FaultKind.CUT, 0, 300)]
    )  # fmt: skip
    outcome = run_quietly(1, SPAN_NS, plan)
    assert outcome.violation is not None and outcome.virtual_ns == 5 * SECOND
    assert smallest(outcome, plan, SPAN_NS) == needed
