"""The tuned and closed host: what the kernel took, where threads and interrupts are, and what answers to whom."""

import json
import re

from tests.nixos.machine import Machine

SAMPLES = 16
# Nothing answers in this time what is dropped on the way.
REFUSED_S = 3


def cpus_of(text: str) -> set[int]:
    """The CPUs of a list as the kernel writes it: 0,2-5."""
    ranges = [part.split("-") for part in text.strip().split(",") if part]
    return {cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)}


def pid_of(machine: Machine, unit: str) -> int:
    """The main process of a running unit."""
    pid = int(machine.succeed(f"systemctl show -P MainPID {unit}"))
    assert pid > 0, f"{unit} does not run"
    return pid


def status_of(machine: Machine, pid: int, name: str) -> str:
    """A line of /proc/PID/status."""
    return machine.succeed(f"grep -P '^{name}:' /proc/{pid}/status").partition(":")[2].strip()


def places_of(machine: Machine, unit: str) -> list[set[int]]:
    """Samples of the CPUs on which the threads of a unit run while they are busy."""
    pid = pid_of(machine, unit)
    machine.succeed(f"systemctl kill --kill-whom=main --signal=USR1 {unit}")
    # What has just begun is still where it was started.
    taken = machine.succeed(
        f"sleep 2; for turn in {' '.join('x' * SAMPLES)}; do cat /proc/{pid}/task/*/stat; echo; done"
    )
    machine.succeed(f"systemctl kill --kill-whom=main --signal=USR2 {unit}")
    # The first thread only waits; of the others, the CPU that each was last on.
    samples = [[line.split() for line in one.splitlines()] for one in taken.strip().split("\n\n")]
    return [{int(fields[38]) for fields in one if fields[0] != str(pid)} for one in samples]


def check_parameters(machine: Machine, cpus: dict, parameters: list[str]) -> None:
    given = machine.succeed("cat /proc/cmdline").split()
    assert [one for one in parameters if one not in given] == []
    for name in ("isolated", "nohz_full"):
        assert cpus_of(machine.succeed(f"cat /sys/devices/system/cpu/{name}")) == cpus_of(cpus["exclusive"]), name
    housekeeping = int(cpus["mask"].replace(",", ""), 16)
    for path in ("/proc/irq/default_smp_affinity", "/sys/devices/virtual/workqueue/cpumask"):
        assert int(machine.succeed(f"cat {path}").replace(",", ""), 16) == housekeeping, path
    said = machine.succeed("dmesg")
    refused = re.findall(r"(?:[Mm]alformed|Housekeeping:|Unknown kernel command line).*", said)
    assert refused == [], f"the kernel took these otherwise than they were meant: {refused}"
    offloaded = re.search(r"Offload RCU callbacks from CPUs: (\S+)\.", said)
    assert offloaded is not None, "no CPU hands the callbacks of RCU to others"
    assert cpus_of(offloaded[1]) == cpus_of(cpus["exclusive"]) | cpus_of(cpus["quiet"])
    assert "Dynamic Preempt: full" in said
    assert "[madvise]" in machine.succeed("cat /sys/kernel/mm/transparent_hugepage/enabled")


def check_sysctls(machine: Machine) -> None:
    wanted = dict(
        line.split("=", 1) for line in machine.succeed("cat /etc/sysctl.d/60-nixos.conf").splitlines() if "=" in line
    )
    assert len(wanted) > 10
    found = machine.succeed(f"sysctl -n {' '.join(wanted)}").splitlines()
    assert dict(zip(wanted, found)) == wanted


def check_classes(machine: Machine, cpus: dict) -> None:
    rest = cpus_of(cpus["housekeeping"])
    for what in ("1", str(pid_of(machine, "prometheus.service"))):
        assert cpus_of(status_of(machine, int(what), "Cpus_allowed_list")) == rest, "what has no CPUs keeps house"
    for unit, where in cpus["assigned"].items():
        assert cpus_of(status_of(machine, pid_of(machine, unit), "Cpus_allowed_list")) == cpus_of(where), unit
    quiet = places_of(machine, "hlhft-recorder.service")
    assert max(map(len, quiet)) == 3, f"three threads never ran on three quiet CPUs at once: {quiet}"
    assert set().union(*quiet) == cpus_of(cpus["assigned"]["hlhft-recorder"])
    engine = places_of(machine, "hlhft-engine.service")
    assert set().union(*engine) == cpus_of(cpus["assigned"]["hlhft-engine"])
    # Why a service has one exclusive CPU at most: without balancing, nobody moves its threads to the others.
    spread = places_of(machine, "spreading.service")
    assert len(set().union(*spread)) == 1, f"the kernel balances exclusive CPUs: {spread}"


def check_limits(machine: Machine) -> None:
    limits = machine.succeed(f"cat /proc/{pid_of(machine, 'hlhft-engine.service')}/limits")
    assert re.search(r"^Max locked memory\s+unlimited\s+unlimited", limits, re.MULTILINE), limits
    assert re.search(r"^Max open files\s+65536\s+65536", limits, re.MULTILINE), limits


def check_interrupts(machine: Machine, cpus: dict, interface: str) -> None:
    machine.wait_until_succeeds("test -s /run/hlhft-irq/report.json", timeout=60)
    report = json.loads(machine.succeed("cat /run/hlhft-irq/report.json"))
    own = set(machine.succeed(f"ls $(readlink -f /sys/class/net/{interface}/device/..)/msi_irqs").split())
    assert own and own <= set(map(str, report["moved"])), f"interrupts {own} of {interface} were not moved: {report}"
    for number in report["moved"]:
        place = cpus_of(machine.succeed(f"cat /proc/irq/{number}/smp_affinity_list"))
        wanted = {cpus["network"]} if str(number) in own else cpus_of(cpus["housekeeping"])
        assert place == wanted, f"interrupt {number} is on {place}"
    # The disk has a queue for each CPU, and the kernel manages their interrupts: they stay, and it is said.
    disk = set(
        map(int, re.findall(r"^ *(\d+):.*virtio\d+-req\.\d+$", machine.succeed("cat /proc/interrupts"), re.MULTILINE))
    )
    assert disk and disk <= set(report["refused"]), f"interrupts {disk} of the disk are managed: {report}"
    for number in report["refused"]:
        machine.fail(f"echo {cpus['network']} > /proc/irq/{number}/smp_affinity_list")


def check_appearance(machine: Machine, interface: str) -> None:
    """An interface that comes anew brings its interrupts to their place again."""
    device = machine.succeed(f"basename $(readlink -f /sys/class/net/{interface}/device)").strip()
    machine.succeed(
        "rm /run/hlhft-irq/report.json",
        f"echo {device} > /sys/bus/virtio/drivers/virtio_net/unbind",
        f"test ! -e /sys/class/net/{interface}",
        f"echo {device} > /sys/bus/virtio/drivers/virtio_net/bind",
    )
    machine.wait_until_succeeds("test -s /run/hlhft-irq/report.json", timeout=60)


def check_reach(trader: Machine, operator: Machine, ports: dict[str, int], address: str, uplink: str) -> None:
    def asked(place: str, port: int) -> str:
        return f"curl -s -o /dev/null --max-time {REFUSED_S} http://{place}:{port}/"

    for name in ("PROMETHEUS", "GRAFANA"):
        operator.wait_until_succeeds(asked(address, ports[name]), timeout=60)
    operator.succeed(f"curl -sf --max-time {REFUSED_S} http://{address}:{ports['PROMETHEUS']}/-/ready")
    handshake = operator.succeed("wg show wg0 latest-handshakes").split()[1]
    assert int(handshake) > 0, "what was answered did not come through WireGuard"
    assert trader.succeed(f"ss -Hltn sport = :{ports['PROMETHEUS']}").split()[3] == f"{address}:{ports['PROMETHEUS']}"
    # Outside nothing answers, not even what listens on every address.
    careless = 8000
    trader.succeed(asked("127.0.0.1", careless))
    for port in (ports["PROMETHEUS"], ports["GRAFANA"], ports["EXPORTER"], careless, 22):
        operator.fail(asked(uplink, port))
    for port in (ports["EXPORTER"], careless):
        operator.fail(asked(address, port))


def check_filter(machine: Machine, uplink: str) -> None:
    """A unit's IPAddressDeny holds: what runs in its control group reaches what it may, and nothing else."""
    group = machine.succeed("systemctl show -P ControlGroup prometheus.service").strip()
    inside = f"echo $$ > /sys/fs/cgroup{group}/cgroup.procs; exec curl -s -o /dev/null --max-time {REFUSED_S}"
    machine.succeed(f"bash -c '{inside} http://127.0.0.1:8000/'", f"curl -s -o /dev/null http://{uplink}:8000/")
    machine.fail(f"bash -c '{inside} http://{uplink}:8000/'")


def check(
    trader: Machine,
    operator: Machine,
    *,
    cpus: dict,
    interface: str,
    ports: dict[str, int],
    address: str,
    uplink: str,
    parameters: list[str],
) -> None:
    """All of it."""
    trader.wait_for_unit("multi-user.target")
    for unit in (*cpus["assigned"], "hlhft-exporter", "prometheus", "careless", "spreading"):
        trader.wait_for_unit(f"{unit}.service", timeout=120)
    check_parameters(trader, cpus, parameters)
    check_sysctls(trader)
    check_classes(trader, cpus)
    check_limits(trader)
    check_interrupts(trader, cpus, interface)
    check_reach(trader, operator, ports, address, uplink)
    check_filter(trader, uplink)
    check_appearance(trader, interface)
