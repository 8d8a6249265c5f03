"""Every test of booted machines has its script beside it, which needs nothing that NixOS's driver lacks, and is run
where there is a network."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TESTS = sorted(path for path in HERE.glob("*.nix") if "testScript" in path.read_text() and path.stem != "default")


def imported(path: Path) -> set[str]:
    """The modules that a file imports, whole names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def reached(path: Path) -> set[str]:
    """What a script imports, and what that imports."""
    names = imported(path)
    own = {name for name in names if name.startswith("tests.nixos.")}
    return names.union(*(reached(HERE / f"{name.rpartition('.')[2]}.py") for name in own))


def test_each_has_a_script_that_says_what_it_checks() -> None:
    assert len(TESTS) >= 8
    for path in TESTS:
        script = path.with_suffix(".py")
        if path.stem != "package":  # a few lines, with no machine of ours that could run them
            functions = {node.name for node in ast.parse(script.read_text()).body if isinstance(node, ast.FunctionDef)}
            assert "check" in functions, f"{script.name} has no check"
            assert f'checking "{path.stem}"' in path.read_text(), f"{path.name} does not use its script"


def test_a_script_needs_no_more_than_python_brings() -> None:
    scripts = [path.with_suffix(".py") for path in TESTS if path.stem != "package"]
    names = set().union(*map(reached, scripts))
    foreign = {name for name in names if not name.startswith("tests.nixos.")} - sys.stdlib_module_names
    assert foreign == set(), "NixOS's driver has nothing but these files"


def test_where_there_is_a_network_all_of_them_are_run() -> None:
    (line,) = re.findall(r"^ +check: \[(.*)\]$", (ROOT / ".github/workflows/checks.yml").read_text(), re.MULTILINE)
    assert {path.stem.replace("_", "-") for path in TESTS} <= set(line.split(", "))
    flake = (HERE / "default.nix").read_text()
    for path in TESTS:
        assert f'"{path.stem}"' in flake or f"./{path.name}" in flake, f"{path.name} is no check of the flake"
