"""The books find every placement, forget the oldest that are over, and bound what they hold."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.cloids import CloidError
from hlhft.hyperliquid.fates_ledger import Ledger
from hlhft.hyperliquid.fates_records import DEFAULTS


def test_owner_and_session_are_in_range() -> None:
    with pytest.raises(CloidError):
        Ledger(owner=0, session=1, settings=DEFAULTS)
