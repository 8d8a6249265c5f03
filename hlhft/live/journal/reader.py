"""Reads a journal: which files of a folder belong to a session, and what a file holds, however it ends.

Reading never fails for what the files hold: a torn tail, damaged compression, an empty spare are told in words, and the
whole records before them are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hlhft.events import EventKind
from hlhft.live.journal.records import (
    Parser,
    Record,
    RecordKind,
    Tail,
    read_inputs,
)
from hlhft.live.journal.segments import File, Form, JournalError, Name, files, parse_name, pieces

MARKET_KINDS = 8  # event kinds below this are market data
_PREFERRED = (Form.WHOLE, Form.OPEN, Form.LEDGER)  # a compressed file appears when it is complete


class Reading:
    """One file, read once: iterate, then ask how it ended."""

    def __init__(self, path: Path) -> None:
        """Raises JournalError when the name is none of a journal's file."""
        parsed = parse_name(path.name)
        if parsed is None:
            raise JournalError(f"{path}: this is no file of a journal, give one or the folder that holds them")
        self.path = path
        self.name, self.form = parsed
        self._parser = Parser(is_gapless=self.form is not Form.LEDGER)
        self._damage = ""

    def __iter__(self) -> Iterator[Record]:
        """The whole records, in order. Raises JournalError when the file cannot be opened."""
        parser, source = self._parser, pieces(self.path)
        while True:
            try:
                piece = next(source, None)
            except JournalError as error:
                if parser.read == 0 and not self.path.is_file():
                    raise
                self._damage = str(error)
                break
            if piece is None:
                break
            yield from parser.feed(piece)
        parser.finish()

    @property
    def tail(self) -> Tail:
        """How it ended; known once everything was read."""
        return Tail.TORN if self._damage else self._parser.tail

    @property
    def is_empty(self) -> bool:
        """A spare that was never used."""
        return self._parser.records == 0 and self.tail is Tail.OPEN

    @property
    def end(self) -> int:
        """Bytes of whole records."""
        return self._parser.end

    @property
    def sequence(self) -> int:
        """Of the last record."""
        return self._parser.sequence

    @property
    def fault(self) -> str:
        """Why the tail is torn, in words; empty otherwise."""
        if self._damage:
            return self._damage
        if self.tail is not Tail.TORN:
            return ""
        return (
            f"{self.path}: {self._parser.fault} at byte {self.end}; the {self._parser.records} records before it are"
            f" whole, {self._parser.bytes_behind} bytes from there on are not read"
        )


def sessions(folder: Path) -> list[int]:
    """The sessions that the folder holds anything of, oldest first. Raises OSError, JournalError."""
    return sorted({file.name.session for file in files(folder)})


def newest_session(folder: Path) -> int:
    """The newest session that the journal knows, 0 when there is none: the store is compared with it."""
    return max(sessions(folder), default=0) if folder.is_dir() else 0


def readings(path: Path, session: int | None = None) -> list[Reading]:
    """The files of one session in order, of each segment the one that holds most; or the one file that `path` is.

    Without `session` the newest of the folder. Raises JournalError when there is nothing.
    """
    if not path.is_dir():
        return [Reading(path)]
    found = files(path)
    wanted = max((file.name.session for file in found), default=0) if session is None else session
    best: dict[Name, File] = {}
    for file in found:
        if file.name.session == wanted:
            held = best.get(file.name)
            if held is None or _PREFERRED.index(file.form) < _PREFERRED.index(held.form):
                best[file.name] = file
    if not best:
        which = "no journal" if session is None else f"nothing of session {session}"
        known = ", ".join(map(str, sorted({file.name.session for file in found})[-10:]))
        raise JournalError(f"{path}: there is {which} in this folder" + (f"; it holds {known}" if known else ""))
    return [Reading(best[name].path) for name in sorted(best)]


def account_events(path: Path, session: int | None = None) -> Iterator[np.ndarray]:
    """Everything that the core was told of but market data and timers, EVENT_DTYPE[n], one array for each step that has
    any, in order. Ledgers hold it as well as whole journals. Raises JournalError as `readings` does."""
    for reading in readings(path, session):
        for record in reading:
            if record.kind is RecordKind.INPUTS:
                kept = without_market_data(read_inputs(record.payload))
                if len(kept):
                    yield kept


def market_data(path: Path, session: int | None = None) -> Iterator[np.ndarray]:
    """The market data of the session, EVENT_DTYPE[n], one array for each step that has any. Raises as `readings`."""
    for reading in readings(path, session):
        for record in reading:
            if record.kind is RecordKind.INPUTS:
                rows = read_inputs(record.payload)
                kept = rows[(rows["kind"] < MARKET_KINDS) & (rows["kind"] != int(EventKind.NONE))]
                if len(kept):
                    yield kept


def without_market_data(rows: np.ndarray) -> np.ndarray:
    """The events that a ledger keeps."""
    kept: np.ndarray = rows[(rows["kind"] >= MARKET_KINDS) & (rows["kind"] != int(EventKind.TIMER))]
    return kept
