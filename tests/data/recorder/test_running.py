"""A whole recorder and a whole exchange, in one process: what the one sent is what the other has."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from hlhft.config.settings import Config
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.readers.messages import MessageBlock
from hlhft.data.recorder import running
from hlhft.data.recorder.marks import is_mark
from hlhft.data.recorder.metrics import RecorderMetrics
from hlhft.data.recorder.raw import lines_of
from hlhft.data.recorder.running import Place, Recording, run
from hlhft.data.recorder.settings import ShareError
from hlhft.data.recorder.status import Status
from hlhft.data.recorder.venue import VenueError
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from hlhft.hyperliquid.connection_table import State
from hlhft.monitor.block import BlockWriter, block_path, read_block
from hlhft.monitor.metrics import Source
from hlhft.units import Market
from tests.data.recorder.hall import COINS, Hall
from tests.data.recorder.making import rows_of

pytestmark = pytest.mark.processes  # a whole exchange, though in this process
WITHIN_S = 60.0
PARTS = {
    EventKind.SNAPSHOT_BEGIN: "book", EventKind.DEPTH_LEVEL: "book", EventKind.SNAPSHOT_END: "book",
    EventKind.BBO: "bbo", EventKind.TRADE: "trade", EventKind.ASSET_CONTEXT: "context",
}  # fmt: skip


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    with Hall() as there:
        yield there


def place(folder: Path, url: str, **changes: Any) -> Place:
    values: dict[str, Any] = {
        "base_url": url, "coins": COINS, "catalogue": folder / "catalog", "raw": folder / "raw", "free_bytes_min": 0,
        "queue_bytes_max": 1 << 24,
    }  # fmt: skip
    return Place(**{**values, **changes})


Work = Callable[[Recording], Awaitable[None]]


def recorded(where: Place, work: Work, **more: Any) -> tuple[Status, list[Status]]:
    """Records until `work` is done; the last status, and all that were shown."""

    async def life() -> tuple[Status, list[Status]]:
        shown: list[Status] = []
        recording = Recording(where, Config(), show=shown.append, **more)
        running = asyncio.create_task(recording.run())
        working = asyncio.create_task(_worked(work, recording))
        await asyncio.wait([running, working], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        await working
        return await running, shown

    return asyncio.run(life())


async def _worked(work: Work, recording: Recording) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            await work(recording)
    finally:
        recording.stop()


async def until(is_so: Callable[[], Any]) -> None:
    """Returns once it is so: what happens on other threads and sockets wakes nobody here, so it is looked for."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def frames(recording: Recording) -> int:
    """Frames that came so far; of a subscription the first are snapshots."""
    return 0 if recording.wire is None else recording.wire.frames


def frames_in(raw: Path) -> list[tuple[int, bytes]]:
    """The venue's lines of all raw files, in order, but for its greeting."""
    lines = [line for path in sorted(raw.rglob("*.lz4")) for line in lines_of(path)]
    return [(at_ns, text) for at_ns, text in lines if not is_mark(text)]


def expected(recording: Recording, lines: list[tuple[int, bytes]]) -> dict[tuple[str, str], Events]:
    """The events of these frames by the reader of raw logs, by kind and coin, repeated trades left out."""
    assert recording.disk is not None
    markets = recording.disk.settings.markets
    block = MessageBlock(Path("frames"), markets, Tally())
    for number, (at_ns, text) in enumerate(lines):
        block.add(number, at_ns, text)
    rows = block.events().events
    kinds = np.array([PARTS[EventKind(kind)] for kind in rows["kind"].tolist()])
    found = {}
    for index, market in enumerate(markets):
        for kind in set(PARTS.values()):
            mine = rows[(kinds == kind) & (rows["market"] == index)]
            mine["market"] = 0
            if kind == "trade":
                _, first = np.unique(mine["order_id"], return_index=True)
                mine = mine[np.sort(first)]
            found[kind, market.name] = mine
    return found


def parts_of(root: Path) -> dict[tuple[str, str], list[Manifest]]:
    found: dict[tuple[str, str], list[Manifest]] = {}
    for manifest in Catalogue(root).manifests():
        found.setdefault((manifest.kind, manifest.coin), []).append(manifest)
    return found


def test_every_event_that_the_exchange_sent_is_in_the_catalogue(hall: Hall, tmp_path: Path) -> None:
    async def work(recording: Recording) -> None:
        await until(lambda: frames(recording) > 150)
        kept.append(recording)

    kept: list[Recording] = []
    where = place(tmp_path, hall.url)
    status, shown = recorded(where, work)
    lines = frames_in(where.raw or tmp_path)
    sent = [frame for frame, _ in hall.last_socket()[1:]]
    texts = [text for _, text in lines]
    assert len(texts) >= 150 and texts == sent[: len(texts)], "frame for frame"
    assert len(sent) - len(texts) < 20, "but for what was under way at the end"
    parts = parts_of(where.catalogue)
    for key, rows in expected(kept[0], lines).items():
        (manifest,) = parts[key]
        got = rows_of(where.catalogue, manifest)
        assert got["flags"][-1] & 4 and manifest.gaps == ()
        assert got.tolist() == rows.tolist(), key
        begin_ns, end_ns = manifest.covers
        assert ((got["ts_exch_ns"] >= begin_ns) & (got["ts_exch_ns"] < end_ns)).all()
    assert status == shown[-1] and status.parts == len(parts) == 8 and status.gaps == 0
    assert status.frames == len(texts) + 1 and status.delays["bbo"].median_ms < 5_000
    assert status.venue_clock_ahead_ms is not None and abs(status.venue_clock_ahead_ms) < 60_000


def test_an_exchange_that_comes_back_leaves_a_gap_and_no_doubles(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "NUMBERS_EVERY_S", 0.01)  # connects are few: the exchange may not be away for long

    async def work(recording: Recording) -> None:
        await until(lambda: frames(recording) >= 80)
        await asyncio.to_thread(hall.stop)
        assert recording.wire is not None
        wire, before = recording.wire, recording.wire.frames
        await until(lambda: not wire.is_live)
        await until(lambda: shown("gap_open") == 1 and shown("frames_total") >= 80)
        await asyncio.to_thread(hall.start)
        await until(lambda: wire.is_live and wire.frames > before + 60)
        await until(lambda: shown("gap_open") == 0 and shown("age_seconds") < 5)
        assert 0 < shown("gap_seconds_total") < WITHIN_S
        kept.append(recording)

    def shown(name: str) -> float:
        numbers = {sample.metric.name: sample.value for sample in read_block(path).series}
        value = numbers[f"hlhft_recorder_{name}"]
        assert isinstance(value, float)
        return value

    kept: list[Recording] = []
    where = place(tmp_path, hall.url)
    path = block_path(tmp_path, Source.RECORDER)
    status, _ = recorded(where, work, metrics=lambda: RecorderMetrics(
        BlockWriter(path, source=Source.RECORDER, labels={}, clock_ns=time.time_ns)
    ))  # fmt: skip
    assert status.gaps == 1 and status.connects >= 2
    assert read_block(path).is_closed
    assert shown("frames_total") == status.frames and shown("gaps_total") == 1
    assert shown("bytes_total") > 100 * status.frames and shown("queue_bytes") == 0
    parts = parts_of(where.catalogue)
    for key, rows in expected(kept[0], frames_in(where.raw or tmp_path)).items():
        (manifest,) = parts[key]
        got = rows_of(where.catalogue, manifest)
        assert got.tolist() == rows.tolist(), key
        times = got["ts_exch_ns"]
        if key[0] == "trade":
            assert len(np.unique(got["order_id"])) == len(got)
            continue
        (gap,) = manifest.gaps
        assert gap.reason == "disconnected"
        assert not ((times >= gap.from_ns) & (times < gap.to_ns)).any(), "nothing is known of it"
        assert (times == gap.to_ns).any(), "it ends with the first row behind it"
        assert times[times < gap.from_ns].max() < gap.from_ns <= times[times < gap.from_ns].max() + 2 * 10**9


def test_a_shifted_clock_turns_the_hour(hall: Hall, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hour_ns = 3_600 * 10**9
    shift_ns = 2 * hour_ns - time.time_ns() % hour_ns - 10**9  # a second before an hour

    async def work(recording: Recording) -> None:
        await until(lambda: recording.disk is not None and recording.disk.parts >= 3)
        before = frames(recording)
        await until(lambda: frames(recording) >= before + 30)

    where = place(tmp_path, hall.url, coins=("ETH",))
    recorded(where, work, wall_ns=lambda: time.time_ns() + shift_ns)
    one, other = parts_of(where.catalogue)["bbo", "ETH"]
    assert one.covers[1] == other.covers[0] and one.gaps == other.gaps == ()
    assert one.name != other.name and one.name[-6:] == other.name[-6:]
    assert one.last_local_ns // hour_ns + 1 == other.first_local_ns // hour_ns
    assert len(list((where.raw or tmp_path).rglob("*.lz4"))) == 2
    assert "ahead of the venue's: let a time service set it" in caplog.text


def test_a_folder_with_another_recorder_is_refused(hall: Hall, tmp_path: Path) -> None:
    async def work(recording: Recording) -> None:
        await until(lambda: recording.wire is not None)
        with pytest.raises(DataError, match="another recorder writes here"):
            await Recording(place(tmp_path, hall.url), Config(), show=lambda status: None).run()

    recorded(place(tmp_path, hall.url), work)


def test_a_failure_of_the_disk_s_thread_ends_the_recorder(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(recording: Recording) -> None:
        await until(lambda: frames(recording) >= 20)
        assert recording.disk is not None
        (tmp_path / "catalog").rmdir() if (tmp_path / "catalog").exists() else None
        (tmp_path / "catalog").touch()

    with pytest.raises(DataError, match="cannot be written"):
        recorded(place(tmp_path, hall.url), work)
    assert list((tmp_path / "raw").rglob(".*.writing")), "the next start completes it"


def test_an_invariant_that_does_not_hold_ends_it_with_all_that_came(hall: Hall, tmp_path: Path) -> None:
    def fail() -> None:
        raise LookupError("an invariant")

    async def work(recording: Recording) -> None:
        await until(lambda: frames(recording) >= 20)
        asyncio.get_running_loop().call_soon(fail)
        await until(lambda: recording.wire is not None and recording.wire.connection.state is State.CLOSED)

    with pytest.raises(LookupError, match="an invariant"):
        recorded(place(tmp_path, hall.url, coins=("ETH",)), work)
    assert len(Catalogue(tmp_path / "catalog").manifests()) == 4


def test_what_cannot_begin_says_why(tmp_path: Path) -> None:
    many = place(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(VenueError, match="does not answer meta"):
        asyncio.run(Recording(many, Config(), show=lambda status: None).run())
    with pytest.raises(ValueError, match="no base URL"):
        Recording(place(tmp_path, "nowhere"), Config(), show=lambda status: None)
    limits = Config().limits
    shares = replace(limits.share, recorder_percent=0)
    with pytest.raises(ShareError, match="recorder_percent is 0"):
        Recording(many, Config(limits=replace(limits, share=shares)), show=lambda status: None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_all_that_came(hall: Hall, tmp_path: Path, number: signal.Signals) -> None:
    tasks = []

    async def kill() -> None:
        await until(lambda: frames(recording) >= 20)
        os.kill(os.getpid(), number)

    def ready(markets: list[Market]) -> None:
        tasks.append(asyncio.get_running_loop().create_task(kill()))

    where = place(tmp_path, hall.url, coins=("ETH",))
    recording = Recording(where, Config(), show=lambda status: None, ready=ready)
    status = run(recording, (signal.SIGTERM,), (signal.SIGINT,))
    assert recording.is_interrupted is (number is signal.SIGINT)
    assert status.parts == 4 and status.state == "closed"
