"""The pure exchange at the far end of a virtual network, and a crowd that trades there."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from hlhft.exchange.answers import Answer as VenueAnswer
from hlhft.exchange.limits import Client as ClientLabel
from hlhft.exchange.machine import Machine
from hlhft.exchange.settings import Delays
from hlhft.hyperliquid import markets
from hlhft.hyperliquid.cloids import Cloid, parse
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.live.preflight import Found
from hlhft.units import MICRO
from tests.exchange.clients import BTC, CHAIN, ETH, Client, order, orders, small_settings
from tests.live.virtual import MS, SECOND, Time, Wire

OWNER = 7
COINS = ("BTC", "ETH")
PRICES = {BTC: 110_000, ETH: 4_000}
SIZES = {BTC: "0.004", ETH: "0.1"}
TICKS = {BTC: 1, ETH: 10}  # prices are whole in a unit, and the unit's parts
SLOW = Delays(maker_ms=(30, 35, 45, 55, 70, 500, 2_000, 2_800, 2_900))
MAKER, TAKER, TRADED, ENGINE, WATCHDOG = 11, 12, 13, 14, 15  # keys
ACCOUNT = Signer(bytes([TRADED]) * 32).address


class Exchange(Machine):
    """Notes every signed request that reaches it: a nonce of a signer comes again only with the very same signature, or
    with a noop, which does nothing but use it up."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.signed: dict[tuple[ClientLabel, int], Any] = {}
        self.repeats = self.noops = 0
        super().__init__(*values, **named)

    def admit(self, body: bytes, client: ClientLabel, now_ns: int, *, weighed: bool = True) -> int | VenueAnswer:
        """As of the exchange."""
        read = msgspec.json.decode(body)
        if read["action"]["type"] == "noop":
            self.noops += 1
        else:
            before = len(self.signed)
            known = self.signed.setdefault((client, read["nonce"]), read["signature"])
            assert known == read["signature"], f"{client} signed two actions with the nonce {read['nonce']}"
            self.repeats += len(self.signed) == before
        return super().admit(body, client, now_ns, weighed=weighed)

    def go_on(self, before: Exchange, state: dict[str, Any], now_ns: int) -> None:
        """Becomes what `state` told of the machine before."""
        self.signed, self.repeats, self.noops = before.signed, before.repeats, before.noops
        self.restore(state, now_ns)


class Venue:
    """The exchange at the far end of the network, and what is known of the traded account there."""

    def __init__(self, time: Time, seed: int) -> None:
        self.time = time
        self.is_dead = False
        # At every other exchange many orders are executed just before they expire.
        delays = SLOW if seed % 2 else Delays()
        self._settings = small_settings(with_delays=True, with_limits=False, seed=seed, delays=delays)
        self.machine = Exchange(self._settings)
        self.wires: dict[int, Wire] = {}
        self._answers: dict[int, Callable[[int, bytes], None]] = {}
        time.at(time.now_ns, self._advance)

    # The far end.

    def connected(self, label: str, wire: Wire) -> bool:
        opened = self.machine.sockets.open((label, ""), self.time.now_ns)
        if isinstance(opened, str):
            return False
        wire.connection, greeting = opened
        self.wires[wire.connection] = wire
        for frame in greeting:
            wire.tell(frame)
        return True

    def heard(self, wire: Wire, text: bytes) -> None:
        for frame in self.machine.sockets.receive(wire.connection, text, self.time.now_ns):
            wire.tell(frame)

    def gone(self, wire: Wire) -> None:
        self.machine.sockets.disconnect(wire.connection)
        self.wires.pop(wire.connection, None)

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        client = label, ""
        if path == "/info":
            told = self.machine.info(body, client, self.time.now_ns)
            answer(told.status, told.body)
            return
        taken = self.machine.admit(body, client, self.time.now_ns)
        if isinstance(taken, VenueAnswer):
            answer(taken.status, taken.body)
        else:
            self._answers[taken] = answer

    def kill(self) -> None:
        """What was under way to a block is lost; what blocks did is on its disk. Whoever kills it cuts its sockets."""
        assert not self.is_dead
        self.is_dead = True
        self._kept = self.machine.state()
        self._answers.clear()

    def come_back(self) -> None:
        """It goes on from its last block."""
        assert self.is_dead
        self.is_dead = False
        before, self.machine = self.machine, Exchange(self._settings)
        self.machine.go_on(before, self._kept, self.time.now_ns)
        self._advance()

    def _advance(self) -> None:
        if self.is_dead:
            return
        outcome = self.machine.advance(self.time.now_ns)
        for ticket, answer in outcome.answers:
            tell = self._answers.pop(ticket, None)
            if tell is not None:
                tell(answer.status, answer.body)
        for connection, frame in outcome.frames:
            if connection in self.wires:
                self.wires[connection].tell(frame)
        for close in outcome.closes:
            wire = self.wires.pop(close.connection, None)
            if wire is not None:
                wire.end(close.code, close.reason)
        self.time.at(self.machine.next_deadline_ns(), self._advance)

    # What is so.

    def ask(self, kind: str, **fields: Any) -> bytes:
        """The answer to a question, as of the latest block."""
        told = self.machine.info(msgspec.json.encode({"type": kind, **fields}), ("judge", ""), self.time.now_ns)
        assert told.status == 200, told
        return told.body

    def own_orders(self) -> dict[int, Cloid]:
        """The orders at the venue that bear the engine's mark, by client order id."""
        found = {}
        for one in msgspec.json.decode(self.ask("openOrders", user=ACCOUNT)):
            number = int(one.get("cloid") or "0x0", 16)
            mark = parse(number)
            if mark is not None and mark.owner == OWNER:
                found[number] = mark
        return found

    def positions(self) -> list[int]:
        """Of the traded account, in lots by market."""
        listing = self.machine.settings.listing
        held = msgspec.json.decode(self.ask("clearinghouseState", user=ACCOUNT))["assetPositions"]
        sizes = {one["position"]["coin"]: one["position"]["szi"] for one in held}
        return [_lots(listing.markets[row].market, sizes.get(coin, "0")) for row, coin in enumerate(COINS)]

    def found(self) -> Found:
        """What an engine finds out before it starts."""
        meta, spot_meta = markets.read_meta(self.ask("meta")), markets.read_spot_meta(self.ask("spotMeta"))
        assert not isinstance(meta, Fault) and not isinstance(spot_meta, Fault)
        traded = markets.markets_of(meta, spot_meta, COINS)
        return Found(
            address=ACCOUNT, markets=traded, asset_ids=markets.asset_ids(meta, spot_meta),
            base_tokens=markets.base_tokens(spot_meta, traded), offset_ms=0,
        )  # fmt: skip


def _lots(market: Any, text: str) -> int:
    lots = int(market.lots(text.removeprefix("-")))
    return -lots if text.startswith("-") else lots


class Crowd:
    """Everybody else: somebody makes a market, somebody takes, and prices walk."""

    def __init__(self, venue: Venue, random: Random) -> None:
        self.is_trading = False
        self._venue = venue
        self._random = random
        machine = venue.machine
        self._maker, self._taker, self._traded = (
            Client(machine, number, usdc=0) for number in (MAKER, TAKER, TRADED)
        )  # fmt: skip
        self._middle = {row: PRICES[row] * TICKS[row] for row in PRICES}
        self._quoted: dict[int, int] = {}
        for client, usdc in ((self._maker, 10_000_000), (self._taker, 10_000_000), (self._traded, 100_000)):
            machine.deposit(client.address, usdc * MICRO)
        venue.time.at(venue.time.now_ns + SECOND, self._open)

    def _open(self) -> None:
        for number in (ENGINE, WATCHDOG):
            agent = {"type": "approveAgent", **CHAIN, "agentAddress": Signer(bytes([number]) * 32).address}
            self._act(self._traded, {**agent, "agentName": f"agent {number}"})
        for row in PRICES:
            self._quote(row)
        self._turn()

    def _act(self, client: Client, action: dict[str, Any]) -> None:
        taken = self._venue.machine.admit(client.body(action), client.label, self._venue.time.now_ns)
        assert isinstance(taken, int), taken

    def _turn(self) -> None:
        if self.is_trading and not self._venue.is_dead:
            row = self._random.choice((BTC, ETH))
            if self._random.random() < 0.7:
                self._take(row)
            else:
                self._walk(row)
        time = self._venue.time
        time.at(time.now_ns + self._random.randrange(50, 400) * MS, self._turn)

    def _take(self, row: int) -> None:
        buys = self._random.random() < 0.5
        price = self._text(row, self._middle[row] * (1005 if buys else 995) // 1000)
        self._act(self._taker, orders(order(asset=row, buy=buys, price=price, size=SIZES[row], tif="Ioc")))

    def _walk(self, row: int) -> None:
        middle, start = self._middle[row], PRICES[row] * TICKS[row]
        moved = middle + self._random.randrange(-5, 6) * start // 10_000
        self._middle[row] = min(max(moved, start * 995 // 1000), start * 1005 // 1000)
        old = [{"asset": row, "cloid": _cloid(row, side, self._quoted[row])} for side in (0, 1)]
        self._act(self._maker, {"type": "cancelByCloid", "cancels": old})
        self._quote(row)

    def _quote(self, row: int) -> None:
        self._quoted[row] = self._quoted.get(row, 0) + 1
        made = []
        for side, far in enumerate((999, 1001)):
            price = self._text(row, self._middle[row] * far // 1000)
            cloid = _cloid(row, side, self._quoted[row])
            made.append(order(asset=row, buy=side == 0, price=price, size="5", tif="Alo", cloid=cloid))
        self._act(self._maker, orders(*made))

    def _text(self, row: int, units: int) -> str:
        return str(units) if TICKS[row] == 1 else f"{units // TICKS[row]}.{units % TICKS[row]}"


def _cloid(row: int, side: int, number: int) -> str:
    return f"0x{(number << 8) + row * 2 + side:032x}"
