"""Takes safeguards out one at a time, and shows that the simulation notices each.

    python -m tests.simulation.mutations [NAME…]    # all without a name; make mutations

Each mutation is made to a copy of the package, and `hlhft simulate` runs there until a promise breaks, over at most
`--seeds` runs of ten virtual minutes. What was found goes to docs/simulation-mutations.json and into the table of
docs/simulation.md; ends with 1 when a mutation went unnoticed, or breaks another promise than it is known to.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hlhft.data.writing import write_file
from hlhft.simulation.judge import Promise
from tests.simulation.safeguards import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
FOUND_FILE, PAGE = ROOT / "docs" / "simulation-mutations.json", ROOT / "docs" / "simulation.md"
BEGIN, END = "<!-- mutations: written by make mutations -->\n", "<!-- end of mutations -->\n"
SEEDS, HOURS = 200, 1 / 6
SECONDS_MAX = 3600  # of one mutation
_SAID = re.compile(r"seed (\d+) breaks a promise, ([A-Z]+): (.*); repeat it with: hlhft (.*)")

_FINDER = """import importlib.util
import sys

CHANGED = %r


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, CHANGED[name]) if name in CHANGED else None


sys.meta_path.insert(0, Finder)
"""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulation made of one mutation."""

    name: str
    safeguard: str
    seed: int  # of the run in which a promise broke
    promise: str
    sentence: str
    repeat: str  # in the mutated copy; with the faults that are needed


class Unnoticed(AssertionError):
    """A mutation that broke no promise, or another than it is to break."""


def mutated(mutation: Mutation, folder: Path) -> dict[str, str]:
    """Puts the package without the safeguard into a folder; the environment in which it is the one that runs.

    Where no compiled code changes, just the changed modules stand there and are imported in place of the package's, so
    that what was compiled of it still serves. Raises ValueError when the text that is to change is not there once.
    """
    package = ROOT / "hlhft"
    changed: dict[str, str] = {}
    if mutation.is_compiled:
        shutil.copytree(package, folder / "hlhft", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in mutation.edits:
        path = folder / "hlhft" / edit.file
        text = (path if path.is_file() else package / edit.file).read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{mutation.name}: {edit.file} has the text {text.count(edit.old)} times, not once")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(edit.old, edit.new))
        changed["hlhft." + edit.file.removesuffix(".py").replace("/", ".")] = str(path)
    if mutation.is_compiled:
        return {"PYTHONPATH": str(folder), "HLHFT_CACHE": f"{folder}/cache"}
    place = folder / "first"
    place.mkdir()
    (place / "sitecustomize.py").write_text(_FINDER % changed)
    return {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}


def find(
    mutation: Mutation, *, first: int = 1, seeds: int = SEEDS, hours: float = HOURS, jobs: int = 1, shrinks: bool = True
) -> Found:
    """Simulates the mutation until a promise breaks. Raises Unnoticed."""
    with tempfile.TemporaryDirectory(prefix="hlhft-mutation-") as folder:
        environment = {**os.environ, **mutated(mutation, Path(folder))}
        command = [
            sys.executable, "-m", "hlhft", "simulate", "--first", str(first), "--seeds", str(seeds),
            "--hours", f"{hours:g}", "--jobs", str(jobs), *([] if shrinks else ["--no-shrink"]),
        ]  # fmt: skip
        ran = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    said = _SAID.search(" ".join(ran.stderr.split()))
    if ran.returncode != 1 or said is None:
        raise Unnoticed(f"{mutation.name}: no promise broke in {seeds} runs (exit code {ran.returncode}): {ran.stderr}")
    seed, promise, sentence, repeat = said.groups()
    if Promise[promise] not in mutation.promises:
        raise Unnoticed(f"{mutation.name}: broke {promise} in the run of seed {seed}, {sentence}")
    return Found(
        name=mutation.name, safeguard=mutation.safeguard, seed=int(seed), promise=promise,
        sentence=sentence[:300], repeat=repeat,
    )  # fmt: skip


def table(found: Sequence[Found]) -> str:
    """Markdown: what was taken out, how it was noticed, and what was not noticed so far."""
    rows = ["| mutation | without | seed | promise | faults until then |", "| --- | --- | ---: | --- | --- |"]
    for one in found:
        faults = one.repeat.rpartition("--faults ")[2].replace(",", ", ")
        rows.append(f"| {one.name} | {one.safeguard} | {one.seed} | {one.promise} | `{faults[:160]}` |")
    names = {one.name for one in found}
    rows += [f"| {one.name} | {one.safeguard} | | not noticed yet | |" for one in MUTATIONS if one.name not in names]
    return "\n".join(rows) + "\n"


def read() -> dict[str, Found]:
    """What was found so far, by mutation."""
    if not FOUND_FILE.is_file():
        return {}
    return {one.name: one for one in msgspec.json.decode(FOUND_FILE.read_bytes(), type=list[Found])}


def write(found: dict[str, Found]) -> None:
    """Keeps it, in the order of the mutations."""
    ordered = [found[mutation.name] for mutation in MUTATIONS if mutation.name in found]
    write_file(FOUND_FILE, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    write_file(PAGE, (before + BEGIN + table(ordered) + END + rest.partition(END)[2]).encode())


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when each was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations")
    parser.add_argument("names", nargs="*", choices=[[], *(mutation.name for mutation in MUTATIONS)], default=[])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-shrink", action="store_true")
    told = parser.parse_args(arguments)
    unnoticed = 0
    for mutation in MUTATIONS:
        if told.names and mutation.name not in told.names:
            continue
        try:
            one = find(mutation, first=told.first, seeds=told.seeds, jobs=told.jobs, shrinks=not told.no_shrink)
        except Unnoticed as error:
            unnoticed += 1
            print(error, flush=True)
            continue
        print(f"{one.name}: {one.promise} in the run of seed {one.seed}, {one.sentence}", flush=True)
        write({**read(), one.name: one})
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
