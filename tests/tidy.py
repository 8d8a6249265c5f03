"""The house rules as functions over source text: each yields (line, sentence) for what breaks it."""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 120
FILE_LINES_MAX = 600

Fault = tuple[int, str]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPILERS = frozenset({"compiled", "compiled_views", "compiled_strategy"})


@dataclass(frozen=True)
class Source:
    """One file: its path from the repository's root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS)]

    @cached_property
    def is_compiled(self) -> bool:
        """Whether it decorates a function for compilation."""
        return any(_decorators(function) & COMPILERS for function in self.functions)


def repository_files(root: Path) -> list[Path]:
    """Every file under `root` that .gitignore does not name, sorted."""
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text().split()] + [".git"]

    def is_ignored(path: Path) -> bool:
        parts = path.relative_to(root).parts
        return any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in ignored)

    return [path for path in sorted(root.rglob("*")) if not is_ignored(path) and path.is_file()]


def read(root: Path, path: Path) -> Source | None:
    """The file as text, None when it is not text."""
    try:
        return Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None


def long_lines(source: Source) -> Iterator[Fault]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if len(line) > LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}"


def long_file(source: Source) -> Iterator[Fault]:
    count = source.text.count("\n")
    if count > FILE_LINES_MAX:
        yield 1, f"{count} lines, at most {FILE_LINES_MAX}: split it by concern"


def long_functions(source: Source) -> Iterator[Fault]:
    for function in source.functions:
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > FUNCTION_LINES_MAX:
            yield function.lineno, f"{function.name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def broad_handlers(source: Source) -> Iterator[Fault]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds):
            yield node.lineno, "catches everything: name the errors that can be handled here"


def prints(source: Source) -> Iterator[Fault]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield node.lineno, "prints: only commands talk to the terminal"


def global_statements(source: Source) -> Iterator[Fault]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"rebinds {', '.join(node.names)}: state is passed, not global"


def missing_docstrings(source: Source) -> Iterator[Fault]:
    if ast.get_docstring(source.tree) is None:
        yield 1, "the module has no docstring"
    for owner in [source.tree, *(node for node in source.tree.body if isinstance(node, ast.ClassDef))]:
        for node in owner.body:
            public = isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node) and not _is_overload(node):
                yield node.lineno, f"{node.name} has no docstring"


def _is_overload(node: ast.stmt) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(d).endswith(("overload", ".setter")) for d in decorators)


def lower_case_globals(source: Source) -> Iterator[Fault]:
    """Settings of compiled code travel as arguments: numba freezes globals at compilation."""
    if not source.is_compiled:
        return
    for node in source.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            value = getattr(node, "value", None)
            makes_function = isinstance(value, ast.Call) and ast.unparse(value.func) in COMPILERS
            if isinstance(target, ast.Name) and re.fullmatch(r"_?[a-z][a-z0-9_]*", target.id) and not makes_function:
                yield node.lineno, f"{target.id} is a global variable of a compiled module: pass it as an argument"


def containers_read_when_compiled(source: Source) -> Iterator[Fault]:
    """A compiled function that reads a module's list, dict or set reads a frozen copy, or cannot be compiled at all."""
    displays = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    containers: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, displays):
            containers |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for function in source.functions:
        if not _decorators(function) & COMPILERS:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in containers:
                yield node.lineno, f"compiled {function.name} reads the container {node.id}"


def untyped_functions(source: Source) -> Iterator[Fault]:
    """mypy lets the functions of compiled modules go without types, as numba infers them; the others it must not."""
    owners = [source.tree, *(node for node in source.tree.body if isinstance(node, ast.ClassDef))]
    for node in (node for owner in owners for node in owner.body):
        if not isinstance(node, FUNCTIONS) or _decorators(node) & (COMPILERS | {"intrinsic"}):
            continue
        if node.name == "quote" and "/strategies/" in source.path:  # compiled by the loader of strategies
            continue
        given = node.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bare = [a.arg for a in named if a is not None and a.annotation is None and a.arg not in {"self", "cls"}]
        if bare or node.returns is None:
            missing = [*bare, *(["its result"] if node.returns is None else [])]
            yield node.lineno, f"{node.name} is not compiled and lacks the types of {', '.join(missing)}"


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of the decorators, without their arguments."""
    return {ast.unparse(decorator).split("(")[0] for decorator in function.decorator_list}


def muted_tests(source: Source) -> Iterator[Fault]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"pytest.mark.skip", "pytest.mark.xfail"}:
            yield node.lineno, "a test that is switched off tests nothing: mend or delete it"


UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
SECRETS = re.compile(
    "|".join(
        [
            "-----BEGIN [A-Z ]*PRIVATE " + "KEY-----",
            "AGE-SECRET-" + "KEY-1[0-9A-Z]{20,}",
            r"(?i:(?:private|secret|api)[_-]?key\W{1,5}(?:0x)?[0-9a-f]{64})\b",
            r"\bAKIA[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
        ]
    )
)
# Numbers as long as a private key that are none: the order of a curve, vectors, seeds of simulations.
NUMBERS = frozenset(
    {"hlhft/hyperliquid/signing.py", "tests/hyperliquid/test_signing.py", "docs/simulation-mutations.json"}
)
WALLET_KEY = re.compile(r"(?<![0-9a-zA-Z])0x[0-9a-fA-F]{64}(?![0-9a-fA-F])")
# X25519 in base64, whose last digit before the sign has two bits of zero; a hash of Nix says what it is.
CURVE_KEY = re.compile(r"(?<![A-Za-z0-9+/-])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![A-Za-z0-9+/=])")
ENCRYPTED = re.compile(r"ENC\[[^\]\n]*\]")  # a value as sops writes it
DISTINCT_MIN = 9  # characters of what is random; fewer are somebody's placeholder
PACKAGE_SOURCES = re.compile("--(?:extra-)?index" + "-url|--find" + "-links|--trusted" + "-host")


def unfinished(source: Source) -> Iterator[Fault]:
    yield from _matches(source, UNFINISHED, "unfinished: do it or leave it out")


def secrets(worthless: frozenset[str], public: frozenset[str]) -> Callable[[Source], Iterator[Fault]]:
    """`worthless` are private keys that everybody may have, `public` keys that everybody may know."""

    def secrets(source: Source) -> Iterator[Fault]:
        for number, line in enumerate(ENCRYPTED.sub("", source.text).splitlines(), start=1):
            found = [match[0] for match in SECRETS.finditer(line)]
            found += [match[0] for match in CURVE_KEY.finditer(line) if _is_random(match[0])]
            if source.path not in NUMBERS:
                found += [match[0] for match in WALLET_KEY.finditer(line) if _is_random(match[0])]
            if set(found) - worthless - public:
                yield number, "looks like a secret in clear"

    return secrets


def _is_random(text: str) -> bool:
    return len(set(text.lower())) >= DISTINCT_MIN


def encrypted(source: Source) -> Iterator[Fault]:
    """What stands in secrets/ as JSON is encrypted, all of it."""
    if not (source.path.startswith("secrets/") and source.path.endswith(".json")):
        return
    content = json.loads(source.text)
    for name, value in content.items():
        if name != "sops" and not str(value).startswith("ENC["):
            yield 1, f"{name} stands there in clear"
    if not content.get("sops", {}).get("age"):
        yield 1, "nobody could read it: this is not what sops wrote"


def package_sources(source: Source) -> Iterator[Fault]:
    yield from _matches(source, PACKAGE_SOURCES, "names where packages come from: that is the machine's business")


def _matches(source: Source, pattern: re.Pattern[str], sentence: str) -> Iterator[Fault]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if pattern.search(line):
            yield number, sentence


def machine_paths(root: Path, home: Path) -> Callable[[Source], Iterator[Fault]]:
    """A rule against paths of the machine this runs on: the checkout, the folder it stands in, the user's home."""
    shared_by_all = {"/", "/home", "/mnt", "/opt", "/srv", "/usr/src", tempfile.gettempdir()}
    places = {f"{place}/" for place in (root, root.parent, home) if str(place) not in shared_by_all}
    beside = "../" + "shared"

    def rule(source: Source) -> Iterator[Fault]:
        for number, line in enumerate(source.text.splitlines(), 1):
            for place in sorted(places):
                if place in line:
                    yield number, f"names {place}, a path of one machine"
            if beside in line and source.path != ".ci/run":
                yield number, f"names {beside}: only .ci/run knows what lies beside the checkout"

    return rule
