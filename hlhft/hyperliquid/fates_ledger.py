"""The books of `hlhft.hyperliquid.fates`: placements by order, client order id and venue id, doubts, reports.

Bounded: what is not over up to `live_max`, beyond which nothing more may be sent; what is over up to `finished_max`,
the oldest are forgotten; reports up to `reports_max`, beyond which they are counted only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from hlhft.hyperliquid import cloids
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.fates_records import FateCode, FateReport, FatesError, FateSettings, Placement, Reason
from hlhft.hyperliquid.reading import TEXT_MAX


class Ledger:
    """The placements of one owner. `orders` has the newest placement of each order, `live` all that are not over.

    The counters only rise: `late` news of what is over, `foreign` items of others, a `FateCode`'s name for each report.
    """

    def __init__(self, *, owner: int, session: int, settings: FateSettings) -> None:
        cloids.require(owner=owner, session=session)
        self.owner = owner
        self.session = session
        self.settings = settings
        self.orders: dict[int, Placement] = {}
        self.live: dict[int, Placement] = {}
        self.doubtful: dict[int, Placement] = {}
        self.counters: Counter[str] = Counter()
        self._by_oid: dict[int, Placement] = {}
        self._adopted: dict[tuple[int, int], Placement] = {}  # (session, order) of earlier sessions
        self._finished: deque[Placement] = deque()
        self._reports: deque[FateReport] = deque()

    # Placements.

    def has_room(self, count: int) -> bool:
        """Whether `count` more placements may be entered."""
        return len(self.live) + count <= self.settings.live_max

    def require_room(self, count: int) -> None:
        """Raises FatesError when `count` more placements may not be entered."""
        if not self.has_room(count):
            raise FatesError(f"{len(self.live)} orders are not over: nothing more may be sent before some are")

    def add(self, placement: Placement) -> None:
        """Enters a placement as the newest of its order; the caller has seen that there is room."""
        self.orders[placement.order_id] = self.live[placement.key] = placement

    def adopt(self, placement: Placement) -> None:
        """Enters an order of an earlier session. Raises FatesError when there is no room."""
        self.require_room(1)
        self.add(placement)
        self._adopted[(placement.session, placement.order_id)] = placement

    def ours(self, cloid: int | None) -> Cloid | None:
        """What the client order id says, when it is one of our owner's, whichever session's."""
        named = None if cloid is None else cloids.parse(cloid)
        return named if named is not None and named.owner == self.owner else None

    def find(self, cloid: int | None, oid: int) -> Placement | None:
        """The placement that news is about."""
        named = self.ours(cloid)
        if named is not None:
            is_present = named.session == self.session
            newest = self.orders.get(named.order_id) if is_present else self._adopted.get(named[1:3])
            for placement in chain(newest):
                if placement.revision == named.revision and placement.session == named.session:
                    return placement
        return self._by_oid.get(oid)

    def newest(self, placement: Placement) -> Placement:
        """The newest placement of the same order."""
        return self.orders.get(placement.order_id, placement)

    def current(self, order_id: int) -> Placement | None:
        """The newest placement of an order that is not over."""
        return next((one for one in chain(self.orders.get(order_id)) if not one.is_done), None)

    def revision(self, order_id: int, revision: int) -> Placement | None:
        """The placement of an order with this revision."""
        return next((one for one in chain(self.orders.get(order_id)) if one.revision == revision), None)

    def trim(self, newest: Placement) -> None:
        """Leaves out of an order's chain what is over, but for the newest, so that it does not grow with every
        modification; what was left out is still found by its venue id."""
        kept = newest
        for older in list(chain(newest.previous)):
            if not older.is_done:
                kept.previous = older
                kept = older
        kept.previous = None

    def cloid_of(self, placement: Placement) -> int:
        """The client order id of a placement."""
        return Cloid(self.owner, placement.session, placement.order_id, placement.revision).number()

    def name(self, placement: Placement, oid: int) -> None:
        """The venue's id of a placement is known. Another one than before is reported."""
        if oid == 0 or placement.oid == oid:
            return
        if placement.oid:
            self.report(FateCode.CONTRADICTION, placement, f"the venue calls it {oid}, and called it {placement.oid}")
            return
        placement.oid = oid
        self._by_oid[oid] = placement

    def finish(self, placement: Placement) -> None:
        """A placement is over; the oldest such one may be forgotten."""
        self.calm(placement)
        del self.live[placement.key]
        self._finished.append(placement)
        if len(self._finished) > self.settings.finished_max:
            self._forget(self._finished.popleft())

    def _forget(self, placement: Placement) -> None:
        self._by_oid.pop(placement.oid, None)
        if self._adopted.get((placement.session, placement.order_id)) is placement:
            del self._adopted[(placement.session, placement.order_id)]
        if self.orders.get(placement.order_id) is not placement:
            return
        # An older placement may have outlived it: its modification was refused.
        survivor = next((one for one in chain(placement.previous) if not one.is_done), None)
        if survivor is None:
            del self.orders[placement.order_id]
        else:
            self.orders[placement.order_id] = survivor

    # Doubts.

    def doubt(self, placement: Placement, reason: Reason, ask_ns: int) -> None:
        """The placement is to be asked about from `ask_ns` on, or earlier if it was to be for the same reason."""
        assert not placement.is_done, "what is over is not asked about"
        if placement.reason is reason:
            ask_ns = min(ask_ns, placement.ask_ns)
        placement.reason, placement.ask_ns = reason, ask_ns
        self.doubtful[placement.key] = placement

    def calm(self, placement: Placement) -> None:
        """There is no doubt about the placement any more."""
        placement.reason = Reason.NONE
        self.doubtful.pop(placement.key, None)

    # Reports.

    def report(self, code: FateCode, placement: Placement | None, detail: str) -> None:
        """Something to be told to people; the text is cut."""
        self.counters[code.name] += 1
        if len(self._reports) >= self.settings.reports_max:
            self.counters["reports lost"] += 1
            return
        told = detail if placement is None else f"{placement}: {detail}"
        self._reports.append(FateReport(code, 0 if placement is None else placement.order_id, told[:TEXT_MAX]))

    def take_reports(self) -> tuple[FateReport, ...]:
        """The reports since the last time."""
        reports = tuple(self._reports)
        self._reports.clear()
        return reports


def chain(newest: Placement | None) -> Iterator[Placement]:
    """A placement and those that it modified, the newest first."""
    while newest is not None:
        yield newest
        newest = newest.previous
