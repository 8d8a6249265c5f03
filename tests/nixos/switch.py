"""A switch to another generation and back while the engine quotes."""

from tests.nixos.machine import Machine
from tests.nixos.trading import check_no_order_is_left, status_of_engine, wait_for_orders, wait_for_quoting

ENGINE, WATCHDOG = "hlhft-engine.service", "hlhft-watchdog.service"


def shown(machine: Machine, unit: str, name: str) -> int:
    """A number that the manager has of a unit."""
    return int(machine.succeed(f"systemctl show -P {name} {unit}"))


def switch(machine: Machine, system: str, port: int, account: str) -> None:
    """Switches to a system: the engine is a new process that quotes, and only then the watchdog is renewed."""
    before = {unit: shown(machine, unit, "MainPID") for unit in (ENGINE, WATCHDOG)}
    machine.succeed(f"{system}/bin/switch-to-configuration test", timeout=900)
    machine.wait_for_unit(ENGINE, timeout=600)
    wait_for_quoting(machine)
    wait_for_orders(machine, port, account)
    machine.wait_for_unit(WATCHDOG, timeout=120)
    for unit, process in before.items():
        assert shown(machine, unit, "MainPID") not in (0, process), f"{unit} is of the old generation"
    begun = {unit: shown(machine, unit, "ActiveEnterTimestampMonotonic") for unit in (ENGINE, WATCHDOG)}
    assert begun[WATCHDOG] > begun[ENGINE], "the watchdog went before the new engine was there"


def check(machine: Machine, *, ports: dict[str, int], account: str, changed: str) -> None:
    """There, back, and nothing is left."""
    port = ports["PAPER_EXCHANGE"]
    wait_for_quoting(machine)
    wait_for_orders(machine, port, account)
    first = machine.succeed("readlink -f /run/current-system").strip()
    switch(machine, changed, port, account)
    switch(machine, first, port, account)
    assert status_of_engine(machine)["halt"] == ""
    # The exchange refuses a nonce that it has seen.
    machine.fail(
        f"journalctl --unit {ENGINE} | grep -qiE 'nonce.*(duplicate|already|too old)|(duplicate|invalid) nonce'"
    )
    check_no_order_is_left(machine, port, account)
