"""Hours of a session: which one a line belongs to, and the names of its files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hlhft.data.catalogue.layout import day_ns
from hlhft.data.recorder.hours import (
    HOUR_NS,
    Hour,
    complete_path,
    hour_of,
    raw_path,
    session_of,
    unfinished,
    writing_path,
)

FIRST = day_ns("2026-03-01")


def test_files_are_named_after_the_hour_and_the_session() -> None:
    session = session_of(FIRST - 6 * HOUR_NS + 1_814_000_000_000)
    assert session == "183014"
    hour = hour_of(FIRST + 7 * HOUR_NS + 5, session)
    assert (hour.date, hour.part_name, hour.raw_name) == (
        "2026-03-01", "recorder-07-183014", "07-183014.log.lz4",
    )  # fmt: skip
    assert raw_path(Path("raw"), hour) == Path("raw/2026-03-01/07-183014.log.lz4")


def test_the_last_nanosecond_of_a_day_is_still_its_own() -> None:
    before, after = hour_of(FIRST - 1, "000000"), hour_of(FIRST, "000000")
    assert (before.date, before.part_name) == ("2026-02-28", "recorder-23-000000")
    assert (after.date, after.part_name) == ("2026-03-01", "recorder-00-000000")
    assert before.end_ns == FIRST


@given(st.integers(0, 2**61))
def test_an_hour_holds_its_line_and_ends_after_it(local_ns: int) -> None:
    hour = hour_of(local_ns, "000000")
    assert hour.end_ns - HOUR_NS <= local_ns < hour.end_ns


def test_a_file_being_written_has_another_name() -> None:
    path = Path("raw/2026-03-01/07-183014.log.lz4")
    assert writing_path(path).name == ".07-183014.log.lz4.writing"
    assert complete_path(writing_path(path)) == path


def test_unfinished_files_are_found_oldest_first_and_others_are_left(tmp_path: Path) -> None:
    hours = [Hour(number, "101112") for number in (480_030, 480_007, 480_008)]
    for hour in hours:
        path = writing_path(raw_path(tmp_path, hour))
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for other in ("notes", hours[0].date + "/07-101112.log.lz4", hours[0].date + "/.mine.writing", "x/.07-1.writing"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    assert unfinished(tmp_path) == [writing_path(raw_path(tmp_path, hours[place])) for place in (1, 2, 0)]
    assert unfinished(tmp_path / "nowhere") == []
