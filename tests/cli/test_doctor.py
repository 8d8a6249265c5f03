"""`hlhft doctor` names the versions, the processor and the place and key of the compiled code."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from hlhft import __version__, compiled
from hlhft.cli import invoke
from hlhft.cli.doctor import EXTRAS, LIBRARIES, cpu_name, gather


def test_lines_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["doctor"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert invoke(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("checks") == [], "without settings nothing else is looked at"
    assert lines == {name: "not installed" if value is None else str(value) for name, value in facts.items()}


def test_the_facts_are_those_of_this_process() -> None:
    facts, fault = gather()
    assert fault == ""
    assert facts["hlhft"] == __version__
    assert facts["numba"] == numba.__version__
    assert facts["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert facts["code_key"] == compiled.code_key()
    assert facts["cache_folder"] == str(compiled.cache_folder())
    assert Path(str(facts["package"])).name == "hlhft"
    assert all(facts[name] for name in LIBRARIES)
    assert set(EXTRAS) <= set(facts)


def test_the_processor_is_named_by_linux_or_by_its_type(tmp_path: Path) -> None:
    listing = tmp_path / "cpuinfo"
    assert cpu_name(listing) == platform.machine()
    listing.write_text("processor : 0\nmodel name\t: Some CPU @ 3 GHz\n")
    assert cpu_name(listing) == "Some CPU @ 3 GHz"
    listing.write_text("processor : 0\n")
    assert cpu_name(listing) == platform.machine()


def test_without_a_cache_folder_it_says_what_it_can(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    environment = {**os.environ, "HLHFT_CACHE": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "hlhft", "doctor"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "numba " in done.stdout and "code_key" not in done.stdout
    assert done.stderr.count("\n") == 1 and str(place) in done.stderr


def settings_file(folder: Path, **engine: object) -> Path:
    """Settings of an engine that keeps its files in `folder`; nothing listens at its venue."""
    key = folder / "agent.key"
    key.write_text("11" * 32)
    key.chmod(0o600)
    path = folder / "engine.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"coins": ["BTC"], **engine}.items()]
    path.write_text(
        f"[account]\nnetwork = 'local'\nbase_url = 'http://127.0.0.1:9'\nkey_file = '{key}'\n"
        f"[engine]\nstate_folder = '{folder / 'state'}'\n" + "\n".join(lines) + "\n"
    )
    return path


def test_with_settings_each_line_says_how_it_is_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["doctor", "--config", str(settings_file(tmp_path)), "--offline"]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "warn", "unseen", "->"}
    assert any(line.startswith("unseen  venue") and "http://127.0.0.1:9 was not asked" in line for line in lines)
    assert any(line.startswith("ok      engine's key") and "signs as 0x" in line for line in lines)
    assert not any("11111111" in line for line in lines), "a key is never shown"
    assert invoke(["doctor", "--config", str(settings_file(tmp_path)), "--offline", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert checks[0] == {
        "name": "settings", "level": "ok", "found": f"{tmp_path / 'engine.toml'}: in order", "advice": "",
    }  # fmt: skip
    assert len(checks) == sum(not line.lstrip().startswith("->") for line in lines)


def test_what_fails_is_named_in_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["doctor", "--config", str(settings_file(tmp_path, coins=[])), "--offline"]) == 1
    assert capsys.readouterr().err == "hlhft: an engine would not run well: see coins\n"
    assert invoke(["doctor", "--config", str(settings_file(tmp_path)), "--json"]) == 1
    said = capsys.readouterr()
    assert "see venue" in said.err
    checks = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert checks["venue"]["level"] == "fail" and "account.base_url" in checks["venue"]["advice"]
    assert checks["fees"] == {
        "name": "fees", "level": "unseen", "found": "the venue was not reached", "advice": "",
    }  # fmt: skip


def test_settings_that_are_none_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "engine.toml"
    path.write_text("[risk]\ntick_to_trade_ms_max = 200\n[enigne]\n")
    assert invoke(["doctor", "--config", str(path), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(check["name"], check["level"]) for check in checks] == [("settings", "fail")] * 2
    assert "tightened, never loosened" in checks[0]["found"]
