"""`make bench-alpha`: measures models, environment and inference.

    python tests/bench/alpha.py [--short] [SECTION…]

A section is a file `alpha_NAME.py` here with a function NAME(recordings, *, short) that gives its figures; `recordings`
is the folder that HLHFT_RECORDINGS names, or None. What needs what this machine lacks gives no figure and prints why.

The full run writes docs/benchmarks-alpha.md and docs/benchmarks-alpha.json; a run of some sections replaces theirs and
leaves the others as they were measured, each with its own machine and date; so does a full run with a section that
needs what this machine lacks. With --short nothing is written. Both exit with 1 when a figure misses its gate (its
promise, where it has no gate of its own), and name what is not reached.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.figures import Figure, machine, shown  # noqa: E402

Section = Callable[..., list[Figure]]
# In this order; what is not here follows by name.
ORDER = ("truth", "recorded", "data", "models", "gpu", "features", "hop", "environment", "policy")
PREFIX = "alpha_"
NAME = "benchmarks-alpha"


@dataclass(frozen=True)
class Measured:
    """A section's figures, where and when."""

    machine: Mapping[str, str | int]
    figures: Sequence[Figure]


def sections(folder: Path = Path(__file__).parent) -> list[str]:
    """The names of the sections in the folder, in their order."""
    names = sorted(path.stem.removeprefix(PREFIX) for path in folder.glob(f"{PREFIX}*.py"))
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def section(name: str) -> Section:
    """The function of a section. Raises AttributeError when its file has none of its name."""
    found: Section = getattr(importlib.import_module(f"tests.bench.{PREFIX}{name}"), name)
    return found


def libraries() -> dict[str, str | int]:
    """The machine, and the libraries that a figure here depends on; one that is not installed is left out."""
    from importlib.metadata import PackageNotFoundError, version

    facts = machine()
    for name in ("torch", "lightning", "onnxruntime", "lightgbm", "stable-baselines3"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


def line(figure: Figure) -> str:
    """A figure for the terminal."""
    mark = "" if not figure.promise else "reached" if figure.is_met else "NOT REACHED"
    return f"{shown(figure):>10} {figure.unit:14} {figure.promise:14} {mark:12} {figure.name}"


def run(
    names: Sequence[str], recordings: Path | None, *, short: bool, find: Callable[[str], Section]
) -> dict[str, Measured]:
    """The sections' figures, each printed as it comes."""
    found = {}
    for name in names:
        print(f"== {name}", flush=True)
        figures = find(name)(recordings, short=short)
        for figure in figures:
            print(line(figure), flush=True)
        found[name] = Measured(libraries(), figures)
    return found


def judge(measured: Mapping[str, Measured]) -> int:
    """1 when a gate is missed; prints what is not reached, gate or not."""
    figures = [figure for one in measured.values() for figure in one.figures]
    for figure in figures:
        if not figure.is_met:
            what = "MISSES ITS GATE" if not figure.passes_gate else "not reached"
            print(f"{what}: {figure.name}: {shown(figure)} {figure.unit}, {figure.promise} was to reach")
    if not figures:
        print("NOT MEASURED: no section gave a figure")
    return 0 if all(figure.passes_gate for figure in figures) else 1


def markdown(measured: Mapping[str, Measured]) -> str:
    """The page: a table a section, with its machine and date, and what is not reached first."""
    missed = [figure.name for one in measured.values() for figure in one.figures if not figure.is_met]
    lines = [
        "# Models, measured",
        "",
        "Written by `make bench-alpha`; [tests/bench](../tests/bench/README.md) says how.",
    ]
    lines += ["", "Not reached: " + ("; ".join(missed) if missed else "nothing") + ".", ""]
    for name, one in measured.items():
        titles = list(dict.fromkeys(figure.section for figure in one.figures)) or [name]
        lines += [f"## {'; '.join(title[:1].upper() + title[1:] for title in titles)}", ""]
        lines += [", ".join(f"{fact} {value}" for fact, value in one.machine.items()) + ".", ""]
        if not one.figures:
            lines += ["Not measured on this machine.", ""]
            continue
        lines += ["| what | measured | to reach | |", "| --- | ---: | --- | --- |"]
        for figure in one.figures:
            verdict = "" if not figure.promise else "reached" if figure.is_met else "**not reached**"
            lines.append(f"| {figure.name} | {shown(figure)} {figure.unit} | {figure.promise} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


def read(folder: Path) -> dict[str, Measured]:
    """What was measured before; nothing where there is no file."""
    path = folder / f"{NAME}.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    return {
        name: Measured(one["machine"], [Figure(**figure) for figure in one["figures"]])
        for name, one in content["sections"].items()
    }


def write(measured: Mapping[str, Measured], folder: Path) -> None:
    """Writes both files, with these sections in place of what they were; the others stay, as do those that gave no
    figure here and some elsewhere."""
    before = read(folder)
    together = before | {name: one for name, one in measured.items() if one.figures or name not in before}
    order = sorted(together, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    together = {name: together[name] for name in order}
    content = {
        "sections": {
            name: {"machine": dict(one.machine), "figures": [asdict(figure) for figure in one.figures]}
            for name, one in together.items()
        }
    }
    for suffix, text in (("json", json.dumps(content, indent=1) + "\n"), ("md", markdown(together))):
        partial = folder / f".{NAME}.{suffix}.writing"
        partial.write_text(text)
        partial.replace(folder / f"{NAME}.{suffix}")


def main() -> int:
    """Runs the sections; 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description="Measures models, environment and inference.")
    parser.add_argument("--short", action="store_true", help="fewer samples and seeds, nothing written")
    parser.add_argument("sections", nargs="*", help="sections to run; default all")
    given = parser.parse_args()
    known = sections()
    unknown = sorted(set(given.sections) - set(known))
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
    folder = os.environ.get("HLHFT_RECORDINGS")
    if not folder:
        print("HLHFT_RECORDINGS names no folder of recordings: what is measured on them is left out")
    recordings = Path(folder) if folder else None
    measured = run(given.sections or known, recordings, short=given.short, find=section)
    if not given.short:
        write(measured, ROOT / "docs")
    return judge(measured)


if __name__ == "__main__":
    sys.exit(main())
