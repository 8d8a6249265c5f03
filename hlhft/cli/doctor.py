"""`hlhft doctor`: what this installation is made of, for a report of a fault or a comparison of two machines."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import click

import hlhft
from hlhft.cli.errors import CommandError, ExitCode

LIBRARIES = ("numpy", "numba", "llvmlite", "msgspec", "pyarrow", "plotly", "lz4", "click", "rich")
EXTRAS = ("purgedcv", "torch")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def command(*, as_json: bool) -> None:
    """Print versions, the processor, and the folder and key of the compiled code.

    Ends with exit code 1, after all that can be said, when nothing can be compiled here.
    """
    facts, fault = gather()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:<{width}}  {'not installed' if value is None else value}")
    if fault:
        raise CommandError(fault, ExitCode.FAILURE)


def gather() -> tuple[dict[str, str | int | bool | None], str]:
    """Everything `doctor` prints, in its order, and what keeps compiled code from running, empty when nothing does.

    None stands for a package that is not installed.
    """
    facts: dict[str, str | int | bool | None] = {
        "hlhft": hlhft.__version__,
        "package": str(Path(hlhft.__file__).parent),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "system": platform.platform(),
        "cpu": cpu_name(Path("/proc/cpuinfo")),
        "cpus": len(os.sched_getaffinity(0)),
    }
    for name in (*LIBRARIES, *EXTRAS):
        facts[name] = _version(name)
    try:
        from hlhft import compiled
    except OSError as error:
        # The folder is looked for when the module is loaded: without one there is nothing more to say.
        return facts, str(error)
    if compiled.JIT_DISABLED:
        facts["compilation"] = "disabled by NUMBA_DISABLE_JIT"
    else:
        facts["compilation"] = "enabled" if compiled.LINKED_ONCE else "enabled, slower: not a tested version of numba"
    facts["cache_folder"] = str(compiled.cache_folder())
    facts["code_key"] = compiled.running_key()
    return facts, ""


def cpu_name(cpuinfo: Path) -> str:
    """The processor's name as Linux gives it in `cpuinfo`, else the machine's type."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
