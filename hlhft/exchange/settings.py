"""Every number and switch of the embedded exchange, with the default and where it comes from.

Sources: venue reference, mainly appendix D. What is unverified there is a setting here. Times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hlhft.exchange.channels import ChannelSettings
from hlhft.exchange.client_ids import CLIENT_IDS_MAX
from hlhft.exchange.limits import LimitSettings
from hlhft.exchange.listing import Listing
from hlhft.exchange.memory import RecordSettings
from hlhft.units import MICRO
from hlhft.venue.rules import hyperliquid

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000

# At which probabilities the quantiles below stand, in per cent.
DELAY_PROBABILITIES = (0, 1, 10, 25, 50, 75, 90, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long what a client sends is under way, in ms at the probabilities DELAY_PROBABILITIES.

    Appendix D: median 200 ms, p99 900 ms; cancels and post-only orders one to three blocks earlier than takers; a fast
    cancel takes half the time of another (venue reference section 4.2, measured).
    """

    taker_ms: tuple[int, ...] = (90, 100, 130, 160, 200, 260, 390, 900, 1500)
    maker_ms: tuple[int, ...] = (30, 35, 45, 55, 70, 120, 240, 750, 1300)
    fast_ms: tuple[int, ...] = (15, 18, 23, 28, 35, 60, 120, 375, 650)
    # What the exchange tells reaches its clients this much after the block: from, to.
    publish_ms: tuple[int, int] = (100, 300)

    def __post_init__(self) -> None:
        for table in (self.taker_ms, self.maker_ms, self.fast_ms):
            assert len(table) == len(DELAY_PROBABILITIES), "a table of delays has one entry for each probability"
            assert list(table) == sorted(table) and table[0] >= 0, "a table of delays ascends from 0 or more"
        assert 0 <= self.publish_ms[0] <= self.publish_ms[1], "the publish delay goes from less to more"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """One exchange. `reference_ticks` are the markets' prices at the start, one for each market of the listing."""

    listing: Listing
    reference_ticks: tuple[int, ...]
    seed: int = 1
    start_ns: int = 0
    # What is switched off here is told to whoever connects: an exchange without limits proves nothing about them.
    with_limits: bool = True
    with_delays: bool = True
    delays: Delays = Delays()
    limits: LimitSettings = field(default_factory=LimitSettings)
    channels: ChannelSettings = field(default_factory=ChannelSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    rules: np.ndarray = field(default_factory=hyperliquid)  # RULES_DTYPE[1]

    accounts_max: int = 1024
    order_slots: int = 32_768
    client_ids_max: int = CLIENT_IDS_MAX  # uses of the clients' own order ids that are remembered
    waiting_max: int = 4_096  # orders that wait for a fill or a price, of all accounts
    width_ticks: int = 1 << 20  # of each market's book, around its reference price
    legs_max: int = 20_000  # of one block; what does not fit waits for the next
    pending_max: int = 10_000  # actions under way; more are refused
    oracle_interval_ns: int = 3 * SECOND_NS
    blocks_per_advance_max: int = 2_000  # a caller that fell behind catches up in parts

    connections_max: int = 256  # sockets open at once, of all clients together
    idle_close_ns: int = 60 * SECOND_NS  # without anything sent to the client
    rotation_ns: int = 0  # sockets are closed as expired at this age; 0 never (how often is unverified)
    outbox_bytes_max: int = 4 << 20  # waiting for a slow reader; then it is disconnected

    # As after an upgrade of the network (venue reference section 4.1): before then orders that could take are refused.
    post_only_until_ns: int = 0
    asset_suffix: bool = True  # errors of orders end with " asset=N" (seen in practice)
    schedule_volume_micro: int = 1_000_000 * MICRO

    def __post_init__(self) -> None:
        assert len(self.reference_ticks) == len(self.listing.markets), "each market has a reference price"
        assert all(ticks > 0 for ticks in self.reference_ticks), "reference prices are positive"
