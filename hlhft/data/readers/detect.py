"""Which reader a path belongs to, by content; a name decides only between files of one recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, compression
from hlhft.data.node.layout import found_in
from hlhft.data.node.source import open_node
from hlhft.data.npz import members
from hlhft.data.readers import (
    archive,
    binance,
    binance_parquet,
    events_npz,
    funding_history,
    hftbacktest_npz,
    hyperliquid_csv,
    node_fills,
    websocket_log,
)
from hlhft.data.sources import Source
from hlhft.units import Market

Specification = Mapping[str, Market] | None
Opener = Callable[[LineFile, Market | None, Specification, Mapping[str, Any]], Source]

_HEAD_LINES = 5
_LINE_READERS: tuple[tuple[Callable[[list[bytes]], bool], Opener], ...] = (
    (binance.recognises, binance.open_binance),
    (websocket_log.recognises, websocket_log.open_log),
    (node_fills.recognises, node_fills.open_fills),
    (archive.recognises, archive.open_archive),
    (funding_history.recognises, funding_history.open_history),
)


def open_one(
    path: Path, market: Market | None, specification: Specification, options: Mapping[str, Any]
) -> list[Source]:
    """The sources that one path stands for. Raises DataError when no reader knows its content."""
    if path.is_dir() and found_in(path) is not None:
        return [open_node(path, market, specification, options)]
    if path.is_dir():
        return hyperliquid_csv.open_folder(path, market, specification, options)
    packed = compression(path)
    if packed == "zip":
        return [_open_archive_of_arrays(path, market, specification, options)]
    if packed == "parquet":
        return [binance_parquet.open_parquet(path, market, specification, options)]
    file = LineFile(path)
    head = file.head(_HEAD_LINES)
    if hyperliquid_csv.recognises(head):
        return [hyperliquid_csv.open_csv(path, market, specification, options)]
    for recognises, opener in _LINE_READERS:
        if recognises(head):
            return [opener(file, market, specification, options)]
    shown = head[0][:40].decode("ascii", "backslashreplace") if head else ""
    raise DataError(
        path,
        1,
        f'no known recording begins with "{shown}", expected a Binance or Hyperliquid log, CSV, archive, fills, .npz '
        "or Parquet file, give another file",
    )


def _open_archive_of_arrays(
    path: Path, market: Market | None, specification: Specification, options: Mapping[str, Any]
) -> Source:
    names = members(path)
    if f"{events_npz.MEMBER}.npy" in names:
        return events_npz.open_events(path, market, options)
    if f"{hftbacktest_npz.MEMBER}.npy" in names:
        return hftbacktest_npz.open_npz(path, market, specification, options)
    shown = ", ".join(names[:5]) or "nothing"
    raise DataError(path, None, f"the archive holds {shown}, expected an array named data or events, give another file")
