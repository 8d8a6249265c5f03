"""Objects mined as tasks give the catalogue of one process to the byte; what is done is not fetched again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from hlhft.cli import Options, invoke
from hlhft.cli.errors import ExitCode
from hlhft.data.catalogue.layout import part_path
from hlhft.data.markets import known
from hlhft.data.mining.errors import MiningError
from hlhft.data.mining.keys import ARCHIVE, books_key
from hlhft.data.mining.making import make_parts
from hlhft.data.mining.miner import Miner, Report
from hlhft.data.mining.plan import Plan, Wish, arrange, folders
from hlhft.data.mining.store import Store
from hlhft.scale.backends import InProcess
from hlhft.scale.mining import mine_on, placed, task_of
from hlhft.scale.running import Failure, Ran, run
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from tests.data.mining.objects import archive_day, packed
from tests.data.mining.s3_server import Server
from tests.scale.clusters import Processes, processes

DAY = date(2026, 4, 1)
NOW_NS = int(datetime(2026, 4, 3, tzinfo=UTC).timestamp()) * 10**9
OBJECTS = 6  # books of two coins and two hours, two hours of fills


class Here:
    """Threads of this process."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.rans = Storage(folder), list[Ran]()

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
            ran = run(tasks, backend, self.storage, retries_max=retries_max or 0, on_failure=on_failure)
        self.rans.append(ran)
        if keep is not None:
            keep(ran)
        return ran


@pytest.fixture
def filled(s3: Server) -> Server:
    s3.put(archive_day(("BTC", "ETH"), DAY, hours=[0, 1], every_ms=600_000))
    s3.forget()
    return s3


def plan_of(server: Server, root: Path) -> Plan:
    wish = Wish(first=DAY, last=DAY, coins=("BTC", "ETH"), contexts=False)
    listed = [one for bucket, prefix in folders(wish) for one in store_of(server).list(bucket, prefix)]
    return arrange(wish, listed, lambda part: None, known(), now_ns=NOW_NS)


def store_of(server: Server) -> Store:
    return Store(server.url, pause=lambda seconds: False)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def mined_here(server: Server, root: Path) -> Report:
    stop = Event()
    miner = Miner(root, store_of(server), partial(make_parts, root, known(), stop), jobs=2, stop=stop)
    return miner.run(plan_of(server, root).tasks)


def test_it_is_the_catalogue_of_one_process_and_nothing_is_fetched_twice(filled: Server, tmp_path: Path) -> None:
    report = mined_here(filled, tmp_path / "here")
    filled.forget()
    where, tasks = Here(tmp_path / "store"), plan_of(filled, tmp_path / "there").tasks
    found = mine_on(where, tmp_path / "there", tasks, known(), endpoint_url=filled.url)
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert found == report and found.objects == OBJECTS == filled.gets()
    filled.forget()
    assert mine_on(where, tmp_path / "again", tasks, known(), endpoint_url=filled.url) == report
    assert filled.gets() == 0 and where.rans[-1].skipped == OBJECTS
    assert files(tmp_path / "again") == files(tmp_path / "here")


def test_a_damaged_object_is_named_and_the_others_are_mined(filled: Server, tmp_path: Path) -> None:
    filled.put({(ARCHIVE.name, books_key(DAY, 1, "ETH")): packed(["nonsense", "nonsense"])})
    where = Here(tmp_path / "store")
    tasks = plan_of(filled, tmp_path / "there").tasks
    found = mine_on(where, tmp_path / "there", tasks, known(), endpoint_url=filled.url)
    assert found.objects == OBJECTS - 1
    (failure,) = found.failures
    assert failure.startswith(f"s3://{ARCHIVE.name}/{books_key(DAY, 1, 'ETH')}")
    assert where.rans[-1].attempts == OBJECTS, "an object that is damaged is not paid for twice"
    mine_on(where, tmp_path / "there", tasks, known(), endpoint_url=filled.url)
    assert where.rans[-1].attempts == 1, "the next mining asks for it again"


def test_what_would_be_the_same_of_every_object_ends_it(
    filled: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = plan_of(filled, tmp_path / "there").tasks
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    where = Here(tmp_path / "store")
    with pytest.raises(MiningError, match="what was finished is kept"):
        mine_on(where, tmp_path / "there", tasks, known(), endpoint_url=filled.url)
    assert where.rans[-1].interrupted


def test_an_object_that_was_replaced_is_another_task(filled: Server, tmp_path: Path) -> None:
    wanted = plan_of(filled, tmp_path).tasks[0]
    other = replace(wanted, listed=wanted.listed._replace(etag="0" * 32))
    fewer = replace(wanted, parts=wanted.parts[:1])
    keys = {task_of(one, known(), filled.url).key for one in (wanted, other)}
    assert len(keys) == 2
    assert task_of(fewer, known(), filled.url).params["markets"].keys() == {wanted.parts[0].coin}


def test_a_part_that_came_torn_is_not_in_the_catalogue(filled: Server, tmp_path: Path) -> None:
    where, tasks = Here(tmp_path / "store"), plan_of(filled, tmp_path).tasks
    ran = where.run("", [task_of(tasks[0], known(), filled.url)])
    (manifest,) = placed(where.storage, tmp_path / "whole", ran.read(0))
    path = part_path(tmp_path / "whole", tasks[0].parts[0])
    assert manifest.bytes == path.stat().st_size
    for blob in (tmp_path / "store" / "blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == path.read_bytes():
            blob.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Exception, match="torn or was changed"):
        placed(where.storage, tmp_path / "torn", ran.read(0))
    assert files(tmp_path / "torn") == {}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as made:
        made.worker()
        yield made


@pytest.mark.processes
def test_the_command_mines_on_a_cluster(filled: Server, tmp_path: Path, cluster: Processes) -> None:
    mined_here(filled, tmp_path / "here")
    arguments = ["mine", "--start-date", "2026-04-01", "--end-date", "2026-04-01", "--coins", "BTC", "ETH", "--yes"]
    arguments += ["--no-contexts", "--catalogue", str(tmp_path / "there"), "--endpoint-url", filled.url]
    on = ["--on", cluster.address, "--store", str(tmp_path / "store")]
    assert invoke([*arguments, *on], options=Options()) == ExitCode.OK
    here, there = files(tmp_path / "here"), files(tmp_path / "there")
    assert {name: there[name] for name in here} == here, "what the archive lacks is there as well, as gaps"
