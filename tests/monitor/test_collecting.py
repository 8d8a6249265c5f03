"""What is shown is what processes wrote; of a process that is not up nothing is shown as if it stood."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition, parser

from hlhft import __version__
from hlhft.monitor import block
from hlhft.monitor.block import BLOCK_BYTES, BlockWriter, block_path
from hlhft.monitor.collecting import BEAT_AGE_NS_MAX, WRITERS, YOUNGER_NS, Collector
from hlhft.monitor.histogram import BOUNDS_NS
from hlhft.monitor.host import since_boot_ns
from hlhft.monitor.metrics import METRICS, PROCESS_LABELS, Kind, Source
from tests.monitor.blocks import ACCOUNT, Shown, all_written, collector_of, parsed, promtool, series, written

__all__ = ["promtool"]

ROOT = Path(__file__).resolve().parents[2]
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


def page(collector: Collector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def shown(collector: Collector) -> Shown:
    return parsed(page(collector))


def names(found: Shown) -> set[str]:
    return {name for name, _ in found}


def test_everything_that_is_written_is_shown(tmp_path: Path) -> None:
    all_written(tmp_path)
    found = shown(collector_of(tmp_path))
    for metric in METRICS:
        if metric.source is Source.EXPORTER:
            continue
        labels = dict.fromkeys(metric.labels, "some") | dict.fromkeys(PROCESS_LABELS[metric.source], ACCOUNT)
        name = metric.name.removeprefix("hlhft_")
        if metric.kind is not Kind.HISTOGRAM:
            assert found[series(name, **labels)] == 2.5
            continue
        assert found[series(f"{name}_count", **labels)] == 1
        assert found[series(f"{name}_sum", **labels)] == pytest.approx(15e-6, rel=0.02)
        buckets = [found[series(f"{name}_bucket", le=repr(bound / 1e9), **labels)] for bound in BOUNDS_NS]
        assert buckets == [0 if bound < 15_000 else 1 for bound in BOUNDS_NS]
        assert found[series(f"{name}_bucket", le="+Inf", **labels)] == 1


def test_it_says_of_each_process_that_it_is_up_and_what_it_uses(tmp_path: Path) -> None:
    before = time.time()
    all_written(tmp_path)
    found = shown(collector_of(tmp_path, expected=("engine",)))
    for process in map(str, Source):
        assert found[series("process_up", process=process)] == 1
        assert found[series("build_info", process=process, version=__version__, revision="unknown")] == 1
        assert before <= found[series("process_start_time_seconds", process=process)] <= time.time()
        assert found[series("process_cpu_seconds_total", process=process)] > 0
        assert found[series("process_resident_bytes", process=process)] > 10_000_000
    for process in map(str, WRITERS):
        assert found[series("process_expected", process=process)] == (process == "engine")
        assert 0 <= found[series("process_beat_age_seconds", process=process)] < 5
    assert series("disk_free_bytes", folder="state") in found


def test_a_process_that_is_wanted_and_not_there(tmp_path: Path) -> None:
    found = shown(collector_of(tmp_path / "absent", expected=("recorder",)))
    assert found[series("process_up", process="recorder")] == 0
    assert found[series("process_expected", process="recorder")] == 1
    assert {dict(labels)["process"] for name, labels in found if name == "process_up"} == {"exporter", "recorder"}


def of_engine(found: Shown) -> set[str]:
    """The names of what is shown as the engine's own numbers."""
    ours = {name for name, labels in found if ("account", ACCOUNT) in labels}
    return {re.sub("_(bucket|count|sum)$", "", name) for name in ours}


OF_ENGINE = {metric.name.removeprefix("hlhft_") for metric in METRICS if metric.source is Source.ENGINE}


def test_an_old_block_is_not_shown_as_if_it_stood(tmp_path: Path) -> None:
    now_ns = [10**18]
    written(tmp_path, Source.ENGINE, clock_ns=lambda: now_ns[0])
    # The age of this process is hidden, so that only the beat tells.
    collector = collector_of(tmp_path, now_ns=lambda: now_ns[0], proc=tmp_path / "hidden")
    now_ns[0] += BEAT_AGE_NS_MAX
    assert of_engine(shown(collector)) == OF_ENGINE
    now_ns[0] += 1
    found = shown(collector)
    assert of_engine(found) == set()
    assert found[series("process_up", process="engine")] == 0
    assert found[series("process_beat_age_seconds", process="engine")] == pytest.approx(5)
    assert found[series("process_start_time_seconds", process="engine")] == 1e9
    assert series("process_resident_bytes", process="engine") not in found


def test_a_beat_of_the_future_is_one_of_now(tmp_path: Path) -> None:
    """The clock was set back; the writer's waits."""
    written(tmp_path, Source.ENGINE, clock_ns=lambda: time.time_ns() + 10**10)
    found = shown(collector_of(tmp_path))
    assert found[series("process_up", process="engine")] == 1
    assert found[series("process_beat_age_seconds", process="engine")] == 0


def test_a_process_that_ended_in_order_is_not_up(tmp_path: Path) -> None:
    made = written(tmp_path, Source.ENGINE)
    made.close()
    found = shown(collector_of(tmp_path))
    assert found[series("process_up", process="engine")] == 0
    assert of_engine(found) == set()


def test_a_killed_process_is_not_up_however_young_its_block(tmp_path: Path) -> None:
    """The clock stands still, so that only the process can tell."""
    code = (
        "import sys, time; from pathlib import Path; from tests.monitor.blocks import written;"
        "from hlhft.monitor.metrics import Source;"
        f"written(Path({str(tmp_path)!r}), Source.ENGINE, clock_ns=lambda: 10**18); print('made', flush=True); input()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"made\n"
        collector = collector_of(tmp_path, now_ns=lambda: 10**18)
        assert shown(collector)[series("process_up", process="engine")] == 1
        child.send_signal(signal.SIGKILL)
    found = shown(collector)
    assert found[series("process_up", process="engine")] == 0
    assert of_engine(found) == set()


@pytest.mark.parametrize(("younger_ns", "is_up"), [(YOUNGER_NS // 2, 1), (2 * YOUNGER_NS, 0)])
def test_another_process_of_the_same_id_is_not_the_one(tmp_path: Path, younger_ns: int, is_up: int) -> None:
    beat_age_ns = 4 * 10**9
    written(tmp_path, Source.ENGINE, clock_ns=lambda: time.time_ns() - beat_age_ns)
    began_ticks = (since_boot_ns() - beat_age_ns + younger_ns) // TICK_NS
    stat = tmp_path / "proc" / str(os.getpid()) / "stat"
    stat.parent.mkdir(parents=True)
    stat.write_text(f"1 (engine) S {'0 ' * 10}7 8 {'0 ' * 6}{began_ticks} 0 5 0\n")
    found = shown(collector_of(tmp_path, proc=tmp_path / "proc"))
    assert found[series("process_up", process="engine")] == is_up
    assert (series("process_resident_bytes", process="engine") in found) == is_up


def test_a_hidden_process_is_up_and_nothing_is_known_of_it(tmp_path: Path) -> None:
    written(tmp_path, Source.ENGINE)
    found = shown(collector_of(tmp_path, proc=tmp_path / "empty"))
    assert found[series("process_up", process="engine")] == 1
    assert of_engine(found) == OF_ENGINE
    assert series("process_resident_bytes", process="engine") not in found


@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf, -math.inf])
def test_what_is_no_number_of_its_kind_is_absent(tmp_path: Path, value: float) -> None:
    made = written(tmp_path, Source.ENGINE)
    made.values[made.slot("hlhft_fills_total", "BTC", "buy", "maker")] = value
    made.values[made.slot("hlhft_position_size", "BTC")] = value
    made.end()
    found = shown(collector_of(tmp_path))
    assert series("fills_total", account=ACCOUNT, market="BTC", side="buy", liquidity="maker") not in found
    assert (series("position_size", account=ACCOUNT, market="BTC") in found) == (not math.isnan(value))


def broken(path: Path, how: str) -> None:
    if how == "a pipe":
        os.mkfifo(path)
    elif how == "a folder":
        path.mkdir()
    elif how == "of another":
        written(path.parent, Source.WATCHDOG)
        (path.parent / "watchdog.block").rename(path)
    elif how == "of no process":
        content = written(path.parent, Source.ENGINE) and path.read_bytes()
        path.write_bytes(content.replace(b'"pid": ', b'"pid":-', 1))
    elif how == "of counts below 0":
        first = block._HISTOGRAMS + 8 * 7
        content = written(path.parent, Source.ENGINE) and path.read_bytes()
        path.write_bytes(content[:first] + b"\xff" * 8 + content[first + 8 :])
    elif how == "of no account":
        BlockWriter(path, source=Source.ENGINE, labels={}, clock_ns=time.time_ns)
    else:
        path.write_bytes(b"x" * (BLOCK_BYTES if how == "noise" else 10))


@pytest.mark.parametrize(
    "how", [
        "a pipe", "a folder", "of another", "of no account", "of no process", "of counts below 0", "noise", "short",
    ],
)  # fmt: skip
def test_what_is_no_block_is_a_process_that_is_not_up(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken(block_path(tmp_path, Source.ENGINE), how)
    collector = collector_of(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found = shown(collector)
            assert found[series("process_up", process="engine")] == 0
            assert of_engine(found) == set()
    assert len(caplog.records) == (0 if how in ("a pipe", "a folder") else 1), "it is told once"


def test_what_is_mended_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = block_path(tmp_path, Source.RECORDER)
    collector = collector_of(tmp_path, expected=())
    for _ in range(2):
        path.write_bytes(b"damaged")
        assert shown(collector)[series("process_up", process="recorder")] == 0
        written(tmp_path, Source.RECORDER)
        assert shown(collector)[series("process_up", process="recorder")] == 1
    assert len(caplog.records) == 2, "it is told again when it happens again"


def test_prometheus_itself_has_no_complaint(tmp_path: Path, promtool: str) -> None:
    """Its checks of metrics are of names, units, types and help as well."""
    all_written(tmp_path)
    text = page(collector_of(tmp_path))
    assert names(parsed(text)) >= {"equity_usdc", "watchdog_state", "alpha_info", "recorder_gap_open", "build_info"}
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


# Whatever a file holds.

_WORDS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=20),
    st.sampled_from(["\ud800", 'a"b\\c\nd', "engine", "watchdog"]),
)  # fmt: skip
_VALUES = st.recursive(_WORDS, lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=9), some))
_KEYS = st.sampled_from(["source", "pid", "version", "revision", "labels", "started_ns"])
_ENTRY, _HALVES = block._TABLE, block._HALVES
_USED = 64 * block._SERIES.size
_PLACES = st.one_of(
    st.integers(0, block._TABLE), st.integers(_ENTRY, _ENTRY + _USED), st.integers(_HALVES, _HALVES + 1024),
    st.integers(0, BLOCK_BYTES - 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An engine's block as it should be."""
    folder = tmp_path_factory.mktemp("whole")
    written(folder, Source.ENGINE)
    return block_path(folder, Source.ENGINE).read_bytes()


def scraped(folder: Path, content: bytes) -> None:
    """A scrape with this content as the engine's block is one that Prometheus takes, in both of its formats."""
    path = block_path(folder, Source.ENGINE)
    path.write_bytes(content)
    collector = collector_of(folder)
    found = shown(collector)
    assert found[series("process_up", process="engine")] in (0, 1)
    assert found[series("process_up", process="exporter")] == 1
    registry = CollectorRegistry()
    registry.register(collector)
    open_metrics = exposition.generate_latest(registry).decode()
    keys = [(sample.name, tuple(sorted(sample.labels.items())))
            for family in parser.text_string_to_metric_families(open_metrics) for sample in family.samples]  # fmt: skip
    assert len(set(keys)) == len(keys)


@settings(max_examples=60)
@given(patches=st.lists(st.tuples(_PLACES, st.binary(min_size=1, max_size=16)), min_size=1, max_size=8))
def test_no_damage_to_a_block_breaks_a_scrape(
    whole: bytes, patches: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(whole)
    for place, text in patches:
        content[place : place + len(text)] = text
    scraped(tmp_path_factory.mktemp("damaged"), bytes(content[:BLOCK_BYTES]))


@settings(max_examples=60)
@given(changes=st.dictionaries(_KEYS, _VALUES, min_size=1))
def test_no_description_of_a_block_breaks_a_scrape(
    whole: bytes, changes: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    *_, length = block._HEAD.unpack_from(whole)
    first = block._DESCRIPTION
    told = json.loads(whole[first : first + length]) | changes
    described(whole, json.dumps(told).encode(), tmp_path_factory.mktemp("described"))


@pytest.mark.parametrize("text", [b"[" * 4_000, b"{}", b"null", b'{"source":"engine","pid":1e999}', b"\xff", b""])
def test_no_description_at_all(whole: bytes, text: bytes, tmp_path: Path) -> None:
    described(whole, text, tmp_path)


def described(whole: bytes, text: bytes, folder: Path) -> None:
    head = block._HEAD.pack(*block._HEAD.unpack_from(whole)[:3], len(text))
    content = head + whole[len(head) : block._DESCRIPTION] + text[: block._DESCRIPTION_MAX]
    scraped(folder, content + whole[len(content) :])
