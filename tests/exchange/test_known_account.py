"""The account that everybody knows: one for each seed, the same for ever."""

from __future__ import annotations

import subprocess
import sys

from hlhft.exchange.known_account import SEED
from hlhft.exchange.known_account import test_key as key_of
from hlhft.exchange.known_account import test_signer as signer_of
from hlhft.hyperliquid.signing import Signer


def test_the_account_of_a_seed_stays_the_same() -> None:
    # Hosts name it in their settings: it may not change.
    assert signer_of(SEED).address == "0xc8141c19676a8c64b6b4f2249058a9d3d780e366"
    assert signer_of(2).address != signer_of(SEED).address
    assert Signer(key_of(SEED)).address == signer_of(SEED).address


def test_it_is_known_without_anything_compiled() -> None:
    code = "import hlhft.exchange.known_account, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
