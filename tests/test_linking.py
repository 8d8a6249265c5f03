"""Compiled callers share parts, across functions and processes, and what comes out is what Python says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from hlhft import compiled
from hlhft.compiled import JIT_DISABLED
from hlhft.linking import is_tested

ROOT = Path(__file__).resolve().parents[1]

# Two modules whose helpers have the same name, and two entries: each is compiled by a process of its own.
LEFT = """
from hlhft.compiled import compiled

@compiled
def leaf(value):
    return value * 3 + 1

@compiled
def helper(value):
    return leaf(value) + leaf(value + 1)
"""
RIGHT = """
from hlhft.compiled import compiled, compiled_views
import left

@compiled
def helper(value):
    return left.leaf(value) * 1000

@compiled
def first(value):
    return helper(value) + left.helper(value)

@compiled_views
def halves(values):
    return values[:2], values[2:]

@compiled
def sums(values):
    lower, upper = halves(values)
    return lower[0] + upper[0]

@compiled
def second(value):
    return left.helper(value) - helper(value) + left.leaf(value)
"""
RUN = """
import json, sys
import numpy as np
import right
from hlhft.compiled import cache_folder
answer = int(getattr(right, sys.argv[1])(np.int64(7))) + int(right.sums(np.arange(4)))
print(json.dumps([answer, sorted(path.name for path in cache_folder().rglob("*.nbc"))]))
"""


# As with a version of numba whose insides are not known.
UNTESTED = "import hlhft.linking\nhlhft.linking.TESTED = ()\n"


def run(folder: Path, function: str, *, before: str = "") -> tuple[int, list[str]]:
    """What a process of its own says: the answer, and the compiled files that are there afterwards."""
    environment = {**os.environ, "HLHFT_CACHE": str(folder / "cache"), "PYTHONPATH": f"{ROOT}:{folder}"}
    process = subprocess.run(
        [sys.executable, "-c", before + RUN, function],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    answer, files = json.loads(process.stdout)
    return answer, files


def test_another_process_links_the_parts_that_the_first_one_left(tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text(LEFT)
    (tmp_path / "right.py").write_text(RIGHT)
    answer, files = run(tmp_path, "first")
    assert answer == 22 * 1000 + (22 + 25) + 2
    again, more = run(tmp_path, "second")
    assert again == (22 + 25) - 22 * 1000 + 22 + 2
    if not JIT_DISABLED:
        parts = sorted(name.partition("-")[2].partition("-")[0] for name in files if name.startswith("part-"))
        assert parts == ["left.helper", "left.leaf", "right.halves", "right.helper"]
        # Nothing but the second entry itself was compiled: of what both call, no machine code was made at all.
        assert [name.partition("-")[0] for name in more if name not in files] == ["right.second"]
        assert [name.partition("-")[0] for name in files if not name.startswith("part-")] == [
            "right.first",
            "right.sums",
        ]


MISSES = """
import numpy as np
import right
right.first(np.int64(7))
print(sum(right.first.stats.cache_misses.values()) if hasattr(right.first, "stats") else 0)
"""


def test_of_processes_that_start_together_one_compiles(tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text(LEFT)
    (tmp_path / "right.py").write_text(RIGHT)
    environment = {**os.environ, "HLHFT_CACHE": str(tmp_path / "cache"), "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    command = [sys.executable, "-c", MISSES]
    started = [
        subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sorted(process.communicate()[0].strip() for process in started) == ["0", "0", "0" if JIT_DISABLED else "1"]


def test_with_another_numba_the_answers_are_the_same_and_it_links_as_always(tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text(LEFT)
    (tmp_path / "right.py").write_text(RIGHT)
    answer, files = run(tmp_path, "first", before=UNTESTED)
    assert answer == 22 * 1000 + (22 + 25) + 2
    assert not [name for name in files if name.startswith("part-")]


def test_the_pinned_numba_is_one_that_was_tested() -> None:
    pins = (ROOT / "constraints.txt").read_text().split()
    (version,) = (pin.partition("==")[2] for pin in pins if pin.startswith("numba=="))
    assert is_tested(version) and is_tested(numba.__version__)
    assert not is_tested("0.69.0") and not is_tested("0.680.1")


def test_a_function_may_call_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a helper in a user's strategy may."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @compiled.compiled
    def sum_to(number):
        if number <= 0:
            return 0
        return number + sum_to(number - 1)

    @compiled.compiled
    def twice(number):
        return 2 * sum_to(number)

    assert twice(10) == 110


def fill(values, count):
    """Writes its index into each place, beyond the end if it is told to."""
    for index in range(count):
        values[index] = index
    return count


def test_a_callee_s_options_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds checks of a user's helper, set after it was decorated, stay when its caller has none."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    checked: Any = compiled.compiled(fill)
    if not JIT_DISABLED:
        checked.targetoptions["boundscheck"] = True

    @compiled.compiled
    def caller(values, count):
        return checked(values, count)

    values = np.zeros(4, np.int64)
    assert caller(values, 4) == 4 and values.tolist() == [0, 1, 2, 3]
    with pytest.raises(IndexError):
        caller(values, 5)


def test_a_callee_without_a_type_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @compiled.compiled
    def length(value):
        return len(value)

    @compiled.compiled
    def caller(value):
        return length(value)

    with pytest.raises(TypeError if JIT_DISABLED else numba.core.errors.TypingError, match="len"):
        caller(np.int64(1))
