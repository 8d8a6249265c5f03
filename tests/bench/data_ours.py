"""Our side of the bench of data, a task a process, so that each has a peak of memory of its own.

data_ours.py mine FOLDER ROOT     decodes each FOLDER/H.lz4 of BTC's books into a part of the catalogue ROOT
data_ours.py fills FILE ROOT      decodes an hour of all coins' fills into parts of trades
data_ours.py orders FILE ROOT     rebuilds the order-level books from a node's changes of them, without writing anything
data_ours.py read ROOT OUT        reads the catalogue's BTC into the replay's columns, as files in OUT

Each prints: seconds, of a processor, rows, bytes of Parquet, peak bytes. What is compiled is loaded before the time
begins. All but the last keep to one processor.
"""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from hlhft.backtest import recordings
from hlhft.data.catalogue.layout import PartKey
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.files import LineFile
from hlhft.data.markets import known
from hlhft.data.mining.decoding import Decoded, decode_books, decode_fills
from hlhft.data.node.decoding import Decoder, Stream
from hlhft.data.node.joining import Joiner
from hlhft.data.readers.fills import BY_BLOCK
from tests.bench import noded

COIN, DATE = "BTC", "2026-04-01"
WARM_NS = 600_000_000_000


def write(decoded: Decoded, root: Path, name: str, kind: str) -> int:
    """Parts of every coin of one object; returns their rows."""
    writers: dict[str, PartWriter] = {}
    with contextlib.ExitStack() as stack:
        for batch in decoded.batches():
            if batch.coin not in writers:
                writers[batch.coin] = stack.enter_context(
                    PartWriter(
                        root,
                        PartKey(kind, batch.coin, DATE, name),
                        known()[batch.coin],
                        source="archive",
                        origin=name,
                        clock=decoded.clock,
                        snapshots=decoded.snapshots,
                    )
                )
            writers[batch.coin].write(batch.rows)
        return sum(writer.finish(counts=decoded.counts(coin)).rows for coin, writer in writers.items())


def mine(folder: Path, root: Path) -> int:
    """A day's hours one after the other."""
    return sum(
        write(decode_books(path, known()[COIN]), root, f"archive-{int(path.stem):02d}", "book")
        for path in sorted(folder.glob("*.lz4"))
    )


def fills(path: Path, root: Path) -> int:
    """One hour of every coin; returns its trades."""
    return write(decode_fills(path, known(), BY_BLOCK), root, "fills-00", "trade")


def orders(path: Path, _: Path) -> int:
    """Every change of the books, from its line of JSON to events; returns how many changes that were."""
    markets = [known()[coin] for coin in noded.COINS]
    decoder, joiner = Decoder(markets), Joiner(markets, [Stream.DIFFS], by_block=True)
    joiner.begin_empty()
    changes = events = 0
    for _, text in LineFile(path).texts():
        decoded = decoder.read(Stream.DIFFS, text + b"\n")
        changes += len(decoded.rows)
        joiner.add(Stream.DIFFS, decoded)
        events += len(joiner.take().events)
    assert joiner.lost is None and events > changes, "every change of an order is told, and every touch"
    return changes


def read(root: Path, out: Path) -> int:
    """Every row of the catalogue's coin into the replay's columns, in the order of both clocks."""
    out.mkdir()
    recordings._write(Catalogue(root).source([COIN]), "recorded", out, None)
    return sum(manifest.rows for manifest in Catalogue(root).manifests(coins=[COIN]))


def warm(task: str, source: Path) -> None:
    """A little of the same, so that nothing is compiled or imported while it is timed."""
    with tempfile.TemporaryDirectory() as name:
        aside = Path(name)
        if task == "mine":
            path = min(source.glob("*.lz4"))
            write(decode_books(path, known()[COIN]), aside, "archive-00", "book")
        elif task in WORK and task != "read":
            WORK[task](source, aside)
        else:
            first = min(manifest.first_exch_ns for manifest in Catalogue(source).manifests(coins=[COIN]))
            few = Catalogue(source).source([COIN], end_ns=first + WARM_NS)
            recordings._write(few, "recorded", aside, None)


WORK = {"mine": mine, "fills": fills, "orders": orders, "read": read}


def peak_bytes() -> int:
    """The most memory that this process had at one time; what the kernel counts as used holds the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def main() -> None:
    """As the module says."""
    task, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if task != "read":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warm(task, source)
    begin, worked = time.perf_counter(), time.process_time()
    rows = WORK[task](source, target)
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    written = sum(path.stat().st_size for path in target.rglob("*.parquet"))
    print(seconds, worked, rows, written, peak_bytes())


if __name__ == "__main__":
    main()
