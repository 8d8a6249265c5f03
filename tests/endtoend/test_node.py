"""An engine whose books are a node's: it quotes on them, and stops when the node does, though the venue is well."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator

import pytest

from hlhft.config.folders import folders_of
from hlhft.config.load import load
from hlhft.live.doctor import Check, Level, look_here
from hlhft.monitor.block import block_path, read_block
from hlhft.monitor.metrics import Source
from tests.endtoend.house import House, eventually, run

COIN = "ETH"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose exchange writes the files of a node, from which its engine has its books."""
    folder = tmp_path_factory.mktemp("node")
    data = folder / "hl" / "data"
    settings = f"""
[market_data]
source = "node"
node_folder = "{data}"
node_url = "http://127.0.0.1:{{port}}"
"""
    with House(folder, coins=(COIN,), exchange=("--no-limits", "--node-files", str(data)), settings=settings) as there:
        there.config.write_text(there.config.read_text().replace("{port}", str(there.port)))
        yield there


def node_check(house: House) -> Check:
    """What the doctor says of the node."""
    config = load(house.config, {}).config
    checks, _ = look_here(config, folders_of(config, {}))
    return next(check for check in checks if check.name == "node")


def test_it_quotes_on_what_the_node_tells(house: House) -> None:
    house.start_engine()
    house.quotes_within(30)
    told = house.status()
    assert told is not None and told.markets[0].is_fresh
    node = next(connection for connection in told.connections if connection.name == "node")
    assert node.state == "fresh"
    lag = next(latency for latency in told.latencies if latency.name == "node's lag")
    assert lag.count > 0 and lag.p50_us is not None and lag.p50_us < 1_000_000
    assert told.counters["blocks told by the node"] > 0

    def agrees() -> bool:
        told = house.status()
        return told is not None and told.counters["books of the node held against the venue's"] >= 3

    eventually(agrees, within_s=10)
    check = node_check(house)
    assert check.level is Level.OK and "ms old, and was written" in check.found


def test_files_that_end_pull_the_quotes_and_the_exchange_goes_on(house: House) -> None:
    house.quotes_within(30)
    files = [path for path in (house.folder / "hl" / "data").rglob("*") if path.is_file() and path.suffix == ""]
    largest = max(path.stat().st_size for path in files)
    before = house.status()
    assert before is not None
    # A file of this process may grow no further: as a full disk, for the largest of the node's files.
    resource.prlimit(house.exchange.popen.pid, resource.RLIMIT_FSIZE, (largest, largest))

    def is_old() -> bool:
        told = house.status()
        return told is not None and not told.markets[0].is_fresh

    eventually(is_old, within_s=10)
    house.empty_within(5)
    assert node_check(house).level is Level.FAIL
    assert house.exchange.is_running and "the node's files end with block" in house.exchange.output
    told = house.status()
    assert told is not None
    assert any("node: it is silent, quotes are pulled" in happening.text for happening in told.happenings)
    feed = next(connection for connection in told.connections if connection.name == "feed")
    assert feed.state in ("live", "stale") and feed.age_ms is not None and feed.age_ms < 5000, "the venue is well"


def test_a_node_that_goes_on_with_a_gap_is_read_from_a_new_snapshot(house: House) -> None:
    house.exchange.kill()
    house.restart_exchange()
    house.quotes_within(60)
    told = house.status()
    assert told is not None
    node = next(connection for connection in told.connections if connection.name == "node")
    assert node.state == "fresh" and node.reconnects > 0
    eventually(lambda: shown(house, "hlhft_connected") == 1 and shown(house, "hlhft_reconnects_total") > 0, within_s=10)
    assert "books of the node that were not the venue's" not in told.counters


def test_the_journal_replays_to_the_same_commands(house: House) -> None:
    assert house.engine is not None
    assert house.engine.stop() == 0, house.engine.output
    done = run("replay", str(house.state / "journal"), "--json", folder=house.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    replayed = json.loads(done.stdout)
    assert replayed["steps"] > 20 and replayed["commands"] > 0 and replayed["difference"] is None


def shown(house: House, name: str) -> float:
    """What the engine's block says of the node's connection."""
    block = read_block(block_path(house.state / "metrics", Source.ENGINE))
    (value,) = [one.value for one in block.series if (one.metric.name, *one.labels) == (name, "node")]
    assert isinstance(value, float)
    return value
