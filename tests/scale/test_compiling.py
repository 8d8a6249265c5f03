"""Days of a catalogue as tasks: their rows are those that are compiled here, and only manifests come to the client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from hlhft.backtest.recordings import compile_recording
from hlhft.data.addresses import place_at
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.catalogue.source import CatalogueSource, open_named
from hlhft.scale import compiling
from hlhft.scale.backends import InProcess
from hlhft.scale.compiling import Made, Shard, compile_on, put_here, task_of
from hlhft.scale.running import Failure, Ran, TasksFailed, run
from hlhft.scale.storage import Storage, StorageError
from hlhft.scale.task import Task
from tests.data.catalogue.coin_day import books
from tests.data.catalogue.making import put
from tests.data.making import trade
from tests.data.mining.s3_server import PRIVATE, Server

DAY_NS = 86_400_000_000_000
DAYS = ("2026-04-01", "2026-04-02", "2026-04-03")


class Here:
    """Threads of this process and a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage, self.rans = storage, list[Ran]()

    def run(
        self,
        what: str,
        tasks: Sequence[Task],
        *,
        retries_max: int | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        may_fail: bool = False,
        keep: Callable[[Ran], None] | None = None,
    ) -> Ran:
        with InProcess(self.storage, 2) as backend:
            self.rans.append(run(tasks, backend, self.storage, retries_max=retries_max or 0, on_failure=on_failure))
        return self.rans[-1]

    def attempts(self) -> list[int]:
        return [ran.attempts for ran in self.rans]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of three days."""
    folder = tmp_path_factory.mktemp("catalogue")
    for number, date in enumerate(DAYS):
        rows = [one.copy() for one in books(60, seed=number + 1)]
        for one in rows:
            for clock in ("ts_exch_ns", "ts_local_ns"):
                one[clock] += number * DAY_NS
        put(folder, "book", "archive-00", rows, date=date)
        first = int(rows[0]["ts_exch_ns"][100])
        trades = [trade(first + step * 1_000_000_000, 1, 680_010, 5, step + 1) for step in range(10)]
        put(folder, "trade", "fills-00", trades, source="fills", date=date)
    return folder


def sources(where: Path | str, dates: Sequence[str] = DAYS) -> list[CatalogueSource]:
    found = [open_named(f"{date}/btc", place_at(where)) for date in dates]
    assert all(found)
    return [one for one in found if one is not None]


def contents(storage: Storage, shard: Shard, folder: Path) -> list[bytes]:
    """Its rows, read from the storage and checked."""
    found = []
    for rows in shard.rows:
        with (folder / rows.blob).open("wb") as target:
            storage.fetch(rows.blob, target)
        found.append((folder / rows.blob).read_bytes())
    return found


def test_the_rows_are_those_that_are_compiled_here(root: Path, tmp_path: Path) -> None:
    recordings = [compile_recording(one, profile="2026") for one in sources(root)]
    storage, other = Storage(tmp_path / "tasks"), Storage(tmp_path / "here")
    shards = compile_on(Here(storage), sources(root), profile="2026")
    assert shards == [put_here(one, other) for one in recordings] and len({shard.rows for shard in shards}) == 3
    for shard, recording in zip(shards, recordings, strict=True):
        assert contents(storage, shard, tmp_path) == [file.path.read_bytes() for file in recording.files]


def test_from_s3_they_are_the_same_and_the_client_reads_manifests_only(
    root: Path,
    tmp_path: Path,
    s3: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = s3.upload(root, PRIVATE, "catalog")
    storage = Storage(s3.address(PRIVATE, "store"))
    s3.forget()
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "compile_rows", None)  # no task is run here
        found = sources(address)
        tasks = [task_of(one, "2026", storage) for one in found]
        assert s3.bytes_of(PRIVATE, ".parquet") == 0
    shards = compile_on(Here(storage), found, profile="2026")
    assert s3.bytes_of(PRIVATE, ".parquet") > 0
    local = Storage(tmp_path / "store")
    assert shards == compile_on(Here(local), sources(root), profile="2026")
    assert contents(storage, shards[0], tmp_path) == contents(local, shards[0], tmp_path)
    assert [storage.has(task.key) for task in tasks] == [True] * 3


def test_a_part_without_rows_still_says_whose_the_others_are(root: Path, tmp_path: Path) -> None:
    """A recorder saw no trade for five seconds: what the fills have there is not told, by a task neither."""
    folder = tmp_path / "catalog"
    shutil.copytree(root, folder)
    (plain,) = sources(folder, DAYS[:1])
    begin = plain.manifests[-1].first_exch_ns
    put(folder, "trade", "recorder-00", [], source="recorder", date=DAYS[0], covers=(begin, begin + 5_000_000_000))
    (quiet,) = sources(folder, DAYS[:1])
    storage = Storage(tmp_path / "store")
    shards = compile_on(Here(storage), [plain, quiet], profile="2026")
    assert shards[1] == put_here(compile_recording(quiet, profile="2026"), storage)
    assert shards[0].told.events == shards[1].told.events + 5


def test_a_rerun_compiles_nothing_and_a_grown_catalogue_the_new_day(root: Path, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    first, second, third = Here(storage), Here(storage), Here(storage)
    some = compile_on(first, sources(root, DAYS[:2]), profile="2026")
    assert compile_on(second, sources(root, DAYS[:2]), profile="2026") == some
    assert compile_on(third, sources(root), profile="2026")[:2] == some
    assert (first.attempts(), second.attempts(), third.attempts()) == ([2], [0], [1])
    other = Here(storage)
    assert compile_on(other, sources(root, DAYS[:1]), profile="recorded")[0].rows != some[0].rows
    assert other.attempts() == [1]


def test_a_changed_part_has_another_task(root: Path, tmp_path: Path) -> None:
    storage, (source,) = Storage(tmp_path / "store"), sources(root, DAYS[:1])
    before = task_of(source, "2026", storage)
    known = source.catalogue.manifests(coins=["BTC"])
    one = msgspec.structs.replace(known[0], content_hash="00" * 16)
    changed = Catalogue(root, known=[one, *known[1:]]).source(["BTC"], begin_ns=source.begin_ns, end_ns=source.end_ns)
    after = task_of(changed, "2026", storage)
    assert after.params == before.params and after.inputs != before.inputs and after.key != before.key


def test_rows_that_are_gone_are_made_again(root: Path, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    shards = compile_on(Here(storage), sources(root), profile="2026")
    blob = shards[1].rows[0].blob
    (tmp_path / "blobs" / blob[:2] / blob).unlink()
    again = Here(storage)
    assert compile_on(again, sources(root), profile="2026") == shards
    assert again.attempts() == [0, 1] and (tmp_path / "blobs" / blob[:2] / blob).is_file()


def test_rows_that_do_not_stay_are_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Storage, "has_blob", lambda storage, digest, size: False)
    with pytest.raises(StorageError, match=r"rows of 2026-04-01/btc are gone right after they were made: make room"):
        compile_on(Here(Storage(tmp_path)), sources(root, DAYS[:1]), profile="2026")


def test_a_host_without_the_catalogue_says_so(root: Path, tmp_path: Path) -> None:
    known = [one for one in Catalogue(root).manifests() if one.date == DAYS[0]]
    gone = Catalogue(tmp_path / "nowhere", known=known).source(["BTC"])
    with pytest.raises(TasksFailed, match=r"nowhere: this host does not have the catalogue: mount it under the same"):
        compile_on(Here(Storage(tmp_path / "store")), [gone], profile="2026")


def test_a_part_that_was_replaced_since_is_refused_by_the_task(
    root: Path,
    tmp_path: Path,
    s3: Server,
) -> None:
    found = sources(s3.upload(root, PRIVATE, "catalog"), DAYS[:1])
    s3.put({(PRIVATE, f"catalog/kind=trade/coin=BTC/date={DAYS[0]}/fills-00.parquet"): b"another"})
    with pytest.raises(TasksFailed, match=r"s3://private/catalog/.*fills-00\.parquet: the part is damaged or gone"):
        compile_on(Here(Storage(tmp_path)), found, profile="2026")


def test_nothing_is_left_beside_the_rows(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that were written to be put into the storage are gone, and on one disk were there once."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr("hlhft.backtest.recordings.cache_root", lambda: cache)
    (shard,) = compile_on(Here(Storage(tmp_path / "store")), sources(root, DAYS[:1]), profile="2026")
    blob = shard.rows[0].blob
    assert list(cache.rglob("*")) == [cache / "rows"]
    assert os.stat(tmp_path / "store" / "blobs" / blob[:2] / blob).st_nlink == 1


def test_the_result_is_small_and_the_same(root: Path, tmp_path: Path) -> None:
    results = []
    for name in ("a", "b"):
        here = Here(Storage(tmp_path / name))
        compile_on(here, sources(root, DAYS[:1]), profile="2026")
        results.append(here.rans[0].read(0))
    assert results[0] == results[1] and len(results[0]) < 1000
    assert msgspec.json.decode(results[0], type=Made).events > 0
