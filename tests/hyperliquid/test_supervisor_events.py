"""Every cause of a halt says what it means, and its number stays what it was: it is on disk."""

from __future__ import annotations

from hlhft.hyperliquid.supervisor_events import HALT_MEANING, HaltCause, causes_table


def test_every_cause_has_a_meaning() -> None:
    assert set(HALT_MEANING) == set(HaltCause)
    assert all(meaning and not meaning.endswith(".") for meaning in HALT_MEANING.values())


def test_numbers_on_disk_do_not_change() -> None:
    assert [int(cause) for cause in HaltCause] == [1, 2, 3, 4, 5, 6, 7]
    assert (HaltCause.BREAKER, HaltCause.NONCES) == (1, 6)


def test_the_table_for_people() -> None:
    lines = causes_table().splitlines()
    assert len(lines) == 2 + len(HaltCause)
    assert f"| 2 | OPERATOR | {HALT_MEANING[HaltCause.OPERATOR]} |" in lines
