"""The changes that the bench makes are a node's: the books they lead to are those of a plain reading of the lines."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import numpy as np

from hlhft.data.node.decoding import Decoder, Stream
from hlhft.data.node.joining import Joiner
from tests.bench.noded import CHANGES_A_BLOCK, COINS, change_lines
from tests.data.making import BTC, ETH


def test_books_end_as_the_lines_say() -> None:
    lines = list(change_lines(100))
    assert lines == list(change_lines(100)) != list(change_lines(100, seed=2))
    sizes: dict[int, tuple[tuple[str, str, str], Decimal]] = {}
    for line in lines:
        changes = json.loads(line)["events"]
        assert len(changes) == CHANGES_A_BLOCK
        for change in changes:
            what, level = change["raw_book_diff"], (change["coin"], change["side"], change["px"])
            if what == "remove":
                del sizes[change["oid"]]
            elif "new" in what:
                sizes[change["oid"]] = level, Decimal(what["new"]["sz"])
            else:
                assert sizes[change["oid"]] == (level, Decimal(what["update"]["origSz"]))
                sizes[change["oid"]] = level, Decimal(what["update"]["newSz"])
    expected: Counter[tuple[str, str, str]] = Counter()
    for level, size in sizes.values():
        expected[level] += size  # type: ignore[assignment]
    markets = (BTC, ETH)
    joiner = Joiner(markets, [Stream.DIFFS], by_block=True)
    joiner.begin_empty()
    joiner.add(Stream.DIFFS, Decoder(markets).read(Stream.DIFFS, b"".join(lines)))
    joiner.end(Stream.DIFFS)
    events = joiner.take().events
    found = {}
    for row in events[events["kind"] == 1]:
        market = markets[int(row["market"])]
        side, price = "B" if row["side"] > 0 else "A", market.price_text(int(row["price_ticks"]))
        found[COINS[int(row["market"])], side, price] = Decimal(market.size_text(int(row["size_lots"])))
    assert {level: size for level, size in found.items() if size} == dict(expected)
    assert (joiner.lost, bool((np.diff(events["ts_local_ns"]) >= 0).all())) == (None, True)
