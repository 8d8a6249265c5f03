"""`hlhft doctor`: what this installation is made of, and what keeps a live engine from running well here."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import hlhft
from hlhft.cli.config import loaded_settings
from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.live.doctor import Check

LIBRARIES = ("numpy", "numba", "llvmlite", "msgspec", "pyarrow", "plotly", "lz4", "click", "rich")
EXTRAS = ("purgedcv", "torch")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Look at what a live engine with these settings needs, too.",
)
@click.option("--offline", is_flag=True, help="Do not ask the venue.")
def command(*, as_json: bool, config: Path | None, offline: bool) -> None:
    """Print versions, the processor, and the folder and key of the compiled code.

    With --config, also whether a live engine could run: libraries, keys and whose they are, folders, disk, processor,
    and from the venue its clock, the markets, the account, its mode, fees and budget, and which losses are covered.
    Each is ok, warn, fail or unseen, with what to do.

    Ends with exit code 1, after all that can be said, when nothing can be compiled here or something fails.
    """
    facts, fault = gather()
    checks = [] if config is None else examine(config, offline=offline)
    if as_json:
        shown: dict[str, Any] = {**facts, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(shown, indent=2))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:<{width}}  {'not installed' if value is None else value}")
        _show(checks)
    failed = [check.name for check in checks if check.level == "fail"]
    if fault:
        raise CommandError(fault, ExitCode.FAILURE)
    if failed:
        raise CommandError(f"an engine would not run well: see {', '.join(failed)}", ExitCode.FAILURE)


def examine(file: Path, *, offline: bool) -> list[Check]:
    """What a live engine with the settings of `file` needs; settings that are none are the only thing looked at."""
    from hlhft.config.folders import folders_of
    from hlhft.config.load import ConfigError
    from hlhft.live.doctor import Check, Level, look_here, look_there, unseen_there

    try:
        config = loaded_settings(file).config
        folders = folders_of(config, os.environ)
    except ConfigError as error:
        advice = "see hlhft config show for what each may be"
        return [Check("settings", Level.FAIL, fault, advice) for fault in error.faults]
    here, keys = look_here(config, folders)
    there = unseen_there(config) if offline else look_there(config, keys)
    return [Check("settings", Level.OK, f"{file}: in order"), *here, *there]


def _show(checks: Sequence[Check]) -> None:
    if not checks:
        return
    click.echo()
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{check.level:<6}  {check.name:<{width}}  {check.found}")
        if check.advice:
            click.echo(f"{'':<6}  {'':<{width}}  -> {check.advice}")


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
