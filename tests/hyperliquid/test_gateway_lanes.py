"""Which connection carries what."""

from __future__ import annotations

from hlhft.hyperliquid.gateway_lanes import Lanes


def test_the_first_connection_that_is_up_carries_placements() -> None:
    lanes = Lanes()
    assert not lanes.is_up and lanes.first == -1
    lanes.up(1, 7)
    assert lanes.is_up and lanes.first == 1 and lanes.sockets[1] == 7
    lanes.up(0, 8)
    assert lanes.first == 0
    lanes.down(0)
    assert lanes.first == 1 and lanes.sockets[0] == 0


def test_bytes_that_wait_anywhere_stop_placements_until_they_are_gone() -> None:
    lanes = Lanes()
    lanes.press(1, True)
    assert not lanes.is_waiting, "a connection that is down says nothing"
    lanes.up(0, 1)
    lanes.up(1, 2)
    assert not lanes.is_waiting, "a new connection begins with an empty buffer"
    lanes.press(1, True)
    assert lanes.is_waiting
    lanes.press(1, False)
    assert not lanes.is_waiting
    lanes.press(0, True)
    lanes.down(0)
    assert not lanes.is_waiting


def test_what_is_urgent_avoids_bytes_that_wait_and_the_way_that_was_tried() -> None:
    lanes = Lanes()
    assert lanes.urgent(-1) == ()
    lanes.up(0, 1)
    lanes.up(1, 2)
    assert lanes.urgent(-1) == (0, 1)
    assert lanes.urgent(0) == (1, 0)
    lanes.press(1, True)
    assert lanes.urgent(0) == (0,)
