"""A measured figure, what it has to reach, and the file that the README's table is made of."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import numpy as np

from hlhft import __version__
from hlhft.cli.doctor import cpu_name


@dataclass(frozen=True)
class Figure:
    """One line. `minimum` or `maximum` is the promise, `gate` the wide bound that a short run fails on."""

    section: str
    name: str
    value: float
    unit: str
    minimum: float | None = None
    maximum: float | None = None
    gate: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the promise holds; a figure without one is only reported."""
        return (self.minimum is None or self.value >= self.minimum) and (
            self.maximum is None or self.value <= self.maximum
        )

    @property
    def passes_gate(self) -> bool:
        """Whether a short run may pass: within the wide bound, or the promise where there is none."""
        if self.gate is None:
            return self.is_met
        return self.value >= self.gate if self.minimum is not None else self.value <= self.gate

    @property
    def promise(self) -> str:
        """What is to reach, in words."""
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        return f"at most {self.maximum:g}" if self.maximum is not None else ""


def median(values: Sequence[float]) -> float:
    """The median; raises StatisticsError when there is none."""
    return float(statistics.median(values))


def machine() -> dict[str, str | int]:
    """Where and when the figures were taken."""
    return {
        "processor": cpu_name(Path("/proc/cpuinfo")),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "hlhft": __version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def shown(figure: Figure) -> str:
    """The value with three digits that say something."""
    return f"{figure.value:.3g}" if abs(figure.value) < 1000 else f"{figure.value:,.0f}"


def markdown(figures: Sequence[Figure], facts: dict[str, str | int]) -> str:
    """The page: machine and date, then one table a section."""
    lines = ["# Measured", "", "Written by `make bench`; [tests/bench](../tests/bench/README.md) says how.", ""]
    lines += [", ".join(f"{name} {value}" for name, value in facts.items()) + ".", ""]
    for section in dict.fromkeys(figure.section for figure in figures):
        lines += [
            f"## {section[0].upper()}{section[1:]}",
            "",
            "| what | measured | to reach | |",
            "| --- | ---: | --- | --- |",
        ]
        for figure in figures:
            if figure.section == section:
                verdict = "" if not figure.promise else "reached" if figure.is_met else "**not reached**"
                lines.append(f"| {figure.name} | {shown(figure)} {figure.unit} | {figure.promise} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


def write(figures: Sequence[Figure], folder: Path) -> None:
    """Writes benchmarks.md and benchmarks.json into `folder`."""
    facts = machine()
    content = {"machine": facts, "figures": [asdict(figure) for figure in figures]}
    (folder / "benchmarks.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(markdown(figures, facts))
