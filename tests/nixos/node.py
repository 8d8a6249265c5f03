"""A node's program is started only when it is signed with the pinned key, is told what it needs, and answers on two
ports."""

import json

from tests.nixos.host import cpus_of, pid_of, status_of
from tests.nixos.machine import Machine

UNIT = "hlhft-node.service"
DATA = "/var/lib/hlhft-node"


def said(place: str, port: int) -> str:
    """A command that prints what the stub says on a port."""
    return f"timeout 5 bash -c 'exec 3<>/dev/tcp/{place}/{port}; head -c 5 <&3'"


def prepare(machine: Machine, visor: str, key: str) -> None:
    """A key made here, and the program beside its signature."""
    folder = visor.rpartition("/")[0]
    gpg = "gpg --homedir /run/hlhft-test-gpg --batch --yes --pinentry-mode loopback --passphrase ''"
    machine.succeed(
        f"install -d -m 0755 {folder}",
        "install -d -m 0700 /run/hlhft-test-gpg",
        f"{gpg} --quick-generate-key visor@test ed25519 sign never",
        f"{gpg} --armor --export visor@test > {key}",
        f"install -m 0755 $(readlink -f /etc/hlhft-test/visor) {visor}",
        f"{gpg} --armor --output {visor}.asc --detach-sign {visor}",
        f"chmod 0644 {key} {visor}.asc",
    )


def start(machine: Machine) -> None:
    """Starts it, however often it was refused before."""
    machine.succeed(f"systemctl reset-failed {UNIT} || true", f"systemctl restart {UNIT}", timeout=120)


def check(
    machine: Machine,
    peer: Machine,
    *,
    visor: str,
    key: str,
    chain: str,
    peers: list[str],
    cpus: str,
    ports: dict[str, int],
    uplink: str,
) -> None:
    """All of it."""
    machine.wait_for_unit("multi-user.target")
    machine.fail(f"systemctl is-active {UNIT}")
    prepare(machine, visor, key)
    start(machine)
    machine.wait_for_unit(UNIT)
    machine.wait_until_succeeds(f"test -s {DATA}/told", timeout=60)

    told = machine.succeed(f"cat {DATA}/told").splitlines()
    assert told[0] == "run-non-validator"
    assert "--disable-output-file-buffering" in told
    assert json.loads(machine.succeed(f"cat {DATA}/visor.json")) == {"chain": chain}
    gossip = json.loads(machine.succeed(f"cat {DATA}/override_gossip_config.json"))
    assert [one["Ip"] for one in gossip["root_node_ips"]] == peers
    process = pid_of(machine, UNIT)
    assert cpus_of(status_of(machine, process, "Cpus_allowed_list")) == cpus_of(cpus)
    assert int(status_of(machine, process, "CapBnd"), 16) == 0
    assert status_of(machine, process, "NoNewPrivs") == "1"
    machine.succeed(f"test $(stat -c %U /proc/{process}) = hlhft-node")

    for name in ("NODE_GOSSIP_FIRST", "NODE_GOSSIP_SECOND"):
        peer.wait_until_succeeds(said(uplink, ports[name]), timeout=30)
    machine.succeed(said("127.0.0.1", ports["EXCHANGE"]))
    peer.fail(said(uplink, ports["EXCHANGE"]))

    # One byte more, and it is nobody's program.
    machine.succeed(f"systemctl stop {UNIT}", f"printf x >> {visor}")
    machine.fail(f"systemctl start {UNIT}")
    machine.succeed(
        f"systemctl stop {UNIT}", f"journalctl --unit {UNIT} | grep -F 'it is not signed with {key}; it is not started'"
    )
