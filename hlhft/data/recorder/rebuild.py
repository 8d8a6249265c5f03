"""What a killed recorder left is completed: its raw files up to their last whole block, and their parts made anew.

A part comes from the lines of its raw file alone, so a file may be read again as often as needed: the raw file gets its
name when all its parts have theirs, and until then the next start does it once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.errors import DataError
from hlhft.data.recorder.assembly import Assembler
from hlhft.data.recorder.hours import complete_path, unfinished
from hlhft.data.recorder.marks import VERSION, Begin, Standing, read
from hlhft.data.recorder.raw import complete, cut_to_whole_blocks, lines_of, refusal

DAMAGED_SUFFIX = ".damaged"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One hour that was completed."""

    path: Path  # of the raw file, under its final name
    begin: Begin
    manifests: list[Manifest]
    standing: tuple[Standing, ...]  # how its streams stood at the end
    newest_ns: int


def rebuild(catalogue: Path, raw: Path, say: Callable[[str], None]) -> list[Rebuilt]:
    """Completes all unfinished files under `raw`, the oldest first; `say` hears a sentence about each.

    One that is no recording of ours is set aside under another name. Raises DataError when the disk refuses: what was
    not completed stays as it is.
    """
    done: list[Rebuilt] = []
    try:
        left = unfinished(raw)
    except OSError as error:
        raise refusal(raw, error) from None
    for path in left:
        final = complete_path(path)
        if cut_to_whole_blocks(path) == 0:
            _remove(path)
            say(f"{final}: an earlier recorder ended before its first block was whole, nothing of it is left")
            continue
        begin = _begin_of(path)
        if begin is None:
            aside = final.with_name(final.name + DAMAGED_SUFFIX)
            _rename(path, aside)
            say(f"{aside}: this is no raw file of a recorder of this version, it was set aside and not read")
            continue
        done.append(_completed(catalogue, path, final, begin))
        say(f"{final}: completed after an earlier recorder's end, with {len(done[-1].manifests)} parts")
    return done


def _completed(catalogue: Path, path: Path, final: Path, begin: Begin) -> Rebuilt:
    with Assembler(catalogue, begin) as assembler:
        lines = lines_of(path)
        next(lines)
        for local_ns, text in lines:
            assembler.line(local_ns, text)
        standing = assembler.standing()
        manifests = assembler.finish()
    complete(final)
    return Rebuilt(final, begin, manifests, standing, assembler.newest_ns)


def _begin_of(path: Path) -> Begin | None:
    """The mark that a file of ours begins with; None for any other file."""
    try:
        _, text = next(lines_of(path))
        mark = read(text)
    except (DataError, ValueError, StopIteration):
        return None
    return mark if isinstance(mark, Begin) and mark.version == VERSION else None


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise refusal(path, error) from None


def _rename(path: Path, aside: Path) -> None:
    try:
        path.rename(aside)
    except OSError as error:
        raise refusal(path, error) from None
