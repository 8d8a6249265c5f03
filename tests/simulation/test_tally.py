"""A tally is added to and read back; what broke counts for nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hlhft.simulation.faults import FaultKind
from hlhft.simulation.judge import Promise, Violation
from hlhft.simulation.run import Outcome
from hlhft.simulation.tally import (
    HOUR_NS,
    TallyError,
    add,
    entry_of,
    hours_without_violation,
    joined,
    read,
    tally_table,
)


def outcome(seed: int, violation: Violation | None = None) -> Outcome:
    return Outcome(
        seed=seed, violation=violation, virtual_ns=HOUR_NS // 2, events=10, actions=3, sessions=2,
        faults=Counter({FaultKind.CUT: seed}),
    )  # fmt: skip


def test_runs_add_up() -> None:
    entry = entry_of([outcome(2), outcome(1, Violation(Promise.NONCE, "twice"))], at="now", revision="r")
    assert (entry.first_seed, entry.seeds, entry.hours, entry.violations) == (1, 2, 1.0, [1])
    assert (entry.events, entry.actions, entry.sessions, entry.faults) == (20, 6, 4, {"cut": 3})
    with pytest.raises(ValueError, match="no run"):
        entry_of([], at="now", revision="r")


def test_what_was_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tally.jsonl"
    entries = [entry_of([outcome(seed)], at=str(seed), revision="a" if seed < 3 else "b") for seed in (1, 2, 3)]
    for entry in entries:
        add(path, entry)
    assert read(path) == entries
    assert hours_without_violation(entries) == {"a": 1.0, "b": 0.5}
    broken = entry_of([outcome(4, Violation(Promise.SLOT, "two"))], at="4", revision="a")
    assert hours_without_violation([*entries, broken]) == {"b": 0.5}


def test_runs_that_go_on_from_others_are_one_entry() -> None:
    entries = [entry_of([outcome(seed)], at=str(seed), revision="a") for seed in (3, 1, 2, 5)]
    other = entry_of([outcome(6, Violation(Promise.SLOT, "two"))], at="6", revision="b")
    one, apart, last = joined([*entries, other])
    assert one == entry_of([outcome(1), outcome(2), outcome(3)], at="3", revision="a")
    assert (apart, last) == (entries[3], other), "a seed lacks, and what another revision did is apart"
    lines = tally_table([*entries, other]).splitlines()
    assert lines[2:] == [
        "| 3 | a | 1 to 3 | 1.5 | 6 | 9 | 6 | 0 |", "| 5 | a | 5 to 5 | 0.5 | 2 | 3 | 5 | 0 |",
        "| 6 | b | 6 to 6 | 0.5 | 2 | 3 | 6 | 1 |",
    ]  # fmt: skip


def test_a_file_that_is_no_tally_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tally.jsonl"
    path.write_text("hello\n")
    with pytest.raises(TallyError, match="line 1 is no entry"):
        read(path)
    path.write_bytes(b"x" * (1 << 17))
    with pytest.raises(TallyError, match="longer than"):
        read(path)
