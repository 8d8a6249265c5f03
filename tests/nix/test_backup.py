"""A backup as the evaluated host makes it, with real restic, and a host that is lost: whoever restores it as
docs/appliance.md tells finds an engine that is halted and says why, and nothing that the lost one used is used again.
Nor is it where somebody restores more than the backup holds. Engine and exchange are processes, without systemd.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from hlhft.exchange.envelope import Request, read_request
from hlhft.exchange.input_log import log_of, read_log
from hlhft.exchange.machine import Posted
from hlhft.hyperliquid.cloids import parse
from hlhft.live.store import SESSIONS_UNSEEN_MAX
from tests.endtoend.house import House, eventually, run
from tests.nix.evaluator import evaluated

pytestmark = pytest.mark.systemd

PLACE = "checks.x86_64-linux.refusals.manifests.rehearsal"
SETTINGS = '[strategy]\nname = "two_sided"\nparams = { half_spread_bp = 5 }\n'
QUOTING_S = 60.0
RESTIC_S = 60.0


@dataclass(frozen=True)
class Host:
    """A house whose folders are where a host has them, below a folder."""

    house: House
    root: Path

    def at(self, path: str) -> Path:
        """Where a path of the host lies."""
        return self.root / path.lstrip("/")

    def restic(self, *words: str) -> str:
        """What restic says."""
        environment = {
            **os.environ, "RESTIC_REPOSITORY": str(self.root / "repository"), "RESTIC_PASSWORD": "a password",
            "RESTIC_CACHE_DIR": str(self.root / "cache"),
        }  # fmt: skip
        done = subprocess.run(
            ["restic", "--quiet", *words], env=environment, capture_output=True, text=True, timeout=RESTIC_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def back_up(self, *more: Path) -> None:
        """As the unit does, by what the host evaluates to; and what else somebody thinks of."""
        told: dict[str, Any] = evaluated(PLACE)["settings"]["services.restic.backups"]["hlhft"]
        excluded = [f"--exclude={self.at(path)}" for path in told["exclude"]]
        self.restic("backup", *excluded, *(str(self.at(path)) for path in told["paths"]), *map(str, more))

    def status(self) -> dict[str, Any]:
        """What `hlhft status` says."""
        done = self.command("status", "--json")
        return dict(json.loads(done.stdout))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of hlhft about the engine."""
        return run(words[0], "--config", str(self.house.config), *words[1:], folder=self.house.folder)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if shutil.which("restic") is None:
        pytest.skip("NOT TESTED: nothing was restored, as there is no restic")
    evaluated(PLACE)
    root = tmp_path_factory.mktemp("r")
    with House(tmp_path_factory.mktemp("h"), coins=("BTC",), exchange=("--no-limits",), settings=SETTINGS) as house:
        host = Host(house, root)
        house.state = host.at("/var/lib/hlhft-engine")
        text = house.config.read_text()
        text = text.replace(str(house.folder / "state"), str(house.state))
        journal = f'journal_folder = "{host.at("/var/lib/hlhft-journal")}"'
        house.config.write_text(text.replace("[engine]\n", f"[engine]\n{journal}\n"))
        catalogue = root_of(host.at("/var/lib/hlhft-catalogue/bbo"))
        (catalogue / "part.json").write_text("what is in it")
        (catalogue / "part.parquet").write_text("what can be fetched again")
        host.restic("init")
        yield host


def root_of(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def quoting(host: Host) -> int:
    """Starts the engine, and waits until it quotes; its session."""
    host.house.start_engine()
    host.house.quotes_within(QUOTING_S)
    return int(host.status()["session"])


def lose(host: Host) -> None:
    """The host is gone, engine, disk and all, and its orders are left at the venue."""
    engine = host.house.engine
    assert engine is not None

    def stands_with_orders() -> bool:
        engine.signal(signal.SIGSTOP)
        if host.house.own_orders():
            return True
        engine.signal(signal.SIGCONT)
        return False

    eventually(stands_with_orders, within_s=QUOTING_S)
    engine.kill()
    shutil.rmtree(host.at("/var/lib"))


def check_restored(host: Host, *, after: int, why: str) -> None:
    """The engine that finds what was restored waits for a person, and goes on when one has looked. What a session used
    that the backup did not know of is not used again."""
    house = host.house
    house.start_engine(until=("halted",))
    told = host.status()
    assert why in told["halt"], told["halt"]
    assert why in host.command("status").stdout, "and to people"
    assert told["session"] == after + 1 + SESSIONS_UNSEEN_MAX
    eventually(lambda: house.own_orders() == [], within_s=QUOTING_S)
    house.empty_within(1.0)
    assert house.stage() == "halted"
    assert host.command("resume").returncode == 2, "not without a reason"
    assert host.command("resume", "--reason", "the account is as it should be").returncode == 0
    house.quotes_within(QUOTING_S)
    assert house.engine is not None
    assert house.engine.stop() == 0
    check_nothing_was_used_twice(house, {after + 1, told["session"]})


def check_nothing_was_used_twice(house: House, sessions: set[int]) -> None:
    """By the exchange's own log, which has every request that it took, also of these sessions."""
    signer = Account.from_key(house.agents[0].read_text().strip()).address.lower()
    bodies = [entry.body for entry in read_log(log_of(house.folder / "exchange.state")) if isinstance(entry, Posted)]
    taken = [(request, body) for body in bodies if isinstance(request := read_request(body), Request)]
    own = {(request.nonce, body) for request, body in taken if request.signer == signer}
    # What nobody answered is sent again as it was, or a noop under its nonce takes its place.
    said = [(nonce, action) for nonce, body in own if (action := json.loads(body)["action"])["type"] != "noop"]
    assert said
    assert len({nonce for nonce, _ in said}) == len(said)
    actions = [action for _, action in said]
    placed = [order["c"] for action in actions if action["type"] == "order" for order in action["orders"]]
    assert len(set(placed)) == len(placed)
    assert sessions <= {mark.session for cloid in placed if (mark := parse(int(cloid, 16))) is not None}


def test_a_host_that_is_restored_waits_for_a_person(host: Host) -> None:
    first = quoting(host)
    host.back_up()
    assert host.house.engine is not None
    assert host.house.engine.stop() == 0
    assert quoting(host) == first + 1, "of which the backup knows nothing"
    lose(host)
    host.restic("restore", "latest", "--target", "/")
    restored = {path.name for path in host.at("/var/lib").rglob("*") if path.is_file()}
    assert "part.json" in restored and "part.parquet" not in restored
    check_restored(host, after=first, why=f"the store knows of 0 sessions and the journal of {first}")


def test_so_does_one_whose_state_was_kept_by_hand_and_agrees_with_its_journal(host: Host) -> None:
    first = quoting(host)
    assert host.house.engine is not None
    assert host.house.engine.stop() == 0
    host.back_up(host.house.state)
    assert quoting(host) == first + 1
    lose(host)
    host.restic("restore", "latest", "--target", "/")
    check_restored(host, after=first, why="the state folder was restored or copied")
