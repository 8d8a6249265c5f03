"""Closes what is full and drops what is old: the process that the journal's writer starts over each closed segment.

    python -m hlhft.live.journal.retention FOLDER SESSION NUMBER TOTAL_BYTES_MAX KEEP_DAYS

Every segment before (SESSION, NUMBER) is closed: nobody writes to it. Each becomes two compressed files, which appear
when they are complete: the whole, and its *ledger*, which has every record but market data. One that was torn or never
ended is sealed with an END that says so. Then, oldest first, what is older than KEEP_DAYS is dropped, and while the
folder is above TOTAL_BYTES_MAX, wholes; ledgers only when no whole is left. A segment that is written, and its spare,
are never dropped. The process has the folder to itself, runs with the lowest priority, and may be killed at any time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns

import msgspec
import pyarrow as pa

from hlhft.data.writing import sync_folder
from hlhft.live.journal.reader import Reading, without_market_data
from hlhft.live.journal.records import (
    EndReason,
    Record,
    RecordError,
    RecordKind,
    Tail,
    pack,
    pack_start,
    read_inputs,
    read_start,
)
from hlhft.live.journal.segments import FILE_MODE, File, Form, JournalError, Name, files

DAY_NS = 24 * 3_600_000_000_000
NICENESS = 19
PARTIAL = ".partial"
FLUSH_BYTES = 1 << 20
_SEALS = {Tail.OPEN: EndReason.SEALED, Tail.TORN: EndReason.TORN}


@dataclass(kw_only=True)
class Outcome:
    """What was done, for a log."""

    closed: int = 0
    dropped_wholes: int = 0
    dropped_ledgers: int = 0
    faults: list[str] = field(default_factory=list)  # one sentence for each torn tail


def tidy(folder: Path, before: Name, *, total_bytes_max: int, keep_days: int, now_ns: int) -> Outcome:
    """Closes every segment before this one, then drops what is beyond the bounds.

    Raises OSError when the disk refuses even with everything dropped that may be, JournalError when there are too many
    files.
    """
    outcome = Outcome()
    for leftover in folder.glob("s*" + PARTIAL):
        leftover.unlink()
    for file in files(folder):
        if file.form is Form.OPEN and file.name < before:
            _close_with_room(folder, file, outcome)
    held = [file for file in files(folder) if file.form is not Form.OPEN]
    for file in held:
        if now_ns - file.modified_ns > keep_days * DAY_NS:
            _drop(file, outcome)
    while sum(file.bytes for file in files(folder)) > total_bytes_max and _drop_oldest(folder, outcome):
        pass
    return outcome


def _close_with_room(folder: Path, file: File, outcome: Outcome) -> None:
    """Closes one segment; where the disk is full, old ones make room."""
    while True:
        try:
            close(file.path, outcome)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _drop_oldest(folder, outcome):
                raise
        else:
            return


def _drop_oldest(folder: Path, outcome: Outcome) -> bool:
    """Drops the oldest whole, or else the oldest ledger; returns whether there was one."""
    held = files(folder)
    for form in (Form.WHOLE, Form.LEDGER):
        for file in held:
            if file.form is form:
                _drop(file, outcome)
                return True
    return False


def _drop(file: File, outcome: Outcome) -> None:
    file.path.unlink()
    if file.form is Form.WHOLE:
        outcome.dropped_wholes += 1
    else:
        outcome.dropped_ledgers += 1


def close(path: Path, outcome: Outcome) -> None:
    """Makes the whole and the ledger of one open segment, and removes it; an unused one is only removed.

    Raises OSError, and leaves what was there.
    """
    reading = Reading(path)
    modified_ns = path.stat().st_mtime_ns
    targets = [path.with_name(reading.name.file(form)) for form in (Form.WHOLE, Form.LEDGER)]
    with ExitStack() as stack:
        whole, ledger = (stack.enter_context(_written(target, modified_ns)) for target in targets)
        last: Record | None = None
        for last in reading:
            whole.add(_packed(last))
            kept = ledger_record(last)
            if kept is not None:
                ledger.add(_packed(kept))
        if last is not None and reading.tail is not Tail.ENDED:
            seal = _seal(reading, last)
            whole.add(seal)
            ledger.add(seal)
            outcome.faults += [reading.fault] if reading.tail is Tail.TORN else []
        elif last is None:
            # A spare that was never used, or a file of which nobody can say anything.
            outcome.faults += [reading.fault] if reading.tail is Tail.TORN else []
            whole.is_wanted = ledger.is_wanted = False
    sync_folder(path.parent)
    path.unlink()
    outcome.closed += 1


def ledger_record(record: Record) -> Record | None:
    """What the ledger keeps of a record: all but market data, timers and the state; None when that is nothing.

    What cannot be read is kept as it is: closing never fails for what a segment holds.
    """
    try:
        if record.kind is RecordKind.START:
            start = msgspec.structs.replace(read_start(record.payload), snapshot=b"")
            return record._replace(payload=pack_start(start))
        if record.kind is RecordKind.INPUTS:
            kept = without_market_data(read_inputs(record.payload))
            return record._replace(payload=kept.tobytes()) if len(kept) else None
    except RecordError:
        pass
    return record


def _packed(record: Record) -> bytes:
    return pack(
        record.kind,
        record.payload,
        sequence=record.sequence,
        ts_ns=record.ts_ns,
        session=record.session,
        detail=record.detail,
    )


def _seal(reading: Reading, last: Record) -> bytes:
    return pack(
        RecordKind.END,
        reading.fault.encode(),
        sequence=last.sequence + 1,
        ts_ns=last.ts_ns,
        session=last.session,
        detail=_SEALS[reading.tail],
    )


class _Output:
    """A compressed file that is being written."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self.is_wanted = True
        self._stream = stream
        self._held: list[bytes] = []
        self._bytes = 0

    def add(self, content: bytes) -> None:
        """Appends a record."""
        self._held.append(content)
        self._bytes += len(content)
        if self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hands what is held to the compression."""
        self._stream.write(b"".join(self._held))
        self._held.clear()
        self._bytes = 0


@contextmanager
def _written(path: Path, modified_ns: int) -> Iterator[_Output]:
    """A compressed file that appears under its name when everything is on disk, or not at all."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        os.close(descriptor)
        with pa.CompressedOutputStream(str(partial), "zstd") as stream:
            output = _Output(stream)
            yield output
            output.flush()
        if output.is_wanted:
            os.utime(partial, ns=(modified_ns, modified_ns))
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> int:
    """The command line of the module's docstring; faults go to standard error. Returns 1 when the disk refuses."""
    folder = Path(arguments[0])
    session, number, total_bytes_max, keep_days = map(int, arguments[1:])
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        outcome = tidy(
            folder,
            Name(session, number),
            total_bytes_max=total_bytes_max,
            keep_days=keep_days,
            now_ns=time_ns(),
        )
    except BlockingIOError:
        return 0  # another one is at it, and will be asked again
    except (OSError, JournalError) as error:
        sys.stderr.write(f"{folder}: the journal cannot be tidied ({error})\n")
        return 1
    finally:
        os.close(descriptor)
    for fault in outcome.faults:
        sys.stderr.write(fault + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
