"""A secret is read by the unit that it was given to, and is nowhere else."""

from tests.nixos.machine import Machine

STRANGERS = ("nobody", "somebody", "hlhft-exporter")


def check_one(machine: Machine, unit: str, name: str, folder: str) -> None:
    """One secret of one running unit."""
    place = f"/run/credentials/{unit}.service/{name}"
    machine.succeed(f"cmp {folder}/{name} {place}")
    for stranger in STRANGERS:
        for path in (place, f"{folder}/{name}"):
            # The attempt itself works: what everybody may read, they read.
            machine.succeed(f"runuser -u {stranger} -- cat /etc/hlhft/settings.toml > /dev/null")
            machine.fail(f"runuser -u {stranger} -- cat {path}")
    for command in (f"journalctl --unit {unit}.service", f"systemctl show {unit}.service", "ps -e -o args", "env"):
        machine.fail(f"{command} | grep -qF -f {folder}/{name}")
    machine.fail(f"grep -rqF -f {folder}/{name} /etc/hlhft /run/hlhft-metrics")


def check(machine: Machine, *, folder: str, units: dict[str, list[str]]) -> None:
    """Every secret of the units that run."""
    running = {unit: names for unit, names in units.items() if unit in ("hlhft-engine", "hlhft-watchdog")}
    assert sorted(running) == ["hlhft-engine", "hlhft-watchdog"]
    for unit, names in running.items():
        machine.wait_for_unit(f"{unit}.service", timeout=600)
        for name in names:
            check_one(machine, unit, name, folder)
    engine = machine.succeed("systemctl show -P MainPID hlhft-engine.service").strip()
    for stranger in STRANGERS:
        for path in (
            f"/proc/{engine}/environ",
            f"/proc/{engine}/mem",
            "/var/lib/hlhft-journal/",
            "/var/lib/hlhft-engine/",
        ):
            machine.fail(f"runuser -u {stranger} -- ls {path} && runuser -u {stranger} -- head -c 1 {path}")
    # One service's key is not the other's.
    machine.fail("runuser -u hlhft-watchdog -- cat /run/credentials/hlhft-engine.service/agent-key")
    assert machine.succeed(f"stat -c %a%U {folder}").strip() == "700root"
