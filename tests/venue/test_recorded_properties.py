"""Own orders against a recorded market: what holds whatever happens."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.events import EventKind
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue import recorded
from hlhft.venue.queue import QueueModel
from tests.venue.recorded_market import ALO, BUY, GTC, IOC, MS, SELL, RecordedMarket, rules

PRICES = st.integers(97, 104)
LOTS = st.integers(1, 9)
SIDES = st.sampled_from([BUY, SELL])
ACTIONS = st.one_of(
    st.tuples(st.just("level"), SIDES, PRICES, st.integers(0, 12)),
    st.tuples(st.just("trade"), SIDES, PRICES, LOTS),
    st.tuples(st.just("place"), SIDES, PRICES, LOTS, st.sampled_from([ALO, GTC, IOC]), st.integers(0, 1)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("liquidate")),
)
LANED = st.lists(st.tuples(ACTIONS, st.integers(0, 1)), min_size=5, max_size=60)
# The second lane's later order takes the slot that the first lane's leaves, then the lane is liquidated.
A_SLOT_CHANGES_HANDS = [
    (("place", BUY, 97, 1, ALO, 0), 0),
    (("place", BUY, 97, 1, ALO, 0), 1),
    (("liquidate",), 0),
    (("place", BUY, 97, 1, ALO, 0), 1),
    (("liquidate",), 1),
]


class Run:
    """Plays actions of two lanes, or of one of them alone, and checks after each what must always hold."""

    def __init__(self, chosen: np.ndarray, only: int | None) -> None:
        self.market = RecordedMarket(chosen, lanes=2, slots=64)
        self.only, self.number, self.partial = only, 0, bool(chosen[0]["partial_fills"])
        self.said: list[list[bytes]] = [[], []]
        self.lots, self.cash, self.fees = [0, 0], [0, 0], [0, 0]

    def play(self, action: tuple, lane: int) -> None:
        m, venue = self.market, self.market.venue
        name, *rest = action
        self.number += name == "place"
        m.now += 7 * MS
        if name == "level":
            m.level(*rest)
        elif name == "trade":
            m.trade(*rest)
        elif self.only in (None, lane) and name == "place":
            side, ticks, lots, tif, reduce = rest
            m.place(self.number, side, ticks, lots, tif, lane=lane, reduce=reduce)
        elif self.only in (None, lane) and name == "cancel":
            m.cancel(rest[0], lane=lane)
        elif self.only in (None, lane):
            m.liquidate(lane)
        else:
            return
        self.book(action)
        self.check(venue)

    def book(self, action: tuple) -> None:
        flow = [0, 0]
        for reply in self.market.last:
            lane, lots = int(reply["lane"]), int(reply["size_lots"])
            self.said[lane].append(reply.tobytes())
            if reply["kind"] == EventKind.ORDER_FILLED:
                assert lots > 0 and reply["aux0"] >= 0 and reply["front"] >= 0
                self.lots[lane] += int(reply["side"]) * lots
                self.cash[lane] -= int(reply["side"]) * lots * int(reply["price_ticks"])
                self.fees[lane] += int(reply["aux1"])
                flow[lane] += lots
        if self.partial and action[0] in ("trade", "level"):
            assert max(flow) <= action[-1]

    def check(self, venue: recorded.RecordedVenue) -> None:
        for lane in range(2):
            holding = venue.holdings[lane, 0]
            assert (holding["position_lots"], holding["cash_quanta"]) == (self.lots[lane], self.cash[lane])
            assert holding["fee_micro"] == self.fees[lane]
        resting = venue.orders[venue.orders["order_id"] != 0]
        assert [int(n) for n in venue.lanes["open_orders"]] == [int((resting["lane"] == n).sum()) for n in range(2)]
        assert int(venue.edges[0]["resting"]) == int(venue.venue[0]["resting"]) == len(resting)
        assert (resting["remaining_lots"] > 0).all()
        assert not np.isnan(resting["front"]).any()
        if self.partial:
            assert (resting["front"] >= -0.5).all()
        for lane in range(2):
            own = resting[(resting["lane"] == lane) & (resting["reduce_only"] == 1)]
            assert int(venue.lanes[lane]["reduce_only"]) == len(own)
            closing = own["side"] * int(venue.holdings[lane, 0]["position_lots"])
            assert (closing < 0).all() and own["remaining_lots"].sum() <= max(-closing, default=0)
        asks, bids = (resting[resting["side"] == side]["price_ticks"] for side in (SELL, BUY))
        assert venue.edges[0]["lowest_ask_ticks"] <= asks.min(initial=ASK_NONE)
        assert venue.edges[0]["highest_bid_ticks"] >= bids.max(initial=BID_NONE)


@settings(max_examples=50)
@given(
    actions=LANED,
    model=st.sampled_from(list(QueueModel)),
    whole=st.booleans(),
    share=st.sampled_from([0, 500_000]),
)
@example(actions=A_SLOT_CHANGES_HANDS, model=QueueModel.RISK_AVERSE, whole=False, share=0)
def test_fills_sum_to_the_position_and_lanes_never_see_each_other(actions, model, whole, share):
    chosen = rules(model, whole=whole, alo_jumper_share_e6=share)
    together, first, second = Run(chosen, None), Run(chosen, 0), Run(chosen, 1)
    for run in (together, first, second):
        for action, lane in actions:
            run.play(action, lane)
    assert together.said[0] == first.said[0]
    assert together.said[1] == second.said[1]
