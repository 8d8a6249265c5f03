"""Recordings written in another form: an hftbacktest array or our own container, by the name's ending."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hlhft.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from hlhft.data.files import Progress
    from hlhft.data.merge import Events
    from hlhft.data.sources import Source
    from hlhft.data.tally import Tally

EVENTS_SUFFIX, ARRAY_SUFFIX = ".events.npz", ".npz"


def refuse_name(out: Path) -> None:
    """Raises CommandError for a name that says no form, or whose folder is not there."""
    if not out.name.endswith(ARRAY_SUFFIX):
        raise CommandError(
            f"{out}: the name must end in {EVENTS_SUFFIX} or {ARRAY_SUFFIX}, it says which form to write",
            ExitCode.USAGE,
        )
    if not out.parent.is_dir():
        raise CommandError(f"{out.parent}: there is no such folder, make it first", ExitCode.USAGE)


def write(source: Source, arrays: Iterator[Events] | None, out: Path, counts: Tally, progress: Progress | None) -> int:
    """Writes `arrays`, or the source's own, in the form that the name says; returns the rows written."""
    from hlhft.data.feed import replay_arrays, replay_events
    from hlhft.data.readers.events_npz import write_events
    from hlhft.data.readers.hftbacktest_npz import write_hftbacktest

    if out.name.endswith(EVENTS_SUFFIX):
        return write_events(out, source.chunks(progress=progress) if arrays is None else arrays, source)
    if len(source.markets) != 1:
        names = ", ".join(market.name for market in source.markets)
        raise CommandError(f"an hftbacktest array holds one market, name one of {names} with --market", ExitCode.USAGE)
    ready = replay_events(source, progress=progress) if arrays is None else replay_arrays(arrays, source)
    return write_hftbacktest(out, ready, source.markets[0], counts)


def written(out: Path, rows: int, counts: Mapping[str, int]) -> dict[str, object]:
    """What was written, for JSON and `sentence`."""
    return {"path": str(out), "rows": rows, "counts": {name: count for name, count in counts.items() if count}}


def sentence(content: Mapping[str, object]) -> str:
    """What `written` says, for people."""
    counts = content["counts"]
    assert isinstance(counts, dict)
    extra = "".join(f", {name.replace('_', ' ')} {count}" for name, count in counts.items())
    return f"{content['path']}: {content['rows']} rows written{extra}"
