"""What units run are files of nixos/files, each with a test of its own; nothing is written into a module that would run
untested."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path for path in (ROOT / "nixos" / "files").iterdir() if path.suffix in (".py", ".sh"))
# What writes a program that has no file. A name for a program that is one may be written: it does nothing else.
INLINE = re.compile(
    r"\b(?:writeShellScript\w*|writeScript\w*|writers\.\w+|script|preStart|postStart|preStop|postStop) ?=?"
)
NAMED = re.compile(r"writeShellApplication \{[^}]*?text = ''exec python3 \S+ \"\$@\"'';[^}]*\}", re.DOTALL)


def test_each_program_has_a_test_of_its_name() -> None:
    assert len(PROGRAMS) >= 4
    untested = [path.name for path in PROGRAMS if not Path(__file__).with_name(f"test_{path.stem}.py").is_file()]
    assert untested == []


def test_each_program_says_how_it_is_used() -> None:
    silent = [
        path.name
        for path in PROGRAMS
        if not re.search(rf"(usage: |^# ){re.escape(path.name)}", path.read_text(), re.MULTILINE)
    ]
    assert silent == []


def test_no_module_holds_a_program() -> None:
    faults = []
    for path in sorted((ROOT / "nixos").rglob("*.nix")):
        text = NAMED.sub("", re.sub(r"#.*", "", path.read_text()))
        faults += [f"{path.relative_to(ROOT)}: {found}" for found in INLINE.findall(text)]
        faults += [f"{path.relative_to(ROOT)}: writeShellApplication"] if "writeShellApplication" in text else []
    assert faults == [], "put it into a file of nixos/files, which is linted and tested alone"
