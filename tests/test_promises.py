"""Every test that docs/promises.md names is there, and each complaint names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "promises.md"
ROW = re.compile(r"^\| (\d+) \| .+ \| .+ \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
COMPLAINTS = 20


def rows() -> list[tuple[int, str]]:
    return [(int(number), shown) for number, shown in ROW.findall(PAGE.read_text())]


def test_every_complaint_has_a_row() -> None:
    assert [number for number, _ in rows()] == list(range(1, COMPLAINTS + 1))


@pytest.mark.parametrize(("number", "shown"), rows(), ids=[str(number) for number, _ in rows()])
def test_every_test_that_is_named_exists(number: int, shown: str) -> None:
    named = NAMED.findall(shown)
    assert named
    assert NAMED.sub("", shown).strip(", ") == "", "nothing but tests stands there"
    for path, test in named:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path} has no {test}"


def test_what_is_not_done_is_said_of_rows_that_there_are() -> None:
    _, _, undone = PAGE.read_text().partition("## Not done\n")
    numbers = re.findall(r"^- \*\*(\d+)\*\*", undone, re.MULTILINE)
    assert numbers and {int(number) for number in numbers} <= {number for number, _ in rows()}
