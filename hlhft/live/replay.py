"""Replays a journal: a brain in the state of its head steps over the same inputs, and must decide the same.

The commands that the journal holds are not read by the replay, only compared with what it decides, byte for byte; so
are the states at checkpoints and at the heads of segments. The first difference ends it and is told: which file, which
record, which step, what was expected and what came. What a process did not write any more, because it was killed, is no
difference; what is damaged is told, and the replay goes on at the next head.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from hlhft.compiled import running_key
from hlhft.core.brain import Brain
from hlhft.core.state import COMMAND_DTYPE, CommandKind
from hlhft.events import EVENT_DTYPE
from hlhft.live.journal.brains import brain_of, processor, state, versions
from hlhft.live.journal.reader import Reading, readings
from hlhft.live.journal.records import (
    EndReason,
    NoteKind,
    Record,
    RecordError,
    RecordKind,
    Start,
    Tail,
    count_of_inputs,
    read_checkpoint,
    read_start,
)
from hlhft.live.journal.segments import Form, JournalError
from hlhft.live.journal.writer import digest

DIGESTS_MAX = 64  # of states whose checkpoint has not come yet; a writer is late by one
FAULTS_MAX = 100


class VersionError(Exception):
    """A journal of other code, libraries or another processor than run here."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the replay first decided otherwise."""

    file: str
    sequence: int  # of the record that differs
    step: int  # of the session
    what: str


class Replayed(msgspec.Struct, kw_only=True):
    """What a replay found."""

    session: int = 0
    segments: int = 0
    steps: int = 0
    events: int = 0
    commands: int = 0
    checkpoints: int = 0  # states that were compared, heads of segments included
    ended: bool = False  # the session wrote that it ended
    difference: Difference | None = None
    faults: list[str] = []  # damage, in words; at most FAULTS_MAX

    @property
    def is_equal(self) -> bool:
        """Everything that could be compared was equal."""
        return self.difference is None


class Beside(Protocol):
    """Follows a replay: what else is to be known of a session than whether it is equal."""

    def stepped(self, brain: Brain, events: np.ndarray, count: int) -> None:
        """The brain stepped over the first `count` of these EVENT_DTYPE events, one frame; valid for this call. The
        brain may be another object than before, with the same state."""

    def lost(self) -> None:
        """Records are missing here, and the next brain has stepped over what they told."""


class _Differs(Exception):
    """Ends the replay of a session."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Replay:
    """Takes the records of a session, in order, and compares. Raises _Differs at the first difference."""

    def __init__(self, result: Replayed, *, ignore_versions: bool, beside: Beside | None = None) -> None:
        self.result = result
        self._beside = beside
        self.step = 0  # of the session: the number of the step that was done last
        self._ignore_versions = ignore_versions
        self._brain: Brain | None = None
        self._start: Start | None = None
        self._rows = np.zeros(1024, EVENT_DTYPE)
        self._row_bytes = memoryview(self._rows.view(np.uint8).data)
        self._decided: np.ndarray | None = None  # commands of the last step that the journal has not shown yet
        self._digests: dict[int, bytes] = {}
        self._was_changed = False  # by something else than a step, since the last one
        self._on: dict[RecordKind, Callable[[Record], None]] = {
            RecordKind.START: self._head,
            RecordKind.INPUTS: self._inputs,
            RecordKind.COMMANDS: self._commands,
            RecordKind.CHECKPOINT: self._checkpoint,
            RecordKind.NOTE: self._note,
        }

    def take(self, record: Record) -> None:
        """The next record. Raises RecordError when its payload cannot be read, VersionError, StrategyError."""
        action = self._on.get(record.kind)
        if action is not None:
            action(record)

    def lose(self) -> None:
        """Records are missing from here on: the next head begins anew."""
        self._brain = self._decided = None
        self._digests.clear()
        if self._beside is not None:
            self._beside.lost()

    def end(self) -> None:
        """The session ended, and wrote so. Commands that a killed one did not write any more it did not send either."""
        self._expect_nothing()

    def _head(self, record: Record) -> None:
        self._expect_nothing()
        start = read_start(record.payload)
        if self._start is None or not _is_same(self._start, start):
            self._check_versions(start)
        before, self._start = self._brain, start
        if before is None or self._was_changed:
            self._brain = brain_of(start)
            self._digests.clear()
        else:
            if start.step != self.step:
                raise _Differs(f"the head says step {start.step} and the segments before it end with {self.step}")
            self._compare_states(state(before) == start.snapshot, "the head of the segment")
        self.step, self._was_changed = start.step, False

    def _inputs(self, record: Record) -> None:
        self._expect_nothing()
        brain, start = self._standing()
        count = count_of_inputs(record.payload)
        if count > len(self._rows):
            self._rows = np.zeros(2 * count, EVENT_DTYPE)
            self._row_bytes = memoryview(self._rows.view(np.uint8).data)
        # Copied, because compiled code knows writable arrays only; as bytes, because numpy copies records field by
        # field.
        self._row_bytes[: len(record.payload)] = record.payload
        decided = brain.step(self._rows, count)
        self._decided = brain.commands[:decided] if decided else None
        self.step += 1
        self.result.steps += 1
        self.result.events += count
        self.result.commands += decided
        if self._beside is not None:
            self._beside.stepped(brain, self._rows, count)
        if self.step % start.checkpoint_steps == 0:
            if len(self._digests) == DIGESTS_MAX:
                del self._digests[next(iter(self._digests))]
            self._digests[self.step] = digest(state(brain))

    def _commands(self, record: Record) -> None:
        decided, self._decided = self._decided, None
        if decided is None:
            raise _Differs(f"the journal has {_counted(_commands_of(record))} and the replay decides on none")
        if decided.tobytes() != record.payload:
            raise _Differs(_in_words(_commands_of(record), decided))

    def _checkpoint(self, record: Record) -> None:
        checkpoint = read_checkpoint(record.payload)
        found = self._digests.pop(checkpoint.step, None)
        if found is not None:  # else it is of a step before the first head
            self._compare_states(found == checkpoint.digest, f"step {checkpoint.step}")

    def _note(self, record: Record) -> None:
        self._was_changed |= record.detail == NoteKind.SETTINGS

    def _standing(self) -> tuple[Brain, Start]:
        assert self._brain is not None and self._start is not None, "a segment begins with its head"
        return self._brain, self._start

    def _expect_nothing(self) -> None:
        decided, self._decided = self._decided, None
        if decided is not None:
            raise _Differs(f"the replay decides on {_counted(decided)} and the journal has none: {_one(decided[0])}")

    def _compare_states(self, is_equal: bool, where: str) -> None:
        self.result.checkpoints += 1
        if not is_equal:
            raise _Differs(f"the state at {where} is not that of the replay, though all commands before it are equal")

    def _check_versions(self, start: Start) -> None:
        """Other code decides otherwise, and then a difference says nothing. Raises VersionError."""
        if self._ignore_versions:
            return
        here = {"code key": running_key(), "processor": processor(), **versions()}
        there = {"code key": start.code_key, "processor": start.cpu, **start.versions}
        for name, value in there.items():
            if here.get(name) != value:
                raise VersionError(
                    f"the journal was written with {name} {value} and here is {here.get(name)}; replay it where it was"
                    " written, or with --ignore-versions"
                )


def replay(
    path: Path,
    session: int | None = None,
    *,
    ignore_versions: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    beside: Beside | None = None,
) -> Replayed:
    """Replays one session of a folder, by default the newest, or one file.

    `progress` is told the files done and their number, `beside` each step. Raises JournalError when there is nothing to
    replay, VersionError unless `ignore_versions`, RecordError when a head is of another schema or shape, StrategyError
    when the strategy cannot be loaded.
    """
    found = readings(path, session)
    wholes = [reading for reading in found if reading.form is not Form.LEDGER]
    if not wholes:
        raise JournalError(f"{path}: only ledgers are left, which hold no market data and cannot be replayed")
    result = Replayed()
    going = Replay(result, ignore_versions=ignore_versions, beside=beside)
    for place, reading in enumerate(wholes):
        progress(place, len(wholes))
        if place and reading.name.number != wholes[place - 1].name.number + 1:
            going.lose()
        if not _replay_segment(going, reading):
            break
    progress(len(wholes), len(wholes))
    if result.segments == 0:
        raise JournalError(f"{path}: there is not one whole record, so there is nothing to replay")
    return result


def _replay_segment(going: Replay, reading: Reading) -> bool:
    """Replays one file; returns whether to go on."""
    result, sequence, last = going.result, 0, None
    try:
        for record in reading:
            sequence = record.sequence
            going.take(record)
            last = record
        how = EndReason(last.detail) if last is not None and last.kind is RecordKind.END else EndReason.SEALED
        result.ended |= how is EndReason.CLOSED
        if how is EndReason.TORN:
            _fault(going, last.payload.decode(errors="replace") if last is not None else "")
        if how is EndReason.CLOSED:
            going.end()
    except _Differs as difference:
        result.difference = Difference(file=str(reading.path), sequence=sequence, step=going.step, what=difference.what)
    except RecordError as error:
        raise RecordError(f"{reading.path}, record {sequence}: {error}") from None
    result.session = reading.name.session
    result.segments += not reading.is_empty
    if reading.tail is Tail.TORN:
        _fault(going, reading.fault)
    return result.difference is None


def _fault(going: Replay, sentence: str) -> None:
    """Records are lost from here on."""
    if len(going.result.faults) < FAULTS_MAX:
        going.result.faults.append(sentence)
    going.lose()


def _is_same(one: Start, other: Start) -> bool:
    return (one.code_key, one.cpu, one.versions) == (other.code_key, other.cpu, other.versions)


def _commands_of(record: Record) -> np.ndarray:
    if len(record.payload) % COMMAND_DTYPE.itemsize:
        raise RecordError(f"commands have {COMMAND_DTYPE.itemsize} bytes each, not {len(record.payload)} together")
    return np.frombuffer(record.payload, COMMAND_DTYPE)


def _counted(commands: np.ndarray) -> str:
    return f"{len(commands)} command{'' if len(commands) == 1 else 's'}"


def _in_words(written: np.ndarray, decided: np.ndarray) -> str:
    """The first command that differs."""
    if len(written) != len(decided):
        return f"the journal has {_counted(written)} and the replay decides on {_counted(decided)}"
    place = next(index for index in range(len(written)) if written[index] != decided[index])
    names = [str(name) for name in COMMAND_DTYPE.names or () if written[name][place] != decided[name][place]]
    changes = ", ".join(f"{name} {written[name][place]} became {decided[name][place]}" for name in names)
    return f"command {place + 1} of {len(written)} differs ({_one(written[place])}): {changes}"


def _one(command: np.void) -> str:
    kinds = {int(kind): kind.name for kind in CommandKind}
    kind = kinds.get(int(command["kind"]), str(command["kind"]))
    return (
        f"{kind} order {command['order_id']} of market {command['market']}, side {command['side']},"
        f" {command['size_lots']} lots at {command['price_ticks']} ticks"
    )
