"""What all tests share: where recordings lie, a home of their own, and no skip that goes unnoticed."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ("tests.data.mining.s3_fixtures",)

# Tests with these marks need what a machine may lack; any other skip is a failure where HLHFT_STRICT_SKIPS is 1.
MARKS_THAT_MAY_SKIP = frozenset({"gpu", "network", "nix"})

# All tests in these folders have a mark; elsewhere a test or module is marked itself.
MARK_OF_FOLDER = {"conformance": "processes", "endtoend": "processes", "simulation": "simulation"}
TESTS = Path(__file__).parent

# A test file that says so needs the packages of the extra `alpha`: without them it cannot even be read.
OF_ALPHA = re.compile(r"^pytestmark = .*\bpytest\.mark\.alpha\b", re.MULTILINE)
HAS_ALPHA = importlib.util.find_spec("torch") is not None

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings that HLHFT_RECORDINGS names; skips loudly when it names none."""
    folder = os.environ.get("HLHFT_RECORDINGS")
    if not folder:
        pytest.skip("NOT TESTED on real order flow: HLHFT_RECORDINGS names no folder of recordings")
    path = Path(folder)
    assert path.is_dir(), f"HLHFT_RECORDINGS names {folder}, which is no folder"
    return path


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working folder: HOME and the cache folders of this process and its children lie under it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HLHFT_CACHE", str(home / "cache"))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "CACHE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


class StrictSkips:
    """Counts skips that no mark allows and fails the session over them."""

    def __init__(self) -> None:
        self.skips: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and MARKS_THAT_MAY_SKIP.isdisjoint(report.keywords):
            self.skips.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skips.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skips and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for name in self.skips:
            terminalreporter.write_line(
                f"SKIPPED, which counts as failed where HLHFT_STRICT_SKIPS is 1: {name}", red=True
            )


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out what needs packages that are not there; `make test-alpha` installs them, and finds nothing to run if
    that failed, which pytest counts as an error."""
    if HAS_ALPHA or collection_path.suffix != ".py":
        return None
    return True if OF_ALPHA.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = MARK_OF_FOLDER.get(item.path.relative_to(TESTS).parts[0])
        if mark is not None:
            item.add_marker(mark)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("HLHFT_STRICT_SKIPS") == "1":
        config.pluginmanager.register(StrictSkips(), "strict-skips")
