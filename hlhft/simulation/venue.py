"""The exchange of a simulation: the pure machine at the far end of the network, and what is so there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from hlhft.data.markets import known
from hlhft.exchange.answers import Answer as VenueAnswer
from hlhft.exchange.limits import Client as ClientLabel
from hlhft.exchange.listing import Listed, Listing
from hlhft.exchange.machine import Machine
from hlhft.exchange.settings import Delays, ExchangeSettings
from hlhft.hyperliquid import markets
from hlhft.hyperliquid.cloids import Cloid, parse
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.live.preflight import Found
from hlhft.simulation.network import Wire
from hlhft.simulation.time import START_NS, Time
from hlhft.units import Market

OWNER = 7
BTC, ETH = 0, 1
COINS = ("BTC", "ETH")
PRICES = {BTC: 110_000, ETH: 4_000}
TICKS = {BTC: 1, ETH: 10}  # prices are whole in a unit, and the unit's parts
SLOW = Delays(maker_ms=(30, 35, 45, 55, 70, 500, 2_000, 2_800, 2_900))
MAKER, TAKER, TRADED, ENGINE, WATCHDOG = 11, 12, 13, 14, 15  # keys
ACCOUNT = Signer(bytes([TRADED]) * 32).address


def settings(seed: int, delays: Delays) -> ExchangeSettings:
    """Two markets, with room for a few accounts."""
    shipped = known()
    listed = tuple(Listed(market=replace(shipped[coin], asset_id=row)) for row, coin in enumerate(COINS))
    return ExchangeSettings(
        listing=Listing(listed),
        reference_ticks=tuple(shipped[coin].ticks(str(PRICES[row])) for row, coin in enumerate(COINS)),
        seed=seed, start_ns=START_NS, with_limits=False, delays=delays, order_slots=64, waiting_max=16,
        width_ticks=1 << 17, accounts_max=16, legs_max=1000,
    )  # fmt: skip


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
        self._settings = settings(seed, delays)
        self.machine = Exchange(self._settings)
        self.wires: dict[int, Wire] = {}
        self._answers: dict[int, Callable[[int, bytes], None]] = {}
        time.at(time.now_ns, self._advance)

    # The far end.

    def connected(self, label: str, wire: Wire) -> bool:
        """A socket stands, unless there are too many."""
        opened = self.machine.sockets.open((label, ""), self.time.now_ns)
        if isinstance(opened, str):
            return False
        wire.connection, greeting = opened
        self.wires[wire.connection] = wire
        for frame in greeting:
            wire.tell(frame)
        return True

    def heard(self, wire: Wire, text: bytes) -> None:
        """A message came."""
        for frame in self.machine.sockets.receive(wire.connection, text, self.time.now_ns):
            wire.tell(frame)

    def gone(self, wire: Wire) -> None:
        """A socket is gone."""
        self.machine.sockets.disconnect(wire.connection)
        self.wires.pop(wire.connection, None)

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        """A request came; an action is answered by the block that executes it."""
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


def _lots(market: Market, text: str) -> int:
    lots = int(market.lots(text.removeprefix("-")))
    return -lots if text.startswith("-") else lots
