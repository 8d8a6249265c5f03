"""The whole appliance trades, is watched over WireGuard, and stops with nothing left at the exchange."""

from tests.nixos.machine import Machine
from tests.nixos.trading import check_no_order_is_left, status_of_engine, wait_for_orders, wait_for_quoting

REFUSED_S = 3
UNITS = ("hlhft-exchange", "hlhft-watchdog", "hlhft-engine", "hlhft-exporter", "prometheus")


def check_trading(trader: Machine, *, ports: dict[str, int], account: str) -> None:
    """It boots, quotes, and the numbers arrive."""
    for unit in UNITS:
        trader.wait_for_unit(f"{unit}.service", timeout=600)
    wait_for_quoting(trader)
    wait_for_orders(trader, ports["PAPER_EXCHANGE"], account)
    status = status_of_engine(trader)
    assert status["account"].lower() == account.lower()
    assert status["halt"] == ""
    # Fills come when others trade, which takes a while.
    trader.wait_until_succeeds("journalctl --unit hlhft-engine.service --quiet | grep -q .", timeout=60)


def check_watched(machine: Machine, place: str) -> None:
    """Prometheus at `place` has scraped numbers of a running engine that quotes."""
    for wanted in ('up{job="hlhft"} == 1', 'hlhft_process_up{process="engine"} == 1', "hlhft_quotes > 0"):
        asked = f"curl -sf --max-time 10 --get --data-urlencode 'query={wanted}' http://{place}/api/v1/query"
        machine.wait_until_succeeds(f"{asked} | grep -qF '\"value\"'", timeout=120)


def check_refused(operator: Machine, *, ports: dict[str, int], uplink: str) -> None:
    """Outside WireGuard nothing answers."""
    for name in ("PROMETHEUS", "GRAFANA", "EXPORTER", "ALERTMANAGER", "PAPER_EXCHANGE"):
        operator.fail(f"curl -s -o /dev/null --max-time {REFUSED_S} http://{uplink}:{ports[name]}/")


def check(
    trader: Machine, operator: Machine, *, ports: dict[str, int], address: str, account: str, uplink: str
) -> None:
    """All of it."""
    check_trading(trader, ports=ports, account=account)
    check_watched(operator, f"{address}:{ports['PROMETHEUS']}")
    # Grafana asks who is there.
    operator.wait_until_succeeds(f"curl -sf http://{address}:{ports['GRAFANA']}/login", timeout=120)
    operator.fail(f"curl -sf http://{address}:{ports['GRAFANA']}/api/search")
    check_refused(operator, ports=ports, uplink=uplink)
    check_no_order_is_left(trader, ports["PAPER_EXCHANGE"], account)
