"""What is said of a training survives JSON."""

from __future__ import annotations

import msgspec

from hlhft.alpha.training_report import TrainingReport
from tests.alpha.test_card import REPORT


def test_a_report_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=TrainingReport) == REPORT
