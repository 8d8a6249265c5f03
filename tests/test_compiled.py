"""Compiled code is never stale, never in somebody else's folder, and found again: shown in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import hlhft
from hlhft import compiled
from hlhft.compiled import (
    JIT_DISABLED,
    CacheError,
    borrowed,
    cache_folder,
    cache_root,
    code_key,
    compiled_sources,
    register_python_strategy,
    running_key,
    strategy_cache,
)

PACKAGE = Path(hlhft.__file__).parent
IS_ROOT = os.getuid() == 0
NOBODY = 65534
VARIABLES = ("HLHFT_CACHE", "CACHE_DIRECTORY", "XDG_CACHE_HOME", "HOME")

# A caller of the risk gate in a file of its own, which the edit below does not touch.
CALLER = '''
"""Who is stopped, and for how long."""
from hlhft.compiled import compiled
from hlhft.core.risk import on_sent


@compiled
def late(lane, limits):
    """A write that took too long."""
    on_sent(lane, limits, 0, 1_000_000_000)
'''

# One process loads numba and the libraries under it; each world then is a fork of it, as another user who could not
# read an interpreter in root's home, with an empty environment, that imports the package from its first line on.
SERVER = """
import json, os, subprocess, sys, traceback
import llvmlite.binding, numba, numpy

numba.njit(error_model="numpy", nogil=True)(lambda row: row["a"])(numpy.zeros(1, [("a", numpy.int64)])[0])
where, user = sys.argv[1], int(sys.argv[2])


def world():
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    sys.path.insert(0, where)
    from hlhft import compiled
    from hlhft.core import state
    from hlhft.core.caller import late
    folder = compiled.cache_folder()
    files = lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    before = files()
    lane, limits = numpy.zeros(1, state.LANE_DTYPE), numpy.zeros(1, state.LIMITS_DTYPE)
    late(lane[0], limits[0])
    return {
        "pause_ns": int(lane["pause_until_ns"][0]) - 1_000_000_000, "before": before, "after": files(),
        "hits": sum(late.stats.cache_hits.values()), "misses": sum(late.stats.cache_misses.values()),
        "key": compiled.code_key(), "folder": str(folder), "user": os.getuid(), "environment": dict(os.environ),
    }


for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = world()
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(writer, "w") as out:
            json.dump(answer, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        print(answers.read(), flush=True)
    os.waitpid(child, 0)
"""


class Worlds:
    """A read-only copy of the package, and processes without an environment that import it, as nobody if we may."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "hlhft"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (self.package / "core" / "caller.py").write_text(CALLER)
        # The key must be nobody's else: without variables the cache lies under the machine's temporary directory.
        self.edit("ladder.py", r"\Z", f"# {folder.name}\n")
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder), str(NOBODY if IS_ROOT else 0)],
            cwd="/", env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.folders: set[Path] = set()

    def edit(self, name: str, pattern: str, text: str) -> None:
        path = self.package / name
        for folder in (self.package, path.parent):
            folder.chmod(0o755)
        path.chmod(0o644)
        changed, count = re.subn(pattern, text, path.read_text(), count=1)
        assert count == 1, f"{name} has no {pattern}"
        path.write_text(changed)
        for entry in [self.package, *self.package.rglob("*")]:
            entry.chmod(0o555 if entry.is_dir() else 0o444)

    def run(self) -> dict[str, Any]:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write("\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        assert "error" not in answer, answer["error"]
        self.folders.add(Path(answer["folder"]))
        return answer

    def close(self) -> None:
        self.server.communicate()
        for path in (self.package, *self.package.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
            for parent in (folder.parent, folder.parent.parent):
                with contextlib.suppress(OSError):  # others of this user may cache there
                    parent.rmdir()


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    with tempfile.TemporaryDirectory(prefix="hlhft-read-only-") as name:
        Path(name).chmod(0o755)
        worlds = Worlds(Path(name))
        try:
            yield worlds
        finally:
            worlds.close()


@pytest.fixture(scope="module")
def told(worlds: Worlds) -> list[dict[str, Any]]:
    """What three processes say: the first, a second, and one after a constant of the risk gate was edited."""
    first, second = worlds.run(), worlds.run()
    worlds.edit("core/risk.py", r"PAUSE_NS = 1_000_000_000", "PAUSE_NS = 7_000_000_000")
    return [first, second, worlds.run()]


def test_a_read_only_package_runs_as_another_user_without_an_environment(told: list[dict[str, Any]]) -> None:
    first = told[0]
    assert first["pause_ns"] == 1_000_000_000
    assert first["environment"].keys() <= {"LC_CTYPE"}  # which Python itself sets where there is no locale
    assert first["user"] == (NOBODY if IS_ROOT else os.getuid())
    assert Path(first["folder"]).parent.parent == Path(tempfile.gettempdir()) / f"hlhft-{first['user']}"
    assert (first["before"], first["misses"], first["hits"]) == ([], 1, 0)
    assert first["after"]


def test_a_second_process_compiles_nothing(told: list[dict[str, Any]]) -> None:
    first, second = told[:2]
    assert (second["key"], second["folder"]) == (first["key"], first["folder"])
    assert second["before"] == second["after"] == first["after"]
    assert (second["hits"], second["misses"], second["pause_ns"]) == (1, 0, 1_000_000_000)


def test_an_edited_risk_constant_is_seen_by_the_next_process(told: list[dict[str, Any]]) -> None:
    """In the compiled code of another file, which is what numba's own cache would get wrong."""
    assert told[2]["pause_ns"] == 7_000_000_000
    assert told[2]["key"] != told[0]["key"] and told[2]["before"] == []


# The key.


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with one source of each sort."""
    for name in ("units.py", "core/risk.py", "venue/deep/fees.py", "cli/doctor.py"):
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("LIMIT = 1\n")
    return tmp_path / "package"


@pytest.mark.parametrize("name", ["units.py", "core/risk.py", "venue/deep/fees.py"])
def test_the_key_changes_with_every_compiled_source(package: Path, name: str) -> None:
    before = code_key(package)
    (package / name).write_text("LIMIT = 2\n")
    changed = code_key(package)
    assert changed != before and re.fullmatch(r"[0-9a-f]{32}", changed)
    (package / name).write_text("LIMIT = 1\n")
    assert code_key(package) == before


def test_the_key_changes_with_names_and_not_with_what_is_not_compiled(package: Path) -> None:
    before = code_key(package)
    (package / "cli" / "doctor.py").write_text("LIMIT = 2\n")
    (package / "core" / "notes.txt").write_text("LIMIT = 2\n")
    assert code_key(package) == before
    (package / "core" / "risk.py").rename(package / "core" / "hazard.py")
    assert code_key(package) != before


@pytest.mark.parametrize("library", ["numba", "llvmlite", "np"])
def test_the_key_changes_with_every_library(package: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_key(package)
    monkeypatch.setattr(getattr(compiled, library), "__version__", "0.0.1")
    assert code_key(package) != before


def test_the_key_changes_with_the_processor(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_key(package)
    monkeypatch.setattr(compiled.llvmlite.binding, "get_host_cpu_name", lambda: "another")
    assert code_key(package) != before


def test_the_sources_are_sorted_and_those_of_this_package_hold_the_core() -> None:
    names = [path.relative_to(PACKAGE).as_posix() for path in compiled_sources()]
    assert names == sorted(names)
    assert {"units.py", "ladder.py", "core/risk.py", "core/strategies/glft.py", "venue/matching.py"} <= set(names)
    assert "cli/doctor.py" not in names


# The folder.


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No variable is set, and the temporary directory is the test's own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return monkeypatch


def test_the_first_variable_that_is_set_says_where(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = {
        "": tmp_path / "temporary" / f"hlhft-{os.getuid()}",
        "HOME": tmp_path / "home" / ".cache" / "hlhft",
        "XDG_CACHE_HOME": tmp_path / "xdg" / "hlhft",
        "CACHE_DIRECTORY": tmp_path / "systemd",
        "HLHFT_CACHE": tmp_path / "own",
    }
    values = {
        "HOME": tmp_path / "home", "XDG_CACHE_HOME": tmp_path / "xdg",
        "CACHE_DIRECTORY": f"{tmp_path / 'systemd'}:{tmp_path / 'other'}", "HLHFT_CACHE": tmp_path / "own",
    }  # fmt: skip
    for name, place in places.items():
        if name:
            variables.setenv(name, str(values[name]))
        assert cache_root() == place
        assert place.is_dir() and stat.S_IMODE(place.stat().st_mode) == 0o700
        assert list(place.iterdir()) == []


def test_a_place_that_cannot_be_made_gives_way_to_the_next(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service's home is often a file or a folder that is not there and cannot be made."""
    (tmp_path / "file").write_text("")
    variables.setenv("CACHE_DIRECTORY", str(tmp_path / "file" / "cache"))
    variables.setenv("HOME", str(tmp_path / "file"))
    assert cache_root() == tmp_path / "temporary" / f"hlhft-{os.getuid()}"


def test_a_place_of_one_s_own_choice_has_no_substitute(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    variables.setenv("HLHFT_CACHE", str(tmp_path / "file"))
    variables.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(CacheError, match=r"tried .*file \(File exists\); set HLHFT_CACHE"):
        cache_root()
    assert not (tmp_path / "home").exists()


def test_a_place_that_anybody_can_write_is_refused(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """numba unpickles and runs what lies there."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    variables.setenv("HLHFT_CACHE", str(tmp_path / "open"))
    with pytest.raises(CacheError, match=r"open \(anybody can write it\)"):
        cache_root()


def test_a_place_of_somebody_else_is_refused(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As when another user has made the folder under the temporary directory before us."""
    variables.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(CacheError, match=r"hlhft-4000000 \(belongs to somebody else\)"):
        cache_root()


def test_without_any_place_the_error_says_so(variables: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    variables.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(CacheError, match="no temporary directory; set HLHFT_CACHE"):
        cache_root()


def test_a_relative_place_stays_where_it_was_named(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables.chdir(tmp_path)
    variables.setenv("HLHFT_CACHE", "here")
    assert cache_root() == tmp_path / "here"


def test_the_running_key_is_that_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is edited during a run changes what the next process runs, not what this one did."""
    assert running_key() == code_key()
    monkeypatch.setattr(compiled, "_cpu", lambda: "another processor")
    assert running_key() != code_key()


def test_this_process_uses_the_folder_of_its_key() -> None:
    assert cache_folder().name == code_key() and cache_folder().parent.name == "code"
    assert str(cache_folder()) == numba.config.CACHE_DIR


def test_a_strategy_has_a_folder_of_its_own_for_as_long_as_it_is_decorated() -> None:
    before = numba.config.CACHE_DIR
    with strategy_cache(b"one") as one:
        assert str(one) == numba.config.CACHE_DIR
    with strategy_cache(b"two") as two:
        assert len({one, two, cache_folder()}) == 3
    with pytest.raises(RuntimeError, match="on purpose"), strategy_cache(b"one") as again:
        assert again == one
        raise RuntimeError("on purpose")
    assert before == numba.config.CACHE_DIR
    assert one.name.startswith(code_key()) and one != cache_folder()


def folder_used(code: Path, name: str, *, days_ago: int) -> Path:
    folder = code / name
    (folder / "core_1").mkdir(parents=True)
    (folder / "core_1" / "step.nbi").write_bytes(b"compiled")
    used_ns = time.time_ns() - days_ago * 86_400 * 10**9
    os.utime(folder, ns=(used_ns, used_ns))
    return folder


def test_a_new_folder_takes_the_room_of_the_version_that_was_not_used_for_longest(tmp_path: Path) -> None:
    keys = [f"{number:032x}" for number in range(1, compiled.KEYS_MAX + 2)]
    versions = [folder_used(tmp_path, key, days_ago=age + 1) for age, key in enumerate(keys)]
    old_strategy = folder_used(tmp_path, f"{keys[-1]}-{1:016x}", days_ago=90)
    # Used again: the version before the last counts as new, and its strategy stays with it.
    kept_strategy = folder_used(tmp_path, f"{keys[-2]}-{1:016x}", days_ago=80)
    assert compiled._used(versions[-2]) == versions[-2]
    of_somebody = folder_used(tmp_path, "notes", days_ago=900)
    new = compiled._used(tmp_path / ("f" * 32))
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    gone = [versions[-1], old_strategy, versions[-3]]
    assert not any(folder.exists() for folder in gone)
    assert {*tmp_path.iterdir()} == {new, of_somebody, kept_strategy, versions[-2], *versions[:-3]}
    assert all((folder / "core_1" / "step.nbi").exists() for folder in versions[:-3])


def test_of_its_own_version_the_strategies_that_were_used_last_stay(tmp_path: Path) -> None:
    key = "e" * 32
    own = folder_used(tmp_path, key, days_ago=100)
    strategies = [
        folder_used(tmp_path, f"{key}-{number:016x}", days_ago=number + 1) for number in range(compiled.STRATEGIES_MAX)
    ]
    new = compiled._used(tmp_path / f"{key}-{10**9:016x}")
    assert {*tmp_path.iterdir()} == {own, new, *strategies[:-1]}


def test_where_no_folder_can_be_made_nothing_is_said(tmp_path: Path) -> None:
    """The first that is compiled says it, if anything is."""
    (tmp_path / "code").write_text("no folder")
    assert compiled._used(tmp_path / "code" / ("e" * 32)).name == "e" * 32


# How functions are compiled.


def half_of(numerator, denominator):
    """Division as IEEE has it."""
    return numerator / denominator


def twice(value):
    """The smallest of bodies."""
    return 2 * value


def test_callers_of_any_width_share_one_compiled_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))  # an empty one: what is found there is not compiled
    ratio, double = compiled.compiled(half_of), compiled.compiled(twice)

    def calls(row, values):
        total = 0.0
        for number in borrowed(values):
            total += ratio(number, 2)
        return total + ratio(row["narrow"], 2) + ratio(3, row["narrow"]) + double(row["narrow"])

    row = np.zeros(1, [("narrow", np.int8)])[0]
    row["narrow"] = 4
    assert compiled.compiled(calls)(row, np.array([1, 2, 3])) == 0.5 + 1.0 + 1.5 + 2.0 + 0.75 + 8.0
    if not JIT_DISABLED:
        assert len(list(tmp_path.rglob("part-*half_of-*.nbc"))) == len(list(tmp_path.rglob("part-*twice-*.nbc"))) == 1
        assert ratio(1.0, 0.0) == np.inf  # no exception leaves compiled code


def test_a_python_strategy_s_stand_in_is_called_by_its_address() -> None:
    heard: list[tuple[Any, ...]] = []

    def strategy(*arguments: Any) -> int:
        heard.append(arguments)
        return 3

    first, second = register_python_strategy(strategy), register_python_strategy(strategy)
    assert 0 < first < second
    if JIT_DISABLED:
        assert compiled.call_strategy(np.int64(second), 1, 2, 3, 4) == 3
        assert heard == [(1, 2, 3, 4)]


def test_linear_algebra_is_not_loaded_and_can_be_later() -> None:
    """numba would import it from scipy at every start; whoever needs it afterwards gets it."""
    pytest.importorskip("scipy")
    script = (
        "import sys, hlhft.compiled\n"
        "assert 'numba.np.arraymath' in sys.modules and 'scipy.linalg' not in sys.modules\n"
        "import scipy.linalg\n"
        "assert scipy.linalg.det([[2.0]]) == 2.0\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
