"""A table of texts that belongs to one scenario: what the page's details are made of, and what others may add to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Rows of texts under heads; the first cell of a row says what it is of. A cell is never empty: what is not known
    or does not apply is `hlhft.report.numbers.DASH`."""

    title: str
    note: str  # what it says and what it does not, one or two sentences
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        assert self.rows and all(len(row) == len(self.heads) for row in self.rows), "a row has a cell for every head"
        assert all(cell for row in self.rows for cell in row), "a cell is never empty"
