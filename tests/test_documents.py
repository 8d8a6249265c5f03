"""What the documents say about the program is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hlhft.cli import COMMANDS
from hlhft.cli.errors import MEANING
from tests import tidy

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [path for path in tidy.repository_files(ROOT) if path.suffix == ".md"]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_targets_exist(document: Path) -> None:
    text = document.read_text()
    console = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    code = "\n".join([console, *re.findall(r"`([^`\n]+)`", text)])
    named = set(re.findall(r"^(?:\.venv/bin/)?hlhft ([a-z]+)", code, re.MULTILINE))
    assert named <= set(COMMANDS)
    made = set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE))
    assert made <= targets()


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    code = "\n".join([*re.findall(r"```console\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)])
    assert {command for command in COMMANDS if re.search(rf"\b{command}\b", code)} == set(COMMANDS)


def test_the_readme_lists_the_exit_codes() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert rows == {str(int(code)): meaning for code, meaning in MEANING.items()}


def test_the_readme_shows_the_two_commands_first() -> None:
    first = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert first is not None
    assert re.findall(r"^make (\w+)", first[1], re.MULTILINE) == ["demo", "test"]


def test_every_target_is_documented_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()
