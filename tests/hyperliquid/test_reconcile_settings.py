"""The numbers of reconciliation hold together."""

from __future__ import annotations

from typing import Any

import pytest

from hlhft.hyperliquid.reconcile_settings import ReconcileSettings


@pytest.mark.parametrize(
    "values",
    [
        {"round_ns": 0}, {"seldom_rounds": 0}, {"standing_ms": 0}, {"overlap_ms": -1}, {"watermark_ms": -1},
        {"transfers_ms": -1}, {"peak_ns": -1},
        {"assets_per_round": -1}, {"readings_max": 9}, {"standing_readings": 41},
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values)).removeprefix("standing_")):
        ReconcileSettings(**values)


def test_what_may_be_0_may() -> None:
    assert ReconcileSettings(watermark_ms=0, assets_per_round=0, peak_micro=-5).readings_max == 40
