"""What readings tell the core beside orders and fills, each news once: leverage, fees, margin, and money that moved."""

from __future__ import annotations

from collections.abc import Sequence

from hlhft.hyperliquid import reconcile_rows as rows
from hlhft.hyperliquid.messages import Funding
from hlhft.hyperliquid.reconcile_compare import Account, Seen, dex_of
from hlhft.hyperliquid.reconcile_events import Row
from hlhft.hyperliquid.reconcile_reading import Reading
from hlhft.hyperliquid.transfers import Transfer
from hlhft.hyperliquid.wire import ms_of

SEEN_MAX = 8_192  # transfers and payments that are remembered; what is older than the forgotten counts as told


class Tidings:
    """Remembers what was told. Transfers and payments count only after `begun_ms`, the block that the session began
    with; the texts of transfers without an amount gather in `unknown` until they are fetched."""

    def __init__(self, account: Account) -> None:
        self.begun_ms = 0
        self.unknown: list[str] = []
        self._account = account
        self._fees: dict[int, tuple[int, ...]] = {}
        self._leverage: dict[int, tuple[int, bool]] = {}
        self._transfers = Seen(SEEN_MAX)
        self._fundings = Seen(SEEN_MAX)

    def of_reading(self, reading: Reading, now_ns: int) -> list[Row]:
        """Everything new that a reading says; what happened once is taken out of it."""
        told = self._of_leverage(reading, now_ns)
        told += self._of_fees(reading, now_ns)
        if reading.rate_limit is not None:
            states = list(reading.states.values())
            told.append(rows.account_state(states, reading.rate_limit, reading.block_ms, now_ns))
        told += self.of_transfers(reading.transfers, now_ns)
        told += self.of_fundings(reading.fundings, now_ns)
        reading.transfers.clear()
        reading.fundings.clear()
        return told

    def of_transfers(self, transfers: Sequence[Transfer], now_ns: int) -> list[Row]:
        """Money that entered or left, and was not told yet."""
        told = []
        for transfer in transfers:
            key = (transfer.ts_ns, transfer.hash, transfer.text)
            if not self._transfers.take(key, transfer.ts_ns) or ms_of(transfer.ts_ns) <= self.begun_ms:
                continue
            if transfer.amount_micro is None:
                self.unknown.append(transfer.text)
            elif transfer.amount_micro:
                told.append(rows.ledger_transfer(transfer.amount_micro, transfer.ts_ns, now_ns))
        return told

    def of_fundings(self, payments: Sequence[Funding], now_ns: int) -> list[Row]:
        """Payments in our markets that were not told yet."""
        told = []
        for payment in payments:
            is_new = self._fundings.take((payment.ts_ns, payment.coin), payment.ts_ns)
            if is_new and ms_of(payment.ts_ns) > self.begun_ms and not payment.fault:
                told.append(rows.funding_payment(payment, now_ns))
        return told

    def _of_leverage(self, reading: Reading, now_ns: int) -> list[Row]:
        found = [(one.market, one.leverage, one.is_cross) for one in reading.assets]
        found += [
            (one.market, one.leverage, one.is_cross)
            for state in reading.states.values()
            for one in state.positions
            if one.market >= 0
        ]
        told = []
        for market, leverage, is_cross in found:
            if self._leverage.get(market) != (leverage, is_cross):
                self._leverage[market] = (leverage, is_cross)
                told.append(rows.leverage_change(market, leverage, is_cross, reading.block_ms, now_ns))
        reading.assets.clear()
        return told

    def _of_fees(self, reading: Reading, now_ns: int) -> list[Row]:
        """The rates of each market; those of a builder's dex are its own, and not told by the venue."""
        told: list[Row] = []
        if reading.fees is None:
            return told
        for market, listed in enumerate(self._account.markets):
            if dex_of(listed.name):
                continue
            row = rows.fee_change(market, listed, reading.fees, reading.block_ms, now_ns)
            maker, taker = row[5], row[6]
            if self._fees.get(market) != (maker, taker):
                self._fees[market] = (maker, taker)
                told.append(row)
        return told
