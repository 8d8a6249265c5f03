"""The modules' settings and ports are the program's."""

from __future__ import annotations

import json

from hlhft.config import ports
from hlhft.config.settings import Config, fields
from tests.nix_schema import NIX_SCHEMA, nix_schema


def test_what_the_modules_read_is_current() -> None:
    assert NIX_SCHEMA.read_text() == nix_schema(), "nixos/schema.json is old: run `make docs`"


def test_every_setting_has_its_default_there() -> None:
    kept = json.loads(NIX_SCHEMA.read_text())
    for field in fields():
        section = kept["schema"]["$defs"]["Config"]
        *above, name = field.path.split(".")
        for part in above:
            section = kept["schema"]["$defs"][section["properties"][part]["$ref"].rpartition("/")[2]]
        default = section["properties"][name]["default"]
        assert default == (list(field.of(Config())) if isinstance(default, list) else field.of(Config()))


def test_every_port_is_there() -> None:
    assert json.loads(NIX_SCHEMA.read_text())["ports"]["EXPORTER"] == ports.EXPORTER
