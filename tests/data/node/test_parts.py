"""A node's hours as parts of the catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.node.parts import write_parts
from hlhft.data.sources import open_source
from tests.data.node.making import Block, Lists
from tests.data.node.test_book import levels_told
from tests.data.node.test_source import books_of, events_of, expected, played, write_blocks
from tests.exchange.node_sample import START_NS, write_sample

SECOND = 1_000_000_000


def hashes(root) -> dict[str, str]:
    return {"/".join(part.key): part.content_hash for part in Catalogue(root).manifests()}


def test_what_is_read_back_is_what_the_folder_says_and_writing_again_changes_nothing(tmp_path):
    sample = write_sample(
        tmp_path / "node", seed=4, blocks=70, snapshot_after=10, start_ns=START_NS + 7 * SECOND
    )  # over a full hour
    source = open_source(sample.folder)
    done = write_parts(source, tmp_path / "catalogue")
    names = {part.name for part in Catalogue(tmp_path / "catalogue").manifests()}
    assert names == {"node-14", "node-15"}
    assert done.parts_written == 12
    manifests = Catalogue(tmp_path / "catalogue").manifests(kinds=["book"], coins=["BTC"])
    assert manifests[0].covers[1] == manifests[1].covers[0]
    assert {(part.source, part.clock.local, part.snapshots) for part in manifests} == {("node", "measured", False)}
    events = events_of(source)
    back = events_of(Catalogue(tmp_path / "catalogue").source(["BTC", "ETH"]))
    # The second hour begins with the whole books once more; else all comes back in its order, frames and all.
    second_ns = manifests[1].covers[0]
    first = int(np.searchsorted(events["ts_exch_ns"], second_ns))
    assert back[:first].tobytes() == events[:first].tobytes()
    fields = ["kind", "side", "market", "flags", "price_ticks", "size_lots", "order_id", "aux0", "aux1"]
    assert back[fields][first - len(events) :].tolist() == events[fields][first:].tolist()
    assert books_of(back) == books_of(events)
    before = hashes(tmp_path / "catalogue")
    write_parts(open_source(sample.folder), tmp_path / "catalogue")
    assert hashes(tmp_path / "catalogue") == before
    # An hour by itself begins with the whole book.
    alone: dict = {}
    late = Catalogue(tmp_path / "catalogue").source(["BTC"], begin_ns=manifests[1].covers[0])
    levels_told(events_of(late), alone)
    assert {key: levels for key, levels in alone.items() if levels} == {
        key: levels for key, levels in books_of(events).items() if key[0] == 0
    }


def lost_folder(root) -> tuple[Lists, list[Block], bytes]:
    lists, blocks, snapshot = played(7, 10, 20)
    (root / "snapshot.json").write_bytes(snapshot)
    write_blocks(root, [*blocks[:15], *blocks[17:], Block(blocks[-1].height + 1)])
    return lists, blocks, snapshot


def test_a_loss_is_a_gap_until_the_next_snapshot(tmp_path):
    lists, _, _ = lost_folder(tmp_path)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "later.json").write_bytes(lists.snapshot())
    done = write_parts(open_source(tmp_path), tmp_path / "catalogue")
    assert done.gaps == 1
    assert done.counts["blocks_missing"] == 2
    (part,) = Catalogue(tmp_path / "catalogue").manifests(kinds=["book"], coins=["BTC"])
    assert [gap.reason for gap in part.gaps] == ["disconnected"]
    assert part.covers[0] < part.gaps[0].from_ns < part.gaps[0].to_ns <= part.covers[1]
    assert books_of(events_of(Catalogue(tmp_path / "catalogue").source(["BTC", "ETH"]))) == expected(lists)


def test_what_cannot_be_read_leaves_nothing_of_its_hour(tmp_path):
    lost_folder(tmp_path)
    with pytest.raises(DataError, match="are missing"):
        write_parts(open_source(tmp_path), tmp_path / "catalogue")
    assert Catalogue(tmp_path / "catalogue").manifests() == []
    assert [path for path in (tmp_path / "catalogue").rglob("*") if path.is_file()] == []


def test_a_later_snapshot_of_the_same_hour_loses_nothing_that_is_there(tmp_path):
    lists, blocks, snapshot = played(8, 10, 20)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    write_blocks(tmp_path, blocks)
    write_parts(open_source(tmp_path), tmp_path / "catalogue")
    before = hashes(tmp_path / "catalogue")
    (tmp_path / "snapshot.json").write_bytes(lists.snapshot())
    write_blocks(tmp_path, [*blocks, Block(blocks[-1].height + 1)])
    write_parts(open_source(tmp_path), tmp_path / "catalogue")
    after = hashes(tmp_path / "catalogue")
    assert {key: after[key] for key in before} == before
    assert {key.rsplit("/", 1)[1] for key in set(after) - set(before)} == {f"node-22-{blocks[-1].height + 1}"}


def test_too_many_coins_at_once_are_refused(tmp_path, monkeypatch):
    _, blocks, snapshot = played(9, 5, 5)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    write_blocks(tmp_path, blocks)
    monkeypatch.setattr("hlhft.data.node.parts.COINS_MAX", 1)
    with pytest.raises(DataError, match="2 coins are too many at once, choose at most 1"):
        write_parts(open_source(tmp_path), tmp_path / "catalogue")
