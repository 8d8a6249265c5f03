"""What a block is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hlhft.exchange.block import Block
from hlhft.venue.blocks import ACTION_DTYPE
from hlhft.venue.state import VENUE_EVENT_DTYPE


def test_a_block_is_not_changed_after_it_was_executed():
    block = Block(
        height=3,
        time_ns=1,
        legs=np.zeros(1, ACTION_DTYPE),
        hashes=("0x" + 64 * "0",),
        events=np.zeros(0, VENUE_EVENT_DTYPE),
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        block.height = 4  # type: ignore[misc]
