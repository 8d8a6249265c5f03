"""What the NixOS modules read of the program: the settings' schema and every port, as nixos/schema.json."""

from __future__ import annotations

import json
from pathlib import Path

from hlhft.config import ports
from hlhft.config.show import as_schema

NIX_SCHEMA = Path(__file__).resolve().parents[1] / "nixos" / "schema.json"


def nix_schema() -> str:
    """The file's text."""
    numbers = {name: value for name, value in vars(ports).items() if name.isupper()}
    return json.dumps({"ports": numbers, "schema": json.loads(as_schema())}, indent=1) + "\n"
