"""A plan comes from its seed alone, keeps the bounds of its kinds, and reads back as it is printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.faults import RULES, Fault, FaultError, FaultKind, plan, read_plan
from hlhft.simulation.time import SECOND

HOUR_NS = 3600 * SECOND


@given(st.integers(0, 10**9))
def test_a_plan_keeps_the_bounds_of_its_kinds(seed: int) -> None:
    faults = plan(seed, HOUR_NS)
    assert faults == plan(seed, HOUR_NS)
    assert list(faults) == sorted(faults, key=lambda fault: fault.at_ns)
    for fault in faults:
        rule = RULES[fault.kind]
        assert 0 <= fault.at_ns < HOUR_NS
        assert rule.shortest_ns <= fault.length_ns <= rule.longest_ns
        assert rule.smallest <= fault.size <= rule.largest


def test_every_kind_has_a_rule_and_comes_in_some_run_and_not_in_all() -> None:
    assert set(RULES) == set(FaultKind)
    runs = [{fault.kind for fault in plan(seed, HOUR_NS)} for seed in range(60)]
    for kind in FaultKind:
        assert any(kind in run for run in runs) and not all(kind in run for run in runs), kind


def test_a_longer_span_begins_with_the_same_faults() -> None:
    short, long = plan(3, HOUR_NS), plan(3, 2 * HOUR_NS)
    assert long[: len(short)] == short


@given(st.integers(0, 1000))
def test_a_plan_reads_back_as_it_is_printed(seed: int) -> None:
    faults = plan(seed, HOUR_NS)
    assert read_plan(",".join(map(str, faults)) or "none") == tuple(sorted(faults))


@pytest.mark.parametrize("text", ["cut", "1:cut:0", "1:nothing:0:1", "x:cut:0:1", "1:cut:0:y", ""])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(FaultError, match="is no fault: give SECONDS:KIND:SECONDS:SIZE"):
        read_plan(text)


def test_no_fault() -> None:
    assert read_plan("none") == ()
    assert str(Fault(1_500_000_000, FaultKind.CUT, 0, 500)) == "1.5:cut:0:500"
