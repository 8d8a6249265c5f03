"""Tidiness is a test: lengths, handlers, docstrings, unfinished work, machine paths, secrets, a test per module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests import tidy
from tests.tidy import Fault, Source

ROOT = Path(__file__).resolve().parents[1]
Rule = Callable[[Source], Iterator[Fault]]

# Packages and entry points hold names for others; what they do is tested where it is used.
WITHOUT_TEST_FILE = frozenset({"__init__.py", "__main__.py"})
# The rules' own examples of what they refuse.
EXAMPLES = frozenset({"tests/test_structure.py"})


@pytest.fixture(scope="module")
def texts() -> list[Source]:
    found = (tidy.read(ROOT, path) for path in tidy.repository_files(ROOT))
    return [source for source in found if source is not None and source.path not in EXAMPLES]


@pytest.fixture(scope="module")
def python(texts: list[Source]) -> list[Source]:
    return [source for source in texts if source.path.endswith(".py")]


@pytest.fixture(scope="module")
def package(python: list[Source]) -> list[Source]:
    return [source for source in python if source.path.startswith("hlhft/")]


def check(rule: Rule, sources: list[Source]) -> None:
    assert sources
    faults = [f"{source.path}:{line}: {sentence}" for source in sources for line, sentence in rule(source)]
    assert not faults, "\n" + "\n".join(faults)


PYTHON_RULES: list[Rule] = [
    tidy.long_lines,
    tidy.long_file,
    tidy.long_functions,
    tidy.broad_handlers,
    tidy.global_statements,
    tidy.muted_tests,
]
PACKAGE_RULES: list[Rule] = [
    tidy.missing_docstrings,
    tidy.lower_case_globals,
    tidy.containers_read_when_compiled,
]
# The key that reads the examples, keys of peers in tests, and the public keys of hosts.
WORTHLESS = frozenset(
    [
        *(ROOT / "tests" / "deploy" / "worthless-age-key.txt").read_text().splitlines()[-1:],
        *re.findall(r'"([^"]{44})"', (ROOT / "tests" / "nixos" / "wireguard.nix").read_text()),
    ]
)
PUBLIC = frozenset(
    key
    for path in (ROOT / "nixos" / "hosts").glob("*/keys.json")
    for key in re.findall(r'"([^"]{44})"', path.read_text())
)
SECRETS = tidy.secrets(WORTHLESS, PUBLIC)
TEXT_RULES: list[Rule] = [
    tidy.unfinished,
    SECRETS,
    tidy.encrypted,
    tidy.package_sources,
    tidy.machine_paths(ROOT, Path.home()),
]


def name(rule: Rule) -> str:
    return rule.__qualname__.split(".")[0]


@pytest.mark.parametrize("rule", PYTHON_RULES, ids=name)
def test_python(rule: Rule, python: list[Source]) -> None:
    check(rule, python)


@pytest.mark.parametrize("rule", PACKAGE_RULES, ids=name)
def test_package(rule: Rule, package: list[Source]) -> None:
    check(rule, package)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=name)
def test_text(rule: Rule, texts: list[Source]) -> None:
    check(rule, texts)


def test_only_commands_print(package: list[Source]) -> None:
    check(tidy.prints, [source for source in package if not source.path.startswith("hlhft/cli/")])


def test_what_is_not_compiled_is_typed(package: list[Source]) -> None:
    """mypy checks this itself, but for the modules that pyproject.toml lets go without types."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (relaxed,) = (entry["module"] for entry in overrides if entry.get("disallow_untyped_defs") is False)
    patterns = [pattern.replace(".", "/").replace("/*", "/**") for pattern in relaxed]
    found = [s for s in package if any(fnmatch(s.path.removesuffix(".py"), pattern) for pattern in patterns)]
    assert {s.path.split("/")[1] for s in found if s.is_compiled} >= {"core", "venue", "backtest"}
    check(tidy.untyped_functions, found)


def test_every_module_has_a_test_file(package: list[Source]) -> None:
    missing = []
    for source in package:
        path = Path(source.path)
        mirrored = Path("tests", *path.parent.parts[1:], f"test_{path.name}")
        if path.name not in WITHOUT_TEST_FILE and not (ROOT / mirrored).is_file():
            missing.append(f"{source.path}: there is no {mirrored}")
    assert not missing, "\n" + "\n".join(missing)


def test_every_package_folder_says_that_it_is_one(package: list[Source]) -> None:
    folders = {Path(source.path).parent for source in package}
    assert not [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()]


REFUSED: list[tuple[Rule, str]] = [
    (tidy.long_lines, "x = '" + "a" * 120 + "'\n"),
    (tidy.long_file, "\n" * 601),
    (tidy.long_functions, "def f():\n" + "    pass\n" * 70),
    (tidy.broad_handlers, "try:\n    f()\nexcept Exception:\n    g()\n"),
    (tidy.broad_handlers, "try:\n    f()\nexcept:\n    g()\n"),
    (tidy.broad_handlers, "try:\n    f()\nexcept (ValueError, BaseException):\n    g()\n"),
    (tidy.prints, "print('x')\n"),
    (tidy.global_statements, "def f():\n    global x\n    x = 1\n"),
    (tidy.muted_tests, "import pytest\n\n@pytest.mark.skip\ndef test_x(): ...\n"),
    (tidy.muted_tests, "import pytest\n\n@pytest.mark.xfail(reason='x')\ndef test_x(): ...\n"),
    (tidy.missing_docstrings, "x = 1\n"),
    (tidy.missing_docstrings, "'''Doc.'''\n\ndef f(): ...\n"),
    (tidy.missing_docstrings, "'''Doc.'''\n\nclass C:\n    '''Doc.'''\n\n    def f(self): ...\n"),
    (tidy.lower_case_globals, "limit = 3\n\n@compiled\ndef f(): return limit\n"),
    (tidy.lower_case_globals, "limit: int = 3\n\n@compiled\ndef f(): return limit\n"),
    (tidy.containers_read_when_compiled, "TABLE = {1: 2}\n\n@compiled\ndef f(): return TABLE[1]\n"),
    (tidy.untyped_functions, "def f(x) -> int: ...\n"),
    (tidy.untyped_functions, "def f(x: int): ...\n"),
    (tidy.untyped_functions, "class C:\n    def f(self, *, x) -> None: ...\n"),
    (tidy.unfinished, "# TODO: later\n"),
    (SECRETS, "private_key = '0x" + "ab" * 32 + "'\n"),
    (SECRETS, "-----BEGIN EC PRIVATE KEY-----\n"),
    (SECRETS, "AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF" * 5 + "\n"),
    (SECRETS, "wallet: 0x" + "0123456789abcdef" * 4 + "\n"),
    (SECRETS, "PrivateKey = " + "aB3dE5gH7jK9" * 3 + "mN1pQ3A=\n"),
    (tidy.package_sources, "pip install --index-url x\n"),
    (tidy.machine_paths(Path("/a/b"), Path("/home/c")), "open('/a/other')\n"),
    (tidy.machine_paths(Path("/a/b"), Path("/home/c")), "open('/home/c/x')\n"),
    (tidy.machine_paths(Path("/a/b"), Path("/home/c")), "open('../shared/data')\n"),
]


@pytest.mark.parametrize(("rule", "text"), REFUSED)
def test_each_rule_refuses_what_it_is_for(rule: Rule, text: str) -> None:
    assert list(rule(Source("x.py", text)))


ACCEPTED: list[tuple[Rule, str]] = [
    (tidy.long_functions, "def f():\n" + "    pass\n" * 69),
    (tidy.broad_handlers, "try:\n    f()\nexcept (ValueError, KeyError):\n    g()\n"),
    (tidy.lower_case_globals, "step = compiled(f)\nLIMIT = 3\n\n@compiled\ndef f(): return LIMIT\n"),
    (tidy.lower_case_globals, "name = 'not compiled'\n"),
    (tidy.containers_read_when_compiled, "TABLE = {1: 2}\n\ndef f(): return TABLE[1]\n"),
    (tidy.untyped_functions, "@compiled\ndef f(x): ...\n\n\nclass C:\n    def f(self, x: int) -> int: ...\n"),
    (tidy.machine_paths(Path("/tmp/b"), Path("/")), "open('/tmp/x')\n"),
    (SECRETS, "hash: sha256-" + "aB3dE5gH7jK9" * 3 + "mN1pQ3A=\n"),
    (SECRETS, "cloid: 0x" + "0123456789abcdef" * 2 + "\n"),
    (SECRETS, "placeholder: 0x" + "01" * 32 + "\n"),
]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"a": "ENC[x]", "sops": {"age": [{"recipient": "age1x"}]}}', 0),
        ('{"a": "clear", "sops": {"age": [{"recipient": "age1x"}]}}', 1),
        ('{"a": "ENC[x]", "sops": {"age": []}}', 1),
        ('{"a": "clear"}', 2),
    ],
)
def test_what_is_to_be_encrypted_is(text: str, faults: int) -> None:
    assert len(list(tidy.encrypted(Source("secrets/trader.json", text)))) == faults
    assert not list(tidy.encrypted(Source("docs/trader.json", text)))


@pytest.mark.parametrize(("rule", "text"), ACCEPTED)
def test_each_rule_accepts_its_neighbours(rule: Rule, text: str) -> None:
    assert not list(rule(Source("x.py", text)))
