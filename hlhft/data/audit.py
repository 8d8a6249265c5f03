"""Whether a catalogue is what it says: every part read, hashed and held against its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hlhft.data.catalogue.layout import (
    FILL,
    KINDS,
    TRADE,
    WRITING_SUFFIX,
    PartKey,
    coins_in,
    dates_in,
    folder_of,
    names_in,
    part_path,
)
from hlhft.data.catalogue.manifest import Manifest, read_manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.files import BLOCK_BYTES, Progress
from hlhft.data.sessions import TradeMemory
from hlhft.data.validate import Severity


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one file of a catalogue, a sentence that names it."""

    severity: Severity
    path: str
    message: str


@dataclass(slots=True, kw_only=True)
class Audit:
    """What a whole catalogue is like."""

    folder: str
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every part can be used."""
        return all(fault.severity is not Severity.ERROR for fault in self.faults)


def audit(catalogue: Catalogue, *, progress: Progress | None = None) -> Audit:
    """Reads every part of a catalogue in a folder once.

    Raises DataError only for a folder that cannot be read; everything else is a fault.
    """
    root = catalogue.root
    assert isinstance(root, Path), "what lies at an address is read, not looked after"
    found = Audit(folder=str(root))
    keys = list(_keys(root))
    sizes = [_size(part_path(root, key)) for key in keys]
    done = 0
    for key, size in zip(keys, sizes, strict=True):
        _audit_part(catalogue, part_path(root, key), key, found)
        done += size
        if progress is not None:
            progress(done, sum(sizes))
    found.faults.extend(_leftovers(root))
    return found


def _keys(root: Path) -> Iterator[PartKey]:
    for kind in KINDS:
        for coin in coins_in(root, kind):
            for date in dates_in(root, kind, coin):
                key = PartKey(kind, coin, date, "any")
                yield from (key._replace(name=name) for name in names_in(folder_of(root, key)))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _audit_part(catalogue: Catalogue, path: Path, key: PartKey, found: Audit) -> None:
    found.parts += 1
    try:
        manifest = read_manifest(catalogue.root, key)
        if manifest is None:
            return  # it went away since the folder was listed
        found.rows, found.bytes = found.rows + manifest.rows, found.bytes + manifest.bytes
        fault = _differs(catalogue, path, manifest)
    except DataError as error:
        found.faults.append(Fault(Severity.ERROR, error.path, str(error)))
        return
    if fault:
        sentence = str(DataError(path, None, f"{fault}, delete it and run what wrote it again"))
        found.faults.append(Fault(Severity.ERROR, str(path), sentence))


def _differs(catalogue: Catalogue, path: Path, manifest: Manifest) -> str:
    """In what the file is not as its manifest says, nothing when it is. Raises DataError for what cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise DataError(path, None, f"the part cannot be read ({error.strerror}), run what wrote it again") from None
    if digest.hexdigest() != manifest.content_hash:
        return "its content is not what its manifest says it was written with"
    seen = _Seen(manifest.kind)
    if manifest.kind == FILL:
        for table in catalogue.fills(manifest):
            seen.take(table["ts_exch_ns"].to_numpy(), table["ts_local_ns"].to_numpy())
    else:
        for rows in catalogue.batches(manifest):
            seen.take(rows["ts_exch_ns"], rows["ts_local_ns"])
            if manifest.kind == TRADE:
                seen.take_trades(rows["ts_exch_ns"].tolist(), rows["order_id"].tolist())
    return seen.fault(manifest)


class _Seen:
    """What a part turned out to hold."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rows = self._backwards = self._repeated = 0
        self._exch: tuple[int, int] | None = None
        self._local: tuple[int, int] | None = None
        self._memory = TradeMemory()

    def take(self, exch: np.ndarray, local: np.ndarray) -> None:
        """Rows of these times, in the file's order (at least one)."""
        if len(exch) == 0:
            return
        self._rows += len(exch)
        before = int(local[0]) if self._local is None else self._local[1]
        self._backwards += int((np.diff(local, prepend=before) < 0).sum())
        first, last = (int(exch.min()), int(exch.max())) if self._exch is None else self._exch
        self._exch = (min(first, int(exch.min())), max(last, int(exch.max())))
        self._local = (int(local[0]) if self._local is None else self._local[0], int(local[-1]))

    def take_trades(self, exch: list[int], identities: list[int]) -> None:
        """Trades of these times and ids."""
        pairs = zip(exch, identities, strict=True)
        self._repeated += sum(not self._memory.is_new(0, ts_exch_ns, identity) for ts_exch_ns, identity in pairs)

    def fault(self, manifest: Manifest) -> str:
        """The first thing that is not as the manifest says, nothing when all is."""
        exch, local = self._exch or (0, 0), self._local or (0, 0)
        if self._rows != manifest.rows:
            return f"it holds {self._rows} rows where its manifest says {manifest.rows}"
        if self._backwards and self._kind != FILL:
            return f"{self._backwards} of its rows arrive before the row above them"
        if exch != (manifest.first_exch_ns, manifest.last_exch_ns):
            return "its exchange times are not those of its manifest"
        if local != (manifest.first_local_ns, manifest.last_local_ns) and self._kind != FILL:
            return "its local times are not those of its manifest"
        if self._repeated:
            return f"{self._repeated} of its trades are repeated"
        return ""


def _leftovers(root: Path) -> Iterator[Fault]:
    """Files that no manifest speaks for: what a process that was killed left, harmless."""
    for kind in KINDS:
        for path in sorted((root / f"kind={kind}").glob("coin=*/date=*/*")):
            if path.name.startswith(".") and path.name.endswith(WRITING_SUFFIX):
                yield Fault(
                    Severity.NOTE, str(path), f"{path}: this was being written and is not read, delete it or let be"
                )
            elif path.suffix == ".parquet" and not path.with_name(f"_{path.stem}.json").is_file():
                yield Fault(
                    Severity.NOTE,
                    str(path),
                    f"{path}: the part has no manifest and is not read, delete it and run what wrote it again",
                )
