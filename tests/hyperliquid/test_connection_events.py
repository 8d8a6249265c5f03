"""What is reported has a meaning, and is alarming or not."""

from __future__ import annotations

from hlhft.hyperliquid.connection_events import ALARMING, REPORT_MEANING, ReportCode, reports_table


def test_every_report_has_a_meaning() -> None:
    assert list(REPORT_MEANING) == list(ReportCode)
    assert [int(code) for code in ReportCode] == list(range(1, 15)), "codes are appended, never changed"


def test_routine_is_not_alarming() -> None:
    assert set(ReportCode) - ALARMING == {ReportCode.LIVE, ReportCode.STOPPED, ReportCode.ROTATED}


def test_the_table_for_people() -> None:
    lines = reports_table().splitlines()
    assert len(lines) == 2 + len(ReportCode)
    assert lines[4].startswith("| 3 | ROTATED | no | the venue closed the socket by age")
    assert lines[5].startswith("| 4 | LOST | yes |")
