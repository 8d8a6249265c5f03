"""The trading host is gone at once: the watchtower cancels for it."""

from tests.nixos.machine import Machine
from tests.nixos.trading import wait_for_none, wait_for_orders

WALLETS = {"engine": "agent-key", "watchdog": "watchdog-key", "watchtower": "watchtower-key"}
CANCELLED_S = 30


def check(
    venue: Machine, trader: Machine, watchtower: Machine, *, ports: dict[str, int], address: str, folder: str
) -> None:
    """All of it."""
    port = ports["PAPER_EXCHANGE"]
    venue.wait_for_unit("hlhft-exchange.service", timeout=600)
    wallets = " ".join(f"{name}={folder}/{key}" for name, key in WALLETS.items())
    venue.wait_until_succeeds(f"hlhft approve --config /etc/hlhft/settings.toml {wallets}", timeout=120)
    # Before their wallets were approved they were refused, and are not started again for that.
    for machine, units in ((watchtower, ("hlhft-watchdog",)), (trader, ("hlhft-watchdog", "hlhft-engine"))):
        for unit in units:
            machine.succeed(f"systemctl reset-failed {unit}.service || true")
            machine.succeed(f"systemctl start {unit}.service", timeout=600)
    wait_for_orders(venue, port, address)
    watchtower.wait_for_unit("hlhft-watchdog.service")
    trader.crash()
    wait_for_none(venue, port, address, timeout=CANCELLED_S)
    watchtower.succeed("systemctl is-active hlhft-watchdog.service")
