"""The appliance's evaluated units under a real systemd, with this project installed: it boots, trades on paper, is
watched, is killed and comes back; and what its units may not do, they cannot.

The tests are one rehearsal, in their order: each leaves the host as the next one finds it. What a container cannot show
is in tests/nix/machine.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from hlhft.config import ports
from tests.nix.rehearsed import ACCOUNT, CALLED_PORT, COMPILED_S, INSIDE, KEYS, SECRETS, TRADING_S, Host, rehearsing
from tests.nix.shared import shared_by

pytestmark = pytest.mark.systemd

OURS = (
    "hlhft-exchange",
    "hlhft-approval",
    "hlhft-watchdog",
    "hlhft-engine",
    "hlhft-exporter",
    "hlhft-watchdog-renewal",
)
RUNNING = ("hlhft-exchange", "hlhft-watchdog", "hlhft-engine", "hlhft-exporter", "prometheus")
COMPILING = {"hlhft-exchange", "hlhft-engine", "hlhft-recorder"}
SHOWING = ("hlhft-engine", "hlhft-watchdog", "hlhft-recorder")
# A venue refuses whoever asks too much in a minute, and several starts do: the next one is then a minute later.
PATIENT_S = 180.0
DEAD_S = 20.0  # the watchdog's patience, its looks and its proof


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with rehearsing(tmp_path_factory.mktemp("r"), shared_by(tmp_path_factory)) as booted:
        yield booted


def until(look: Callable[[], object], within_s: float, what: Callable[[], object] = lambda: "") -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what()}"
        time.sleep(0.2)


def restarts(host: Host) -> dict[str, str]:
    return {unit: host.get_unit_property(unit, "NRestarts") for unit in RUNNING}


def test_every_unit_comes_up_at_the_first_try(host: Host) -> None:
    for unit in (*OURS, "prometheus", "alertmanager"):
        host.wait_for_unit(unit, timeout=COMPILED_S)
    assert host.succeed("systemctl --failed --no-legend --plain") == ""
    assert set(restarts(host).values()) == {"0"}


def test_the_engine_quotes_and_the_exchange_has_its_orders(host: Host) -> None:
    until(host.quotes, TRADING_S, lambda: host.journal("hlhft-engine"))
    assert host.status()["account"].lower() == ACCOUNT.lower()
    assert all(order["cloid"] for order in host.exchange("frontendOpenOrders")), "each bears the engine's mark"


def test_demo_trading_happens(host: Host) -> None:
    until(lambda: host.exchange("userFills"), TRADING_S, lambda: host.exchange("openOrders"))


def test_the_watchdog_hears_the_engine_across_their_users(host: Host) -> None:
    until(lambda: "the engine is heard" in host.journal("hlhft-watchdog"), 10)
    covers = {cover["loss"]: cover["is_covered"] for cover in host.status()["covers"]}
    assert any(covers.values()), covers
    assert host.succeed("stat --format='%U %G %a' /run/hlhft-watchdog").split() == ["hlhft-watchdog", "hlhft", "750"]
    place = "/run/hlhft-watchdog/heartbeat.sock"
    assert host.succeed(f"stat --format='%U %G %a' {place}").split() == ["hlhft-watchdog", "hlhft", "660"]


def test_prometheus_sees_all_of_it_and_answers_inside_only(host: Host) -> None:
    host.succeed(f"ip link add wg0 type veth peer name far && ip address add {INSIDE}/24 dev wg0 && ip link set wg0 up")
    until(lambda: host.numbers("up") == [1.0], 10, lambda: host.numbers("up"))
    until(lambda: sum(host.numbers("hlhft_quotes")) >= 2, TRADING_S)
    until(lambda: sum(host.numbers("hlhft_fills_total")) >= 1, TRADING_S)
    assert host.numbers('hlhft_watchdog_heard{place="local"}') == [1.0]
    listening = {line.split()[3] for line in host.succeed("ss --no-header --listening --tcp --numeric").splitlines()}
    assert listening == {
        f"{INSIDE}:{ports.PROMETHEUS}", f"127.0.0.1:{ports.PAPER_EXCHANGE}", f"127.0.0.1:{ports.EXPORTER}",
        f"127.0.0.1:{ports.ALERTMANAGER}", f"127.0.0.1:{CALLED_PORT}",
    }  # fmt: skip


def test_whoever_is_called_hears_alerts_where_a_secret_says(host: Host) -> None:
    until(lambda: "/heartbeat " in host.execute("cat /run/called")[1], TRADING_S, lambda: host.journal("alertmanager"))
    (told,) = host.succeed("grep --max-count=1 '^/heartbeat ' /run/called").splitlines()
    (alert,) = json.loads(told.partition(" ")[2])["alerts"]
    assert (alert["status"], alert["labels"]["alertname"]) == ("firing", "Heartbeat")
    # Who knows the addresses can call, too.
    host.fail("setpriv --reuid=hlhft-exporter --regid=hlhft --clear-groups cat /run/credentials/alertmanager.service/*")
    assert f"127.0.0.1:{CALLED_PORT}" not in host.journal("alertmanager", 1000)


def test_the_recorder_writes_what_it_hears_and_the_group_reads_it(host: Host) -> None:
    host.succeed("systemctl start hlhft-recorder")
    unit, catalogue = "hlhft-recorder", "/var/lib/hlhft-catalogue"
    grown = f"find {catalogue}/raw -type f -size +8k | grep -F . > /dev/null"
    until(lambda: host.execute(grown)[0] == 0, COMPILED_S, lambda: host.journal(unit))
    host.succeed(f"systemctl stop {unit}", timeout=TRADING_S)
    ended = [host.get_unit_property(unit, name) for name in ("Result", "ExecMainStatus")]
    assert ended == ["success", "0"], host.journal(unit)
    parts = host.succeed(f"find {catalogue} -name '*.parquet'").split()
    assert {part.removeprefix(f"{catalogue}/").partition("/")[0] for part in parts} >= {"kind=bbo", "kind=book"}, parts
    assert host.succeed(f"stat --format=%U:%G {' '.join(parts)} | sort --unique").split() == [f"{unit}:hlhft"]
    host.succeed(f"setpriv --reuid=hlhft-exporter --regid=hlhft --clear-groups cat {' '.join(parts)} > /dev/null")
    host.fail(f"setpriv --reuid=nobody --regid=nogroup --clear-groups ls {catalogue}")


def test_numbers_are_shown_between_users_and_removed_by_nobody_else(host: Host) -> None:
    assert host.succeed("stat --format='%U %G %a' /run/hlhft-metrics").split() == ["root", "hlhft", "3770"]
    shown = host.succeed("cd /run/hlhft-metrics && stat --format='%U %G %n' *").splitlines()
    users = {line.split()[0] for line in shown}
    assert users == set(SHOWING)
    assert all(line.split()[1] == "hlhft" for line in shown), "the folder's group, not the maker's"
    asked = "cd /run/hlhft-metrics && rm -f *"
    host.fail(f"setpriv --reuid=hlhft-exporter --regid=hlhft --clear-groups sh -c '{asked}'")
    host.fail("setpriv --reuid=nobody --regid=nogroup --clear-groups ls /run/hlhft-metrics")


@pytest.mark.parametrize("unit", ["hlhft-exchange", "hlhft-engine"])
def test_what_numba_compiles_lies_in_the_units_own_cache(host: Host, unit: str) -> None:
    folder = f"/var/cache/{unit}"
    assert host.succeed(f"stat --format='%U %a' {folder}").split() == [unit, "700"]
    assert int(host.succeed(f"find {folder} -name '*.nbc' | wc -l")) > 10
    assert host.succeed(f"find {folder} ! -user {unit}") == ""
    elsewhere = f"find / -xdev -name '*.nbc' -not -path '/var/cache/hlhft-*' -not -path '{folder}/*'"
    assert host.succeed(elsewhere) == ""


@pytest.mark.parametrize("unit", [unit for unit in RUNNING if unit != "prometheus"])
def test_what_systemd_applied_to_the_process_that_runs(host: Host, unit: str) -> None:
    pid = host.pid(unit)
    status = dict(line.split(":\t", 1) for line in host.succeed(f"cat /proc/{pid}/status").splitlines())
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    owner = host.succeed(f"id --user {unit}").strip()
    assert status["Uid"].split() == [owner] * 4
    mounts = host.succeed(f"cat /proc/{pid}/mountinfo").splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    assert "ro" in options["/"]
    assert "rw" in options[f"/var/lib/{unit}"]


@pytest.mark.parametrize(
    "unit", ["hlhft-exchange", "hlhft-watchdog", "hlhft-engine", "hlhft-exporter", "hlhft-approval", "hlhft-recorder"]
)
def test_what_a_unit_may_not_do_it_cannot(host: Host, unit: str) -> None:
    other = host.pid("hlhft-engine" if unit != "hlhft-engine" else "hlhft-watchdog")
    told = host.probe(unit, other)
    possible = {name for name, is_possible in told["can"].items() if is_possible}
    allowed = {"write where states are its own", "open a socket of the internet"}
    allowed |= {"map memory that was written as executable"} if unit in COMPILING else set()
    allowed |= {"write where numbers are shown"} if unit in SHOWING else set()
    allowed |= {"choose its processor"} if unit == "hlhft-engine" else set()
    allowed |= {"see processors"} if unit in ("hlhft-engine", "hlhft-exporter") else set()
    assert possible == allowed
    assert told["core"] == "0"
    assert told["status"]["NoNewPrivs"] == "1"
    assert told["status"]["CapBnd"] == "0" * 16


def test_keys_are_their_units_alone(host: Host) -> None:
    keys = {host.succeed(f"cat {SECRETS}/{name}").strip() for name in KEYS}
    given = {"hlhft-engine": {"agent-key", "heartbeat-secret"}, "hlhft-watchdog": {"watchdog-key", "heartbeat-secret"}}
    for unit, names in given.items():
        folder = f"/run/credentials/{unit}.service"
        assert set(host.succeed(f"ls {folder}").split()) == names
        strangers = {"nobody", "hlhft-exporter", "hlhft-exchange", *given} - {unit}
        for user in sorted(strangers):
            become = f"setpriv --reuid={user} --regid=hlhft --clear-groups"
            host.fail(f"{become} cat {folder}/heartbeat-secret")
            host.fail(f"{become} ls {SECRETS}")
            host.fail(f"{become} cat /proc/{host.pid(unit)}/environ")
            host.fail(f"{become} ls /var/lib/{unit} /run/hlhft-engine")
        environment = host.succeed(f"tr '\\0' '\\n' < /proc/{host.pid(unit)}/environ")
        shown = environment + host.succeed(f"tr '\\0' ' ' < /proc/{host.pid(unit)}/cmdline") + host.journal(unit, 1000)
        assert not [key for key in keys if key in shown]
    host.fail("setpriv --reuid=hlhft-watchdog --regid=hlhft --clear-groups ls /var/lib/hlhft-journal")


def test_a_stop_leaves_no_order_behind(host: Host) -> None:
    until(host.quotes, TRADING_S)
    host.succeed("systemctl stop hlhft-engine", timeout=TRADING_S)
    assert host.sides() == set(), "when systemctl returns, and not later"
    ended = [host.get_unit_property("hlhft-engine", name) for name in ("Result", "ExecMainStatus")]
    assert ended == ["success", "0"], host.journal("hlhft-engine")
    until(lambda: "the engine has stopped" in host.journal("hlhft-watchdog"), DEAD_S)


def test_it_starts_again_and_compiles_nothing_again(host: Host) -> None:
    compiled = "find /var/cache/hlhft-engine -name '*.nbc' | sort"
    before = host.succeed(compiled)
    host.succeed("systemctl start --no-block hlhft-engine")
    until(host.quotes, PATIENT_S, lambda: host.journal("hlhft-engine"))
    assert host.succeed(compiled) == before


def test_the_watchdog_is_renewed_by_another_generation_and_not_by_its_own(host: Host) -> None:
    was = host.pid("hlhft-watchdog")
    host.succeed("systemctl restart hlhft-watchdog-renewal")
    assert host.pid("hlhft-watchdog") == was
    unit = "/etc/systemd/system/hlhft-watchdog"
    host.succeed(
        f"sed -i -E 's/[0-9a-f]{{64}}/{'5' * 64}/' {unit}.service {unit}-renewal.service",
        "systemctl daemon-reload",
        "systemctl restart hlhft-watchdog-renewal",
        timeout=TRADING_S,
    )
    now = host.pid("hlhft-watchdog")
    assert now not in (0, was), host.journal("hlhft-watchdog-renewal")
    host.succeed("systemctl restart hlhft-watchdog-renewal")
    assert host.pid("hlhft-watchdog") == now
    until(host.quotes, TRADING_S, lambda: host.journal("hlhft-engine"))
    until(lambda: "the engine is heard" in host.journal("hlhft-watchdog"), DEAD_S)


def test_the_watchdog_cancels_for_an_engine_that_was_killed_and_systemd_brings_it_back(host: Host) -> None:
    # It comes back by itself, but waits for a word, so that the watchdog is seen to act.
    held = "ExecStartPre=/bin/sh -c 'until test -e /run/may-go-on; do sleep 0.1; done'"
    drop_in = "/run/systemd/system/hlhft-engine.service.d"
    host.succeed(
        f"mkdir -p {drop_in}",
        f'printf "[Service]\\n{held}\\n" > {drop_in}/held.conf',
        "systemctl daemon-reload",
    )
    until(host.quotes, TRADING_S)
    was = host.pid("hlhft-engine")
    host.succeed("systemctl kill --signal=KILL hlhft-engine")
    until(lambda: host.sides() == set(), DEAD_S, lambda: host.journal("hlhft-watchdog"))
    until(lambda: "proven: no own order is left" in host.journal("hlhft-watchdog"), DEAD_S)
    assert host.pid("hlhft-engine") == 0, "nobody but the watchdog can have done it"
    assert host.get_unit_property("hlhft-engine", "ActiveState") == "activating"
    host.succeed("touch /run/may-go-on")
    until(host.quotes, PATIENT_S, lambda: host.journal("hlhft-engine"))
    assert host.pid("hlhft-engine") != was


def test_a_shutdown_leaves_no_order_behind(host: Host) -> None:
    until(host.quotes, TRADING_S)
    wanted = "/etc/systemd/system/multi-user.target.wants/hlhft-engine.service"
    host.succeed(f"rm {wanted}")
    host.shutdown()
    host.start()
    host.wait_for_unit("hlhft-exchange", timeout=TRADING_S)
    assert host.sides() == set(), "the exchange goes on where it was stopped, after the engine"
    host.succeed(f"ln --symbolic ../hlhft-engine.service {wanted}", "systemctl start --no-block hlhft-engine")
    until(host.quotes, PATIENT_S, lambda: host.journal("hlhft-engine"))


def test_it_trades_again_by_itself_after_a_power_cut(host: Host) -> None:
    host.crash()
    host.start()
    for unit in OURS:
        host.wait_for_unit(unit, timeout=PATIENT_S)
    until(host.quotes, TRADING_S, lambda: host.journal("hlhft-engine"))
    assert host.succeed("systemctl --failed --no-legend --plain") == ""
