"""What tests ask of a host that trades: of the engine by its command, and of the exchange over its own wire."""

import json
import shlex

from tests.nixos.machine import Machine

SOCKET = "/run/hlhft-engine/control.sock"
# The first start compiles, and a test's machine may be slow.
QUOTING_S = 600
# From an address of its own: the exchange limits each address, and the engine's share is not the test's.
ASK = """
import http.client, sys
client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5, source_address=("127.0.0.2", 0))
client.request("POST", "/info", sys.argv[2], {"Content-Type": "application/json"})
answer = client.getresponse()
print(answer.read().decode())
sys.exit(answer.status != 200)
"""


def asking(port: int, account: str, kind: str) -> str:
    """A command that prints the exchange's answer about the account, as JSON."""
    return shlex.join(["python3", "-c", ASK, str(port), json.dumps({"type": kind, "user": account})])


def orders_of(machine: Machine, port: int, account: str) -> list[dict]:
    """The account's orders that rest, by the exchange's word."""
    orders: list[dict] = json.loads(machine.succeed(asking(port, account, "openOrders")))
    return orders


def wait_for_orders(machine: Machine, port: int, account: str, timeout: int = QUOTING_S) -> None:
    """Returns when the account has orders."""
    machine.wait_until_succeeds(f"{asking(port, account, 'openOrders')} | grep -F oid > /dev/null", timeout=timeout)


def wait_for_fills(machine: Machine, port: int, account: str) -> None:
    """Returns when somebody has traded with one of its orders."""
    machine.wait_until_succeeds(f"{asking(port, account, 'userFills')} | grep -F oid > /dev/null", timeout=QUOTING_S)


def wait_for_none(machine: Machine, port: int, account: str, timeout: int) -> None:
    """Returns when the account has no order."""
    machine.wait_until_succeeds(f"{asking(port, account, 'openOrders')} | grep -xF '[]' > /dev/null", timeout=timeout)


def status_of_engine(machine: Machine) -> dict:
    """What the engine says of itself."""
    status: dict = json.loads(machine.succeed(f"hlhft status --socket {SOCKET} --json"))
    return status


def wait_for_quoting(machine: Machine) -> None:
    """Returns when the engine says that it quotes."""
    machine.wait_until_succeeds(
        f'hlhft status --socket {SOCKET} --json | grep -F \'"stage":"quoting"\' > /dev/null', timeout=QUOTING_S
    )


def check_no_order_is_left(machine: Machine, port: int, account: str) -> None:
    """Stops the engine: orders that are not its own would stay, and are none."""
    machine.succeed("systemctl stop hlhft-engine.service", timeout=120)
    assert orders_of(machine, port, account) == [], "the engine was stopped, and orders are left"
