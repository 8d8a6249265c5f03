"""What is reported and refused has a meaning, and nothing that is signed is shown."""

from __future__ import annotations

from hlhft.hyperliquid.gateway_events import (
    HALTING,
    REFUSAL_MEANING,
    REPORT_MEANING,
    GatewayRefusal,
    Post,
    PostHttp,
    ReportCode,
    refusals_table,
    reports_table,
)


def test_every_code_has_a_meaning_and_keeps_its_number() -> None:
    assert list(REPORT_MEANING) == list(ReportCode)
    assert [int(code) for code in ReportCode] == list(range(1, len(ReportCode) + 1))
    assert list(REFUSAL_MEANING) == list(GatewayRefusal)
    assert [int(code) for code in GatewayRefusal] == list(range(1, len(GatewayRefusal) + 1))


def test_a_key_that_is_wrong_or_shared_halts() -> None:
    assert {ReportCode.UNKNOWN_USER, ReportCode.NONCE_USED, ReportCode.NONCE_ROLLED_BACK} == HALTING


def test_the_tables_for_people() -> None:
    lines = reports_table().splitlines()
    assert len(lines) == 2 + len(ReportCode)
    assert lines[8].startswith("| 7 | UNKNOWN_USER | yes | the venue does not know the signer")
    assert lines[2].startswith("| 1 | LATE_ANSWER | no |")
    lines = refusals_table().splitlines()
    assert len(lines) == 2 + len(GatewayRefusal)
    assert lines[2] == "| 1 | CLOSED | the gate is closed: nothing that adds risk leaves |"


def test_a_post_does_not_show_what_is_signed() -> None:
    assert repr(Post(1, 2, 3, b"signed", 4)) == "Post(lane=1, request_id=3, batch_id=4)"
    assert repr(PostHttp(3, b"signed", 4)) == "PostHttp(request_id=3, batch_id=4)"
