"""How a process comes to its block: shown where it can be, and never a reason not to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hlhft.monitor.block import BlockError, BlockWriter, block_path
from hlhft.monitor.metrics import Source


def opened(
    folder: Path,
    source: Source,
    *,
    labels: Mapping[str, str],
    clock_ns: Callable[[], int],
    say: Callable[[str], None],
) -> BlockWriter:
    """The block of this process in the folder of all of them.

    Where it cannot be made it is one in memory that nobody sees, and `say` hears why, in a sentence: numbers are for
    people, and what trades or watches does not wait for them.
    """
    try:
        return BlockWriter(block_path(folder, source), source=source, labels=labels, clock_ns=clock_ns)
    except BlockError as error:
        say(str(error))
        return BlockWriter(None, source=source, labels=labels, clock_ns=clock_ns)
