"""No enumeration of refusals is missing from the list, and each of its codes says what it means somewhere."""

from __future__ import annotations

import ast
import re
from enum import IntEnum, StrEnum
from pathlib import Path

import pytest

from tests.codes import ELSEWHERE, FAMILIES, Family, anchor, comments, enumeration, meanings
from tests.reference import PAGE

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"(Refusal|Fault|Code|Cause|Breaker|Reason|Verdict)$")
# What is listed although its name does not tell.
OTHERS = {"live.node_health.Health"}
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Sample(IntEnum):
    """A sample."""

    NONE = 0
    FIRST = 1  # what stands beside it
    TOO_LARGE = 2


class Word(StrEnum):
    """Another."""

    SAID = "it says it"
    GAP = "GAP"
    LOST = "lost"  # what was told is gone


def declared() -> set[str]:
    """All enumerations of the package whose name tells that they refuse, find fault or report."""
    found = set()
    for path in sorted((ROOT / "hlhft").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "hlhft").with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                found |= {f"{module}.{node.name}"} if NAMED.search(node.name) else set()
    return found


def test_every_enumeration_of_refusals_is_listed_or_says_where_it_is() -> None:
    listed = [family.name for family in FAMILIES]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & ELSEWHERE.keys()
    assert declared() | OTHERS == set(listed) | ELSEWHERE.keys()


def test_a_document_that_is_named_is_there() -> None:
    named = {path for text in ELSEWHERE.values() for path in re.findall(r"docs/[a-z]+\.md", text)}
    assert len(named) > 3
    assert all((ROOT / path).is_file() for path in named)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_explained_in_the_reference_is_there_with_every_code(family: Family) -> None:
    if not family.section:
        assert all(meanings(family).values())
        return
    sections = dict(SECTION.findall(PAGE.read_text()))
    assert family.section in sections
    for code in enumeration(family.name):
        if code.name != "NONE":
            assert re.search(rf"\| `?{code.name}`? \|", sections[family.section]), code


def test_titles_are_there_once() -> None:
    assert len({anchor(family.title) for family in FAMILIES}) == len(FAMILIES)


def test_a_code_means_what_it_says_or_the_comment_beside_it_or_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert comments(Sample) == {"FIRST": "what stands beside it"}
    monkeypatch.setattr("tests.codes._named", {"a": Sample, "b": Word}.__getitem__)
    assert meanings(Family("a", "")) == {"FIRST": "what stands beside it", "TOO_LARGE": "too large"}
    assert meanings(Family("b", "")) == {"SAID": "it says it", "GAP": "gap", "LOST": "what was told is gone"}


def test_a_table_of_meanings_goes_before() -> None:
    (family,) = (family for family in FAMILIES if family.meanings)
    assert meanings(family)["OTHER_LEVEL"] == "an order rests at another price or side than its change says"


def test_an_anchor_is_that_of_the_web() -> None:
    assert anchor("A strategy's answer is refused") == "a-strategys-answer-is-refused"
    assert anchor("Limits of 2 things, or 3") == "limits-of-2-things-or-3"
