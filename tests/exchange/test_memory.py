"""What is remembered of accounts and markets."""

from __future__ import annotations

from hlhft.exchange.candles import Candles
from hlhft.exchange.memory import AccountRecords, Changes, Happened, MarketRecords, RecordSettings
from hlhft.venue.state import VENUE_EVENT_DTYPE
from tests.exchange.hall import LISTING


def test_what_is_read_of_an_event_is_there():
    assert set(Happened._fields) <= set(VENUE_EVENT_DTYPE.names or ())


def test_every_history_has_a_maximum():
    settings = RecordSettings(fills_max=3, statuses_max=2, payments_max=4, ledger_updates_max=5, twap_statuses_max=6)
    records = AccountRecords(settings)
    sizes = [records.statuses, records.fills, records.fundings, records.ledger, records.twaps]
    assert [history.maxlen for history in sizes] == [2, 3, 4, 5, 6]


def test_a_market_that_was_never_traded_has_no_position():
    records = AccountRecords(RecordSettings())
    assert records.entry(2).lots == 0
    assert records.entry(2) is records.entry(2)


def test_a_block_that_changed_nothing_says_so():
    changes = Changes(5)
    assert not any([changes.orders, changes.fills, changes.trades, changes.ended, changes.ledger, changes.twaps])


def test_a_market_begins_without_a_price():
    market = MarketRecords(Candles(LISTING.markets[0]), RecordSettings(trades_max=3, rates_max=4))
    assert (market.trades.maxlen, market.rates.maxlen) == (3, 4)
    assert (market.last_ticks, market.rate_ns) == (0, 0)
