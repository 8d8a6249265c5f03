"""The modules' settings and ports are the program's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from hlhft.config import ports
from hlhft.config.load import load
from hlhft.config.settings import Config, fields
from hlhft.live.preflight import settings_faults
from tests.nix.evaluator import manifest
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


@pytest.mark.nix
def test_the_file_that_ships_is_the_settings_that_were_meant(tmp_path: Path) -> None:
    shown = manifest("example")
    (text,) = (text for name, text in shown["storeFiles"].items() if name.endswith("-hlhft.toml"))
    path = tmp_path / "settings.toml"
    path.write_text(text)
    loaded = load(path, {}).config
    changed = {field.path: field.of(loaded) for field in fields() if field.of(loaded) != field.of(Config())}
    assert changed == {
        "account.address": "0x" + "1".zfill(40),
        "data.catalogue": "/var/lib/hlhft-catalogue",
        "engine.coins": ("BTC",),
        "engine.control_socket": "/run/hlhft-engine/control.sock",
        "engine.cpu": 2,
        "engine.journal_folder": "/var/lib/hlhft-journal",
        "engine.state_folder": "/var/lib/hlhft-engine",
        "metrics.folder": "/run/hlhft-metrics",
        "metrics.processes": ("engine", "watchdog", "recorder"),
        "recorder.coins": ("BTC",),
        "recorder.raw_folder": "/var/lib/hlhft-catalogue/raw",
        "watchdog.heartbeat": "/run/hlhft-watchdog/heartbeat.sock",
        "watchdog.remote_heartbeat": f"10.100.0.2:{ports.HEARTBEAT}",
    }
    assert settings_faults(loaded) == []


@pytest.mark.nix
def test_every_setting_is_in_the_file() -> None:
    (text,) = (text for name, text in manifest("example")["storeFiles"].items() if name.endswith("-hlhft.toml"))
    said = tomllib.loads(text)
    for field in fields():
        section = said
        *above, name = field.path.split(".")
        for part in above:
            section = section[part]
        assert name in section or field.of(Config()) is None, field.path
