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
