"""The arrows of the house: who may import whom, and what pure code may not know."""

from __future__ import annotations

import ast
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from hlhft.compiled import compiled_sources
from tests import tidy
from tests.conftest import OF_ALPHA
from tests.tidy import Source

ROOT = Path(__file__).resolve().parents[1]

# A room is a top-level module or package of hlhft; here is what each may import beside itself. A room without an entry
# is an error.
BASE = frozenset({"events", "units", "compiled", "ladder"})
LOWER = BASE | {"core", "venue", "hyperliquid", "strategies", "config"}
UPPER = frozenset({"live", "backtest", "exchange", "simulation", "alpha", "data", "report", "monitor"})
ALLOWED: dict[str, frozenset[str]] = {
    "": frozenset(),
    "units": frozenset(),
    "events": frozenset({"units"}),
    "linking": frozenset(),
    "extra": frozenset(),
    "compiled": frozenset({"units", "events", "linking"}),
    "ladder": frozenset({"compiled", "units", "events"}),
    "core": BASE,
    "venue": BASE,
    "hyperliquid": BASE,
    "strategies": BASE | {"core"},
    # The watchdog reads settings and writes logs, and holds neither the core nor numba.
    "config": frozenset({"units"}),
    "log": frozenset(),
    "live": LOWER | {"", "extra"} | UPPER - {"exchange"},
    "exchange": BASE | {"venue", "config", "data", "hyperliquid"},
    "backtest": LOWER | {"data", "report", ""},
    "simulation": LOWER | UPPER,
    "alpha": LOWER | {"", "extra", "backtest", "data", "report", "monitor"},
    # A process writes its own numbers: recorder and alpha process into a block each, which `monitor` knows the form of.
    "data": LOWER | {"monitor"},
    "report": LOWER | {"data"},
    "monitor": LOWER | {""},
    # Hosts of the appliance: keys, installation, switches. It holds no engine.
    "deploy": LOWER | {"", "data"},
    # What runs on many machines reaches whatever a task may do, and only commands reach it.
    "scale": LOWER | {"", "extra", "alpha", "backtest", "data", "report", "monitor"},
    "cli": LOWER | UPPER | {"", "extra", "log", "deploy", "scale"},
    "__main__": frozenset({"cli"}),
}

# The embedded exchange has none of our side's machines: it meets `live` on the wire only, and shares with it just how
# the wire is written.
LANGUAGE = frozenset({"hlhft.hyperliquid.wire", "hlhft.hyperliquid.signing"})

# Pure code decides from its arguments alone: no clock, file, socket, environment, randomness, process or logger.
PURE_ROOMS = frozenset({"core", "venue", "events", "units", "ladder"})
PURE_LIBRARIES = frozenset(
    {"__future__", "collections", "dataclasses", "decimal", "enum", "functools", "itertools", "math", "numpy"}
    | {"statistics", "types", "typing"}
)
IMPURE_CALLS = frozenset({"open", "input", "print", "exec", "eval", "hash", "id", "breakpoint", "__import__"})
# Compilation is set up in one place; the loader of strategies compiles what a user wrote.
MAY_IMPORT_NUMBA = frozenset({"hlhft/compiled.py", "hlhft/linking.py", "hlhft/strategies.py"})


@cache
def sources() -> tuple[Source, ...]:
    files = (ROOT / "hlhft").rglob("*.py")
    return tuple(source for path in sorted(files) if (source := tidy.read(ROOT, path)) is not None)


def room(module: str) -> str:
    """`hlhft.core.book` stands in the room `core`; `hlhft` itself in the room without a name."""
    return module.split(".")[1] if "." in module else ""


def module_of(source: Source) -> str:
    return source.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@cache
def imports(source: Source) -> list[tuple[int, str]]:
    """Line and full name of every module imported, anywhere in the file."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno}: a relative import hides the arrow"
            found += [(node.lineno, imported(str(node.module), alias.name)) for alias in node.names]
    return found


def imported(module: str, name: str) -> str:
    """`from hlhft.core import book` imports the module hlhft.core.book; `from hlhft import units` hlhft.units."""
    values_of_the_package = {"__version__"}
    if module == "hlhft" and name not in values_of_the_package:
        return f"hlhft.{name}"
    is_module = (ROOT / module.replace(".", "/") / f"{name}.py").is_file()
    return f"{module}.{name}" if is_module else module


def arrow_faults(source: Source) -> list[str]:
    here = room(module_of(source))
    if here not in ALLOWED:
        return [f"{source.path}: the room {here} has no entry in ALLOWED"]
    allowed = ALLOWED[here] | {here}
    return [
        f"{source.path}:{line}: {here or 'hlhft'} may not import {name}"
        for line, name in imports(source)
        if name.split(".")[0] == "hlhft"
        and (room(name) not in allowed or (here == "exchange" and room(name) == "hyperliquid" and not spoken(name)))
    ]


def spoken(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in LANGUAGE)


def purity_faults(source: Source) -> list[str]:
    faults = [
        f"{source.path}:{line}: pure code may not import {name}"
        for line, name in imports(source)
        if name.split(".")[0] not in PURE_LIBRARIES | {"hlhft"}
    ]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            faults.append(f"{source.path}:{node.lineno}: pure code may not call {node.func.id}")
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"np.random", "numpy.random"}:
            faults.append(f"{source.path}:{node.lineno}: pure code gets its random numbers as arguments")
    return faults


def is_pure(source: Source) -> bool:
    compiled_elsewhere = source.is_compiled and source.path not in MAY_IMPORT_NUMBA
    return room(module_of(source)) in PURE_ROOMS or compiled_elsewhere


def test_arrows_point_one_way() -> None:
    assert not [fault for source in sources() for fault in arrow_faults(source)]


def test_pure_code_knows_no_world() -> None:
    pure = list(filter(is_pure, sources()))
    assert {room(module_of(source)) for source in pure} >= PURE_ROOMS
    assert not [fault for source in pure for fault in purity_faults(source)]


def test_rooms_have_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for source in sources():
        here = room(module_of(source))
        targets = {room(name) for _, name in imports(source) if name.split(".")[0] == "hlhft"}
        graph.setdefault(here, set()).update(targets - {here})
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("units") < order.index("ladder") < order.index("core")


def test_only_one_place_sets_up_compilation() -> None:
    users = {s.path for s in sources() for _, name in imports(s) if name.split(".")[0] in {"numba", "llvmlite"}}
    assert users <= MAY_IMPORT_NUMBA


def test_the_code_key_covers_all_that_is_compiled() -> None:
    """Compiled functions, and modules whose constants they may read: an edit of any must change the cache folder."""
    covered = {path.relative_to(ROOT).as_posix() for path in compiled_sources()}
    compiled = [source for source in sources() if source.is_compiled]
    reached = {source.path for source in compiled}
    for source in compiled:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("hlhft"):
                # A class or type is no constant and cannot be called there.
                names = [alias.name for alias in node.names if alias.name.isupper() or alias.name.islower()]
                reached |= {imported(str(node.module), name).replace(".", "/") + ".py" for name in names}
    assert reached - covered == set(), "hlhft/compiled.py: compiled_sources must hold these files too"


def test_every_import_is_declared() -> None:
    """A library that happens to be installed, because another needs it, is not ours to use."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], project["optional-dependencies"]["research"]]
    declared = {requirement.partition(">=")[0] for requirements in lists for requirement in requirements}
    declared |= {"hlhft", "llvmlite"}  # llvmlite is numba's other half, released with it
    declared |= {"botocore"}  # boto3's other half, likewise
    declared |= {name.replace("-", "_") for name in declared}  # a package's name has hyphens, its module none
    declared |= {"Crypto", "zmq"}  # pycryptodome and pyzmq under their own names
    used = {(name.split(".")[0], s.path) for s in sources() for _, name in imports(s)}
    # Only the room of models may use what the base installation does not bring.
    extra = {
        requirement.partition(">=")[0].replace("-", "_") for requirement in project["optional-dependencies"]["alpha"]
    }
    extra |= {"sklearn"}  # scikit-learn under its own name
    used = {(name, path) for name, path in used if not (name in extra and path.startswith("hlhft/alpha/"))}
    # Only the room of clusters may use what the extra `scale` brings; a command that needs it asks first.
    clusters = {requirement.partition(">=")[0] for requirement in project["optional-dependencies"]["scale"]}
    clusters |= {"sqlalchemy"}  # what Optuna keeps a study in PostgreSQL with
    used = {(name, path) for name, path in used if not (name in clusters and path.startswith("hlhft/scale/"))}
    # What writes the dashboards asks for its package, and no server runs it.
    assert project["optional-dependencies"]["dashboards"] == ["grafana-foundation-sdk"]
    used -= {("grafana_foundation_sdk", "hlhft/monitor/dashboards.py")}
    # Nor does one make the keys of hosts.
    assert project["optional-dependencies"]["deploy"] == ["cryptography>=44"]
    used = {(name, path) for name, path in used if not (name == "cryptography" and path.startswith("hlhft/deploy/"))}
    assert not {(name, path) for name, path in used if name not in declared and name not in sys.stdlib_module_names}


def loaded_with(path: Path, extra: frozenset[str], seen: dict[Path, frozenset[str]]) -> frozenset[str]:
    """What of `extra` importing a file of ours brings along, functions not called; `seen` is filled."""
    if path in seen or not path.is_file():
        return seen.get(path, frozenset())
    seen[path] = frozenset()  # where files import each other, the other is under way
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        else:
            continue
        for name in names:
            found |= {name.split(".")[0]} & extra
            if name.split(".")[0] in ("hlhft", "tests"):
                place = ROOT / name.replace(".", "/")
                found |= loaded_with(place.with_suffix(".py"), extra, seen)
    seen[path] = frozenset(found)
    return seen[path]


def test_what_needs_the_packages_for_models_says_so() -> None:
    """Where they are not installed, a test without the mark could not even be read, nor a command be started."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lists = (extras["alpha"], [*project["dependencies"], *extras["dev"], *extras["research"]])
    extra, others = ({one.partition(">=")[0].replace("-", "_") for one in names} for names in lists)
    needed = frozenset((extra - others) | {"sklearn"})
    seen: dict[Path, frozenset[str]] = {}
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if not OF_ALPHA.search(path.read_text())]
    commands = [
        path for room in ("cli", "live", "backtest", "report") for path in (ROOT / "hlhft" / room).rglob("*.py")
    ]
    found = {path.relative_to(ROOT): loaded_with(path, needed, seen) for path in (*tests, *commands)}
    assert not {path: names for path, names in found.items() if names}
    assert loaded_with(ROOT / "tests" / "endtoend" / "test_alpha.py", needed, seen), "else nothing is looked at"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("hlhft/core/x.py", "from hlhft.venue import fees\n"),
        ("hlhft/venue/x.py", "import hlhft.core.book\n"),
        ("hlhft/core/x.py", "def f():\n    from hlhft import config\n"),
        ("hlhft/exchange/x.py", "from hlhft.live import transport\n"),
        ("hlhft/exchange/x.py", "from hlhft.hyperliquid import gateway\n"),
        ("hlhft/exchange/x.py", "from hlhft.hyperliquid.gateway import Gateway\n"),
        ("hlhft/live/x.py", "from hlhft.exchange import api\n"),
        ("hlhft/backtest/x.py", "from hlhft.cli import main\n"),
        ("hlhft/attic/x.py", ""),
    ],
)
def test_a_wrong_arrow_is_seen(path: str, text: str) -> None:
    assert arrow_faults(Source(path, text))


@pytest.mark.parametrize(
    "text",
    [
        "import time\n",
        "from pathlib import Path\n",
        "import numba\n",
        "def f():\n    import random\n",
        "import numpy as np\n\nx = np.random.default_rng()\n",
        "y = open('x')\n",
        "y = hash('x')\n",
    ],
)
def test_impurity_is_seen(text: str) -> None:
    assert purity_faults(Source("hlhft/core/x.py", text))
