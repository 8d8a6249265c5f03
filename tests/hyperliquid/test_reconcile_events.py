"""What the reconciliation reports and how it disagrees has a meaning each."""

from __future__ import annotations

from hlhft.hyperliquid.reconcile_events import (
    ALARMING,
    CODE_MEANING,
    REPORT_MEANING,
    Code,
    ReportCode,
    codes_table,
    reports_table,
)


def test_every_code_has_a_meaning_and_a_line() -> None:
    assert set(CODE_MEANING) == set(Code) and set(REPORT_MEANING) == set(ReportCode)
    assert len(codes_table().splitlines()) == len(Code) + 2
    assert len(reports_table().splitlines()) == len(ReportCode) + 2


def test_what_alarms_is_marked() -> None:
    lines = reports_table().splitlines()[2:]
    assert {line.split(" | ")[1] for line in lines if " | yes | " in line} == {code.name for code in ALARMING}
