"""A session beside its simulations: the same decisions where the same was filled, and figures that can be added up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from hlhft.core.state import OrderState
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.live.journal.recording import JournalSource
from hlhft.live.journal.records import NoteKind
from hlhft.live.journal.retention import tidy
from hlhft.live.journal.segments import Form, JournalError, Name
from hlhft.live.session_comparison import QUEUES, compare_session, remarks_of
from hlhft.live.session_report import session_results
from hlhft.live.session_told import told
from hlhft.report.comparison import ALL, BOTH, Figures, WorldFigures
from tests.core.worlds import MS, SECOND
from tests.live.engines import (
    BTC,
    COINS,
    ETH,
    PRICES,
    Exchange,
    Owner,
    Trader,
    engine,
    run_on_uvloop,
    until,
    write_settings,
)
from tests.live.journal.brains import STRATEGY, Session, answers, frame

NOTING = Path(__file__).parent / "journal" / "noting.py"
START = 1_790_000_000 * SECOND
EVERY_NS = 100 * MS
VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


class Quoting(Session):
    """Quotes ten ticks around the middle; each action is answered within a millisecond."""

    def __init__(self, folder: Path, *, name: str = STRATEGY, now_ns: int = START, session: int = 7) -> None:
        super().__init__(folder / "journal", session=session, name=name, now_ns=now_ns)

    def show(self, *middles: int) -> None:
        """A picture of the book each tenth of a second, around these prices."""
        for middle in middles:
            self.now_ns += EVERY_NS
            commands = self.step(frame(self.now_ns, middle))
            if len(commands):
                self.step(answers(commands, self.now_ns + MS))

    def fill(self, side: int, lots: int, *, at_ns: int) -> int:
        """The order that rests on this side fills, known now; returns its price."""
        resting = next(
            one for one in self.brain.lane.orders[0] if one["state"] == OrderState.OPEN and one["side"] == side
        )
        row = self.row(
            EventKind.ORDER_FILLED, side=side, price_ticks=int(resting["price_ticks"]), size_lots=lots,
            order_id=int(resting["order_id"]), aux0=int(resting["remaining_lots"]) - lots, aux1=10,
            flags=VISIBLE | int(EventFlag.MAKER),
        )  # fmt: skip
        row["ts_exch_ns"] = at_ns
        self.step(row)
        return int(resting["price_ticks"])

    def row(self, kind: EventKind, **values: int) -> np.ndarray:
        """One event, known a millisecond after what was told last."""
        rows = np.zeros(1, EVENT_DTYPE)
        self.now_ns += MS
        rows["ts_exch_ns"], rows["ts_local_ns"], rows["kind"] = self.now_ns, self.now_ns, int(kind)
        for name, value in values.items():
            rows[name] = value
        return rows


def group(one: WorldFigures, market: str = ALL, side: str = BOTH) -> Figures:
    return next(each for each in one.groups if (each.market, each.side) == (market, side))


def quiet() -> list[int]:
    """Prices that move and never reach an order."""
    return [int(price) for price in 100_000 + np.cumsum(np.random.default_rng(4).integers(-3, 4, 40))]


def test_a_session_without_fills_is_simulated_order_by_order(tmp_path: Path) -> None:
    """The same events in, the same commands out: another world around the same core."""
    made = Quoting(tmp_path)
    made.show(*quiet())
    made.journal.close()
    found = compare_session(tmp_path / "journal")
    assert found.live.total.orders > 40
    for one, shared in zip(found.simulated, found.orders_shared, strict=True):
        assert one.total.fills == found.live.total.fills == 0
        # A recording ends with its last picture: nothing is decided on that any more.
        assert found.live.total.orders - one.total.orders <= 2
        assert shared is not None and shared >= 1 - 2 / found.live.total.orders
    assert [one.name for one in found.simulated] == list(QUEUES)
    assert found.verdicts[0].endswith("risk-averse fills nothing, and neither did the market.")
    assert found.remarks == ()


def test_known_fills_give_the_figures_that_they_should(tmp_path: Path) -> None:
    made = Quoting(tmp_path, name=str(NOTING))
    made.show(100_000, 100_000)
    # Offers at 99,985 cross our bid at 99,990. The venue filled half of what it shows there, and an offer of ours as
    # well, which no picture explains.
    crossed_ns = made.now_ns + EVERY_NS - 50 * MS
    assert made.fill(1, 500, at_ns=crossed_ns) == 99_990
    assert made.fill(-1, 1000, at_ns=crossed_ns) == 100_010
    made.now_ns -= 2 * MS
    made.show(*[99_980] * 105, 99_981)
    made.journal.close()
    found = compare_session(tmp_path / "journal", queues=["risk-averse"])
    ours, theirs, match = found.live.total, found.simulated[0].total, found.matches[0]
    assert (ours.fills, theirs.fills, match.pairs) == (2, 1, 1)
    assert ours.volume_usdc == pytest.approx((500 * 99_990 + 1000 * 100_010) / 1e6)
    assert theirs.volume_usdc == pytest.approx(1000 * 99_990 / 1e6)
    assert (match.of_live, match.of_simulated) == (1 / 2, 1.0)
    assert match.volume_of_live == pytest.approx(500 * 99_990 / (500 * 99_990 + 1000 * 100_010))
    assert match.volume_of_simulated == pytest.approx(1 / 2)
    # Against the mid of 100,000 before it, ten ticks on 500 lots and ten on 1000.
    assert ours.parts["spread"] == pytest.approx((500 * 10 + 1000 * 10) / 1e6)
    assert theirs.parts["spread"] == pytest.approx(1000 * 10 / 1e6)
    assert ours.parts["fees"] == pytest.approx(-20e-6)
    after_1_s = group(found.live, "COIN", "sell").markouts[0]
    assert after_1_s.mean_bp == pytest.approx(30 / 100_010 * 1e4)
    # Decided on with the first picture, which came 50 ms after its block.
    assert ours.wait_ns == theirs.wait_ns == 2 * EVERY_NS - 50 * MS
    (own,) = found.kept
    assert (own.fills, own.orders_filled, own.orders_live, own.orders_both) == (1, 1, 2, 1)
    assert own.volume_usdc == pytest.approx(1000 * 99_990 / 1e6) and own.matched.of_live == 1 / 2
    assert "fills 33 % less than the market did, and has 50 % of the live fills" in found.verdicts[0]


def test_a_halt_is_simulated_when_it_came(tmp_path: Path) -> None:
    made = Quoting(tmp_path)
    made.show(*quiet())
    made.step(made.row(EventKind.OPERATOR_COMMAND, aux0=0))
    halted = int(made.brain.lane.lane["placed"][0])
    made.now_ns -= MS
    made.show(*quiet())
    made.journal.close()
    assert int(made.brain.lane.lane["placed"][0]) == halted
    found = compare_session(tmp_path / "journal")
    assert [one.total.orders for one in (found.live, *found.simulated)] == [halted] * 3
    assert found.orders_shared == (1.0, 1.0)


def test_sessions_are_compared_one_by_one_and_begin_with_what_the_one_before_left(tmp_path: Path) -> None:
    first = Quoting(tmp_path, session=7)
    first.show(*quiet())
    first.journal.close()
    second = Quoting(tmp_path, session=8, now_ns=START + 600 * SECOND)
    second.step(second.row(EventKind.POSITION_STATE, size_lots=-300, price_ticks=100_000))
    second.now_ns -= MS
    second.show(*quiet()[:20])
    second.journal.close()
    journal = tmp_path / "journal"
    found, before = compare_session(journal), compare_session(journal, 7)
    assert 0 < found.live.total.orders < before.live.total.orders
    for one in (found.live, *found.simulated):
        assert one.total.fills == 0, "what was there before is no fill"
        # Short of 300 lots, worth nothing at 100,000: what the mid did since.
        assert one.total.profit_usdc == pytest.approx(found.live.total.profit_usdc, abs=1e-3)
        assert one.total.profit_usdc != 0.0
    assert sum(group(before.live).parts.values()) == 0.0


def test_what_a_simulation_is_not_is_said(tmp_path: Path) -> None:
    made = Quoting(tmp_path)
    made.step(made.row(EventKind.ORDER_ADOPTED, order_id=5, side=1, price_ticks=90_000, size_lots=10, aux0=3))
    made.show(*quiet()[:5])
    made.journal.note(NoteKind.SETTINGS, b"tightened")
    made.show(100_000)
    journal = tmp_path / "journal"
    remarks = remarks_of(told(journal, JournalSource(journal).resting))
    assert [remark.split(" ", 2)[0] for remark in remarks] == ["Settings", "The", "The"]
    assert "took over 1 order of an earlier one" in remarks[1] and "did not write that it ended" in remarks[2]
    made.journal.close()


def test_a_session_without_its_market_data_or_its_beginning_is_refused(tmp_path: Path) -> None:
    made = Quoting(tmp_path)
    made.show(*quiet())
    made.journal.rotate()
    made.show(*quiet())
    made.journal.close()
    journal = tmp_path / "journal"
    with pytest.raises(JournalError, match="a simulation begins where the session did; give the folder"):
        compare_session(journal / Name(7, 1).file(Form.OPEN))
    tidy(journal, Name(9, 0), total_bytes_max=1 << 40, keep_days=10, now_ns=made.now_ns)
    (journal / Name(7, 0).file(Form.WHOLE)).unlink()
    with pytest.raises(JournalError, match="the market data of some segments was dropped"):
        compare_session(journal)
    with pytest.raises(JournalError, match="there is no journal"):
        compare_session(tmp_path)


@pytest.mark.processes
def test_a_session_that_goes_on_while_it_is_read_is_refused(tmp_path: Path) -> None:
    made = Quoting(tmp_path)
    made.show(*quiet())
    earlier = session_results(tmp_path / "journal").scenarios[0]
    made.show(100_000)
    made.journal.close()
    with pytest.raises(JournalError, match="goes on while it is read"):
        compare_session(tmp_path / "journal", queues=["risk-averse"], live=earlier)
    whole = session_results(tmp_path / "journal").scenarios[0]
    assert compare_session(tmp_path / "journal", queues=["risk-averse"], live=whole).live.total.orders > 0


def test_a_session_at_an_exchange_in_two_markets(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    """It alone is the best price of both markets, so what a simulation sees there is the market maker far behind it.
    Whoever hits its orders would have hit the simulated ones, and nothing else does."""
    owner = Owner(exchange.url, 21)
    path = write_settings(tmp_path, exchange, owner)

    def both_sides() -> bool:
        return all(owner.sides(coin) == {"A", "B"} for coin in COINS)

    async def trades() -> None:
        async with engine(path) as (there, _):
            await until(both_sides)
            for asset, size in ((ETH, "0.05"), (BTC, "0.002")):
                limit = PRICES[asset] + PRICES[asset] // 1000
                await asyncio.to_thread(market.orders, (asset, True, str(limit - 1), size, "Ioc"))
                await until(lambda: there.status().markets[asset].fills)  # noqa: B023
                await until(both_sides)

    run_on_uvloop(trades)
    found = compare_session(tmp_path / "state" / "journal")
    told_fills = owner.ask("userFills")
    assert found.live.total.fills == len(told_fills) == 2
    assert found.live.total.volume_usdc == pytest.approx(sum(float(one["px"]) * float(one["sz"]) for one in told_fills))
    assert {one.market for one in found.live.groups} == {ALL, *COINS}
    for one in found.kept:
        assert (one.orders_filled, one.orders_both, one.matched.of_live, one.matched.of_simulated) == (2, 2, 1.0, 1.0)
        assert one.volume_usdc == pytest.approx(found.live.total.volume_usdc)
    for one, match in zip(found.simulated, found.matches, strict=True):
        assert (match.of_live, match.of_simulated) == (1.0, 1.0), one.name
        for coin in COINS:
            assert group(one, coin).fills == group(found.live, coin).fills
            assert group(one, coin).volume_usdc == pytest.approx(group(found.live, coin).volume_usdc)
    assert all("clock" in remark for remark in found.remarks)
