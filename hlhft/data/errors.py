"""What is wrong with a recording, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hlhft.data.addresses import Place


def printable(text: str) -> str:
    """`text` with what does not print as escapes: what a damaged file holds must not command a terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class DataError(Exception):
    """A recording that cannot be used as it is: names file, line or field, what was expected, what to do."""

    def __init__(self, path: Place | str, line: int | str | None, message: str) -> None:
        """`line` is a line number, a named place ("row 12", "member data.npy"), or None for the whole file."""
        self.path = str(path)
        self.line = line
        self.message = message = printable(message)
        place = "" if line is None else f", line {line}" if isinstance(line, int) else f", {line}"
        super().__init__(f"{self.path}{place}: {message}")
