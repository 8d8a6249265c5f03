"""Files of fills as a node writes them: both sides of every trade, all markets (venue reference section 11).

The three layouts and what becomes of their lines: `hlhft.data.readers.fills`. A torn last line, which archives and a
file that is being written have, is left out and counted; a torn line elsewhere is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.markets import find, known
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.fills import (
    BY_BLOCK,
    DELAY_NS,
    FILLS,
    FILLS_MAX,
    FILLS_SCHEMA,
    TRADES,
    FillsLines,
    fill_row,
    fills_batch,
    read_block,
)
from hlhft.data.readers.messages import coins_in, readable
from hlhft.data.sources import Source, market_for
from hlhft.units import Market

__all__ = ["FILLS_SCHEMA", "NodeFillsSource", "fills_table", "layout_of", "open_fills", "recognises"]
_OPTIONS = ("coins", "delay_ns")


class NodeFillsSource(Source):
    """One file of fills as the trades of some markets."""

    reader = "node-fills-1"
    snapshots_only = True

    def __init__(self, file: LineFile, markets: Sequence[Market], layout: str, *, delay_ns: int = DELAY_NS) -> None:
        """`delay_ns` is between block and local clock where a line has none."""
        # The layout shows in the content; a layout with a clock has no delay.
        super().__init__(file.path.name, [file.path], markets, {} if layout == BY_BLOCK else {"delay_ns": delay_ns})
        self._file, self._layout, self._delay_ns = file, layout, delay_ns

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        return in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The trades line by line."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        lines = FillsLines(self._file.path, self.markets, self._layout, self.counts, delay_ns=self._delay_ns)
        yield from self._up_to_fault(self._file.blocks(meter), lines.read)
        lines.close()


def fills_table(path: Path | str, *, rows_max: int = FILLS_MAX) -> Iterator[pa.RecordBatch]:
    """Every fill of a file written by block, both sides, as batches of FILLS_SCHEMA, one batch a block of lines.

    Numbers are exact decimals; `tid` 0 stays in. Raises DataError, also for a batch of more than `rows_max` fills.
    """
    file = LineFile(Path(path))
    for first, lines in file.blocks():
        rows: list[tuple[Any, ...]] = []
        row_lines: list[int] = []
        for number, line in enumerate(lines, first):
            block, local_ns = read_block(line, file.path, number)
            rows.extend(fill_row(fill, user, local_ns, block.block_number) for user, fill in block.events)
            row_lines.extend([number] * len(block.events))
            if len(rows) > rows_max:
                raise DataError(
                    file.path, number, f"a megabyte of lines holds more than {rows_max} fills, check the file"
                )
        yield fills_batch(rows, row_lines, file.path)


def layout_of(head: list[bytes]) -> str | None:
    """The layout that the first line shows, None when it is none of fills."""
    line = next((line for line in head if line), b"")
    if line.startswith(b"{") and b'"block_number"' in line and b'"events"' in line:
        return BY_BLOCK
    if line.startswith(b"[") and b'"coin"' in line and b'"startPosition"' in line:
        return FILLS
    if line.startswith(b"{") and b'"side_info"' in line and b'"coin"' in line:
        return TRADES
    return None


def recognises(head: list[bytes]) -> bool:
    """Whether the first line looks like one of fills."""
    return layout_of(head) is not None


def open_fills(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source of `market`, of `coins` (an option, names), or of every coin of the specification that the file holds.

    A node writes all markets; those that the specification lacks are counted and left out unless `coins` asks for them.
    `delay_ns` (an option) is between block and local clock in the layouts without a clock.
    """
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        names = " and ".join(_OPTIONS)
        raise DataError(file.path, None, f"the reader of node fills has no option {unknown[0]}, it has {names}")
    layout = layout_of(file.head(1)) or BY_BLOCK
    delay_ns = int(options.get("delay_ns", DELAY_NS))
    if market is not None:
        return NodeFillsSource(file, [market], layout, delay_ns=delay_ns)
    if "coins" in options:
        wanted = [market_for(file.path, coin, specification) for coin in options["coins"]]
        return NodeFillsSource(file, wanted, layout, delay_ns=delay_ns)
    table = known() if specification is None else specification
    held = _coins_in(file) if layout == BY_BLOCK else coins_in(file)
    markets = [find(coin, table) for coin in held if coin in table]
    if not markets:
        raise DataError(
            file.path, None, "no coin of the file is in the market specification, give a fuller specification"
        )
    return NodeFillsSource(file, markets, layout, delay_ns=delay_ns)


def _coins_in(file: LineFile) -> list[str]:
    """The coins in order of first appearance; those before the first unreadable line, for the reading comes to it."""
    held: dict[str, None] = {}
    for first, lines in readable(file):
        for number, line in enumerate(lines, first):
            try:
                block, _ = read_block(line, file.path, number)
            except DataError:
                if not held:
                    raise
                return list(held)
            held.update((fill.coin, None) for _, fill in block.events)
    return list(held)
