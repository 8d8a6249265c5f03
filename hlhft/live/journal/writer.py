"""Writes the journal: an append is a copy into mapped memory, so it survives a kill of this process at once.

One thread, the loop's, appends. A second one does what takes time: it flushes to disk in groups every `sync_ms`, makes
the pages ahead ready, prepares the next segment before it is needed, hashes copies of the state for checkpoints, and
starts the process that compresses closed segments. What it finds wrong is `trouble`, one sentence, until it is right
again: the engine halts on it.

Room is bounded and taken in advance: the segment that is written and a spare one. When the disk gives no further spare,
there is trouble, a whole segment before there is no room. When both are full, an append raises JournalFull;
`use_reserve` then opens the last RESERVE_BYTES, in which the halt itself is written. A command is in the journal before
its bytes leave: append, then send; only what cancels goes out without it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlhft.config.live_sections import Journal as Section
from hlhft.events import EVENT_DTYPE
from hlhft.live.journal.records import (
    CHECKED_FROM,
    CHECKSUM,
    DETAIL_MAX,
    DIGEST_BYTES,
    EVENT_BYTES,
    HEADER,
    HEADER_BYTES,
    Action,
    Checkpoint,
    EndReason,
    NoteKind,
    RecordKind,
    Start,
    pack_action,
    pack_checkpoint,
    pack_start_into,
    record_bytes,
)
from hlhft.live.journal.segments import PAGE_BYTES, JournalError, JournalFull, Name, Segment, prepare_folder
from hlhft.monitor.histogram import Histogram

SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX = 4 << 20, 4 << 30
RESERVE_BYTES = 1 << 20  # of each segment, kept for the halt
AHEAD_BYTES_MIN, AHEAD_BYTES_MAX = 32 << 10, 1 << 20  # pages made ready: twice what the last interval needed
END_BYTES = HEADER_BYTES
COMMANDS_BYTES_MAX = record_bytes(512 * 96)  # hlhft.core.brain.COMMANDS_MAX: they follow their inputs without rotation
ARRAYS_MAX = 16  # event arrays whose memory is remembered; a seventeenth starts anew
RAW_BYTES_MAX = 1 << 20
NOTE_BYTES_MAX = 1 << 16
RETIRED_MAX = 4
SPARE_READY_SHARE = 0.8  # from here on, the spare's first pages are kept ready
SPARE_RETRY_NS = 5_000_000_000
CLOSE_TIMEOUT_S = 30.0
COMPRESS_TIMEOUT_S = 600.0
_INPUTS = int(RecordKind.INPUTS)


@dataclass(frozen=True, kw_only=True)
class JournalSettings:
    """How the journal is written and what is kept of it. Raises JournalError for what cannot work."""

    segment_bytes: int = 256 << 20
    sync_ms: float = 20
    checkpoint_steps: int = 10_000
    total_bytes_max: int = 64 << 30  # of the whole folder
    keep_days: int = 30

    @classmethod
    def of(cls, section: Section) -> JournalSettings:
        """From the configuration. Raises JournalError for what cannot work."""
        return cls(
            segment_bytes=section.segment_mib << 20,
            sync_ms=section.sync_ms,
            checkpoint_steps=section.checkpoint_steps,
            total_bytes_max=int(section.total_gib_max * (1 << 30)),
            keep_days=section.keep_days,
        )

    def __post_init__(self) -> None:
        if not SEGMENT_BYTES_MIN <= self.segment_bytes <= SEGMENT_BYTES_MAX or self.segment_bytes % PAGE_BYTES:
            raise JournalError(
                f"a segment has {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX} bytes, whole pages, not {self.segment_bytes}"
            )
        if not 1 <= self.sync_ms <= 1000:
            raise JournalError(f"the journal is flushed every 1 to 1000 ms, not {self.sync_ms}")
        if self.checkpoint_steps < 1:
            raise JournalError(f"a checkpoint is made every 1 or more steps, not {self.checkpoint_steps}")
        if self.total_bytes_max < 4 * self.segment_bytes:
            raise JournalError(
                f"the journal needs room for four segments, {4 * self.segment_bytes} bytes, not {self.total_bytes_max}"
            )
        if not 1 <= self.keep_days <= 36_500:
            raise JournalError(f"the journal is kept 1 to 36500 days, not {self.keep_days}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the head of a segment and its checkpoints come from; both are asked between two steps, in the loop."""

    describe: Callable[[int, int], Start]  # (number of the segment, steps so far) -> its head
    state: Callable[[], bytes | memoryview]  # the state, copied; it stays as it is until the next call


class Journal:
    """The journal of one session. Everything but what `_keep` does belongs to one thread.

    Raises JournalFull when the disk has no room for two segments, JournalError when the folder cannot be used: nothing
    has been sent then. `compress` starts a process over each closed segment (`hlhft.live.journal.retention`). Without
    `has_thread` whoever owns it calls `keep` every `sync_ms`. `segment` makes the files.
    """

    def __init__(
        self,
        folder: Path,
        settings: JournalSettings,
        source: Source,
        *,
        session: int,
        compress: bool = True,
        has_thread: bool = True,
        clock_ns: Callable[[], int] = time.time_ns,
        segment: Callable[[Path, Name, int], Segment] = Segment,
    ) -> None:
        self.folder, self.settings, self.session = folder, settings, session
        self.step = 0  # calls of `inputs`
        self.sequence = 0  # of the last record
        self.synced_sequence = 0  # of the last record that survives a power cut
        self.number = 0  # of the segment
        self.syncs = Histogram()  # times that the disk took; whoever holds `_flushing` counts
        self._source = source
        self._compress = compress
        self._clock_ns = clock_ns
        self._make_segment = segment
        self._arrays: dict[int, tuple[np.ndarray, memoryview]] = {}
        self._checkpoint_at = settings.checkpoint_steps
        self._copied: tuple[int, bytes | memoryview] | None = None  # for the keeper to hash
        self._hashed: Checkpoint | None = None  # for the loop to write
        self._retired: list[Segment] = []  # full and not on disk yet, at most RETIRED_MAX
        self._spare: Segment | None = None
        self._spare_after_ns = 0
        self._bytes_before = 0  # of segments that are full
        self._known_ns = time.monotonic_ns()  # until when all that was appended is on disk
        self._tended = 0  # where the writer was when the last interval ended
        self._faults: dict[str, str] = {}
        self._head = bytearray()  # the newest head's payload
        self._compressor = Compressor(folder, settings) if compress else None
        self._flushing = threading.Lock()  # held for as long as the disk takes
        self._providing = threading.Lock()
        self._switching = (
            threading.Lock()
        )  # held for a rotation at most: which segments there are, and up to which record
        self._stop = threading.Event()
        self._view = memoryview(b"")
        self._at = 0  # where the next record goes
        self._limit = 0  # how far records may go
        self._full = 0  # how far they may go when the reserve is open
        try:
            prepare_folder(folder)
            self._segment = segment(folder, Name(session, 0), settings.segment_bytes)
            self._spare = segment(folder, Name(session, 1), settings.segment_bytes)
            self._take(self._segment)
            self._begin(0)
            self._segment.sync()
        except OSError as error:
            raise JournalError(f"{folder}: the journal cannot be written here ({error.strerror})") from None
        self.synced_sequence = self.sequence
        self._segment.ahead(self._at, AHEAD_BYTES_MAX)
        self._keeper: threading.Thread | None = None
        if has_thread:
            self._keeper = threading.Thread(target=self._keep, name="journal", daemon=True)
            self._keeper.start()

    # Appending, in the loop.

    def inputs(self, events: np.ndarray, count: int) -> None:
        """The first `count` of EVENT_DTYPE `events`, which the core steps over next.

        Rotates first where the segment is full, so that a step and its commands stand together; the state must be that
        after the last inputs. Raises JournalFull.
        """
        if self.step >= self._checkpoint_at:
            self._checkpoint()
        length = count * EVENT_BYTES
        at = self._at
        end = at + HEADER_BYTES + length
        if end + COMMANDS_BYTES_MAX > self._limit:
            self._make_room(HEADER_BYTES + length + COMMANDS_BYTES_MAX)
            at = self._at
            end = at + HEADER_BYTES + length
        known = self._arrays.get(id(events))
        content = known[1] if known is not None else self._remember(events)
        view = self._view
        self.sequence = sequence = self.sequence + 1
        # The checksum comes last, so that a reader knows an append that was not finished.
        HEADER.pack_into(view, at, 0, length, sequence, self._clock_ns(), _INPUTS, 0, self.session)
        view[at + HEADER_BYTES : end] = content[:length]
        CHECKSUM.pack_into(view, at, zlib.crc32(view[at + CHECKED_FROM : end]))
        self._at = end
        self.step += 1

    def commands(self, records: np.ndarray, count: int) -> None:
        """The first `count` of COMMAND_DTYPE `records`, which the step over the last inputs returned.

        Nothing is written for none. Raises JournalFull only in the reserve.
        """
        if count:
            self._append(RecordKind.COMMANDS, records[:count].tobytes(), 0, rotates=False)

    def raw(self, channel: int, frame: bytes | memoryview, ts_ns: int) -> None:
        """A frame of a user channel, cut at RAW_BYTES_MAX. Raises JournalFull."""
        self._append(RecordKind.RAW, bytes(frame[:RAW_BYTES_MAX]), channel, ts_ns=ts_ns)

    def action(self, action: Action) -> None:
        """What was signed. Raises JournalFull."""
        self._append(RecordKind.ACTION, pack_action(action), 0)

    def note(self, kind: NoteKind, text: bytes) -> None:
        """Something for people, cut at NOTE_BYTES_MAX. Raises JournalFull."""
        self._append(RecordKind.NOTE, text[:NOTE_BYTES_MAX], kind)

    @property
    def trouble(self) -> str | None:
        """What keeps the journal from going on, in one sentence; the engine asks on its timer and halts on it."""
        return next(iter(self._faults.values()), None)

    @property
    def bytes_left(self) -> int:
        """Room of the segment that is written, the reserve included where it is open."""
        return self._limit - self._at

    @property
    def bytes_appended(self) -> int:
        """All that was written in this session."""
        return self._bytes_before + self._at

    @property
    def lag_ns(self) -> int:
        """For how long the oldest record has waited for the disk, at most; 0 when none waits."""
        known_ns = self._known_ns
        return time.monotonic_ns() - known_ns if self.synced_sequence < self.sequence else 0

    def use_reserve(self) -> None:
        """Opens the reserve of the segment that is written: what follows is the halt."""
        self._limit = self._full

    def rotate(self, text: bytes = b"") -> None:
        """Something but a step changed the state, as a reload does: notes what, and begins a new segment with the state
        as it is now, from which a replay goes on. Call it between two steps, after the change. Raises JournalFull."""
        self._append(RecordKind.NOTE, text[:NOTE_BYTES_MAX], NoteKind.SETTINGS, rotates=False)
        self._make_room(0)

    def rotate_if_due(self, share: float = 0.9) -> bool:
        """Begins a new segment when this one is full by `share`; returns whether it did.

        For quiet moments: the snapshot at a segment's head then costs nobody a reaction. Raises JournalFull.
        """
        if self._at < share * self._limit or self._spare is None:
            return False
        self._make_room(0)
        return True

    def sync(self) -> None:
        """Everything so far survives a power cut. Takes milliseconds: before the first order, not in between.

        Raises JournalError when the disk refuses.
        """
        self._flush()
        if self.trouble is not None and self.synced_sequence < self.sequence:
            raise JournalError(self.trouble)

    def close(self) -> None:
        """Writes the END, flushes, gives back the room that was not used. Raises JournalError when that fails."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join(CLOSE_TIMEOUT_S)
        self.use_reserve()
        self._end(EndReason.CLOSED)
        self._flush()
        if self._spare is not None:
            self._spare.discard()
        try:
            self._segment.close(truncate_at=self._at)
        except OSError as error:
            self._faults["sync"] = f"{self.folder}: the journal cannot be closed ({error.strerror})"
        if self.trouble is not None:
            raise JournalError(self.trouble)

    # Parts of the loop's side.

    def _append(
        self,
        kind: RecordKind,
        payload: bytes | bytearray,
        detail: int,
        *,
        ts_ns: int | None = None,
        rotates: bool = True,
    ) -> None:
        assert 0 <= detail <= DETAIL_MAX
        needed = record_bytes(len(payload))
        if self._at + needed > (self._limit if rotates else self._full):
            if not rotates:
                raise JournalFull(f"{self.folder}: the journal has no room left, not even in the reserve")
            self._make_room(needed)
        at, view = self._at, self._view
        end = at + needed
        self.sequence += 1
        when = self._clock_ns() if ts_ns is None else ts_ns
        HEADER.pack_into(view, at, 0, len(payload), self.sequence, when, kind, detail, self.session)
        view[at + HEADER_BYTES : at + HEADER_BYTES + len(payload)] = payload
        CHECKSUM.pack_into(view, at, zlib.crc32(view[at + CHECKED_FROM : end]))
        self._at = end

    def _remember(self, events: np.ndarray) -> memoryview:
        """The memory of an event array; it is kept, so that no other array takes its identity."""
        assert events.dtype == EVENT_DTYPE and events.flags.c_contiguous
        if len(self._arrays) == ARRAYS_MAX:
            self._arrays.clear()
        content = memoryview(events.view(np.uint8).data)
        self._arrays[id(events)] = (events, content)
        return content

    def _checkpoint(self) -> None:
        """Every `checkpoint_steps` copies the state after the last step for the keeper to hash; halfway to the next
        time writes what it has hashed. While the keeper is late, checkpoints are left out."""
        every = self.settings.checkpoint_steps
        hashed, self._hashed = self._hashed, None
        if hashed is not None:
            self._append(RecordKind.CHECKPOINT, pack_checkpoint(hashed), 0)
        if self.step % every == 0:
            self._checkpoint_at = self.step + max(every // 2, 1)
            if self._copied is None:
                self._copied = (self.step, self._source.state())
        else:
            self._checkpoint_at = (self.step // every + 1) * every

    def _make_room(self, needed: int) -> None:
        """Goes on in the spare segment. Raises JournalFull when there is none."""
        if needed > self.settings.segment_bytes - RESERVE_BYTES - END_BYTES:
            raise JournalError(f"a record of {needed} bytes does not fit a segment of {self.settings.segment_bytes}")
        if len(self._retired) == RETIRED_MAX:
            raise JournalFull(self.trouble or f"{self.folder}: the disk is {RETIRED_MAX} segments behind")
        if self._spare is None:
            self._provide()  # the keeper is late, or has failed and says so
        spare, self._spare = self._spare, None
        if spare is None:
            raise JournalFull(self.trouble or f"{self.folder}: the journal has no further segment")
        old = self._segment
        with self._switching:  # the keeper must not take a record of the new segment for one of the old
            self._end(EndReason.ROTATED)
            self._bytes_before += self._at
            self._take(spare)
            self._begin(spare.name.number)
            self._segment = spare
            self._retired.append(old)

    def _take(self, segment: Segment) -> None:
        self._view, self._at = segment.view, 0
        self._full = segment.size - END_BYTES
        self._limit = self._full - RESERVE_BYTES

    def _begin(self, number: int) -> None:
        self.number = number
        head = self._head
        pack_start_into(self._source.describe(number, self.step), head)
        if record_bytes(len(head)) > self._limit // 2:
            raise JournalError(
                f"the head of a segment has {len(head)} bytes, a segment of {self.settings.segment_bytes} is too small"
            )
        self._append(RecordKind.START, head, 0)

    def _end(self, reason: EndReason) -> None:
        self._full += END_BYTES
        self._append(RecordKind.END, b"", reason, rotates=False)

    # The keeper's side.

    def _keep(self) -> None:
        if self._compressor is not None:
            self._compressor.start(Name(self.session, 0))
        while not self._stop.wait(self.settings.sync_ms / 1000):
            self.keep()

    def keep(self) -> None:
        """What takes time, once: flushes, hashes, prepares the next segment."""
        self._flush()
        self._hash()
        self._provide()
        if self._compressor is not None:
            self._compressor.poll()

    def _flush(self) -> None:
        """Flushes what is new, and closes segments that are full."""
        with self._flushing:
            began_ns = time.monotonic_ns()
            with self._switching:
                sequence, segment, retired = self.sequence, self._segment, list(self._retired)
            if sequence == self.synced_sequence and not retired:
                self._known_ns = began_ns
                return
            try:
                segment.sync()
                self.syncs.note(time.monotonic_ns() - began_ns)
                for full in retired:
                    full.sync()
                    full.close()
                    self._retired.remove(full)
                    if self._compressor is not None:
                        self._compressor.start(Name(full.name.session, full.name.number + 1))
            except OSError as error:
                # What a failed flush lost is lost: a later one that succeeds proves nothing.
                self._faults["sync"] = f"{self.folder}: the journal cannot be flushed to disk ({error.strerror})"
                return
            if "sync" not in self._faults:
                self.synced_sequence, self._known_ns = sequence, began_ns
            self._tend()

    def _tend(self) -> None:
        """Flushing made the pages read-only, and the first write to each of them would wait for the file system: those
        that the next interval needs are made ready again. What is full is let go of. Within the lock, because segments
        are closed in it."""
        segment, at = self._segment, self._at
        window = min(max(2 * (at - self._tended), AHEAD_BYTES_MIN), AHEAD_BYTES_MAX)
        self._tended = at
        segment.ahead(at, window)
        segment.behind(at)
        spare = self._spare
        if spare is not None and at > SPARE_READY_SHARE * self._limit:
            spare.ahead(0, len(self._head) + AHEAD_BYTES_MAX)

    def _hash(self) -> None:
        if self._copied is not None and self._hashed is None:
            step, state = self._copied
            self._hashed = Checkpoint(step, digest(state))
            self._copied = None

    def _provide(self) -> None:
        """Makes the next segment before it is needed; after a failure, not more often than SPARE_RETRY_NS."""
        with self._providing:
            now_ns = self._clock_ns()
            if self._spare is not None or now_ns < self._spare_after_ns:
                return
            try:
                self._spare = self._make_segment(
                    self.folder, Name(self.session, self.number + 1), self.settings.segment_bytes
                )
            except JournalError as error:
                self._faults["spare"], self._spare_after_ns = str(error), now_ns + SPARE_RETRY_NS
            except OSError as error:
                self._faults["spare"] = f"{self.folder}: no further segment can be made ({error.strerror})"
                self._spare_after_ns = now_ns + SPARE_RETRY_NS
            else:
                self._faults.pop("spare", None)


def digest(state: bytes | memoryview) -> bytes:
    """DIGEST_BYTES that tell two states apart; a long one is hashed without the interpreter's lock."""
    return hashlib.blake2b(state, digest_size=DIGEST_BYTES).digest()


class Compressor:
    """One process at a time that compresses closed segments and drops the oldest; the engine never waits for it.

    It is asked anew when there is more to do. What it fails at is counted: the folder then grows until the disk is
    full, which halts.
    """

    def __init__(self, folder: Path, settings: JournalSettings) -> None:
        self.failures = 0
        self._folder, self._settings = folder, settings
        self._process: subprocess.Popen | None = None
        self._next: Name | None = None

    def start(self, before: Name) -> None:
        """All segments before this one are closed."""
        self._next = before
        self.poll()

    def poll(self) -> None:
        """Looks whether it is done, and starts it when there is more to do."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self.failures += int(code != 0)
            self._process = None
        if self._next is None:
            return
        before, self._next = self._next, None
        options = [self._folder, *before, self._settings.total_bytes_max, self._settings.keep_days]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "hlhft.live.journal.retention", *map(str, options)],
                # Where a wrapper put the packages on the path, the interpreter alone would not find them.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except OSError:
            self.failures += 1

    def wait(self) -> None:
        """Returns when nothing is left to do, for those who end with the journal."""
        self.poll()
        while self._process is not None:
            self._process.wait(COMPRESS_TIMEOUT_S)
            self.poll()
