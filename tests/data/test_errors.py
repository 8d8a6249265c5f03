"""A data error names file, place and message in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.data.errors import DataError, printable


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (None, "a.gz: it is empty"),
        (7, "a.gz, line 7: it is empty"),
        ("row 7", "a.gz, row 7: it is empty"),
        ("member data", "a.gz, member data: it is empty"),
    ],
)
def test_the_sentence_says_where(line: int | str | None, text: str) -> None:
    error = DataError(Path("a.gz"), line, "it is empty")
    assert str(error) == text
    assert (error.path, error.line, error.message) == ("a.gz", line, "it is empty")


def test_what_a_file_holds_can_not_command_a_terminal() -> None:
    assert printable("a\x1b[2J\n\x07é\ud800\u202e") == "a\\x1b[2J\\n\\x07é\\ud800\\u202e"
    assert str(DataError("a", 1, 'begins with "\x1b[31m"')) == 'a, line 1: begins with "\\x1b[31m"'
