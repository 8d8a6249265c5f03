"""The engine is killed while it quotes: the watchdog cancels for it, and the next one goes on."""

from tests.nixos.machine import Machine
from tests.nixos.trading import check_no_order_is_left, wait_for_none, wait_for_orders, wait_for_quoting

UNIT = "hlhft-engine.service"
DROP_IN = f"/run/systemd/system/{UNIT}.d/stays-away.conf"
# Beyond the silence that the watchdog allows: to cancel, to see that nothing is left, and for a slow machine.
CANCELLED_S = 20


def check(machine: Machine, *, ports: dict[str, int], account: str, silence_ms: float) -> None:
    """All of it."""
    port = ports["PAPER_EXCHANGE"]
    wait_for_quoting(machine)
    wait_for_orders(machine, port, account)
    watchdog = machine.succeed("systemctl show -P MainPID hlhft-watchdog.service")
    # Its own restart would be sooner than the watchdog.
    machine.succeed(
        f"install -D /dev/stdin {DROP_IN} <<< $'[Service]\\nRestart=no'",
        "systemctl daemon-reload",
        f"systemctl kill --kill-whom=all --signal=KILL {UNIT}",
    )
    wait_for_none(machine, port, account, timeout=int(silence_ms / 1000) + CANCELLED_S)
    assert machine.succeed("systemctl show -P MainPID hlhft-watchdog.service") == watchdog, "the watchdog stays"
    machine.succeed(f"rm {DROP_IN}", "systemctl daemon-reload", f"systemctl reset-failed {UNIT}")
    machine.succeed(f"systemctl start {UNIT}", timeout=600)
    wait_for_quoting(machine)
    wait_for_orders(machine, port, account)
    check_no_order_is_left(machine, port, account)
