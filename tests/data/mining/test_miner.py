"""A plan is carried out within its bounds, whatever fails on the way, and once more gives nothing new."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from hlhft.data.catalogue.layout import PartKey
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.markets import known
from hlhft.data.mining import miner as miner_module
from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import (
    ARCHIVE,
    HOUR_NS,
    NODE,
    Layout,
    Place,
    What,
    books_key,
    contexts_key,
    days,
    fills_key,
    midnight_ns,
)
from hlhft.data.mining.making import make_parts
from hlhft.data.mining.miner import (
    AHEAD,
    BASE_BYTES,
    FETCHING_MAX,
    FILES_SPARE,
    JOB_BYTES,
    JOBS_MAX,
    MEMORY_BYTES_MAX,
    SPOOL,
    Miner,
    Report,
    files_max,
    jobs_by_default,
    jobs_within,
    spool_name,
)
from hlhft.data.mining.plan import Plan, Task, arrange, folders, wish_of
from hlhft.data.mining.store import Store
from tests.data.mining.objects import archive_day
from tests.data.mining.s3_server import Order, Server
from tests.data.mining.test_making import books_task, file_limit, files, fills_task
from tests.data.mining.test_store import SESSION

DAY = date(2026, 4, 1)
COINS = ("BTC", "ETH")
HOURS = range(2)
AT_NS = midnight_ns(DAY) + len(HOURS) * HOUR_NS  # later hours are not over yet
BOOK_1 = f"GET /{ARCHIVE.name}/{books_key(DAY, 1, 'ETH')}"


@pytest.fixture
def filled(s3: Server) -> Server:
    s3.put(archive_day(COINS, DAY, hours=HOURS, every_ms=300_000))
    s3.forget()
    return s3


def store_of(server: Server) -> Store:
    return Store(server.url, pause=lambda seconds: False, session=SESSION)


def plan_of(server: Server, root: Path, store: Store | None = None) -> Plan:
    """What is left to do for the first hours of the day."""
    wish = wish_of(DAY, DAY, COINS, known(), today=date(2026, 5, 1))
    store = store or store_of(server)
    listed = [one for bucket, prefix in folders(wish) for one in store.list(bucket, prefix)]
    catalogue = Catalogue(root)

    def held(part: object) -> str | None:
        manifest = catalogue.manifest(part)  # type: ignore[arg-type]
        return None if manifest is None else manifest.origin

    return arrange(wish, listed, held, known(), now_ns=AT_NS)


def mine(
    server: Server,
    root: Path,
    tasks: tuple[Task, ...] | None = None,
    make: Callable[[Task, Path], list[Manifest]] | None = None,
    jobs: int = 2,
) -> Report:
    store, stop = store_of(server), threading.Event()
    tasks = plan_of(server, root, store).tasks if tasks is None else tasks
    make = make or partial(make_parts, root, known(), stop)
    return Miner(root, store, make, jobs=jobs, stop=stop).run(tasks)


@pytest.fixture(scope="module")
def once() -> dict[str, bytes]:
    """What `undisturbed` found, for all tests of this module."""
    return {}


@pytest.fixture
def undisturbed(filled: Server, once: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a catalogue that nothing disturbed."""
    if not once:
        root = tmp_path_factory.mktemp("undisturbed")
        mine(filled, root)
        once.update(files(root))
        filled.forget()
    return once


def test_a_plan_becomes_its_parts_and_once_more_nothing(filled: Server, tmp_path: Path) -> None:
    plan = plan_of(filled, tmp_path)
    report = mine(filled, tmp_path, plan.tasks)
    assert (report.objects, report.parts, report.failures) == (1 + 2 * 3, 2 + 2 * 4, [])
    catalogue = Catalogue(tmp_path)
    for task in plan.tasks:
        for part in task.parts:
            manifest = catalogue.manifest(part)
            assert manifest is not None and manifest.origin == task.listed.origin
    assert report.rows == sum(manifest.rows for manifest in catalogue.manifests())
    assert not (tmp_path / SPOOL).exists()
    # One download serves both coins.
    assert filled.counts()[f"GET /{NODE.name}/{fills_key(DAY, 1, Layout.BY_BLOCK)}"] == 1
    assert plan_of(filled, tmp_path).tasks == ()


def test_the_number_of_jobs_changes_nothing(filled: Server, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    mine(filled, tmp_path, jobs=5)
    assert files(tmp_path) == undisturbed


def test_what_breaks_off_or_is_busy_changes_nothing(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    filled.orders(
        Order("GET /hyper.*lz4$", times=3, skip=1, cut_bytes=500),
        Order("GET /hl-main.*lz4$", times=3, status=503, code="SlowDown"),
    )
    mine(filled, tmp_path)
    assert files(tmp_path) == undisturbed


def test_a_damaged_object_is_named_and_the_others_are_kept(filled: Server, tmp_path: Path) -> None:
    filled.put({(ARCHIVE.name, books_key(DAY, 1, "ETH")): b"\x1f\x8b\x08 packed otherwise"})
    filled.orders(Order(f"GET /{NODE.name}/.*/0.lz4", status=404, code="NoSuchKey"))
    report = mine(filled, tmp_path)
    assert (report.objects, len(report.failures)) == (5, 2)
    assert any(
        line.startswith(f"s3://{ARCHIVE.name}/{books_key(DAY, 1, 'ETH')}") and "gzip" in line
        for line in report.failures
    )
    assert any("0.lz4: it was listed and is gone" in line for line in report.failures)
    assert len(Catalogue(tmp_path).manifests()) == 10 - 1 - 2
    # Mended by the archive, it is fetched; the rest is not.
    filled.put(archive_day(["ETH"], DAY, hours=[1], every_ms=300_000))
    assert len(plan_of(filled, tmp_path).tasks) < 7


def test_an_object_replaced_while_it_is_mined_is_taken_as_it_is_then(filled: Server, tmp_path: Path) -> None:
    new = archive_day(["ETH"], DAY, hours=[1], every_ms=600_000)[ARCHIVE.name, books_key(DAY, 1, "ETH")]
    filled.orders(Order(BOOK_1, replace=new.decode("latin-1")))
    report = mine(filled, tmp_path)
    assert report.failures == []
    manifests = Catalogue(tmp_path).manifests(kinds=["book"], coins=["ETH"])
    assert [one.rows for one in manifests] == [12 * 12, 6 * 12]
    assert plan_of(filled, tmp_path).tasks == ()


def test_an_object_with_a_new_etag_is_mined_again(filled: Server, tmp_path: Path) -> None:
    mine(filled, tmp_path)
    before = files(tmp_path)
    new = archive_day(["ETH"], DAY, hours=[1], every_ms=600_000)[ARCHIVE.name, books_key(DAY, 1, "ETH")]
    filled.put({(ARCHIVE.name, books_key(DAY, 1, "ETH")): new})
    assert len(plan_of(filled, tmp_path).tasks) == 1
    mine(filled, tmp_path)
    changed = {name for name, content in files(tmp_path).items() if before[name] != content}
    assert {Path(name).name for name in changed} == {"archive-01.parquet", "_archive-01.json"}
    assert all("kind=book/coin=ETH" in name for name in changed)


def test_a_refusal_ends_everything_and_what_is_there_stays(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    filled.orders(Order("GET /.*lz4$", times=-1, skip=4, status=403, code="AccessDenied"))
    with pytest.raises(MiningError, match="S3 refused payment"):
        mine(filled, tmp_path, plan_of(filled, tmp_path).tasks)
    filled.orders()
    mine(filled, tmp_path)
    assert files(tmp_path) == undisturbed


def test_a_full_disk_ends_it_with_a_sentence_and_a_later_run_completes_it(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    plan = plan_of(filled, tmp_path)
    with file_limit(3_000), pytest.raises(MiningError, match=r"cannot be written.*what was finished is kept"):
        mine(filled, tmp_path, plan.tasks)
    for manifest in Catalogue(tmp_path).manifests():
        assert Catalogue(tmp_path).manifest(manifest.key) == manifest
    mine(filled, tmp_path)
    assert files(tmp_path) == undisturbed


@contextmanager
def small_spool(size_bytes: int) -> Iterator[None]:
    """A bound of the spool folder that these small objects reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(miner_module, "SPOOL_BYTES_MAX", size_bytes)
        yield


def test_the_spool_folder_stays_within_its_bound(filled: Server, tmp_path: Path) -> None:
    tasks = plan_of(filled, tmp_path).tasks
    bound = max(task.listed.size_bytes for task in tasks) + 1000
    seen: list[int] = []

    def make(task: Task, path: Path) -> list[Manifest]:
        size_bytes = 0
        for one in (tmp_path / SPOOL).iterdir():
            with suppress(FileNotFoundError):  # renamed or removed since
                size_bytes += one.stat().st_size
        seen.append(size_bytes)
        return []

    with small_spool(bound):
        mine(filled, tmp_path, tasks, make)
    assert len(seen) == len(tasks)
    assert 0 < max(seen) <= bound


def test_an_object_larger_than_the_bound_is_fetched_alone(filled: Server, tmp_path: Path) -> None:
    with small_spool(1):
        assert mine(filled, tmp_path).objects == 7


def test_no_more_is_fetched_ahead_than_is_worked_on_soon(s3: Server, tmp_path: Path) -> None:
    """With the only job held up, downloads stop by themselves."""
    most = AHEAD + 1 + FETCHING_MAX
    s3.put({(ARCHIVE.name, contexts_key(day)): b"x" for day in days(DAY, DAY + timedelta(days=2 * most))})
    tasks = [
        Task(one, Place(What.CONTEXTS, DAY), (PartKey("context", "BTC", DAY.isoformat(), "archive-day"),))
        for one in store_of(s3).list(ARCHIVE, "asset_ctxs/")
    ]
    go = threading.Event()

    def make(task: Task, path: Path) -> list[Manifest]:
        assert go.wait(30)
        return []

    thread = threading.Thread(target=mine, args=(s3, tmp_path, tasks, make, 1))
    thread.start()
    # Until nothing is under way any more: everything that was asked for lies there.
    while not FETCHING_MAX <= s3.gets() == sum(path.suffix != ".part" for path in (tmp_path / SPOOL).iterdir()):
        assert thread.is_alive()
    assert s3.gets() <= most
    go.set()
    thread.join(60)
    assert not thread.is_alive()
    assert s3.gets() == len(tasks) == 2 * most + 1


def test_what_an_earlier_run_left_in_the_spool_is_used_or_removed(filled: Server, tmp_path: Path) -> None:
    tasks = plan_of(filled, tmp_path).tasks
    spool = tmp_path / SPOOL
    spool.mkdir()
    (book,) = (task for task in tasks if task.listed.key == books_key(DAY, 1, "ETH"))
    content = archive_day(["ETH"], DAY, hours=[1], every_ms=300_000)[ARCHIVE.name, book.listed.key]
    (spool / f"{spool_name(book.listed)}.part").write_bytes(content)
    (spool / "of-another-wish.part").write_bytes(b"x" * 1000)
    filled.forget()
    mine(filled, tmp_path, tasks)
    assert filled.counts()[BOOK_1] == 0
    assert not spool.exists()


def test_one_that_is_interrupted_keeps_what_is_finished(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    tasks = plan_of(filled, tmp_path).tasks
    stop, store = threading.Event(), store_of(filled)
    done = 0

    def interrupt(task: Task) -> None:
        nonlocal done
        done += 1
        if done == 4:
            raise KeyboardInterrupt

    miner = Miner(tmp_path, store, partial(make_parts, tmp_path, known(), stop), jobs=1, stop=stop, made=interrupt)
    with pytest.raises(KeyboardInterrupt):
        miner.run(tasks)
    assert stop.is_set() and miner.report.objects == 4
    assert 4 <= len(tasks) - len(plan_of(filled, tmp_path).tasks) < len(tasks)
    mine(filled, tmp_path)
    assert files(tmp_path) == undisturbed


def test_a_failed_object_is_heard_of_like_a_finished_one(filled: Server, tmp_path: Path) -> None:
    heard: list[Task] = []
    counted: list[int] = []

    def make(task: Task, path: Path) -> list[Manifest]:
        raise ObjectError("bad")

    tasks = plan_of(filled, tmp_path).tasks
    stop = threading.Event()
    report = Miner(tmp_path, store_of(filled), make, jobs=1, stop=stop, fetched=counted.append, made=heard.append).run(
        tasks
    )
    assert len(heard) == len(report.failures) == len(tasks)
    assert sum(counted) == sum(task.listed.size_bytes for task in tasks)


def sized(task: Task, size_bytes: int) -> Task:
    return replace(task, listed=task.listed._replace(size_bytes=size_bytes))


def test_jobs_are_bounded_by_open_files_and_memory() -> None:
    memory = BASE_BYTES + 10 * JOB_BYTES
    hour = fills_task("BTC", "ETH")
    assert jobs_within(FILES_SPARE + 11, memory, [books_task(), hour]) == 5
    assert jobs_within(FILES_SPARE, memory, [hour]) == 1
    assert jobs_within(1024, memory, [books_task()]) == 10
    assert jobs_within(1024, memory, [sized(hour, 2 * JOB_BYTES), books_task()]) == 5
    assert jobs_within(1024, memory, [sized(fills_task("BTC", kinds=("trade", "fill")), 3 * JOB_BYTES)]) == 1
    assert jobs_within(1024, 0, []) == 1


def test_a_usual_mining_uses_many_processors() -> None:
    """An hour of all coins' fills is about 40 MB."""
    assert files_max() >= FILES_SPARE
    assert jobs_by_default() >= 1
    assert jobs_within(files_max(), MEMORY_BYTES_MAX, [books_task()]) >= JOBS_MAX
    assert jobs_within(files_max(), MEMORY_BYTES_MAX, [sized(fills_task("BTC", "ETH"), 40_000_000)]) >= 11
    every_fill = sized(fills_task("BTC", kinds=("trade", "fill")), 40_000_000)
    assert jobs_within(files_max(), MEMORY_BYTES_MAX, [every_fill]) >= 4
