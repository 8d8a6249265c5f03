"""A real `hlhft mine`, killed at any moment or interrupted, and run again: the catalogue of an uninterrupted one.

And the whole way: what was mined runs as `hlhft backtest DATE/COIN 15`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from hlhft.data.catalogue.layout import WRITING_SUFFIX
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.mining.keys import ARCHIVE, NODE, Layout, books_key, fills_key
from hlhft.data.mining.miner import SPOOL
from tests.data.mining.objects import archive_day
from tests.data.mining.s3_server import Order, Server
from tests.data.mining.test_making import files

pytestmark = pytest.mark.processes

DAY = date(2026, 4, 1)
COINS = ("BTC", "ETH")
ABSENT = {(ARCHIVE.name, books_key(DAY, 3, "BTC")), (NODE.name, fills_key(DAY, 5, Layout.BY_BLOCK))}
OBJECTS = 1 + 3 * 24 - len(ABSENT)
EVERY_MS = 120_000
KILLED = -signal.SIGKILL


def hlhft(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """A process of ours, with a home of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "hlhft", *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )


def mining(server: Server, root: Path, *more: str) -> subprocess.Popen[str]:
    root.mkdir(exist_ok=True)
    where = ["--catalogue", root, "--endpoint-url", server.url]
    dates = ["--start-date", DAY, "--end-date", DAY]
    return hlhft("mine", *dates, "--coins", *COINS, *where, "--yes", "--json", *more, cwd=root)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def day(s3_process: Server) -> Server:
    """A day in the archive, less an hour of books and one of fills."""
    s3_process.empty()
    objects = archive_day(COINS, DAY, every_ms=EVERY_MS)
    s3_process.put({name: content for name, content in objects.items() if name not in ABSENT})
    return s3_process


@pytest.fixture
def filled(day: Server, payer: None) -> Server:
    """The same, and a reader who pays."""
    day.orders()
    day.forget()
    return day


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs it puts the catalogue of a mining that nobody disturbed."""
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture
def undisturbed(filled: Server, whole: Path) -> dict[str, bytes]:
    """Its files."""
    if not files(whole):
        code, _, err = finished(mining(filled, whole))
        assert code == 0, err
        filled.forget()
    return files(whole)


def until_it_is_whole(server: Server, root: Path, *, kept: int = 0) -> None:
    """Runs it once more, undisturbed; it does not begin anew where at least `kept` objects were done with."""
    server.orders()
    server.forget()
    code, out, err = finished(mining(server, root))
    assert code == 0, err
    report = json.loads(out)
    assert report["report"]["failures"] == []
    assert report["plan"]["parts_held"] + report["report"]["parts"] == 2 + 4 * 24 - 3
    # What was downloaded whole before the kill is not paid for again.
    assert server.gets() <= report["report"]["objects"] <= OBJECTS - kept


def signalled(process: subprocess.Popen[str], root: Path, count: int, mask: int, what: signal.Signals) -> None:
    """Sends the signal when the file system has seen `count` such events of files being written in the catalogue."""
    with INotify() as watch:
        watched = {}

        def add(folder: Path) -> None:
            watched[watch.add_watch(folder, mask | flags.CREATE)] = folder
            for below in folder.iterdir():
                if below.is_dir() and below.name != SPOOL:
                    add(below)

        add(root)
        seen = 0
        while seen < count and process.poll() is None:
            for event in watch.read(timeout=1000):
                if event.mask & flags.ISDIR and event.name != SPOOL:
                    if (watched[event.wd] / event.name).is_dir():
                        add(watched[event.wd] / event.name)
                elif event.mask & mask and event.name.startswith("."):
                    seen += WRITING_SUFFIX in event.name
        process.send_signal(what)


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_it_ends_as_undisturbed(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path, seed: int
) -> None:
    """Killed by the server in the middle of an object, and while parts are written or renamed, as a seed has it."""
    root = tmp_path / "killed"
    draw = random.Random(seed)
    for kind in ["download", ("write", "rename")[seed % 2]]:
        process = mining(filled, root)
        if kind == "download":
            skip, cut_bytes = draw.randrange(20), draw.choice([0, 1, 1000])
            filled.orders(Order(r"GET /.*lz4$", skip=skip, cut_bytes=cut_bytes, kill=process.pid))
        else:
            mask = flags.MODIFY if kind == "write" else flags.MOVED_FROM
            signalled(process, root, draw.randrange(1, 40), mask, signal.SIGKILL)
        code, _, err = finished(process)
        assert code == KILLED, f"seed {seed}, {kind}: {err}"
        filled.orders()
        holds_only_whole_parts(root, undisturbed)
    until_it_is_whole(filled, root)
    assert files(root) == undisturbed, f"seed {seed}"
    assert not (root / SPOOL).exists()


def holds_only_whole_parts(root: Path, undisturbed: dict[str, bytes]) -> None:
    """Whatever has a manifest is what it will be, though more may lie around."""
    catalogue = Catalogue(root)
    for manifest in catalogue.manifests():
        assert catalogue.manifest(manifest.key) == manifest
        folder = f"kind={manifest.kind}/coin={manifest.coin}/date={manifest.date}"
        for name in (f"{folder}/_{manifest.name}.json", f"{folder}/{manifest.name}.parquet"):
            assert (root / name).read_bytes() == undisturbed[name]


def test_interrupted_it_ends_in_order_and_says_how_far_it_came(
    filled: Server, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    root = tmp_path / "stopped"
    process = mining(filled, root, "--jobs", "1")
    signalled(process, root, 20, flags.MOVED_FROM, signal.SIGINT)
    code, out, err = finished(process)
    assert (code, out) == (130, ""), err
    assert err.count("\n") == 1 and f"of {OBJECTS} objects are in {root}, run it again to go on" in err
    assert not [name for name in files(root) if name.endswith(WRITING_SUFFIX)]
    until_it_is_whole(filled, root, kept=1)
    assert files(root) == undisturbed


def test_what_was_mined_is_backtested(undisturbed: dict[str, bytes], whole: Path, tmp_path: Path) -> None:
    assert undisturbed
    code, out, err = finished(hlhft("backtest", f"{DAY}/BTC", "15", "--catalogue", whole, "--json", cwd=tmp_path))
    assert code == 0, err
    results = json.loads(out)
    assert len(results["scenarios"]) == 3
    (report,) = tmp_path.glob("runs/*/report.html")
    assert "BTC" in report.read_text()
