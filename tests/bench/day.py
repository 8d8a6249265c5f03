"""`make day`: a day of four coins through the whole exchange, without sockets, as fast as it goes.

    python tests/bench/day.py [--short] [--hours N]

The synthetic order flow trades, a client with a watching socket quotes both sides of every market once a minute, and
everything is remembered and told as it is to real clients. Prints what it took, what happened and how much memory grew
after the first simulated hour; exits 1 when a day takes more than 15 minutes, memory grows by more than 5 %, the ledger
broke, or (short) the pace of it is missed by far.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hlhft.exchange.known_account import test_signer  # noqa: E402
from hlhft.exchange.machine import Machine  # noqa: E402
from hlhft.exchange.opening import open_machine, open_settings  # noqa: E402
from hlhft.hyperliquid.signing import action_hash, l1_digest  # noqa: E402
from tests.bench.figures import machine as facts  # noqa: E402
from tests.bench.peak import status_bytes  # noqa: E402

COINS = ("BTC", "ETH", "SOL", "WLFI")
START_NS = 1_790_000_000 * 10**9
MINUTE_NS = 60 * 10**9
SEED = 1
SECONDS_MAX, SHORT_FACTOR = 900.0, 4.0
GROWTH_MAX = 0.05
CLIENT = ("127.0.0.1", "day")
CHANNELS = ("orderUpdates", "userFills", "clearinghouseState", "openOrders")


class Quoter:
    """A client that replaces its orders once a minute, a few steps away from the touch."""

    def __init__(self, exchange: Machine) -> None:
        self.exchange = exchange
        self.signer = test_signer(SEED)
        opened = exchange.sockets.open(CLIENT, exchange.time_ns)
        assert not isinstance(opened, str)
        self.connection = opened[0]
        for kind in CHANNELS:
            self.say({"method": "subscribe", "subscription": {"type": kind, "user": self.signer.address}})
        for coin in COINS:
            for kind in ("bbo", "l2Book", "trades", "activeAssetCtx"):
                self.say({"method": "subscribe", "subscription": {"type": kind, "coin": coin}})

    def say(self, message: Any) -> None:
        """A frame from the client."""
        self.exchange.sockets.receive(self.connection, json.dumps(message).encode(), self.exchange.time_ns)

    def quote(self) -> None:
        """Takes everything back and places two orders a market."""
        exchange = self.exchange
        placed = self.ask("openOrders")
        cancels = [{"a": COINS.index(one["coin"]), "o": one["oid"]} for one in placed]
        if cancels:
            self.act({"type": "cancel", "cancels": cancels})
        orders = []
        for row, (bid, ask) in enumerate(exchange.kernel.touch().tolist()):
            market = exchange.settings.listing.markets[row].market
            lots = 20 * 10**6 // (bid or 1) + 1
            for ticks, side in ((bid, 1), (ask, -1)):
                price = market.quantise(ticks * (1 - side * 0.0002), side=side)
                orders.append(
                    {
                        "a": row,
                        "b": side > 0,
                        "p": market.price_text(price),
                        "s": market.size_text(lots),
                        "r": False,
                        "t": {"limit": {"tif": "Alo"}},
                    }
                )
        self.act({"type": "order", "orders": orders, "grouping": "na"})

    def ask(self, kind: str) -> Any:
        """An answer about the account."""
        body = json.dumps({"type": kind, "user": self.signer.address}).encode()
        return json.loads(self.exchange.info(body, CLIENT, self.exchange.time_ns).body)

    def act(self, action: dict[str, Any]) -> None:
        """Signs an action and sends it."""
        nonce = self.exchange.time_ns // 1_000_000 + len(action["type"])
        digest = l1_digest(action_hash(action, nonce=nonce, vault_address=None, expires_after_ms=None), mainnet=False)
        body = {"action": action, "nonce": nonce, "signature": self.signer.sign(digest).wire()}
        taken = self.exchange.admit(json.dumps(body).encode(), CLIENT, self.exchange.time_ns)
        assert isinstance(taken, int), taken


def main() -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(description="A day of four coins through the whole exchange.")
    parser.add_argument("--short", action="store_true", help="two hours, a wide gate")
    parser.add_argument("--hours", type=int, default=24)
    given = parser.parse_args()
    hours = 2 if given.short else given.hours
    exchange = open_machine(open_settings(COINS, seed=SEED, start_ns=START_NS), synthetic=True)
    exchange.advance(START_NS + 10**9)  # compiles
    quoter, frames, answers, refused = Quoter(exchange), 0, 0, 0
    begin, begin_cpu = time.perf_counter(), time.process_time()
    early = 0
    for minute in range(1, 60 * hours + 1):
        end_ns = START_NS + minute * MINUTE_NS
        while exchange.next_deadline_ns() <= end_ns:
            outcome = exchange.advance(end_ns)
            frames += len(outcome.frames)
            answers += len(outcome.answers)
            refused += sum(b'"err"' in answer.body for _, answer in outcome.answers)
        quoter.quote()
        if minute == 60:
            early = status_bytes("VmRSS")
    took = time.perf_counter() - begin
    cpu = time.process_time() - begin_cpu
    growth = status_bytes("VmRSS") / early - 1
    kept = len(quoter.ask("userFills"))
    print(", ".join(f"{name} {value}" for name, value in facts().items()))
    print(
        f"{hours} hours of {', '.join(COINS)} in {took:.0f} s ({hours * 3600 / took:.0f} times real time),"
        f" {cpu:.0f} s of them computing:"
        f" {exchange.height:,} blocks, {exchange.kernel.chain.exchange.engine[0]['next_trade_id']:,} trades,"
        f" {frames:,} frames, {answers:,} answers ({refused} refused), {kept:,} fills of the client;"
        f" memory {early >> 20} MiB after an hour, {growth:+.1%} since; event log {exchange.digest.hex()}"
    )
    allowed = SECONDS_MAX * hours / 24 * (SHORT_FACTOR if given.short else 1.0)
    failed = [
        *(["too slow"] if took > allowed else []),
        *(["memory grew"] if growth > GROWTH_MAX else []),
        *(["the client was not answered"] if not answers or not kept else []),
    ]
    for fault in failed:
        print(f"missed: {fault}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
