"""A run is its seed: the same journal each time. Without faults it converges; what breaks is said with its seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.simulation import run as module
from hlhft.simulation.faults import Fault, FaultKind, plan
from hlhft.simulation.judge import Promise
from hlhft.simulation.run import Run, run
from hlhft.simulation.settings import RunSettings
from hlhft.simulation.time import SECOND
from hlhft.simulation.world import World
from tests.simulation.lives import lived
from tests.simulation.worlds import engine_of

SPAN_NS = 20 * SECOND


def test_the_same_seed_makes_the_same_journal_and_another_makes_another() -> None:
    first, again, other = run(3, SPAN_NS), run(3, SPAN_NS), run(4, SPAN_NS)
    assert first == again and first.journal != other.journal
    assert first.violation is None is other.violation


def test_without_faults_it_converges_at_once() -> None:
    outcome = run(2, SPAN_NS, ())
    assert outcome.violation is None and outcome.sessions == 1 and outcome.resumed == 0 and not outcome.faults
    assert outcome.venue_events > 2 * 20 * SPAN_NS // SECOND, "20 a second in each market, at least"
    assert outcome.actions > 10 and outcome.virtual_ns < SPAN_NS + 10 * SECOND


def test_faults_of_a_plan_are_done_and_others_are_not() -> None:
    outcome = run(2, SPAN_NS, [Fault(8 * SECOND, FaultKind.ENGINE_KILL, SECOND, 0)])
    assert outcome.violation is None and outcome.sessions == 2
    assert outcome.faults == {FaultKind.ENGINE_KILL: 1}


def test_an_operator_resumes_once_the_plan_lets_him() -> None:
    outcome = run(2, SPAN_NS, [Fault(8 * SECOND, FaultKind.OPERATOR_HALT, 5 * SECOND, 0)])
    assert outcome.violation is None and outcome.resumed == 1


def test_it_ends_where_it_is_told_to() -> None:
    outcome = run(2, SPAN_NS, (), until_ns=9 * SECOND)
    assert outcome.violation is None and outcome.virtual_ns == 9 * SECOND


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("_is_well", Promise.CONVERGES),
        ("_is_agreed", Promise.AGREES),
        ("_is_paid", Promise.PROFIT),
    ],
)
def test_what_does_not_come_to_hold_in_time(monkeypatch: pytest.MonkeyPatch, name: str, promise: Promise) -> None:
    monkeypatch.setattr(module, "CONVERGES_NS_MAX", 10 * SECOND)
    monkeypatch.setattr(module, "AGREES_NS_MAX", 10 * SECOND)
    monkeypatch.setattr(module, "READ_NS_MAX", 10 * SECOND)
    monkeypatch.setattr(Run, name, lambda self: False)
    outcome = run(2, 5 * SECOND, ())
    assert outcome.violation is not None and outcome.violation.promise is promise
    assert "stage trading" in str(outcome.violation).lower()


def test_what_is_raised_inside_is_a_promise_that_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    def carry(self: World, message: bytes) -> None:
        raise KeyError("a test")

    monkeypatch.setattr(World, "carry", carry)
    outcome = run(2, 5 * SECOND, ())
    assert outcome.violation is not None and outcome.violation.promise is Promise.ALIVE
    assert "KeyError: 'a test' (test_run.py, line" in str(outcome.violation)


def test_an_interrupt_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def live(self: Run, span_ns: int, until_ns: int | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "live", live)
    with pytest.raises(KeyboardInterrupt):
        run(2, 5 * SECOND, ())


def test_without_a_plan_it_is_the_seeds_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Sequence[Fault]] = []

    class Noted(World):
        def __init__(
            self, seed: int, folder: Path, faults: Sequence[Fault] = (), settings: RunSettings | None = None
        ) -> None:
            seen.append(faults)
            super().__init__(seed, folder, (), settings)

    monkeypatch.setattr(module, "World", Noted)
    run(7, SPAN_NS)
    assert seen == [plan(7, SPAN_NS)]


def test_who_was_halted_and_came_to_disagree_begins_anew(tmp_path: Path) -> None:
    """An operator halts it, and the owner trades by hand meanwhile: a resume alone is refused for ever."""
    ran, (process,) = lived(
        tmp_path, "10:operator-halt:30:0,15:hand-trade:0:1000", seconds=100, looks={40: engine_of}
    )  # fmt: skip
    halt = process.engine.supervisor.halt
    assert process.session == 1 and halt is not None and halt.cause is HaltCause.OPERATOR
    assert ran.world.exchange.positions()[0] > 0 and ran.outcome.resumed == 1
