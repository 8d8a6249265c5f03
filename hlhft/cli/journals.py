"""A journal where a command takes a recording: the market data of its newest session, without the session's orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hlhft.data.sources import Source


def journal_source(paths: Sequence[Path]) -> Source | None:
    """The recording, where the only path is a journal, one of its files, or a folder that holds one; else None.

    Raises UsageError for a journal among several paths, and what JournalSource raises.
    """
    found = [journal for path in paths if (journal := _journal_at(path)) is not None]
    if not found:
        return None
    if len(paths) > 1:
        raise click.UsageError(f"{found[0]} is a journal, give it alone: its markets and times are its own")
    from hlhft.cli.report import name_of
    from hlhft.live.journal.recording import JournalSource

    source = JournalSource(found[0])
    source.name = f"{name_of(found[0])}-session-{source.session}"
    return source


def is_journal(source: Source) -> bool:
    """Whether the recording is a journal's: its feed is today's as it came, and nothing of it is to be thinned."""
    return source.reader.startswith("journal-")


def _journal_at(path: Path) -> Path | None:
    from hlhft.cli.report import journal_of
    from hlhft.live.journal.segments import files, parse_name

    try:
        journal = journal_of(path)
        if journal.is_dir():
            return journal if files(journal) else None
        return journal if journal.is_file() and parse_name(journal.name) is not None else None
    except PermissionError:
        return None  # whoever reads it says so
