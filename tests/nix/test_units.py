"""What the hosts evaluate to is what was reviewed; systemd and Prometheus accept it, and it is hardened."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hlhft.config import ports
from tests.nix.evaluator import ROOT, evaluated, manifest
from tests.nix.golden import HOSTS, kept_of, texts_of

pytestmark = pytest.mark.nix

# The largest exposure, as systemd-analyze counts it, of 10.
EXPOSURE_MAX = {
    "hlhft-watchdog": 1.3,
    "hlhft-exporter": 1.3,
    "hlhft-recorder": 1.3,
    "hlhft-engine": 1.8,
    "hlhft-alpha": 1.8,
    "hlhft-scheduler": 1.3,
    "hlhft-worker": 1.8,
    "prometheus": 1.3,
    "alertmanager": 1.3,
}
# Those that import numba, which maps its code writable first.
COMPILING = {"hlhft-engine", "hlhft-alpha", "hlhft-recorder", "hlhft-exchange", "hlhft-miner", "hlhft-worker"}
# What older versions than NixOS's do not know.
NEWER, NEWER_FROM = re.compile(r"^Restart(?:Steps|MaxDelaySec)=.*\n", re.MULTILINE), 254


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED: {name} is not installed")
    return found


def all_units() -> dict[str, str]:
    """Every unit of the host with everything on, and the exchange of the one that trades on paper."""
    units: dict[str, str] = evaluated("checks.x86_64-linux.refusals.units")
    return units


@pytest.mark.parametrize("host", HOSTS)
def test_it_is_what_was_reviewed(host: str) -> None:
    assert texts_of(host) == kept_of(host), "write it anew with python -m tests.nix.golden, and look at the difference"


@pytest.mark.parametrize("name", sorted(EXPOSURE_MAX))
def test_it_is_hardened(tmp_path: Path, name: str) -> None:
    unit = tmp_path / f"{name}.service"
    unit.write_text(all_units()[unit.name])
    command = [program("systemd-analyze"), "security", "--offline=true", "--no-pager", str(unit)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert exposure is not None, shown
    assert float(exposure[1]) <= EXPOSURE_MAX[name], shown


def systemd_version() -> int:
    shown = subprocess.run([program("systemd-analyze"), "--version"], capture_output=True, text=True, check=True).stdout
    return int(shown.split()[1])


def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    units = {name: text for name, text in all_units().items() if name != "grafana.service"}
    if systemd_version() < NEWER_FROM:
        units = {name: NEWER.sub("", text) for name, text in units.items()}
    for name, text in units.items():
        # The programs are not built here; that they are there is another test's business.
        (tmp_path / name).write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", text, flags=re.MULTILINE))
    command = [program("systemd-analyze"), "verify", "--man=no", *(str(tmp_path / name) for name in sorted(units))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith(tuple(units))]
    assert complaints == []


def test_only_what_compiles_may_write_and_execute() -> None:
    for name, text in all_units().items():
        if name.startswith("hlhft-") and "MemoryDenyWriteExecute=" in text:
            relaxed = "MemoryDenyWriteExecute=false" in text
            assert relaxed == (name.removesuffix(".service") in COMPILING), name


def test_each_that_compiles_has_a_cache_of_its_own() -> None:
    units = all_units()
    folders = [re.findall("^CacheDirectory=(.*)$", units[f"{name}.service"], re.MULTILINE) for name in COMPILING]
    assert sorted(folders) == sorted([name] for name in COMPILING)


def test_each_secret_reaches_those_that_need_it_and_nobody_else() -> None:
    given = {
        name.removesuffix(".service"): sorted(re.findall("^LoadCredential=([^:]+):", text, re.MULTILINE))
        for name, text in all_units().items()
    }
    assert {name: names for name, names in given.items() if names} == {
        "hlhft-engine": ["agent-key", "alpha-engine-key", "heartbeat-secret"],
        "hlhft-watchdog": ["heartbeat-secret", "watchdog-key"],
        "hlhft-alpha": ["alpha-key"],
        # Of the host that trades on paper alone, where it says whose they are.
        "hlhft-approval": ["agent-key", "watchdog-key"],
        "hlhft-miner": ["aws-credentials"],
        "hlhft-scheduler": ["cluster-ca", "cluster-cert", "cluster-key"],
        "hlhft-worker": ["cluster-ca", "cluster-cert", "cluster-key"],
        "alertmanager": ["heartbeat-url", "page-url", "ticket-url"],
        "grafana": ["grafana-admin-password", "grafana-secret-key"],
    }


def test_a_stop_is_given_the_time_that_the_engine_takes() -> None:
    text = manifest("example")["units"]["hlhft-engine.service"]
    stop_ms = json.loads((ROOT / "nixos" / "schema.json").read_text())["schema"]["$defs"]["Engine"]["properties"]
    (seconds,) = re.findall("^TimeoutStopSec=([0-9]+)$", text, re.MULTILINE)
    assert int(seconds) * 1000 >= stop_ms["stop_ms_max"]["default"] + 10_000
    assert "KillSignal=SIGTERM" in text


def test_a_switch_never_takes_engine_and_watchdog_together() -> None:
    shown = manifest("example")
    assert shown["restarts"]["hlhft-engine"]["restartIfChanged"]
    assert not shown["restarts"]["hlhft-watchdog"]["restartIfChanged"]
    assert "After=hlhft-engine.service hlhft-watchdog.service" in shown["units"]["hlhft-watchdog-renewal.service"]


def test_prometheus_accepts_the_text_that_ships(tmp_path: Path) -> None:
    files = manifest("example")["files"]
    for name in ("prometheus.json", "hlhft.rules.json"):
        text = files[f"etc/hlhft/prometheus/{name}"]
        assert text == (ROOT / "nixos" / "files" / "prometheus" / name).read_text()
        (tmp_path / name).write_text(text)
    subprocess.run([program("promtool"), "check", "config", str(tmp_path / "prometheus.json")], check=True)
    assert (
        files["etc/hlhft/alertmanager.json"]
        == (ROOT / "nixos" / "files" / "prometheus" / "alertmanager.json").read_text()
    )


def test_a_host_with_limits_of_its_own_gets_rules_of_its_own() -> None:
    rules = evaluated("checks.x86_64-linux.refusals.rules")
    assert rules["example"] is None, "the text that ships is that of the defaults"
    assert re.fullmatch(r"/nix/store/\w+-hlhft-alerts/hlhft\.rules\.json", rules["tightened"])


def test_what_serves_listens_inside_only() -> None:
    shown = manifest("example")
    inside = "10.100.0.1"
    assert f"--web.listen-address={inside}:{ports.PROMETHEUS}" in shown["units"]["prometheus.service"]
    assert f"--web.listen-address=127.0.0.1:{ports.ALERTMANAGER}" in shown["units"]["alertmanager.service"]
    grafana = shown["files"]["grafana.ini"]
    assert f"http_addr={inside}" in grafana
    assert f"http_port={ports.GRAFANA}" in grafana


def test_a_cluster_is_reached_inside_only() -> None:
    shown = manifest("worker")
    units, settings = shown["units"], shown["settings"]
    for name in ("hlhft-scheduler.service", "hlhft-worker.service"):
        assert "--host 10.100.0.3 " in units[name]
        assert "--tls-key /run/credentials/" in units[name]
        assert "IPAddressDeny=any" in units[name]
        assert re.findall("^IPAddressAllow=(.*)$", units[name], re.MULTILINE) == ["localhost", "10.100.0.0/24"]
    assert f"tls://10.100.0.3:{ports.SCHEDULER}" in units["hlhft-worker.service"]
    assert ports.SCHEDULER in settings["networking.firewall.interfaces"]["wg0"]["allowedTCPPorts"]
    opened = settings["networking.firewall.interfaces"]["wg0"]["allowedTCPPortRanges"]
    assert opened == [{"from": ports.WORKER_FIRST, "to": ports.NANNY_LAST}]


def test_only_wireguard_is_open_to_everybody() -> None:
    for host in HOSTS:
        settings = manifest(host)["settings"]
        assert settings["networking.firewall.allowedUDPPorts"] == [ports.WIREGUARD]
        assert settings.get("networking.firewall.allowedTCPPorts", []) == []
        assert settings["networking.firewall.extraInputRules"] == ""


def test_no_module_writes_a_port_that_the_program_has() -> None:
    numbers = {str(value) for name, value in vars(ports).items() if name.isupper()}
    faults = []
    for path in sorted((ROOT / "nixos").rglob("*.nix")):
        lines = [line.partition("#")[0] for line in path.read_text().splitlines()]
        faults += [f"{path.name}: {line.strip()}" for line in lines if numbers & set(re.findall(r"\b\d{4,5}\b", line))]
    assert faults == []


def test_functions_hold_on_known_cases() -> None:
    cases = evaluated("checks.x86_64-linux.library.cases")
    assert [name for name, holds in cases.items() if not holds] == []
    assert len(cases) >= 20
