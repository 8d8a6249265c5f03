"""What tests ask of a host that trades: of the engine by its command, and of the exchange over its own wire."""

import json

from tests.nixos.machine import Machine

SOCKET = "/run/hlhft-engine/control.sock"
# The first start compiles, and a test's machine may be slow.
QUOTING_S = 600


def asking(port: int, account: str, kind: str) -> str:
    """A command that prints the exchange's answer about the account, as JSON."""
    body = json.dumps({"type": kind, "user": account})
    request = (
        f"Request('http://127.0.0.1:{port}/info', json.dumps({body}).encode(), {{'Content-Type': 'application/json'}})"
    )
    return f'python3 -c "import json; from urllib.request import *; print(urlopen({request}).read().decode())"'.replace(
        body, body.replace('"', "'")
    )


def orders_of(machine: Machine, port: int, account: str) -> list[dict]:
    """The account's orders that rest, by the exchange's word."""
    orders: list[dict] = json.loads(machine.succeed(asking(port, account, "openOrders")))
    return orders


def wait_for_orders(machine: Machine, port: int, account: str, timeout: int = QUOTING_S) -> None:
    """Returns when the account has orders."""
    machine.wait_until_succeeds(f"{asking(port, account, 'openOrders')} | grep -q oid", timeout=timeout)


def wait_for_none(machine: Machine, port: int, account: str, timeout: int) -> None:
    """Returns when the account has no order."""
    machine.wait_until_succeeds(f"{asking(port, account, 'openOrders')} | grep -qxF '[]'", timeout=timeout)


def status_of_engine(machine: Machine) -> dict:
    """What the engine says of itself."""
    status: dict = json.loads(machine.succeed(f"hlhft status --socket {SOCKET} --json"))
    return status


def wait_for_quoting(machine: Machine) -> None:
    """Returns when the engine says that it quotes."""
    machine.wait_until_succeeds(
        f'hlhft status --socket {SOCKET} --json | grep -qF \'"stage":"quoting"\'', timeout=QUOTING_S
    )


def check_no_order_is_left(machine: Machine, port: int, account: str) -> None:
    """Stops the engine: orders that are not its own would stay, and are none."""
    machine.succeed("systemctl stop hlhft-engine.service", timeout=120)
    assert orders_of(machine, port, account) == [], "the engine was stopped, and orders are left"
