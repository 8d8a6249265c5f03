"""From whatever data there are to a dataset, kept in a cache folder under the hash of all that decides it.

The key is over the contents of the inputs, the feature schema, the labels, the feed profile and the code that reads,
computes and labels: nothing stale is ever trained on. One process builds at a time in a cache folder; others wait and
find it built. The cache holds at most CACHE_BYTES_MAX; the longest unused goes first, and what is mapped stays readable
to who mapped it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from hlhft.alpha import binance_books, fi2010
from hlhft.alpha.dataset import VERSION, Dataset, DatasetWriter, LabelColumns, is_dataset, open_dataset
from hlhft.alpha.labels import LabelSpec, label, uniqueness
from hlhft.alpha.rows import feature_rows
from hlhft.alpha.schema import FLAG_RESET, FLAG_VALID, ROW_DTYPE, FeatureSchema
from hlhft.compiled import cache_root, code_key
from hlhft.data.catalogue.layout import BBO, BOOK, coins_in
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.catalogue.source import CatalogueSource
from hlhft.data.errors import DataError
from hlhft.data.files import Progress, fingerprint
from hlhft.data.node.layout import found_in
from hlhft.data.readers.hyperliquid_csv import KINDS
from hlhft.data.sources import MergedSource, Source, open_source

CACHE_BYTES_MAX = 64 * 1024**3
FILES_MAX = 10_000
SEGMENTS_MAX = 1_000_000
SEGMENT_ROWS_MAX = 4_194_304  # a longer one is cut, so that its labels are computed in bounded memory
_PACKAGE = Path(__file__).resolve().parents[1]
_OWN_MODULES = (
    "barriers.py",
    "binance_books.py",
    "dataset.py",
    "features.py",
    "fi2010.py",
    "foreign_schema.py",
    "labels.py",
    "prepare.py",
    "rows.py",
    "schema.py",
    "walking.py",
)
_LOCK = ".building"
_BESIDE = frozenset({".md", ".txt", ".json", ".toml"})  # what stands beside recordings and is none
_BOOKS_READER = "binance-books-1"


def default_cache() -> Path:
    """Where datasets are kept when nobody says otherwise. Raises OSError when no folder can be used."""
    return cache_root() / "datasets"


def prepare(
    data_dir: Path,
    *,
    schema: FeatureSchema,
    labels: Sequence[LabelSpec],
    profile: str,
    cache: Path | None = None,
    coins: Sequence[str] | None = None,
    begin_ns: int | None = None,
    end_ns: int | None = None,
    fi2010_inputs: int = fi2010.FEATURES,
    progress: Progress | None = None,
) -> Dataset:
    """The dataset of the data in `data_dir`, built when it is not in the cache (None: the default one).

    `data_dir` is a built dataset, a catalogue (`coins` of it, None all, within [begin_ns, end_ns) of exchange time), a
    name in one as `2026-04-01/BTC`, a recording or a folder of recordings, FI-2010 text files, or CSV files of Binance
    books. The last two bring their own features and labels, so that what others published can be held against;
    `schema`, `labels` and `profile` are then not used. A built dataset must be of this schema and these labels, unless
    it is a foreign one.

    Barriers are laid on the micro-price, window moves and markouts are of the mid. `progress(bytes done, bytes in all)`
    while recordings are read. Raises DataError for what is
    missing, damaged or of no use, ValueError for an unknown profile.
    """
    if coins and not _is_catalogue(data_dir):
        raise DataError(data_dir, None, "coins are chosen of a catalogue, and this is none: leave out the coins")
    if is_dataset(data_dir):
        return _as_asked(open_dataset(data_dir), schema, labels)
    root = default_cache() if cache is None else cache
    foreign = _foreign_files(data_dir)
    if foreign is not None:
        kind, paths = foreign
        return _prepare_foreign(kind, paths, data_dir.resolve().name, root, fi2010_inputs)
    sources = sources_in(data_dir, coins=coins, begin_ns=begin_ns, end_ns=end_ns)
    content = [
        [source.fingerprint() for source in sources], schema.hash, list(labels), profile, begin_ns, end_ns,
        list(coins or ()),
    ]  # fmt: skip
    key = _key(content)
    with _building(root):
        folder = root / key
        found = _existing(folder)
        if found is None:
            found = _build(
                folder, sources, data_dir.resolve().name, key, schema, labels, profile, begin_ns, end_ns, progress
            )
            _evict(root, keep=folder)
    return found


def sources_in(
    data_dir: Path, *, coins: Sequence[str] | None = None, begin_ns: int | None = None, end_ns: int | None = None
) -> list[Source]:
    """The recordings that a path stands for, each market in one of them. Raises DataError when there is none.

    Of a catalogue each coin is one. Files of one market are one recording, in order of arrival; books that were made of
    events are left out where the events are there too. Only files that stand directly in the folder count, and a text
    or description beside them does not.
    """
    if _is_catalogue(data_dir):
        catalogue = Catalogue(data_dir)
        known = sorted({coin for kind in (BOOK, BBO) for coin in coins_in(data_dir, kind)})
        return [CatalogueSource(catalogue, [coin], begin_ns=begin_ns, end_ns=end_ns) for coin in coins or known]
    if not data_dir.is_dir() or found_in(data_dir) is not None:
        return [open_source(data_dir)]
    files = _recordings(data_dir)
    if any(path.name.startswith(tuple(f"{kind}_" for kind in KINDS)) for path in files):
        return [open_source(data_dir)]
    if not files:
        raise DataError(data_dir, None, "there is no recording in this folder, give a catalogue or a folder with some")
    groups: dict[tuple[str, ...], list[Source]] = {}
    for path in files:
        source = open_source(path)
        groups.setdefault(tuple(market.name for market in source.markets), []).append(source)
    together = []
    for group in groups.values():
        telling = [source for source in group if source.reader != _BOOKS_READER] or group
        together.append(telling[0] if len(telling) == 1 else MergedSource(telling))
    return together


def _is_catalogue(folder: Path) -> bool:
    return any(folder.glob("kind=*"))


def _recordings(folder: Path) -> list[Path]:
    """The files in the folder that may be recordings, sorted by name."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(folder, None, f"the folder cannot be read ({error.strerror}), give a readable one") from None
    files = [path for path in files if path.suffix and path.suffix not in _BESIDE]
    if len(files) > FILES_MAX:
        raise DataError(folder, None, f"there are more than {FILES_MAX} files in it, bring them into a catalogue first")
    return files


def _foreign_files(data_dir: Path) -> tuple[str, list[Path]] | None:
    """Files of a published set, and which; None when they are none."""
    if data_dir.is_dir():
        files = sorted(path for path in data_dir.iterdir() if path.is_file() and path.suffix in {".txt", ".csv", ".gz"})
    else:
        files = [data_dir] if data_dir.is_file() else []
    texts = [path for path in files if path.stat().st_size and fi2010.recognises(path)]
    if texts:
        return "fi2010", texts
    tables = [path for path in files if path.stat().st_size and binance_books.recognises(path)]
    # A folder of our own recordings may hold a table of best prices; it is one of theirs when nothing else is there.
    if tables and len(tables) == sum(path.name.endswith((".csv", ".csv.gz")) for path in files):
        return "books", tables
    return None


def _prepare_foreign(kind: str, paths: list[Path], name: str, root: Path, inputs: int) -> Dataset:
    parts = fi2010.parts_of(paths) if kind == "fi2010" else None
    used = tuple(part.path for part in parts) if parts is not None else tuple(paths)
    schema = fi2010.schema_of(inputs) if parts is not None else None
    key = _key([fingerprint(used, kind, ""), [path.name for path in used], schema.hash if schema is not None else ""])
    with _building(root):
        folder = root / key
        found = _existing(folder)
        if found is None and parts is not None:
            found = fi2010.build(folder, parts, name=name, key=key, inputs=inputs)
        elif found is None:
            found = binance_books.build(folder, paths, name=name, key=key)
        _evict(root, keep=folder)
    return found


def _as_asked(found: Dataset, schema: FeatureSchema, labels: Sequence[LabelSpec]) -> Dataset:
    if isinstance(found.schema, FeatureSchema) and (found.schema.hash, found.labels) != (schema.hash, tuple(labels)):
        raise DataError(
            found.folder,
            None,
            "this dataset was built with other features or labels than are asked for, name the recordings instead, or "
            "ask for what it has",
        )
    return found


@contextlib.contextmanager
def _building(root: Path) -> Iterator[None]:
    """Nobody else builds in this cache."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _existing(folder: Path) -> Dataset | None:
    """The dataset of that key, None when it is not there or not whole."""
    try:
        found = open_dataset(folder)
    except DataError:
        return None
    os.utime(folder)
    return found


def _key(content: Sequence[object]) -> str:
    text = msgspec.json.encode([VERSION, _code_hash(_PACKAGE), *content])
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@functools.cache
def _code_hash(package: Path) -> str:
    """A hash of all that makes rows and labels: compiled code, and the readers and this room's modules for data."""
    digest = hashlib.blake2b(code_key(package).encode(), digest_size=16)
    own = [package / "alpha" / name for name in _OWN_MODULES]
    for path in sorted([*(package / "data").rglob("*.py"), *own]):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _build(
    folder: Path,
    sources: Sequence[Source],
    name: str,
    key: str,
    schema: FeatureSchema,
    labels: Sequence[LabelSpec],
    profile: str,
    begin_ns: int | None,
    end_ns: int | None,
    progress: Progress | None,
) -> Dataset:
    coins = list(dict.fromkeys(market.name for source in sources for market in source.markets))
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".rows-") as scratch,
        DatasetWriter(
            folder, name=name, key=key, schema=schema, labels=labels, coins=coins,
            sources=list(dict.fromkeys(source.name for source in sources)), profile=profile,
        ) as writer,
    ):  # fmt: skip
        spills: dict[str, list[tuple[str, _Spill]]] = {coin: [] for coin in coins}
        for number, (source, told) in enumerate(zip(sources, _told(sources, progress), strict=True)):
            own = [_Spill(Path(scratch) / f"{number}-{place}", schema.columns) for place in range(len(source.markets))]
            for heads, values in feature_rows(
                source, schema, profile=profile, begin_ns=begin_ns, end_ns=end_ns, progress=told
            ):
                for place in np.unique(heads["market"]):
                    is_own = heads["market"] == place
                    own[place].take(heads[is_own], values[is_own])
            for market, spill in zip(source.markets, own, strict=True):
                spills[market.name].append((source.name, spill))
        for coin, parts in spills.items():
            _append(writer, name, coin, parts, labels)
        return writer.finish()


def _told(sources: Sequence[Source], progress: Progress | None) -> Iterator[Progress | None]:
    """What to tell of each source's bytes, so that together they are the progress of all."""
    total, before = sum(source.bytes_total for source in sources), 0
    for source in sources:
        yield None if progress is None else functools.partial(_tell, progress, before, total)
        before += source.bytes_total


def _tell(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def _append(
    writer: DatasetWriter, name: str, coin: str, parts: list[tuple[str, _Spill]], labels: Sequence[LabelSpec]
) -> None:
    """A coin's rows, recording after recording. Raises DataError when two of them are of the same time."""
    there = sorted((spill.first_ns, spill.last_ns, place) for place, (_, spill) in enumerate(parts) if spill.count)
    for earlier, later in pairwise(there):
        if later[0] <= earlier[1]:
            both = " and ".join(parts[place][0] for place in (earlier[2], later[2]))
            raise DataError(name, None, f"{coin} is in {both} at the same time, name only one of the two")
    for _, _, place in there:
        source, spill = parts[place]
        for heads, values in spill.segments():
            columns = [_labelled(spec, heads) for spec in labels]
            together = LabelColumns(*(np.stack(column, axis=1) for column in zip(*columns, strict=True)))
            writer.append(coin, heads, values, together, source=source)
        spill.remove()


def _labelled(spec: LabelSpec, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes, ends, moves and weights of one label over a segment."""
    ts_ns = np.ascontiguousarray(heads["ts_local_ns"])
    price = heads["micro_ticks" if spec.kind == "barrier" else "mid_ticks"]
    found = label(spec, ts_ns, price, heads["sigma_bp"], heads["half_spread_ticks"])
    return found.classes, found.end_ns, found.move_bp, uniqueness(ts_ns, found.end_ns)


class _Spill:
    """One market's rows that a model may see, in two files, and where its segments begin."""

    def __init__(self, path: Path, width: int) -> None:
        self._heads, self._values = path.with_suffix(".heads"), path.with_suffix(".values")
        self._width = width
        self._begins: list[int] = []
        self._goes_on = False
        self.count = 0
        self.first_ns = self.last_ns = 0

    def take(self, heads: np.ndarray, values: np.ndarray) -> None:
        """Keeps what is valid; what is not, and a reset, ends a segment. Raises DataError for too many segments."""
        is_valid = (heads["flags"] & FLAG_VALID) != 0
        begins = (heads["flags"] & FLAG_RESET) != 0
        begins[1:] |= ~is_valid[:-1]
        begins[0] |= not self._goes_on
        self._goes_on = bool(is_valid[-1])
        if not is_valid.any():
            return
        places = self.count + np.cumsum(is_valid) - 1
        self._begins += places[begins & is_valid].tolist()
        if len(self._begins) > SEGMENTS_MAX:
            raise DataError(
                "dataset", None, f"the book broke off more than {SEGMENTS_MAX} times, see `hlhft data check`"
            )
        kept = heads[is_valid]
        with self._heads.open("ab") as heads_file, self._values.open("ab") as values_file:
            heads_file.write(kept.tobytes())
            values_file.write(np.ascontiguousarray(values[is_valid], np.float32).tobytes())
        if not self.count:
            self.first_ns = int(kept["ts_local_ns"][0])
        self.last_ns = int(kept["ts_local_ns"][-1])
        self.count += len(kept)

    def segments(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every segment, mapped, at most SEGMENT_ROWS_MAX rows each."""
        heads = np.memmap(self._heads, dtype=ROW_DTYPE, mode="r")
        values = np.memmap(self._values, dtype=np.float32, mode="r").reshape(-1, self._width)
        for begin, end in pairwise([*self._begins, self.count]):
            for first in range(begin, end, SEGMENT_ROWS_MAX):
                part = slice(first, min(first + SEGMENT_ROWS_MAX, end))
                yield heads[part], values[part]

    def remove(self) -> None:
        """Makes room."""
        self._heads.unlink(missing_ok=True)
        self._values.unlink(missing_ok=True)


def _evict(root: Path, *, keep: Path) -> None:
    """Removes the longest unused datasets until the cache is within its bound; the newest always stays."""
    entries = []
    for folder in root.iterdir():
        if is_dataset(folder):
            entries.append((folder.stat().st_mtime, folder, sum(path.stat().st_size for path in folder.iterdir())))
        elif folder.is_dir():
            # The lock is ours: whatever else is being written was left by a kill.
            shutil.rmtree(folder, ignore_errors=True)
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total <= CACHE_BYTES_MAX:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
