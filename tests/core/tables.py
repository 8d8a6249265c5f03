"""One lane's order table in one market, for tests of what happens to orders."""

from __future__ import annotations

from typing import Any

from hlhft.core import orders
from hlhft.core.state import ORDERS_PER_MARKET, SLOT_BITS, OrderState, new_lane
from hlhft.events import EventKind as Kind

BUY, SELL = 1, -1
LIVE = [state for state in OrderState if OrderState.FREE < state < OrderState.DONE_FILLED]


class Table:
    """One lane in one market."""

    def __init__(self) -> None:
        _, self.lane = new_lane(1)
        self.row: Any = self.lane.lane[0]
        self.position: Any = self.lane.positions[0]
        self.orders, self.active = self.lane.orders[0], self.lane.active[0]

    def create(self, side: int = BUY, ticks: int = 100, lots: int = 10, now_ns: int = 5) -> int:
        return int(orders.create(self.row, self.position, self.orders, self.active, side, ticks, lots, 0, 0, now_ns, 0))

    def send(self, order_id: int, *, batch_id: int = 1, now_ns: int = 10) -> None:
        orders.mark_sent(self.orders, order_id, batch_id, now_ns)

    def placed(self, side: int = BUY, ticks: int = 100, lots: int = 10) -> int:
        """An order that was sent and acknowledged."""
        order_id = self.create(side, ticks, lots)
        self.send(order_id)
        self.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=lots, left=7)
        return order_id

    def apply(
        self,
        kind: Kind,
        order_id: int,
        *,
        side: int = BUY,
        ticks: int = 100,
        lots: int = 4,
        left: int = 0,
        fee: int = 0,
        maker: int = 1,
        ts_ns: int = 20,
    ) -> int:
        return int(
            orders.apply(
                self.row, self.position, self.orders, self.active, int(kind), order_id, side, ticks, lots, int(left),
                fee, maker, ts_ns,
            )
        )  # fmt: skip

    def order(self, order_id: int) -> Any:
        return self.orders[order_id & ((1 << SLOT_BITS) - 1)]

    def state(self, order_id: int) -> OrderState:
        return OrderState(self.order(order_id)["state"])

    def open_lots(self) -> tuple[int, int]:
        return int(self.position["open_buy_lots"]), int(self.position["open_sell_lots"])

    def check_sums(self) -> None:
        """The worst case is the sum over what is not proven dead; the active list is every such order, oldest first."""
        slots = self.active[: self.position["active_count"]].tolist()
        living = [slot for slot in range(ORDERS_PER_MARKET) if self.orders[slot]["state"] in LIVE]
        assert sorted(slots) == living
        ages = [int(self.orders[slot]["order_id"]) >> SLOT_BITS for slot in slots]
        assert ages == sorted(ages)
        rows = self.orders[slots]
        assert self.open_lots() == tuple(
            int(rows["remaining_lots"][rows["side"] == side].sum()) for side in (BUY, SELL)
        )
        assert (rows["remaining_lots"] > 0).all()
        assert self.row["orders_open"] == len(slots)
