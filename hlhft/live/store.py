"""The small state that must outlive a process: sessions, nonce marks, latches, equity peaks, what was already counted.

One SQLite file in a folder that belongs to one process at a time. A session number and a nonce mark are on disk, and
survive a power cut, when the call returns: both come before the first order that uses them. So are latches and halts.
Equity peaks and fills survive a kill at once and a power cut after the next of those: reconciliation covers the rest.
The object may be handed from thread to thread and is used by one at a time.

A store that comes from a backup would give out numbers a second time. So each start is held against two witnesses: the
journal, which must not know more, and a file beside the store, whose time of making no copy has, however it was made.
What does not agree latches the halt, the engine starts HALTED, and its session numbers go on far above all that the
lost one can have used. A disk that is set back as a whole, as by a snapshot of a virtual machine, has both with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hlhft.data.writing import sync_folder

FILE, LOCK = "store.sqlite3", "lock"
ORIGIN = "origin"  # empty, and never touched again: the kernel alone says when it was made
FOLDER_MODE, FILE_MODE = 0o700, 0o600
VERSION = 3  # raise it together with a migration
SESSION_MAX = 2**32 - 1  # a client order id has room for no more (hlhft.hyperliquid.cloids)
MARK_MAX = 2**63 - 1
MINUTE_NS = 60_000_000_000
PEAK_MINUTES = 61  # as the core keeps them; older ones are dropped
TIDS_MAX = 4096  # trade ids remembered behind the watermark; older ones lie before it
REASON_LENGTH_MAX = 1000
SESSIONS_KEPT = 1000
SESSIONS_UNSEEN_MAX = 1_000_000  # that an engine began after a copy was made: one each second, for eleven days
NONCES_UNSEEN_MS = 120_000  # how far its nonces may be ahead of the clock: a mark of 10 s, a dozen restarts in a row
ANYBODY = ""  # the signer of a mark that holds for all
MS = 1_000_000
BUSY_MS = 2000
DOUBT_CODE = 13  # hlhft.core.risk.Breaker.OPERATOR: only a resume clears it
_LOOK = "look at the account, then resume with a reason"
_SESSION_RUNNING, _SESSION_ENDED = 0, 1
# What becomes of a store of an older version, one script a step; the first makes one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE session (
        number INTEGER PRIMARY KEY, started_ns INTEGER NOT NULL, ended INTEGER NOT NULL, code_key TEXT NOT NULL
    ) STRICT;
    CREATE TABLE nonce_mark (signer TEXT PRIMARY KEY, mark INTEGER NOT NULL) STRICT;
    CREATE TABLE halt (
        only INTEGER PRIMARY KEY CHECK (only = 0), latches INTEGER NOT NULL, code INTEGER NOT NULL,
        reason TEXT NOT NULL, at_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE peak (minute INTEGER PRIMARY KEY, equity_micro INTEGER NOT NULL) STRICT;
    CREATE TABLE fill (tid INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE watermark (only INTEGER PRIMARY KEY CHECK (only = 0), time_ms INTEGER NOT NULL) STRICT;
    INSERT INTO halt VALUES (0, 0, 0, '', 0);
    INSERT INTO watermark VALUES (0, 0);
    """,
    """
    CREATE TABLE moved (
        only INTEGER PRIMARY KEY CHECK (only = 0), amount_micro INTEGER NOT NULL, time_ms INTEGER NOT NULL
    ) STRICT;
    INSERT INTO moved SELECT 0, 0, time_ms FROM watermark;
    """,
    """
    CREATE TABLE origin (only INTEGER PRIMARY KEY CHECK (only = 0), made_ns INTEGER NOT NULL) STRICT;
    INSERT INTO origin VALUES (0, 0);
    """,
)
assert len(MIGRATIONS) == VERSION


class StoreError(Exception):
    """A state folder that cannot be used: one sentence."""


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """What the core restarts with: latched breakers, the code of the first, and the reason in words."""

    latches: int = 0
    code: int = 0
    reason: str = ""
    at_ns: int = 0


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """Fills up to this venue time are counted, but for those at it that `tids` does not hold. 0 before the first."""

    time_ms: int = 0
    tids: frozenset[int] = frozenset()


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Deposits less withdrawals since the session that wrote the peaks began, of those up to this venue time; 0 before
    the first."""

    amount_micro: int = 0
    time_ms: int = 0


@dataclass(kw_only=True)
class Store:
    """The open store; only this process uses it. `doubts` are sentences why it may not be what it was."""

    folder: Path
    clock_ns: Callable[[], int]
    connection: sqlite3.Connection = field(repr=False)
    lock: int = field(repr=False)
    doubts: list[str] = field(default_factory=list)
    session: int = 0  # 0 until `begin_session`

    # Sessions and nonces: on disk when the call returns.

    def begin_session(self, code_key: str, *, newest_elsewhere: int = 0) -> int:
        """A session number that was never given out, above `newest_elsewhere`, the newest that the journal knows.

        A journal that knows a newer one than the store, and a store that is not where it was made, put it in doubt: the
        halt is latched with it, the number lies SESSIONS_UNSEEN_MAX higher, and nonces go on NONCES_UNSEEN_MS from now.
        Raises StoreError when numbers are used up, or the disk refuses.
        """
        assert self.session == 0, "a process is one session"
        newest = self._number("SELECT max(number) FROM session")
        made_ns = _made_ns(self.folder)
        doubts = self._doubts(newest, newest_elsewhere, made_ns)
        following = max(newest, newest_elsewhere) + 1 + (SESSIONS_UNSEEN_MAX if doubts else 0)
        if following > SESSION_MAX:
            raise StoreError(f"{self.folder}: all session numbers are used up; give the engine another owner number")
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?)", (following, self.clock_ns(), _SESSION_RUNNING, code_key)
            )
            connection.execute("DELETE FROM session WHERE number <= ?", (following - SESSIONS_KEPT,))
            connection.execute("UPDATE origin SET made_ns = ?", (made_ns,))
            if doubts:
                # In the same transaction: a process killed after it must not let the next one trust the store.
                connection.execute(
                    "INSERT INTO nonce_mark SELECT ?, max(?, coalesce(max(mark), 0)) + ? FROM nonce_mark"
                    " WHERE true ON CONFLICT (signer) DO UPDATE SET mark = excluded.mark",
                    (ANYBODY, self.clock_ns() // MS, NONCES_UNSEEN_MS),
                )
                connection.execute(
                    "UPDATE halt SET latches = latches | ?, code = iif(code = 0, ?, code), reason = ?, at_ns = ?",
                    (1 << DOUBT_CODE, DOUBT_CODE, "; ".join((*doubts, _LOOK))[:REASON_LENGTH_MAX], self.clock_ns()),
                )
        self.doubts += doubts
        self.session = following
        return following

    def _doubts(self, newest: int, newest_elsewhere: int, made_ns: int) -> list[str]:
        """Sentences why the store may not be what it was. One that nobody has held against its origin takes it."""
        doubts = []
        if newest_elsewhere > newest:
            doubts.append(
                f"the store knows of {newest} sessions and the journal of {newest_elsewhere},"
                " so the store is an old copy"
            )
        if self._number("SELECT made_ns FROM origin") not in (0, made_ns):
            doubts.append("the state folder was restored or copied, and is not the one that the last session wrote")
        return doubts

    @property
    def has_ended_well(self) -> bool:
        """Whether the session before this one said that it ended; true when there was none, false of a store in doubt,
        which need not know of it."""
        if self.doubts:
            return False
        row = self.connection.execute(
            "SELECT ended FROM session WHERE number < ? ORDER BY number DESC LIMIT 1", (self.session or SESSION_MAX,)
        ).fetchone()
        return row is None or row[0] == _SESSION_ENDED

    def end_session(self) -> None:
        """The session ended with everything settled."""
        with self._writing() as connection:
            connection.execute("UPDATE session SET ended = ? WHERE number = ?", (_SESSION_ENDED, self.session))

    def mark(self, signer: str) -> int:
        """The nonce mark of this signer's address, 0 when it never signed here and the store was never in doubt."""
        return self._number("SELECT max(mark) FROM nonce_mark WHERE signer IN (?, ?)", _address(signer), ANYBODY)

    def write_mark(self, signer: str, mark: int) -> None:
        """The mark survives a power cut. Raises StoreError when it does not rise, or the disk refuses."""
        before = self.mark(signer)
        if not before < mark <= MARK_MAX:
            raise StoreError(f"{self.folder}: a nonce mark rises, {mark} is not above {before}")
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO nonce_mark VALUES (?, ?) ON CONFLICT (signer) DO UPDATE SET mark = excluded.mark",
                (_address(signer), mark),
            )

    # Halts, peaks, fills.

    def halt(self) -> Halt:
        """What was halted when it was last written."""
        row = self.connection.execute("SELECT latches, code, reason, at_ns FROM halt").fetchone()
        return Halt(latches=row[0], code=row[1], reason=row[2], at_ns=row[3])

    def write_halt(self, *, latches: int, code: int, reason: str) -> None:
        """Latches and halt survive a power cut; zeros clear them, which only a resume with a reason does.

        Peaks go with them: to the core as well, a resume starts the peak again from the present equity.
        """
        with self._writing() as connection:
            if not latches and not code:
                connection.execute("DELETE FROM peak")
            connection.execute(
                "UPDATE halt SET latches = ?, code = ?, reason = ?, at_ns = ?",
                (latches, code, reason[:REASON_LENGTH_MAX], self.clock_ns()),
            )

    def peak(self, now_ns: int) -> int | None:
        """The highest equity of the last hour, micro-USDC, as if what `moved` says had been moved before it; None when
        none was written in it."""
        row = self.connection.execute(
            "SELECT max(equity_micro) FROM peak WHERE minute BETWEEN ? AND ?",
            (now_ns // MINUTE_NS - PEAK_MINUTES + 1, now_ns // MINUTE_NS),
        ).fetchone()
        return None if row[0] is None else int(row[0]) + self.moved().amount_micro

    def write_peak(self, equity_micro: int, now_ns: int) -> None:
        """The highest equity of the running minute, without what was moved since the session began, as the core has
        it; a lower one than is there changes nothing."""
        minute = now_ns // MINUTE_NS
        with self._writing(durable=False) as connection:
            connection.execute(
                "INSERT INTO peak VALUES (?, ?) ON CONFLICT (minute) DO UPDATE SET"
                " equity_micro = max(equity_micro, excluded.equity_micro)",
                (minute, equity_micro),
            )
            connection.execute("DELETE FROM peak WHERE minute NOT BETWEEN ? AND ?", (minute - PEAK_MINUTES, minute))

    def moved(self) -> Moved:
        """What was moved since the session that wrote the peaks began, and up to when that is known."""
        row = self.connection.execute("SELECT amount_micro, time_ms FROM moved").fetchone()
        return Moved(amount_micro=row[0], time_ms=row[1])

    def write_moved(self, amount_micro: int, time_ms: int) -> None:
        """A deposit, or a withdrawal below 0, at this venue time was told to the core."""
        with self._writing(durable=False) as connection:
            connection.execute(
                "UPDATE moved SET amount_micro = amount_micro + ?, time_ms = max(time_ms, ?)", (amount_micro, time_ms)
            )

    def begin_peaks(self, transferred_micro: int, block_ms: int) -> None:
        """A session begins with the equity of this block, after `transferred_micro` that no earlier one was told of:
        from now on peaks are as it has them, those of before as if all had been moved before them."""
        with self._writing(durable=False) as connection:
            connection.execute(
                "UPDATE peak SET equity_micro = equity_micro + ? + (SELECT amount_micro FROM moved)",
                (transferred_micro,),
            )
            connection.execute("UPDATE moved SET amount_micro = 0, time_ms = ?", (block_ms,))

    def watermark(self) -> Watermark:
        """Up to which fill everything was counted."""
        time_ms = self._number("SELECT time_ms FROM watermark")
        rows = self.connection.execute("SELECT tid FROM fill ORDER BY time_ms DESC, tid DESC LIMIT ?", (TIDS_MAX,))
        return Watermark(time_ms=time_ms, tids=frozenset(int(row[0]) for row in rows))

    def write_fills(self, fills: Sequence[tuple[int, int]]) -> None:
        """These fills, as (tid, venue time in ms), were counted. The newest TIDS_MAX are remembered by id."""
        if not fills:
            return
        with self._writing(durable=False) as connection:
            connection.executemany("INSERT OR IGNORE INTO fill VALUES (?, ?)", fills)
            newest = max(time_ms for _, time_ms in fills)
            connection.execute("UPDATE watermark SET time_ms = max(time_ms, ?)", (newest,))
            connection.execute(
                "DELETE FROM fill WHERE tid NOT IN (SELECT tid FROM fill ORDER BY time_ms DESC, tid DESC LIMIT ?)",
                (TIDS_MAX,),
            )

    def write_watermark(self, time_ms: int) -> None:
        """All fills and transfers up to this venue time are known, also where there was none."""
        with self._writing(durable=False) as connection:
            connection.execute("UPDATE watermark SET time_ms = max(time_ms, ?)", (time_ms,))

    def close(self) -> None:
        """Gives the folder back; once."""
        self.connection.close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; a `durable` one survives a power cut when it ends. Raises StoreError where that fails."""
        try:
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with self.connection:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
        except sqlite3.Error as error:
            raise StoreError(f"{self.folder}: the store cannot be written ({error}); is the disk full?") from None

    def _number(self, query: str, *values: int | str) -> int:
        row = self.connection.execute(query, values).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0


def _address(signer: str) -> str:
    """One spelling for each address; no two signers share a mark."""
    assert signer
    return signer.lower()


def open_store(folder: Path, *, clock_ns: Callable[[], int] = time.time_ns) -> Store:
    """Opens or makes the store in this folder, for this process alone.

    Raises StoreError when another process has it, it is damaged or of a newer version, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        folder.chmod(FOLDER_MODE)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise StoreError(f"{folder}: the state folder cannot be used ({error.strerror})") from None
    with contextlib.ExitStack() as undone:
        undone.callback(os.close, lock)
        _take(lock, folder)
        connection = _connect(folder / FILE)
        undone.pop_all()
    return Store(folder=folder, clock_ns=clock_ns, connection=connection, lock=lock)


def _made_ns(folder: Path) -> int:
    """When the file beside the store was made, which it is if it is not there. Its status never changes, so that its
    time of change is that; a copy has the copy's, and nobody can set it. Raises StoreError."""
    path = folder / ORIGIN
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.fsync(descriptor)
            made_ns = os.fstat(descriptor).st_ctime_ns
        finally:
            os.close(descriptor)
        # Its name must outlive a power cut as well: the store will soon say when it was made.
        sync_folder(folder)
        return made_ns
    except OSError as error:
        raise StoreError(f"{path}: the state folder cannot be used ({error.strerror})") from None


def _take(lock: int, folder: Path) -> None:
    """Takes the lock and leaves this process's id in it. It goes with the process, however that ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        raise StoreError(
            f"{folder}: process {holder} is running with this state folder; stop it, or give this one another folder"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        path.chmod(FILE_MODE)
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: the store cannot be opened ({error})") from None
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StoreError(_damaged(path))
        _migrate(connection, path)
    except sqlite3.DatabaseError:
        connection.close()
        raise StoreError(_damaged(path)) from None
    except StoreError:
        connection.close()
        raise
    return connection


def _damaged(path: Path) -> str:
    return (
        f"{path}: the store is damaged; move it away, and the engine starts anew, halted, because the journal knows"
        " more than it"
    )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings an older store to this version, all or nothing. Raises StoreError for a newer one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(
            f"{path}: the store has version {version} and this version of hlhft knows {VERSION}; run the newer hlhft,"
            " or give this one another state folder"
        )
    for step in range(version, VERSION):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
