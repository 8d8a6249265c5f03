"""The session's own orders before a queue model: at rest when they were, filled as the model says, nothing decided."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.backtest.models import ModelError
from hlhft.backtest.recordings import Recording, compile_recording
from hlhft.live.journal.recording import JournalSource
from hlhft.live.session_kept import kept, kept_fills
from hlhft.live.session_told import RESTED_DTYPE, Told, told
from hlhft.venue.recorded import REPLY_DTYPE
from tests.core.worlds import MS, SECOND
from tests.live.journal.brains import Session, frame

START = 1_790_000_000 * SECOND


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Recording]:
    """Offers at 100,005 and up for a second, at 99,985 from then on."""
    folder = tmp_path_factory.mktemp("journal")
    made = Session(folder, now_ns=START)
    for place in range(30):
        made.now_ns += 100 * MS
        made.step(frame(made.now_ns, 100_000 if place < 10 else 99_980 - place % 2))
    made.journal.close()
    source = JournalSource(folder)
    return told(folder, source.resting), compile_recording(source, profile="recorded")


def orders(heard: Told, *rows: tuple[int, int, int, int, int]) -> Told:
    """The session with these orders as (ms, is over, id, side, price), of 400 lots."""
    rested = np.zeros(len(rows), RESTED_DTYPE)
    for place, (ms, is_over, order_id, side, ticks) in enumerate(rows):
        rested[place] = (START + ms * MS, is_over, 0, order_id, side, ticks, 400)
    return Told(**{**vars(heard), "rested": rested})


CROSSED_MS = 1050  # the picture of the eleventh tenth of a second, 50 ms old


def test_an_order_fills_when_the_market_comes_while_it_rests(market: tuple[Told, Recording]) -> None:
    heard, recording = market
    rest, early, late = (500, 0, 1, 1, 99_990), (500, 0, 2, 1, 99_988), (1200, 0, 3, 1, 99_970)
    fills = kept_fills(orders(heard, rest, early, (900, 1, 2, 1, 99_988), late), recording, "risk-averse")
    assert [(int(one["order_id"]), int(one["price_ticks"]), int(one["size_lots"])) for one in fills] == [
        (1, 99_990, 400)
    ]
    assert fills["ts_exch_ns"][0] == START + CROSSED_MS * MS


def test_an_order_that_would_have_taken_is_refused(market: tuple[Told, Recording]) -> None:
    heard, recording = market
    assert not len(kept_fills(orders(heard, (500, 0, 1, 1, 100_005)), recording, "power:2"))


def test_what_both_filled_is_counted(market: tuple[Told, Recording]) -> None:
    heard, recording = market
    live = np.zeros(2, REPLY_DTYPE)
    live["kind"], live["side"], live["order_id"], live["size_lots"] = 18, 1, [1, 7], 400
    live["price_ticks"], live["ts_exch_ns"] = [99_990, 99_970], START + (CROSSED_MS + 300) * MS
    mine = orders(heard, (500, 0, 1, 1, 99_990), (500, 0, 2, 1, 99_989))
    found = kept(mine, recording, "risk-averse", live)
    assert (found.fills, found.orders_filled, found.orders_live, found.orders_both) == (2, 2, 2, 1)
    assert (found.matched.pairs, found.matched.of_live, found.matched.of_simulated) == (1, 1 / 2, 1 / 2)
    assert found.volume_usdc == pytest.approx(400 * (99_990 + 99_989) / 1e6)
    assert kept(mine, recording, "risk-averse", live, window_ns=100 * MS).matched.pairs == 0


def test_a_session_without_orders_fills_nothing_and_a_model_that_is_none_is_refused(
    market: tuple[Told, Recording],
) -> None:
    heard, recording = market
    found = kept(orders(heard), recording, "power:2", np.zeros(0, REPLY_DTYPE))
    assert (found.fills, found.volume_usdc, found.matched.of_live) == (0, 0.0, None)
    with pytest.raises(ModelError, match="queue model 'front'"):
        kept_fills(heard, recording, "front")
