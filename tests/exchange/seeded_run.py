"""Prints what an exchange did for a seed: one hash of its event log, one of all that it told its clients.

python -m tests.exchange.seeded_run SEED INPUTS
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from hlhft.exchange.answers import Answer
from hlhft.exchange.opening import open_machine, open_settings
from tests.exchange.clients import MILLISECOND_NS, START_NS, Client, order, orders
from tests.exchange.fuzz_room import Room, Tally

FLOW_MS = 4_000


class ListeningRoom(Room):
    """A room that hashes every answer and frame in the order in which they come."""

    def __init__(self, seed: int) -> None:
        self.told = hashlib.sha256()
        super().__init__(seed, Tally(), with_limits=False)

    def look(self, door: str, answer: Answer) -> None:
        self.told.update(answer.body)
        super().look(door, answer)

    def look_at_frame(self, frame: bytes) -> None:
        self.told.update(frame)
        super().look_at_frame(frame)


def of_requests(seed: int, inputs: int) -> str:
    """Everything that the grammar sends, in an exchange of its own."""
    room = ListeningRoom(seed)
    for _ in range(inputs):
        room.send(room.grammar.next())
    room.check()
    return f"requests {room.machine.height} {room.machine.digest.hex()} {room.told.hexdigest()}"


def of_flow(seed: int) -> str:
    """An order flow, delays and a client in between."""
    settings = open_settings(["BTC", "ETH"], seed=seed, start_ns=START_NS)
    machine = open_machine(settings, synthetic=True)
    events = hashlib.sha256()
    client = Client(machine, 7)
    market = settings.listing.markets[1].market
    price = market.price_text(settings.reference_ticks[1] // 100 * 100)  # a whole number
    for elapsed_ms in range(0, FLOW_MS, 50):
        now_ns = START_NS + elapsed_ms * MILLISECOND_NS
        machine.admit(client.body(orders(order(price=price, size="0.01", tif="Ioc"))), client.label, now_ns)
        for block in machine.advance(now_ns).blocks:
            events.update(np.int64(block.height).tobytes() + block.legs.tobytes() + block.events.tobytes())
    assert machine.height > 0, "time passes in blocks"
    return f"flow {machine.height} {machine.digest.hex()} {events.hexdigest()}"


def main() -> None:
    """Prints the lines of one seed."""
    seed, inputs = int(sys.argv[1]), int(sys.argv[2])
    print(of_requests(seed, inputs))
    print(of_flow(seed))


if __name__ == "__main__":
    main()
