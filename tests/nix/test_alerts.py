"""A host's own limits are in its alert rules: what writes and checks them when a host is built, and the list of
settings that make it run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.config.load import Loaded
from hlhft.config.settings import Config
from hlhft.config.show import as_toml
from hlhft.monitor.alerts import RULES_FILE, as_text, rules
from tests.endtoend.house import environment

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "nixos" / "files" / "alerts.sh"
LIMITS = {"risk": {"tick_to_trade_ms_max": 100, "unknown_age_ms_max": 4000}, "journal": {"sync_ms": 20}}


def run(folder: Path, settings: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("NOT TESTED: promtool is not installed")
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "hlhft").write_text(f'#!/bin/sh\nexec {sys.executable} -m hlhft "$@"\n')
    (programs / "hlhft").chmod(0o755)
    known = environment()
    return subprocess.run(
        ["bash", str(PROGRAM), str(settings), str(folder / "out")],
        env={**known, "PATH": f"{programs}:{known['PATH']}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_they_are_those_of_its_limits(tmp_path: Path) -> None:
    config = msgspec.convert(LIMITS, Config)
    settings = tmp_path / "settings.toml"
    settings.write_text(as_toml(Loaded(config, {})))
    done = run(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / RULES_FILE).read_text()
    assert text == as_text(rules(config))
    assert text != (ROOT / "nixos" / "files" / "prometheus" / RULES_FILE).read_text()
    assert "SUCCESS" in done.stdout, "promtool has looked at them"


def test_settings_that_are_none_build_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[risk]\ntick_to_trade_ms_max = 151\n")
    assert run(tmp_path, settings).returncode != 0
    assert not (tmp_path / "out").exists()


def changed(section: str, name: str, value: Any) -> Config | None:
    """The settings with one changed; None where it may not have that value."""
    try:
        return msgspec.convert({section: {name: value}}, Config)
    except msgspec.ValidationError:
        return None


def test_every_setting_that_changes_them_is_on_the_list() -> None:
    """Each number among the settings is made smaller and larger."""
    default, found = rules(), set()
    for section, settings in msgspec.to_builtins(Config()).items():
        for name, value in settings.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            configs = [changed(section, name, type(value)(other)) for other in (value / 2, value * 2, value + 7)]
            if any(config is not None and rules(config) != default for config in configs):
                found.add(f"{section}.{name}")
    text = (ROOT / "nixos" / "prometheus.nix").read_text()
    listed = re.search(r"limits = \[(.*?)\];", text, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"(.*?)"', listed[1])) == found
