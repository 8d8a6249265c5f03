"""Progress on standard error: a bar with the time left on a terminal, a plain line now and then elsewhere.

Nothing of it is ever on standard output, which belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

Progress = Callable[[int, int], None]
LINE_EVERY_S = 10.0
COMPILING = "Compiling for this machine: up to half a minute, and only the first time."


@contextmanager
def progress(
    what: str, *, hidden: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress | None]:
    """Yields what to call with (done, in all), or None when nothing is to be shown.

    On a terminal a bar that disappears when it is done; elsewhere a line at the start, and one every LINE_EVERY_S.
    """
    if hidden:
        yield None
    elif sys.stderr.isatty():
        with _bar(what) as update:
            yield update
    else:
        yield _lines(what, clock)


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str, clock: Callable[[], float]) -> Progress:
    click.echo(what, err=True)
    # The pace counts from the first report: what came before it was setting up, and compiling perhaps.
    first: tuple[float, int] | None = None
    last = clock()

    def update(done: int, total: int) -> None:
        nonlocal first, last
        now = clock()
        if first is None:
            first = (now, done)
        elif now - last >= LINE_EVERY_S and first[1] < done < total:
            left_s = (now - first[0]) * (total - done) / (done - first[1])
            click.echo(f"{what}: {100 * done // total} %, {left_s:.0f} s left", err=True)
            last = now

    return update


def say_if_it_compiles(folder: Path, *, hidden: bool = False) -> None:
    """Writes the line COMPILING when the folder of compiled code has no replay yet."""
    if not hidden and not any(folder.glob("*/loop.advance-*.nbi")):
        click.echo(COMPILING, err=True)
