"""A few of the mutations, found at once; the others are for whoever runs them (make mutations)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.simulation.judge import Promise
from tests.simulation import mutations
from tests.simulation.mutations import PAGE, Found, Unnoticed, find, mutated, read, table
from tests.simulation.safeguards import MUTATIONS, Edit, Mutation

HARMLESS = Mutation("harmless", "nothing", frozenset({Promise.NONCE}), (Edit("cli/simulate.py", "years", "years"),))
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


@pytest.mark.parametrize(("name", "first", "hours"), [("journal-first", 1, 0.005), ("reconcile", 19, 0.02)])
def test_what_is_found_within_three_runs(name: str, first: int, hours: float) -> None:
    found = find(BY_NAME[name], first=first, seeds=3, hours=hours, shrinks=name == "journal-first")
    assert found.name == name and first <= found.seed < first + 3
    assert "--first" in found.repeat and "--faults" in found.repeat


def test_what_breaks_nothing_and_what_breaks_another_promise_are_said() -> None:
    with pytest.raises(Unnoticed, match=r"harmless: no promise broke in 1 runs \(exit code 0\)"):
        find(HARMLESS, seeds=1, hours=0.001)
    other = BY_NAME["journal-first"]._replace(promises=frozenset({Promise.SLOT}))
    with pytest.raises(Unnoticed, match="journal-first: broke JOURNAL"):
        find(other, seeds=1, hours=0.002, shrinks=False)


def test_each_mutation_still_applies_to_what_is_there(tmp_path: Path) -> None:
    package = mutations.ROOT / "hlhft"
    for mutation in MUTATIONS:
        for edit in mutation.edits:
            assert (package / edit.file).read_text().count(edit.old) == 1, (mutation.name, edit.file)
            assert edit.old != edit.new
    mutated(BY_NAME["halt-gate"], tmp_path)
    assert "_HALT = (_D.OPEN_GATE, " in (tmp_path / "hlhft/hyperliquid/supervisor_table.py").read_text()
    assert not (tmp_path / "hlhft/units.py").exists()
    mutated(BY_NAME["old-data"], tmp_path / "twice")
    changed = (tmp_path / "twice/hlhft/hyperliquid/freshness.py").read_text()
    assert not any(edit.old in changed for edit in BY_NAME["old-data"].edits), "both edits of one file are made"
    with pytest.raises(ValueError, match="has the text 0 times, not once"):
        mutated(HARMLESS._replace(edits=(Edit("units.py", "not there", ""),)), tmp_path / "other")


def test_what_was_found_stands_in_the_page() -> None:
    found = list(read().values())
    assert table(found) in PAGE.read_text()
    assert {one.name for one in found} <= set(BY_NAME) and len(BY_NAME) == len(MUTATIONS)


def test_the_table_has_a_line_for_each() -> None:
    one = Found(name="a", safeguard="b", seed=3, promise="NONCE", sentence="c", repeat="x --faults 1:cut:0:1,2:cut:0:1")
    assert table([one]).splitlines()[2] == "| a | b | 3 | NONCE | `1:cut:0:1, 2:cut:0:1` |"
