"""What a part says of itself: source, rows, times, gaps, clocks, and a hash of its content."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from hlhft.data.addresses import Place, read
from hlhft.data.catalogue.layout import PartKey, checked, manifest_path
from hlhft.data.errors import DataError
from hlhft.units import Market, UnitsError

VERSION = 1
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
SOURCES = ("recorder", "node", "archive", "fills", "import")  # the best first; archive and fills are equals
GAP_REASONS = ("missing-hour", "disconnected", "torn-line", "disk-full", "silence")
GAPS_MAX = 10_000  # of one part; a writer joins what is nearer
MEASURED, MODELLED = "measured", "modelled"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of exchange time, [from_ns, to_ns), that the part knows nothing of."""

    from_ns: int
    to_ns: int
    reason: str  # one of GAP_REASONS


@dataclass(frozen=True, slots=True)
class Clock:
    """What the local clock of a part is: "measured" (a receiver stamped it) or "modelled" (block time + delay_ns)."""

    local: str
    by: str  # who stamped, or which model
    delay_ns: int | None = None


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One part. With 0 rows the four times are 0 and `covers` says which stretch was looked at."""

    version: int
    kind: str
    coin: str
    date: str
    name: str
    source: str  # one of SOURCES
    origin: str  # what it was made from: equal origin, same input
    market: Market
    snapshots: bool  # the book comes as pictures
    rows: int
    first_exch_ns: int
    last_exch_ns: int
    first_local_ns: int
    last_local_ns: int
    covers: tuple[int, int]  # the stretch of exchange time that it answers for: [from, to)
    gaps: tuple[Gap, ...]
    clock: Clock
    counts: dict[str, int]
    bytes: int  # of the Parquet file
    content_hash: str  # blake2b-128 of the Parquet file, hexadecimal

    @property
    def key(self) -> PartKey:
        """What names the part."""
        return PartKey(self.kind, self.coin, self.date, self.name)


def encoded(manifest: Manifest) -> bytes:
    """The manifest as JSON; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def decoded(content: bytes) -> Manifest:
    """What `encoded` wrote. Raises msgspec.MsgspecError for anything else."""
    return msgspec.json.decode(content, type=Manifest)


def read_manifest(root: Place, key: PartKey) -> Manifest | None:
    """The manifest of that part, None when there is none. Raises DataError for one that is damaged or of another part.

    Whether the Parquet file is as it says is not looked at.
    """
    path = manifest_path(root, key)
    try:
        text = read(path, MANIFEST_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(path, None, f"the manifest cannot be read ({error.strerror}), make it readable") from None
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnitsError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(path, None, f"no manifest of a part ({error}), delete it and run what wrote it again") from None
    fault = _fault(manifest, key)
    if fault:
        raise DataError(path, None, f"the manifest is wrong: {fault}; delete it and run what wrote it again")
    return manifest


def _fault(manifest: Manifest, key: PartKey) -> str:
    """What contradicts itself, nothing when all is well."""
    if manifest.version != VERSION:
        return f"version {manifest.version} is not {VERSION}"
    try:
        checked(manifest.key)
    except ValueError as error:
        return str(error)
    if manifest.key != key or manifest.market.name != key.coin:
        return f"it is of {'/'.join(manifest.key)} and market {manifest.market.name}, expected {'/'.join(key)}"
    if manifest.source not in SOURCES:
        return f"source {manifest.source} is none of {', '.join(SOURCES)}"
    if manifest.clock.local not in (MEASURED, MODELLED):
        return f"the local clock is {manifest.clock.local}, expected {MEASURED} or {MODELLED}"
    if manifest.rows < 0 or manifest.bytes < 0:
        return f"{manifest.rows} rows in {manifest.bytes} bytes"
    return _times_fault(manifest)


def _times_fault(manifest: Manifest) -> str:
    times = (manifest.first_exch_ns, manifest.last_exch_ns, manifest.first_local_ns, manifest.last_local_ns)
    if manifest.rows == 0 and any(times):
        return "it has times without rows"
    if manifest.first_exch_ns > manifest.last_exch_ns or manifest.first_local_ns > manifest.last_local_ns:
        return "its last time is before its first"
    begin, end = manifest.covers
    if begin > end:
        return f"it covers {begin} to {end}, backwards"
    for gap in manifest.gaps:
        if gap.from_ns > gap.to_ns or gap.reason not in GAP_REASONS:
            return f"gap {gap.from_ns} to {gap.to_ns} with reason {gap.reason}"
    return ""
