"""The log of trials: what was tried, what came of it, and who has seen which test block. Lines are only ever added.

Whoever tries long enough finds something that fits the test by luck. So every training, tuning step and evaluation is a
trial here before it begins; a test block is opened once by each trial, and how many trials there were is what deflated
Sharpe ratios and the probability of overfitting are computed with.

One JSON object a line; each holds the hash of the line before, so that a line that was edited or taken out of the
middle is noticed, and a card that keeps `head` also shows when the end was cut off. A line that a kill tore stays as it
is, and the next one says so; a line that only lacks its newline counts. Writers of other processes may add lines: a
lock on the file keeps them apart. Everything is on disk when a call returns.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from hlhft.alpha.splits import Split
from hlhft.data.writing import sync_folder

LINE_BYTES_MAX = 65_536
LINES_MAX = 1_000_000
FACTS_MAX = 64
_NOTHING_BEFORE = "0" * 32
_SCORED_MIN = 3  # fewer say nothing of how alike trials are

Fact = str | int | float | bool


class TrialLogError(Exception):
    """The log is damaged, full, or does not know the trial."""


class OpenedTwice(Exception):
    """A trial wants to see a test block that it has seen."""


class Begun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="begun"):
    """A trial began: what is tried, in the words of the command that tries it."""

    before: str
    time_ns: int
    trial: int
    facts: dict[str, Fact]


class Scored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="scored"):
    """A figure of a trial, from data that it was allowed to see."""

    before: str
    time_ns: int
    trial: int
    name: str
    value: float


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="opened"):
    """A trial was given the rows of a test block."""

    before: str
    time_ns: int
    trial: int
    test: str  # Split.key


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sealed"):
    """The line before was torn by a kill; it stays, and says nothing."""

    before: str
    time_ns: int
    bytes: int


Record = Begun | Scored | Opened | Sealed


class TrialLog:
    """The log in one file, which begins with the first trial."""

    def __init__(self, path: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises TrialLogError when a line is damaged, OSError when the file cannot be read."""
        self.path = path
        self._clock = clock
        self._read_bytes = 0
        self._lines = 0
        self._torn: bytes | None = None  # a line that is no record: the next has to seal it
        self._head = _NOTHING_BEFORE
        self._begun: dict[int, Begun] = {}  # bounded, as the others, by LINES_MAX
        self._scores: dict[int, dict[str, float]] = {}
        self._opened: dict[str, list[int]] = {}
        if path.exists():
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                self._catch_up(file)

    @property
    def head(self) -> str:
        """The hash of the last line, 32 hexadecimal digits; zeros where there is none."""
        return self._head

    @property
    def trials(self) -> Mapping[int, Begun]:
        """Every trial by its number, in order."""
        return self._begun

    def scores(self, trial: int) -> Mapping[str, float]:
        """The figures of a trial, the newest of each name."""
        return self._scores.get(trial, {})

    def openings(self, split: Split) -> tuple[int, ...]:
        """The trials that have seen this test block, in order."""
        return tuple(self._opened.get(split.key, ()))

    def begin(self, facts: Mapping[str, Fact]) -> int:
        """Logs a new trial and returns its number, from 1. Raises ValueError for too many or too long facts."""
        if len(facts) > FACTS_MAX:
            raise ValueError(f"{len(facts)} facts are more than the {FACTS_MAX} of a trial")
        with self._locked() as file:
            trial = len(self._begun) + 1
            self._append(
                file, Begun(before=self._head, time_ns=self._clock(), trial=trial, facts=dict(sorted(facts.items())))
            )
        return trial

    def score(self, trial: int, name: str, value: float) -> None:
        """Logs a figure of a trial. Raises TrialLogError for an unknown trial, ValueError for no finite number."""
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}, which is no figure of a trial")
        with self._locked() as file:
            self._check_known(trial)
            self._append(
                file, Scored(before=self._head, time_ns=self._clock(), trial=trial, name=name, value=float(value))
            )

    def open_test(self, split: Split, trial: int) -> NDArray[np.int64]:
        """The rows of the split's test block, once a trial.

        Raises OpenedTwice when the trial has seen it, TrialLogError for an unknown trial.
        """
        with self._locked() as file:
            self._check_known(trial)
            if trial in self._opened.get(split.key, ()):
                raise OpenedTwice(
                    f"trial {trial} has seen this test block already, and whoever looks twice chooses by it; begin a "
                    "new trial, which counts, or test on newer data"
                )
            self._append(file, Opened(before=self._head, time_ns=self._clock(), trial=trial, test=split.key))
        return split.test.rows

    def effective_trials(self, score: str) -> int:
        """How many independent trials the logged ones amount to, at least 1.

        Trials that have the figure `score` are taken by how alike neighbours are (purgedcv.effective_n_trials), every
        other one as a trial of its own. Raises ModuleNotFoundError without purgedcv.
        """
        values = [figures[score] for _, figures in sorted(self._scores.items()) if score in figures]
        others = len(self._begun) - len(values)
        if len(values) < _SCORED_MIN:
            return max(len(self._begun), 1)
        from purgedcv import effective_n_trials

        return int(effective_n_trials(np.array(values))) + others

    def _check_known(self, trial: int) -> None:
        if trial not in self._begun:
            raise TrialLogError(f"{self.path}: there is no trial {trial}, begin it first")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """The file, nobody else writing, everything in it read and a torn line sealed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_new:
                sync_folder(self.path.parent)
            self._seal(file, self._catch_up(file))
            yield file

    def _append(self, file: BinaryIO, record: Record) -> None:
        """Writes one line, on disk when it returns. Raises TrialLogError when the log is full."""
        if self._lines >= LINES_MAX:
            raise TrialLogError(f"{self.path}: it has {LINES_MAX} lines, which is its limit; keep it and name another")
        line = msgspec.json.encode(record)
        if len(line) > LINE_BYTES_MAX:
            raise ValueError(f"a line of {len(line)} bytes is longer than the {LINE_BYTES_MAX} of the log")
        file.seek(0, os.SEEK_END)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
        self._take(line, record)
        self._read_bytes = file.tell()

    def _catch_up(self, file: BinaryIO) -> bytes:
        """Takes the lines that are new; returns what is behind the last newline. Raises TrialLogError."""
        file.seek(self._read_bytes)
        while (line := file.readline(LINE_BYTES_MAX + 1)).endswith(b"\n"):
            self._read_bytes += len(line)
            self._take_read(line[:-1])
        if len(line) > LINE_BYTES_MAX:
            raise TrialLogError(
                f"{self._place}: the line has more than {LINE_BYTES_MAX} bytes; this is no log of trials"
            )
        return line

    @property
    def _place(self) -> str:
        return f"{self.path}, line {self._lines + 1}"

    def _take_read(self, line: bytes) -> None:
        """Takes a whole line of the file; one that is no record has to be sealed by a later one."""
        record = _record(line)
        if record is None:
            self._lines += 1
            self._torn = line
            self._head = _hash(self._head.encode() + line)
            return
        is_next = record.before == self._head and (self._torn is not None) == isinstance(record, Sealed)
        if isinstance(record, Sealed) and self._torn is not None and record.bytes != len(self._torn):
            is_next = False
        if isinstance(record, Begun) and record.trial != len(self._begun) + 1:
            is_next = False
        if not is_next:
            raise TrialLogError(
                f"{self._place}: it does not follow the line before it, so the log was changed; put back the copy that "
                "it was, or begin another log and count the trials of this one"
            )
        self._take(line, record)

    def _take(self, line: bytes, record: Record) -> None:
        """What a sound line says."""
        self._lines += 1
        self._head = _hash(line)
        self._torn = None
        if isinstance(record, Begun):
            self._begun[record.trial] = record
        elif isinstance(record, Scored):
            self._scores.setdefault(record.trial, {})[record.name] = record.value
        elif isinstance(record, Opened):
            self._opened.setdefault(record.test, []).append(record.trial)

    def _seal(self, file: BinaryIO, tail: bytes) -> None:
        """Ends a line that a kill tore, and says so. A whole one that only lacks its newline counts."""
        if tail:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
            self._read_bytes += len(tail) + 1
            self._take_read(tail)
        if self._torn is not None:
            self._append(file, Sealed(before=self._head, time_ns=self._clock(), bytes=len(self._torn)))


def _record(line: bytes) -> Record | None:
    try:
        record: Record = msgspec.json.decode(line, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record


def _hash(line: bytes) -> str:
    return hashlib.blake2b(line, digest_size=16).hexdigest()
