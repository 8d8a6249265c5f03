"""From one object on disk to its parts in the catalogue: all of them, or none where the object is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from hlhft.data.catalogue.layout import BOOK, FILL
from hlhft.data.catalogue.manifest import MODELLED, Clock, Gap, Manifest
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.errors import DataError
from hlhft.data.mining.decoding import Batch, Decoded, decode_books, decode_contexts, decode_fills
from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import What
from hlhft.data.mining.plan import Missing, Plan, Task
from hlhft.data.mining.store import Stopped
from hlhft.units import Market

# What a manifest calls the source; an object of fills gives trades and fills, the archive the rest.
SOURCES: Mapping[What, str] = {What.BOOKS: "archive", What.CONTEXTS: "archive", What.FILLS: "fills"}
WRITING_MAX = 8  # gaps at a time


def make_parts(root: Path, markets: Mapping[str, Market], stop: Event, task: Task, path: Path) -> list[Manifest]:
    """Writes the parts of `task` from the object at `path`.

    Raises ObjectError when the object is damaged, MiningError when the catalogue cannot be written, Stopped once `stop`
    is set; then there is nothing of it in the catalogue that was not there before, or some whole parts.
    """
    decoded = _opened(task, path, markets)
    try:
        with ExitStack() as stack:
            writers = {
                (part.coin, part.kind): stack.enter_context(
                    PartWriter(
                        root,
                        part,
                        markets[part.coin],
                        source=SOURCES[task.place.what],
                        origin=task.listed.origin,
                        clock=decoded.clock,
                        snapshots=decoded.snapshots,
                    )
                )
                for part in task.parts
            }
            for batch in _batches(decoded, task):
                if stop.is_set():
                    raise Stopped
                writer = writers.get((batch.coin, batch.kind))
                if writer is not None:
                    (writer.write_fills if batch.kind == FILL else writer.write)(batch.rows)
            return _finished(decoded, task, writers)
    except DataError as error:
        raise MiningError(f"{error}; what was finished is kept") from None


def _finished(decoded: Decoded, task: Task, writers: Mapping[tuple[str, str], PartWriter]) -> list[Manifest]:
    """The manifests of all parts, with what the object answers for.

    That is from its first message to its last, whatever the coin, and the gaps before and behind: the hour that names
    an object is the writer's, and messages near its ends carry block times of the neighbouring hour.
    """
    gaps = decoded.gaps(task.place.stretch_ns)
    begins, ends = [gap.from_ns for gap in gaps], [gap.to_ns for gap in gaps]
    if decoded.last_exch_ns:
        begins.append(decoded.first_exch_ns)
        ends.append(decoded.last_exch_ns + 1)
    made = []
    for (coin, _), writer in writers.items():
        for gap in gaps:
            writer.gap(gap)
        made.append(writer.finish(covers=(min(begins), max(ends)), counts=decoded.counts(coin)))
    return made


def _opened(task: Task, path: Path, markets: Mapping[str, Market]) -> Decoded:
    wanted = {part.coin: markets[part.coin] for part in task.parts}
    try:
        if task.place.what is What.BOOKS:
            (market,) = wanted.values()
            return decode_books(path, market)
        if task.place.what is What.CONTEXTS:
            return decode_contexts(path, wanted)
        assert task.place.layout is not None, "fills have a layout"
        fills = any(part.kind == FILL for part in task.parts)
        return decode_fills(path, wanted, task.place.layout.value, fills=fills)
    except DataError as error:
        raise _damaged(task, error) from None


def _batches(decoded: Decoded, task: Task) -> Iterator[Batch]:
    """The rows of the object. Raises ObjectError, so that its faults are not taken for the catalogue's."""
    try:
        yield from decoded.batches()
    except DataError as error:
        raise _damaged(task, error) from None


def _damaged(task: Task, error: DataError) -> ObjectError:
    """The object by the name that people know it by; the file on disk is gone soon."""
    place = "" if error.line is None else f", line {error.line}" if isinstance(error.line, int) else f", {error.line}"
    return ObjectError(f"{task.listed.url}{place}: {error.message}")


def write_missing(root: Path, plan: Plan, markets: Mapping[str, Market]) -> None:
    """Says in the catalogue which hours the archive lacks, as parts without rows that answer for nothing.

    Raises MiningError.
    """
    # The disk's acknowledgements are most of the time that it takes.
    with ThreadPoolExecutor(WRITING_MAX) as pool:
        futures = [pool.submit(_write_gap, root, one, markets[one.part.coin]) for one in plan.new_missing]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()


def _write_gap(root: Path, missing: Missing, market: Market) -> None:
    kind = missing.part.kind
    try:
        with PartWriter(
            root,
            missing.part,
            market,
            source=SOURCES[missing.what],
            origin=missing.origin,
            clock=Clock(MODELLED, "nobody, for there is nothing", 0),
            snapshots=kind == BOOK,
        ) as part:
            part.gap(Gap(*missing.stretch_ns, "missing-hour"))
            part.finish(covers=missing.stretch_ns)
    except DataError as error:
        raise MiningError(f"{error}; what was finished is kept") from None
