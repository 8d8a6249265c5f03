"""What the NixOS modules read of the program, as nixos/schema.json: the settings' schema, every port, and the account
that an exchange of one's own opens with."""

from __future__ import annotations

import json
from pathlib import Path

from hlhft.config import ports
from hlhft.config.show import as_schema
from hlhft.exchange.known_account import SEED, test_signer

NIX_SCHEMA = Path(__file__).resolve().parents[1] / "nixos" / "schema.json"


def nix_schema() -> str:
    """The file's text."""
    numbers = {name: value for name, value in vars(ports).items() if name.isupper()}
    account = {"seed": SEED, "address": test_signer(SEED).address}
    return json.dumps({"ports": numbers, "rehearsal": account, "schema": json.loads(as_schema())}, indent=1) + "\n"
