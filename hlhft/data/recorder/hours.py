"""Which hour a line belongs to, and what that hour's files are called. Pure: times are nanoseconds of the local clock.

An hour's raw file and its parts hold the same lines: those received from the hour's first nanosecond to its last, UTC,
by the local clock, in one session. A session is one stretch of recording by one process, named by the second it began.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000
RAW_SUFFIX = ".log.lz4"
WRITING_SUFFIX = ".writing"
_RAW_NAME = re.compile(r"([0-9]{2})-([0-9]{6})\.log\.lz4")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """One hour of one session: what its files are called after."""

    number: int  # hours since the Unix epoch
    session: str  # HHMMSS, UTC, when the session began

    @property
    def end_ns(self) -> int:
        """The first nanosecond after it."""
        return (self.number + 1) * HOUR_NS

    @property
    def date(self) -> str:
        """YYYY-MM-DD."""
        return _moment(self.number * HOUR_NS).strftime("%Y-%m-%d")

    @property
    def part_name(self) -> str:
        """What its parts are called, as recorder-07-173014."""
        return f"recorder-{self._of_day}-{self.session}"

    @property
    def raw_name(self) -> str:
        """What its raw file is called, as 07-173014.log.lz4."""
        return f"{self._of_day}-{self.session}{RAW_SUFFIX}"

    @property
    def _of_day(self) -> str:
        return f"{self.number % 24:02}"


def hour_of(local_ns: int, session: str) -> Hour:
    """The hour that a line received then belongs to."""
    assert local_ns >= 0, "local times are after the epoch"
    return Hour(local_ns // HOUR_NS, session)


def session_of(local_ns: int) -> str:
    """What a session that begins now is called: HHMMSS, UTC."""
    return _moment(local_ns).strftime("%H%M%S")


def raw_path(folder: Path, hour: Hour) -> Path:
    """Where the hour's raw file is once it is complete."""
    return folder / hour.date / hour.raw_name


def writing_path(path: Path) -> Path:
    """Where a raw file is until it is complete."""
    return path.with_name(f".{path.name}{WRITING_SUFFIX}")


def complete_path(path: Path) -> Path:
    """The inverse of `writing_path`."""
    return path.with_name(path.name.removeprefix(".").removesuffix(WRITING_SUFFIX))


def unfinished(folder: Path) -> list[Path]:
    """The raw files under `folder` that were never completed, the oldest first. Raises OSError."""
    if not folder.is_dir():
        return []
    days = sorted(day for day in folder.iterdir() if _DATE.fullmatch(day.name) and day.is_dir())
    found = [path for day in days for path in day.iterdir() if _is_unfinished(path.name)]
    return sorted(found, key=lambda path: (path.parent.name, path.name))


def _is_unfinished(name: str) -> bool:
    is_writing = name.startswith(".") and name.endswith(WRITING_SUFFIX)
    return is_writing and _RAW_NAME.fullmatch(name[1:].removesuffix(WRITING_SUFFIX)) is not None


def _moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
