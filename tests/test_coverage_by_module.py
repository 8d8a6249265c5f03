"""The coverage report finds every pure module and is not satisfied with less than its share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coverage_by_module import Result, measure, modules, summarise


def measured(*, covered: int, branches: int, percent: float) -> dict:
    summary = {"num_branches": branches, "covered_branches": covered, "percent_covered": percent}
    return {"summary": summary, "missing_lines": [3], "missing_branches": [[4, 5]]}


@pytest.mark.parametrize(
    ("covered", "branches", "percent", "enough"),
    [(19, 20, 95.0, True), (18, 20, 97.0, False), (20, 20, 94.9, False), (0, 0, 100.0, True)],
)
def test_both_shares_must_be_enough(covered: int, branches: int, percent: float, enough: bool) -> None:
    result = summarise("m", measured(covered=covered, branches=branches, percent=percent))
    assert result.is_enough is enough
    assert result.missing == "3; 4->5"


def test_a_missing_test_file_is_a_failure() -> None:
    result = measure(Path("hlhft/core/no_such_module.py"))
    assert isinstance(result, Result)
    assert not result.is_enough
    assert result.failure == "there is no tests/core/test_no_such_module.py"


def test_every_room_is_measured_and_names_are_checked() -> None:
    names = [str(path) for path in modules([])]
    rooms = {"alpha", "core", "venue", "config", "backtest", "hyperliquid", "exchange", "live", "data", "monitor"}
    assert {name.split("/")[1] for name in names} == rooms
    assert {"hlhft/live/journal/records.py", "hlhft/live/profit.py"} <= set(
        names
    ) and "hlhft/live/store.py" not in names
    assert "hlhft/exchange/machine.py" in names and "hlhft/exchange/server.py" not in names
    assert modules(["core/book"]) == [Path("hlhft/core/book.py")]
    with pytest.raises(SystemExit, match="core/nothing"):
        modules(["core/nothing"])
