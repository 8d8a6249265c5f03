"""The keys of a simulation differ, and its account is the one of its key."""

from __future__ import annotations

from hlhft.simulation.account import ACCOUNT, ENGINE, TRADED, WATCHDOG, signer_of


def test_each_process_has_a_key_of_its_own() -> None:
    addresses = {signer_of(number).address for number in (TRADED, ENGINE, WATCHDOG)}
    assert len(addresses) == 3
    assert signer_of(TRADED).address == ACCOUNT
